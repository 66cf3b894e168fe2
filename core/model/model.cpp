// SPDX-License-Identifier: GPL-3.0-or-later
// Opening a model and materialising its weights. The arithmetic is in forward.cpp.
#include "core/model/model.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/text.h"
#include "core/model/model_impl.h"

#include <array>
#include <cassert>
#include <fmt/format.h>

namespace bw {

Model::Model() : impl_(std::make_unique<Impl>()) {}
Model::~Model() = default;

std::shared_ptr<const Model> Model::open(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<Device> device) {
    const ModelConfig& config = checkpoint->config();
    if (!config.forwardSupported)
        throw Error(ErrorCode::unsupportedModel,
                    fmt::format("{} can't be run: {}", escapeForDisplay(checkpoint->path()),
                                config.whyNot.empty() ? "its architecture has no forward pass here" : config.whyNot),
                    "Its tensors and their histograms can still be inspected.");
    const std::shared_ptr<Model> model(new Model);
    Impl& impl = *model->impl_;
    impl.checkpoint = std::move(checkpoint);
    impl.device = std::move(device);
    impl.config = config;
    // A checkpoint without a head of its own uses the embedding, whatever its flag says.
    impl.config.tiedHead = config.tiedHead || impl.checkpoint->find("output.weight") == nullptr;
    layOutSites(impl.config, impl.sites, impl.groups);
    checkTensors(*impl.checkpoint, impl.config, impl.sites);
    for (const auto& site : impl.sites) impl.byName.emplace(site.name, site.id);
    return model;
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
Device& Model::device() const {
    return *impl_->device;
}
const std::vector<Site>& Model::sites() const {
    return impl_->sites;
}
const std::vector<InputGroup>& Model::inputGroups() const {
    return impl_->groups;
}
const Site& Model::site(SiteId id) const {
    return impl_->sites.at(static_cast<std::size_t>(id.value()));
}

const Site* Model::findSite(std::string_view name) const {
    const auto found = impl_->byName.find(name);
    return found == impl_->byName.end() ? nullptr : &site(found->second);
}

std::vector<float> Model::Impl::vector(const std::string& tensor, std::int64_t length) const {
    std::vector<float> values(static_cast<std::size_t>(length));
    checkpoint->read(checkpoint->require(tensor), values);
    return values;
}

Matrix Model::siteWeight(const Site& site, const WeightSource* source) const {
    Matrix weight(site.rows, site.cols);
    impl_->checkpoint->readRows(impl_->checkpoint->require(site.tensor), 0, weight.view());
    if (source != nullptr) source->apply(site, weight.view());
    return weight;
}

BlockWeightsPtr Model::loadBlock(BlockIndex block, const WeightSource* source) const {
    assert(block.value() >= 0 && block.value() < impl_->config.blocks);
    auto weights = std::make_shared<BlockWeights>();
    weights->block = block;
    const std::string prefix = fmt::format("blk.{}.", block.value());
    weights->attnNorm = impl_->vector(prefix + "attn_norm.weight", impl_->config.width);
    weights->ffnNorm = impl_->vector(prefix + "ffn_norm.weight", impl_->config.width);
    const std::array<DeviceWeightPtr*, 7> prepared{&weights->q,    &weights->k,  &weights->v,   &weights->output,
                                                   &weights->gate, &weights->up, &weights->down};
    weights->owned.reserve(prepared.size());
    for (std::size_t i = 0; i < prepared.size(); ++i) {
        const SiteId id{Impl::firstSite(block).value() + static_cast<int>(i)};
        weights->owned.push_back(siteWeight(site(id), source));
        const Matrix& owned = weights->owned.back();
        *prepared[i] = impl_->device->prepare(owned.view());
        weights->bytes += static_cast<std::uint64_t>(owned.size()) * sizeof(float);
    }
    weights->bytes += (weights->attnNorm.size() + weights->ffnNorm.size()) * sizeof(float);
    return weights;
}

HeadWeightsPtr Model::loadHead(const WeightSource* source) const {
    auto head = std::make_shared<HeadWeights>();
    head->norm = impl_->vector("output_norm.weight", impl_->config.width);
    head->owned = siteWeight(impl_->config.tiedHead ? impl_->sites.front() : impl_->sites.back(), source);
    head->output = impl_->device->prepare(std::as_const(head->owned).view());
    return head;
}

std::shared_ptr<const Model::Embedding> Model::loadEmbedding(const WeightSource* source) const {
    auto embedding = std::make_shared<Embedding>();
    if (source != nullptr) embedding->table = siteWeight(impl_->sites.front(), source);
    return embedding;
}

void Model::embed(const Embedding& table, std::span<const TokenId> ids, MatrixView<float> x) const {
    assert(static_cast<std::int64_t>(ids.size()) == x.rows && x.cols == impl_->config.width);
    const TensorInfo& tensor = impl_->checkpoint->require("token_embd.weight");
    for (std::size_t t = 0; t < ids.size(); ++t)
        if (ids[t] < 0 || ids[t] >= impl_->config.vocabulary)
            throw Error(ErrorCode::vocabularyMismatch,
                        fmt::format("token id {} at position {} lies outside the model's vocabulary of {}", ids[t], t,
                                    impl_->config.vocabulary),
                        "The tokenizer and the checkpoint do not belong together.");
    constexpr std::int64_t kRows = 64; // per piece: tens of µs of decoding
    parallelFor(x.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            const std::int64_t id = ids[static_cast<std::size_t>(t)];
            if (table.table.size() > 0)
                std::copy_n(table.table.row(id), x.cols, x.row(t));
            else
                impl_->checkpoint->readRows(tensor, id, x.middleRows(t, 1));
        }
    });
}

} // namespace bw
