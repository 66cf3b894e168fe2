// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/group_input.h"

#include "core/base/bytes.h"
#include "core/base/parallel.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

using namespace detail;

constexpr std::int64_t kColumns = 256; ///< summed by one thread at a time
constexpr std::int64_t kSamples = 256, kSampleStep = 16;

} // namespace

GroupInput::GroupInput(std::int64_t width)
    : gram(width), largest(static_cast<std::size_t>(width), 0.0f), sum(static_cast<std::size_t>(width), 0.0) {}

void GroupInput::add(MatrixView<const float> x, Wanted wanted, Device* device, const InputSums* known) {
    if (x.rows == 0) return;
    const bool summed = device != nullptr && device->keepsResults();
    InputSums sums;
    if (summed && known == nullptr) device->inputSums(x, sums);
    if (device != nullptr && !summed) device->toHost(x);
    for (std::int64_t t = 0, row = sampleRows; summed && wanted.samples && t < x.rows && row < kSamples; t += kSampleStep, ++row)
        device->toHost(x.middleRows(t, 1));
    if (wanted.gram) gram.add(x, device); // the last that can fail
    tokens += x.rows;
    if (summed)
        addSums(known != nullptr ? *known : sums);
    else
        addMagnitudes(x);
    for (std::int64_t t = 0; wanted.samples && t < x.rows && sampleRows < kSamples; t += kSampleStep, ++sampleRows)
        samples.insert(samples.end(), x.row(t), x.row(t) + x.cols);
}

void GroupInput::addSums(const InputSums& sums) {
    for (std::size_t c = 0; c < largest.size(); ++c) {
        largest[c] = std::max({largest[c], std::abs(sums.channels[c].low), std::abs(sums.channels[c].high)});
        sum[c] += sums.channels[c].absolute;
    }
}

void GroupInput::addMagnitudes(MatrixView<const float> x) {
    parallelFor(x.cols, kColumns, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = 0; t < x.rows; ++t)
            for (std::int64_t c = begin; c < end; ++c) {
                const float size = std::abs(x(t, c));
                float& most = largest[static_cast<std::size_t>(c)];
                most = std::max(most, size);
                sum[static_cast<std::size_t>(c)] += static_cast<double>(size);
            }
    });
}

void GroupInput::encode(std::string& out) const {
    putBytes(out, tokens);
    putVector(out, largest);
    putVector(out, sum);
    putBytes(out, sampleRows);
    putVector(out, samples);
    gram.encode(out);
}

std::optional<GroupInput> GroupInput::decode(std::string_view in) {
    GroupInput out;
    if (!takeBytes(in, out.tokens) || out.tokens < 0 || !takeVector(in, out.largest) || !takeVector(in, out.sum) || !takeBytes(in, out.sampleRows) ||
        !takeVector(in, out.samples))
        return std::nullopt;
    const std::size_t width = out.largest.size();
    if (width == 0 || out.sum.size() != width || out.samples.size() % width != 0 ||
        out.sampleRows != static_cast<std::int64_t>(out.samples.size() / width))
        return std::nullopt;
    std::optional<Gram> gram = Gram::decode(in, out.width());
    if (!gram || !in.empty()) return std::nullopt;
    out.gram = std::move(*gram);
    return out;
}

std::uint64_t GroupInput::encodedBytes(std::int64_t width, Wanted wanted) {
    constexpr std::uint64_t kCounts = 64;
    const auto n = static_cast<std::uint64_t>(width);
    return kCounts + 12 * n + (wanted.gram ? 2 * n * (n + 1) : 0) + (wanted.samples ? 4 * n * static_cast<std::uint64_t>(kSamples) : 0);
}

} // namespace bw
