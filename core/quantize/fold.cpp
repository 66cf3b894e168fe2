// SPDX-License-Identifier: GPL-3.0-or-later
// Which tensors stand before each group of linears, and dividing those by what the linears are multiplied by.
#include "core/quantize/fold.h"

#include "core/base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

class PointFinder {
public:
    explicit PointFinder(const Model& model) : model_(model), c_(model.config()) {
        for (std::size_t g = 0; g < model.inputGroups().size(); ++g) groups_[model.inputGroups()[g].name] = static_cast<int>(g);
    }

    std::vector<FoldPoint> all() {
        for (std::int64_t b = 0; b < c_.blocks; ++b) {
            prefix_ = fmt::format("blk.{}.", b);
            experts_ = c_.layers[static_cast<std::size_t>(b)].experts;
            attentionInput();
            attentionOutput();
            if (!c_.parallelResidual) feedForwardInput();
            feedForwardDown();
        }
        FoldPoint& head = add("output_in", {groups_.at("output_in")});
        norm(head, "output_norm");
        if (c_.tiedHead)
            head.whyNot = "the head is the embedding, whose rows are looked up too";
        return std::move(points_);
    }

private:
    FoldPoint& add(const std::string& name, std::vector<int> groups) {
        FoldPoint point;
        point.name = name;
        point.inputGroups = std::move(groups);
        point.width = model_.inputGroups()[static_cast<std::size_t>(point.inputGroups.front())].width;
        point.run = point.width;
        points_.push_back(std::move(point));
        return points_.back();
    }

    bool has(const std::string& tensor) const { return model_.checkpoint().find(tensor) != nullptr; }
    void bias(FoldPoint& point, const std::string& stem) const {
        if (has(stem + ".bias")) point.producerBias = stem + ".bias";
    }

    void norm(FoldPoint& point, const std::string& name) const {
        point.producer = name + ".weight";
        bias(point, name);
        if (!has(point.producer)) point.whyNot = "no norm and no linear stands before it, only the residual sum";
    }

    void addFeedForwardReaders(FoldPoint& point) const {
        if (const auto shared = groups_.find(prefix_ + "ffn_in"); shared != groups_.end()) point.inputGroups.push_back(shared->second);
        if (!experts_) return;
        for (std::int64_t e = 0; e < c_.experts; ++e) point.inputGroups.push_back(groups_.at(fmt::format("{}ffn_in.e{}", prefix_, e)));
        point.others.push_back(prefix_ + "ffn_gate_inp.weight");
        if (c_.sharedFeedForward > 0) point.others.push_back(prefix_ + "ffn_gate_inp_shexp.weight");
    }

    void attentionInput() {
        FoldPoint& point = add(prefix_ + "attn_in", {groups_.at(prefix_ + "attn_in")});
        norm(point, prefix_ + "attn_norm");
        // A parallel feed-forward is listed in the attention's group already; only experts have groups of their own.
        if (c_.parallelResidual) addFeedForwardReaders(point);
    }

    void feedForwardInput() {
        std::vector<int> first;
        if (const auto shared = groups_.find(prefix_ + "ffn_in"); shared != groups_.end())
            first = {shared->second};
        else
            first = {groups_.at(prefix_ + "ffn_in.e0")};
        FoldPoint& point = add(prefix_ + "ffn_in", first);
        point.inputGroups.clear();
        norm(point, prefix_ + "ffn_norm");
        addFeedForwardReaders(point);
    }

    void attentionOutput() {
        FoldPoint& point = add(prefix_ + "attn_output_in", {groups_.at(prefix_ + "attn_output_in")});
        point.producerIsNorm = false;
        const std::string stem = prefix_ + (c_.fusedQkv ? "attn_qkv" : "attn_v");
        point.producer = stem + ".weight";
        point.firstRow = c_.fusedQkv ? c_.queryWidth() + c_.kvWidth() : 0;
        point.run = c_.headDim;
        point.repeats = c_.heads / c_.kvHeads;
        bias(point, stem);
    }

    void down(const std::string& group, const std::string& up) {
        FoldPoint& point = add(group, {groups_.at(group)});
        point.producerIsNorm = false;
        const Site& site = *model_.findSite(up);
        point.producer = site.tensor;
        point.firstRow = site.firstRow + (c_.gated && c_.fusedGateUp ? site.rows / 2 : 0);
        bias(point, up);
        if (!c_.gated) point.whyNot = "its input comes out of the activation function, which no scale passes";
    }

    void feedForwardDown() {
        if (!experts_) return down(prefix_ + "ffn_down_in", prefix_ + "ffn_up");
        for (std::int64_t e = 0; e < c_.experts; ++e)
            down(fmt::format("{}ffn_down_in.e{}", prefix_, e), fmt::format("{}ffn_up.e{}", prefix_, e));
        if (c_.sharedFeedForward > 0) down(prefix_ + "ffn_down_shexp_in", prefix_ + "ffn_up_shexp");
    }

    const Model& model_;
    const ModelConfig& c_;
    std::map<std::string, int> groups_;
    std::vector<FoldPoint> points_;
    std::string prefix_;
    bool experts_ = false;
};

void checkScales(const FoldPoint& point, std::span<const float> scales) {
    if (static_cast<std::int64_t>(scales.size()) != point.width)
        throw Error(ErrorCode::usage, fmt::format("the transform has {} scales for {}, which has {} channels", scales.size(), point.name, point.width),
                    "It was fitted to another model; fit it again.");
    for (std::size_t j = 0; j < scales.size(); ++j)
        if (!(scales[j] > 0) || !std::isfinite(scales[j]))
            throw Error(ErrorCode::usage, fmt::format("the transform scales channel {} of {} by {}", j, point.name, scales[j]), "Scales are finite and above 0.");
    const std::vector<float> shared = expandOverHeads(point, largestOverHeads(point, scales));
    if (!std::equal(shared.begin(), shared.end(), scales.begin()))
        throw Error(ErrorCode::usage, fmt::format("the transform scales query heads of {} that share values differently", point.name),
                    "It was fitted to a model with other heads; fit it again.");
}

/// Divides `count` elements from `first` on; all of the tensor is kept in the edit.
void divideVector(const Model& model, const std::string& tensor, std::int64_t first, std::span<const float> by, std::map<std::string, TensorEdit>& edits) {
    TensorEdit& edit = edits[tensor];
    if (edit.values.empty()) edit.values = tensorValues(model, tensor);
    for (std::size_t i = 0; i < by.size(); ++i) edit.values[static_cast<std::size_t>(first) + i] /= by[i];
}

} // namespace

std::vector<FoldPoint> foldPoints(const Model& model) {
    model.requireForward();
    return PointFinder(model).all();
}

std::vector<float> expandOverHeads(const FoldPoint& point, std::span<const float> perRow) {
    std::vector<float> all(static_cast<std::size_t>(point.width));
    for (std::int64_t j = 0; j < point.width; ++j) {
        const std::int64_t head = j / point.run / point.repeats;
        all[static_cast<std::size_t>(j)] = perRow[static_cast<std::size_t>(head * point.run + j % point.run)];
    }
    return all;
}

std::vector<float> largestOverHeads(const FoldPoint& point, std::span<const float> perChannel) {
    std::vector<float> rows(static_cast<std::size_t>(point.width / point.repeats), 0.0f);
    for (std::int64_t j = 0; j < point.width; ++j) {
        float& row = rows[static_cast<std::size_t>(j / point.run / point.repeats * point.run + j % point.run)];
        row = std::max(row, perChannel[static_cast<std::size_t>(j)]);
    }
    return rows;
}

std::vector<float> tensorValues(const Model& model, const std::string& canonical) {
    const TensorInfo& tensor = model.checkpoint().require(canonical);
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    model.checkpoint().read(tensor, values);
    return values;
}

std::vector<float> normWeight(const Model& model, const std::string& canonical) {
    std::vector<float> values = tensorValues(model, canonical);
    for (float& value : values) value += static_cast<float>(model.config().normOffset);
    return values;
}

std::vector<float> storedNorm(const Model& model, std::vector<float> weight) {
    for (float& value : weight) value -= static_cast<float>(model.config().normOffset);
    return weight;
}

void scaleColumns(const Model& model, const std::string& tensor, std::int64_t firstRow, std::int64_t rows, std::span<const float> factors,
                  TensorEdit& edit) {
    const TensorInfo& info = model.checkpoint().require(tensor);
    const std::int64_t sets = info.rows() / rows, cols = info.cols();
    if (edit.columnScale.empty()) edit.columnScale.assign(static_cast<std::size_t>(sets * cols), 1.0f);
    float* at = edit.columnScale.data() + firstRow / rows * cols;
    for (std::int64_t c = 0; c < cols; ++c) at[c] *= factors[static_cast<std::size_t>(c)];
}

void foldScales(const Model& model, const FoldPoint& point, std::span<const float> scales, std::map<std::string, TensorEdit>& edits) {
    checkScales(point, scales);
    const std::vector<float> rows = largestOverHeads(point, scales);
    if (point.producerIsNorm) {
        std::vector<float> weight = normWeight(model, point.producer);
        for (std::size_t j = 0; j < weight.size(); ++j) weight[j] /= scales[j];
        edits[point.producer].values = storedNorm(model, std::move(weight));
    } else {
        TensorEdit& producer = edits[point.producer];
        producer.rowScale.resize(static_cast<std::size_t>(model.checkpoint().require(point.producer).rows()), 1.0f);
        for (std::size_t i = 0; i < rows.size(); ++i) producer.rowScale[static_cast<std::size_t>(point.firstRow) + i] /= rows[i];
    }
    if (!point.producerBias.empty()) divideVector(model, point.producerBias, point.firstRow, rows, edits);
    for (const int group : point.inputGroups)
        for (const SiteId id : model.inputGroups()[static_cast<std::size_t>(group)].sites) {
            const Site& site = model.site(id);
            scaleColumns(model, site.tensor, site.firstRow, site.rows, scales, edits[site.tensor]);
        }
    for (const std::string& other : point.others)
        scaleColumns(model, other, 0, model.checkpoint().require(other).rows(), scales, edits[other]);
}

} // namespace bw
