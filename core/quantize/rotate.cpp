// SPDX-License-Identifier: GPL-3.0-or-later
// Where R and its inverse go. A norm without weights passes a rotation: rms(x·R) = rms(x)·R; with LayerNorm R keeps the sum of
// the channels, so that the mean passes too. Its bias b becomes (b/w)·R in front of linears that hold w.
#include "core/quantize/rotate.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/quantize/fold.h"
#include "core/quantize/hadamard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr std::uint64_t kHeadSeed = 0x68656164; ///< sets the heads' signs apart from the residual stream's
/// Largest |b/w| of a LayerNorm that is rotated: rounding of so large a bias shows at 1e-3 in f32.
constexpr float kMostBias = 1e4f;

class Rotation {
public:
    Rotation(const Model& model, std::uint64_t seed)
        : model_(model), c_(model.config()),
          residual_(std::make_shared<HadamardMixing>(c_.width, seed, c_.norm == NormKind::layer)),
          head_(std::make_shared<HadamardMixing>(c_.headDim, seed ^ kHeadSeed, false)) {}

    Derivation derive() {
        for (const char* table : {"token_embd.weight", "position_embd.weight"})
            if (model_.checkpoint().find(table) != nullptr) edit(table).columns = residual_;
        for (const FoldPoint& point : foldPoints(model_))
            if (point.producerIsNorm && point.name != "output_in") mergeNorm(point);
        for (std::int64_t b = 0; b < c_.blocks; ++b) {
            const std::string prefix = fmt::format("blk.{}.", b);
            values(prefix);
            TensorEdit& output = edit(prefix + "attn_output.weight");
            output.columns = head_;
            writesResidual(prefix + "attn_output", 1);
        }
        for (const Site& site : model_.sites())
            if (site.kind == SiteKind::ffnDown || site.kind == SiteKind::ffnDownShared || site.kind == SiteKind::ffnDownExperts)
                writesResidual(site.tensor.substr(0, site.tensor.rfind('.')), model_.checkpoint().require(site.tensor).rows() / c_.width);
        mergeHead();
        return std::move(out_);
    }

private:
    TensorEdit& edit(const std::string& tensor) { return out_.edits[tensor]; }

    void readsResidual(const std::string& tensor, std::int64_t firstRow, std::int64_t rows, std::span<const float> norm) {
        TensorEdit& reader = edit(tensor);
        scaleColumns(model_, tensor, firstRow, rows, norm, reader);
        reader.columns = residual_;
    }

    void writesResidual(const std::string& stem, std::int64_t runs) {
        TensorEdit& writer = edit(stem + ".weight");
        writer.rows = residual_;
        writer.rowRuns = runs;
        if (model_.checkpoint().find(stem + ".bias") == nullptr) return;
        std::vector<float> bias = tensorValues(model_, stem + ".bias");
        residual_->mix(bias);
        edit(stem + ".bias").values = std::move(bias);
    }

    void values(const std::string& prefix) {
        const std::string stem = prefix + (c_.fusedQkv ? "attn_qkv" : "attn_v");
        const std::int64_t first = c_.fusedQkv ? c_.queryWidth() + c_.kvWidth() : 0;
        TensorEdit& weight = edit(stem + ".weight");
        weight.rows = head_;
        weight.firstMixedRow = first;
        weight.rowRuns = c_.kvHeads;
        if (model_.checkpoint().find(stem + ".bias") == nullptr) return;
        std::vector<float> bias = tensorValues(model_, stem + ".bias");
        for (std::int64_t h = 0; h < c_.kvHeads; ++h)
            head_->mix(std::span(bias).subspan(static_cast<std::size_t>(first + h * c_.headDim), static_cast<std::size_t>(c_.headDim)));
        edit(stem + ".bias").values = std::move(bias);
    }

    /// The norm keeps no weight; its bias is what it adds in the rotated channels. Returns what its readers are multiplied by.
    std::vector<float> strip(const std::string& producer, const std::string& biasName) {
        std::vector<float> weight = normWeight(model_, producer);
        if (!biasName.empty()) {
            std::vector<float> bias = tensorValues(model_, biasName);
            for (std::size_t j = 0; j < bias.size(); ++j)
                if (bias[j] != 0) bias[j] /= weight[j];
            residual_->mix(bias);
            edit(biasName).values = std::move(bias);
        }
        edit(producer).values = storedNorm(model_, std::vector<float>(weight.size(), 1.0f));
        return weight;
    }

    void mergeNorm(const FoldPoint& point) {
        const std::vector<float> norm = strip(point.producer, point.producerBias);
        for (const int group : point.inputGroups)
            for (const SiteId id : model_.inputGroups()[static_cast<std::size_t>(group)].sites) {
                const Site& site = model_.site(id);
                readsResidual(site.tensor, site.firstRow, site.rows, norm);
            }
        for (const std::string& other : point.others) readsResidual(other, 0, model_.checkpoint().require(other).rows(), norm);
    }

    void mergeHead() {
        const bool bias = model_.checkpoint().find("output_norm.bias") != nullptr;
        const std::vector<float> norm = strip("output_norm.weight", bias ? "output_norm.bias" : "");
        TensorEdit& head = edit("output.weight");
        if (c_.tiedHead) {
            head.source = "token_embd.weight";
            out_.untiedHead = true;
        }
        head.columnScale = norm;
        head.columns = residual_;
    }

    const Model& model_;
    const ModelConfig& c_;
    std::shared_ptr<const HadamardMixing> residual_, head_;
    Derivation out_;
};

/// The first norm whose bias can't be kept in front of readers that hold its weight.
std::optional<std::string> unkeptBias(const Model& model) {
    for (const FoldPoint& point : foldPoints(model)) {
        if (!point.producerIsNorm || point.producerBias.empty()) continue;
        const std::vector<float> weight = normWeight(model, point.producer), bias = tensorValues(model, point.producerBias);
        for (std::size_t j = 0; j < bias.size(); ++j)
            if (bias[j] != 0 && !(std::abs(bias[j]) <= kMostBias * std::abs(weight[j])))
                return fmt::format("channel {} of {} has the weight {} and the bias {}: the bias can't be kept once the weight lies in the linears",
                                   j, point.producer, weight[j], bias[j]);
    }
    return std::nullopt;
}

} // namespace

std::optional<std::string> whyNoRotation(const Model& model) {
    const ModelConfig& config = model.config();
    if (config.postNorms)
        return "a norm with weights of its own stands between each part's result and the residual sum, and no rotation passes a weighted norm";
    for (const FoldPoint& point : foldPoints(model))
        if (point.producerIsNorm && model.checkpoint().find(point.producer) == nullptr)
            return fmt::format("{} reads the residual sum without a norm", point.name);
    return unkeptBias(model);
}

std::vector<std::string> rotationNotes(const Model& model) {
    const ModelConfig& config = model.config();
    std::vector<std::string> notes;
    const HadamardMixing residual(config.width, 0, false);
    if (residual.oddFactor() > 1)
        notes.push_back(fmt::format("{} channels are no power of two: rotated by a Hadamard matrix of {} times a Hartley matrix of {}", config.width,
                                    residual.powerOfTwo(), residual.oddFactor()));
    if (config.norm == NormKind::layer) notes.push_back("rotated by a matrix that keeps the mean of the channels, as LayerNorm needs");
    if (config.tiedHead)
        notes.push_back(fmt::format("the head becomes a matrix of its own ({} more weights): it takes in the final norm, which the embedding must not",
                                    config.vocabulary * config.width));
    notes.push_back("inputs of ffn_down stay as they are: the activation function stands before them");
    return notes;
}

Derivation rotationOf(const Model& model, std::uint64_t seed) {
    if (const auto why = whyNoRotation(model))
        throw Error(ErrorCode::unsupportedModel, fmt::format("{} can't be rotated: {}", escapeForDisplay(model.checkpoint().displayName()), *why),
                    "Use smooth or awq, which this family allows.");
    return Rotation(model, seed).derive();
}

} // namespace bw
