// SPDX-License-Identifier: GPL-3.0-or-later
// Opening a model and materialising its weights. The arithmetic is in forward.cpp.
#include "core/model/model.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/text.h"
#include "core/checkpoint/rope_frequencies.h"
#include "core/model/coded_weight.h"
#include "core/model/model_impl.h"
#include "core/model/non_finite.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>
#include <optional>

namespace bw {

Model::Model() : impl_(std::make_unique<Impl>()) {}
Model::~Model() = default;

std::shared_ptr<const Model> Model::open(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<Device> device,
                                         NonFinite nonFinite) {
    const ModelConfig& config = checkpoint->config();
    const std::shared_ptr<Model> model(new Model);
    Impl& impl = *model->impl_;
    impl.checkpoint = std::move(checkpoint);
    impl.device = std::move(device);
    impl.config = config;
    impl.nonFinite = nonFinite;
    model->requireForward();
    // A checkpoint without a head of its own uses the embedding, whatever its flag says.
    impl.config.tiedHead = config.tiedHead || impl.checkpoint->find("output.weight") == nullptr;
    checkTensors(*impl.checkpoint, impl.config);
    impl.layout = layOutSites(impl.config, *impl.checkpoint);
    for (const auto& site : impl.layout.sites) impl.byName.emplace(site.name, site.id);
    for (const RopeConfig& rope : impl.config.ropes)
        impl.ropes.push_back({ropeFrequencies(rope), ropeFrequencies(rope, true)});
    impl.finalNorm = impl.norm("output_norm");
    if (impl.config.learnedPositions) impl.positions = impl.vector("position_embd.weight");
    return model;
}

std::shared_ptr<const Model> Model::openWeights(std::shared_ptr<const Checkpoint> checkpoint,
                                                std::shared_ptr<Device> device, NonFinite nonFinite) {
    if (checkpoint->config().forwardSupported) return open(std::move(checkpoint), std::move(device), nonFinite);
    const std::shared_ptr<Model> model(new Model);
    Impl& impl = *model->impl_;
    impl.config = checkpoint->config();
    impl.nonFinite = nonFinite;
    impl.layout = layOutWeights(*checkpoint);
    impl.checkpoint = std::move(checkpoint);
    impl.device = std::move(device);
    for (const auto& site : impl.layout.sites) impl.byName.emplace(site.name, site.id);
    return model;
}

void Model::requireForward() const {
    const ModelConfig& config = impl_->config;
    if (config.forwardSupported) return;
    throw Error(ErrorCode::unsupportedModel,
                fmt::format("{} can't be run: {}", escapeForDisplay(impl_->checkpoint->path()),
                            config.whyNot.empty() ? "its architecture has no forward pass here" : config.whyNot),
                "Its tensors and histograms can be inspected, and its weights quantized by nearest rounding.");
}

const Checkpoint& Model::checkpoint() const {
    return *impl_->checkpoint;
}
std::shared_ptr<const Checkpoint> Model::checkpointPtr() const {
    return impl_->checkpoint;
}
const ModelConfig& Model::config() const {
    return impl_->config;
}
NonFinite Model::nonFinite() const {
    return impl_->nonFinite;
}
Device& Model::device() const {
    return *impl_->device;
}
std::shared_ptr<Device> Model::devicePtr() const {
    return impl_->device;
}
const std::vector<Site>& Model::sites() const {
    return impl_->layout.sites;
}
const std::vector<InputGroup>& Model::inputGroups() const {
    return impl_->layout.groups;
}
const Site& Model::site(SiteId id) const {
    return impl_->layout.sites.at(static_cast<std::size_t>(id.value()));
}

const Site* Model::findSite(std::string_view name) const {
    const auto found = impl_->byName.find(name);
    return found == impl_->byName.end() ? nullptr : &site(found->second);
}

std::span<const Site> Model::blockSites(BlockIndex block) const {
    const BlockLayout& at = impl_->at(block);
    return std::span(impl_->layout.sites)
        .subspan(static_cast<std::size_t>(at.firstSite), static_cast<std::size_t>(at.sites));
}

std::vector<float> Model::Impl::vector(const std::string& tensor) const {
    const TensorInfo& info = checkpoint->require(tensor);
    std::vector<float> values(static_cast<std::size_t>(info.elements()));
    checkpoint->read(info, values);
    return values;
}

Norm Model::Impl::norm(const std::string& name) const {
    Norm norm;
    if (checkpoint->find(name + ".weight") != nullptr) norm.weight = vector(name + ".weight");
    for (float& w : norm.weight) w += static_cast<float>(config.normOffset);
    if (checkpoint->find(name + ".bias") != nullptr) norm.bias = vector(name + ".bias");
    return norm;
}

Matrix Model::siteWeight(const Site& site, const WeightSource* source) const {
    Matrix weight(site.rows, site.cols);
    impl_->checkpoint->readRows(impl_->checkpoint->require(site.tensor), site.firstRow, weight.view());
    if (impl_->nonFinite == NonFinite::zero) zeroNonFinite(weight.view());
    if (source != nullptr) source->apply(site, weight.view());
    return weight;
}

Linear& BlockWeights::linear(const Site& site) {
    const auto expert = static_cast<std::size_t>(std::max(0, site.expert));
    switch (site.kind) {
    case SiteKind::attnQ:
        return q;
    case SiteKind::attnK:
        return k;
    case SiteKind::attnV:
        return v;
    case SiteKind::attnQkv:
        return qkv;
    case SiteKind::attnOutput:
        return output;
    case SiteKind::ffnGate:
    case SiteKind::ffnGateShared:
        return feedForward.gate;
    case SiteKind::ffnUp:
    case SiteKind::ffnUpShared:
        return feedForward.up;
    case SiteKind::ffnDown:
    case SiteKind::ffnDownShared:
        return feedForward.down;
    case SiteKind::ffnGateExperts:
        return experts[expert].gate;
    case SiteKind::ffnUpExperts:
        return experts[expert].up;
    case SiteKind::ffnDownExperts:
        return experts[expert].down;
    case SiteKind::tokenEmbedding:
    case SiteKind::output:
    case SiteKind::other:
        break;
    }
    assert(false && "not a site of a block");
    return q;
}

namespace {

std::optional<WeightStorage> storageOf(StorageType type) {
    switch (type) {
    case StorageType::f16: return WeightStorage::f16;
    case StorageType::bf16: return WeightStorage::bf16;
    case StorageType::q4_0: return WeightStorage::q4_0;
    case StorageType::q8_0: return WeightStorage::q8_0;
    case StorageType::q4_k: return WeightStorage::q4_k;
    case StorageType::q6_k: return WeightStorage::q6_k;
    default: return std::nullopt;
    }
}

} // namespace

DeviceWeightPtr Model::prepareStored(const Site& site, const WeightSource* source) const {
    if (impl_->nonFinite == NonFinite::zero || !impl_->device->keepsResults()) return nullptr;
    if (source != nullptr && source->replaces(site)) {
        std::optional<CodedRows> codes = source->codedRows(site);
        if (!codes) return nullptr;
        const std::vector<std::uint32_t> words = codedWords(*codes);
        const StoredWeight stored{codedStorage(codes->bits), site.rows, site.cols, std::as_bytes(std::span(words))};
        return impl_->device->prepareStored(stored, [codes = std::move(*codes)] { return decoded(codes); });
    }
    const TensorInfo& tensor = impl_->checkpoint->require(site.tensor);
    // The weight may outlive the model.
    const auto decode = [checkpoint = impl_->checkpoint, site] {
        Matrix weight(site.rows, site.cols);
        checkpoint->readRows(checkpoint->require(site.tensor), site.firstRow, weight.view());
        return weight;
    };
    if (const std::optional<CodedRows> codes = impl_->checkpoint->codedRows(tensor, site.firstRow, site.rows)) {
        const std::vector<std::uint32_t> words = codedWords(*codes);
        return impl_->device->prepareStored({codedStorage(codes->bits), site.rows, site.cols, std::as_bytes(std::span(words))}, decode);
    }
    const std::optional<WeightStorage> storage = storageOf(tensor.type);
    if (!storage) return nullptr;
    const std::span<const std::byte> bytes = impl_->checkpoint->storedRows(tensor, site.firstRow, site.rows);
    return bytes.empty() ? nullptr : impl_->device->prepareStored({*storage, site.rows, site.cols, bytes}, decode);
}

BlockWeightsPtr Model::loadBlock(BlockIndex block, const WeightSource* source) const {
    requireForward();
    assert(block.value() >= 0 && block.value() < impl_->config.blocks);
    auto weights = std::make_shared<BlockWeights>();
    weights->block = block;
    if (source != nullptr) weights->rounding = source->rounding();
    const Checkpoint& checkpoint = *impl_->checkpoint;
    const std::string prefix = fmt::format("blk.{}.", block.value());
    weights->attnNorm = impl_->norm(prefix + "attn_norm");
    weights->ffnNorm = impl_->norm(prefix + "ffn_norm");
    weights->postAttnNorm = impl_->norm(prefix + "post_attention_norm");
    weights->postFfnNorm = impl_->norm(prefix + "post_ffw_norm");
    weights->qNorm = impl_->norm(prefix + "attn_q_norm");
    weights->kNorm = impl_->norm(prefix + "attn_k_norm");
    const auto keep = [&](Matrix values) {
        weights->bytes += static_cast<std::uint64_t>(values.size()) * sizeof(float);
        weights->owned.push_back(std::make_shared<const Matrix>(std::move(values)));
        return impl_->device->prepare(weights->owned.back()->view());
    };
    for (const Norm* norm : {&weights->attnNorm, &weights->ffnNorm, &weights->postAttnNorm, &weights->postFfnNorm,
                             &weights->qNorm, &weights->kNorm})
        weights->bytes += (norm->weight.size() + norm->bias.size()) * sizeof(float);
    const bool experts = impl_->blockConfig(block).experts;
    if (experts) weights->experts.resize(static_cast<std::size_t>(impl_->config.experts));
    for (const Site& site : blockSites(block)) {
        Linear& linear = weights->linear(site);
        linear.weight = prepareStored(site, source);
        if (linear.weight == nullptr) linear.weight = keep(siteWeight(site, source));
        linear.site = site.id;
        if (checkpoint.find(site.name + ".bias") != nullptr) linear.bias = impl_->vector(site.name + ".bias");
    }
    if (experts) {
        Matrix router(impl_->config.experts, impl_->config.width);
        checkpoint.readRows(checkpoint.require(prefix + "ffn_gate_inp.weight"), 0, router.view());
        weights->router = keep(std::move(router));
        if (impl_->config.sharedFeedForward > 0)
            weights->sharedGate = impl_->vector(prefix + "ffn_gate_inp_shexp.weight");
    }
    return weights;
}

HeadWeightsPtr Model::loadHead(const WeightSource* source) const {
    requireForward();
    auto head = std::make_shared<HeadWeights>();
    if (source != nullptr) head->rounding = source->rounding();
    const Site& site = impl_->config.tiedHead ? impl_->layout.sites.front() : impl_->layout.sites.back();
    head->output = prepareStored(site, source);
    if (head->output != nullptr) return head;
    head->owned = siteWeight(site, source);
    head->output = impl_->device->prepare(std::as_const(head->owned).view());
    return head;
}

std::shared_ptr<const Model::Embedding> Model::loadEmbedding(const WeightSource* source) const {
    requireForward();
    auto embedding = std::make_shared<Embedding>();
    if (source != nullptr || impl_->nonFinite == NonFinite::zero)
        embedding->table = siteWeight(impl_->layout.sites.front(), source);
    return embedding;
}

void Model::embed(const Embedding& table, std::span<const TokenId> ids, MatrixView<float> x,
                  std::int64_t position0) const {
    assert(static_cast<std::int64_t>(ids.size()) == x.rows && x.cols == impl_->config.width);
    const TensorInfo& tensor = impl_->checkpoint->require("token_embd.weight");
    for (std::size_t t = 0; t < ids.size(); ++t)
        if (ids[t] < 0 || ids[t] >= impl_->config.vocabulary)
            throw Error(ErrorCode::vocabularyMismatch,
                        fmt::format("token id {} at position {} lies outside the model's vocabulary of {}", ids[t], t,
                                    impl_->config.vocabulary),
                        "The tokenizer and the checkpoint do not belong together.");
    const std::int64_t last = position0 + x.rows;
    if (impl_->config.learnedPositions && last > impl_->config.context)
        throw Error(
            ErrorCode::usage,
            fmt::format("{} tokens are more than the {} positions this model has learned", last, impl_->config.context),
            "Use a shorter text or shorter windows.");
    const auto scale = static_cast<float>(impl_->config.embeddingScale);
    constexpr std::int64_t kRows = 64; // per piece: tens of µs of decoding
    parallelFor(x.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            const std::int64_t id = ids[static_cast<std::size_t>(t)];
            if (table.table.size() > 0)
                std::copy_n(table.table.row(id), x.cols, x.row(t));
            else
                impl_->checkpoint->readRows(tensor, id, x.middleRows(t, 1));
            if (scale != 1.0f)
                for (float& value : x.rowSpan(t)) value *= scale;
            if (impl_->positions.empty()) continue;
            const float* position = impl_->positions.data() + (position0 + t) * x.cols;
            for (std::int64_t c = 0; c < x.cols; ++c) x(t, c) += position[c];
        }
    });
}

} // namespace bw
