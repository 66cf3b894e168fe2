// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/near_block.h"

#include "core/base/parallel.h"

#include <algorithm>
#include <map>

namespace bw::detail {
namespace {

constexpr std::int64_t kRows = 32; // per piece of a loop that copies or adds rows

void copyTo(MatrixView<const float> from, MatrixView<float> to, bool add) {
    parallelFor(from.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            const float* source = from.row(r);
            float* target = to.row(r);
            if (add)
                for (std::int64_t c = 0; c < from.cols; ++c)
                    target[c] += source[c];
            else
                std::copy_n(source, from.cols, target);
        }
    });
}

/// Sites whose linear sees every token of a window.
bool isDense(const Site& site) { return site.block.value() >= 0 && site.expert < 0; }

} // namespace

bool canUseNearBlocks(const Model& model) { return model.device().name() == "cpu" && hasHalfProducts(); }

std::uint64_t nearBytesPerToken(const Model& model) {
    std::int64_t most = 0;
    for (int b = 0; b < model.config().blocks; ++b) {
        std::map<int, std::int64_t> inputs;
        std::int64_t values = 0;
        for (const Site& site : model.blockSites(BlockIndex{b}))
            if (isDense(site)) {
                values += site.rows;
                inputs[site.inputGroup] = site.cols;
            }
        for (const auto& [group, width] : inputs)
            values += width;
        most = std::max(most, values);
    }
    return static_cast<std::uint64_t>(most) * sizeof(float);
}

NearWeight::NearWeight(Device& device, DeviceWeightPtr exact, const Cursor& cursor, Inputs& inputs, bool first)
    : device_(device), exact_(std::move(exact)), panels_(exact_->values), cursor_(cursor), inputs_(inputs),
      first_(first) {
    values = exact_->values;
    rows = values.rows;
    cols = values.cols;
}

void NearWeight::learn(MatrixView<const float> x, MatrixView<float> y, bool add) const {
    const auto keep = [&](std::vector<Matrix>& in, std::int64_t width) -> Matrix& {
        if (in.size() <= cursor_.group)
            in.resize(cursor_.group + 1);
        if (Matrix& slot = in[cursor_.group]; slot.rows() != x.rows || slot.cols() != width)
            slot = Matrix(x.rows, width);
        return in[cursor_.group];
    };
    Matrix& known = keep(known_, rows);
    device_.multiply(x, *exact_, known.view());
    if (first_)
        copyTo(x, keep(inputs_.x, cols).view(), false);
    copyTo(known.view(), y, add);
}

void NearWeight::multiply(MatrixView<const float> x, MatrixView<float> y, bool add) const {
    const std::size_t group = cursor_.group;
    if (cursor_.learning)
        return learn(x, y, add);
    if (!knows(group) || known_[group].rows() != x.rows)
        return device_.multiply(x, *exact_, y, add);
    if (inputs_.run != cursor_.run) {
        inputs_.difference = HalfDifference(x, std::as_const(inputs_.x[group]).view());
        inputs_.run = cursor_.run;
    }
    multiplyDifference(inputs_.difference, std::as_const(known_[group]).view(), panels_, y, add);
}

NearBlock::NearBlock(const Model& model, BlockWeightsPtr full) : model_(model), full_(std::move(full)), near_(*full_) {
    std::map<int, NearWeight::Inputs*> byGroup;
    for (const Site& site : model.blockSites(full_->block)) {
        if (!isDense(site))
            continue;
        NearWeight::Inputs*& inputs = byGroup[site.inputGroup];
        const bool first = inputs == nullptr;
        if (first)
            inputs = inputs_.emplace_back(std::make_unique<NearWeight::Inputs>()).get();
        Linear& linear = near_.linear(site);
        linears_.push_back(std::make_shared<NearWeight>(model.device(), linear.weight, cursor_, *inputs, first));
        linear.weight = linears_.back();
    }
}

void NearBlock::learn(std::size_t group, MatrixView<float> x, std::int64_t windowLength, JobContext& job) {
    cursor_ = {group, true, cursor_.run + 1};
    try {
        model_.runBlockWindows(near_, x, windowLength, nullptr, 0, &job);
    } catch (...) {
        cursor_.learning = false;
        forget();
        throw;
    }
    cursor_.learning = false;
}

bool NearBlock::knows(std::size_t group) const {
    return std::all_of(linears_.begin(), linears_.end(), [&](const auto& linear) { return linear->knows(group); });
}

void NearBlock::forget() {
    for (const auto& linear : linears_)
        linear->forget();
    for (const auto& inputs : inputs_)
        inputs->x.clear();
}

} // namespace bw::detail
