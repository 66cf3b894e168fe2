// SPDX-License-Identifier: GPL-3.0-or-later
// What scale search, clip search and GPTQ ask of the inputs of a group of sites, summed over windows. Not for: ranges and
// histograms (pass.h).
#pragma once

#include "core/calibrate/gram.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

struct GroupInput {
    /// Which sums are wanted.
    struct Wanted {
        bool gram = true;
        bool samples = false;
    };
    Gram gram;                  ///< no tokens where it was not wanted
    std::vector<float> largest; ///< max |x_j|
    std::vector<double> sum;    ///< Σ |x_j|
    std::int64_t tokens = 0;
    std::vector<float> samples; ///< sampleRows×I, tokens spread over the text; only where wanted
    std::int64_t sampleRows = 0;

    GroupInput() = default;
    explicit GroupInput(std::int64_t width);
    std::int64_t width() const { return static_cast<std::int64_t>(largest.size()); }
    /// x: T×I of one window; windows in order. The same for any number of threads.
    /// @param device  has x, multiplies as for Gram::add() and, if it is a GPU, sums. @param known  what its inputSums() of x gave;
    /// null: to be asked for. @throws DeviceLost with nothing added.
    void add(MatrixView<const float> x, Wanted wanted, Device* device = nullptr, const InputSums* known = nullptr);

    /// Bytes for a store, which hold every number as it is. decode() takes nothing that could not be such bytes.
    void encode(std::string& out) const;
    static std::optional<GroupInput> decode(std::string_view in);
    /// Of encode(), at most.
    static std::uint64_t encodedBytes(std::int64_t width, Wanted wanted);

private:
    void addSums(const InputSums& sums);
    void addMagnitudes(MatrixView<const float> x);
};

} // namespace bw
