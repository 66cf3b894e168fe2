// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/quantize/stochastic.h"

#include "core/base/parallel.h"
#include "core/base/random.h"

namespace bw::detail {

void encodeStochastic(const Format& format, MatrixView<const float> weight, const EncodeOptions& options, std::uint64_t seed,
                      std::span<std::byte> out) {
    constexpr std::int64_t kRows = 64; // whose numbers and values stay in the first-level cache
    const auto grid = fixGrid(format, weight, options);
    parallelFor(weight.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        const auto rows = static_cast<std::size_t>(end - begin);
        std::vector<Random> random;
        for (std::int64_t r = begin; r < end; ++r) random.emplace_back(Random(seed + static_cast<std::uint64_t>(r)).next());
        std::vector<float> values(rows), below(rows), above(rows), rounded(rows);
        for (std::int64_t c = 0; c < weight.cols; ++c) {
            for (std::size_t i = 0; i < rows; ++i) values[i] = weight(begin + static_cast<std::int64_t>(i), c);
            grid->bracket(c, begin, values, below, above);
            for (std::size_t i = 0; i < rows; ++i) {
                const double gap = static_cast<double>(above[i]) - static_cast<double>(below[i]);
                const double up = (static_cast<double>(values[i]) - static_cast<double>(below[i])) / (gap > 0 ? gap : 1.0);
                values[i] = random[i].uniform() < up ? above[i] : below[i];
            }
            grid->roundColumn(c, begin, values, rounded);
        }
    });
    grid->pack(out);
}

} // namespace bw::detail
