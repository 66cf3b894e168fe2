// SPDX-License-Identifier: GPL-3.0-or-later
// The smallest set of suspects that explains a loss, in few measurements. Knows nothing of models.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace bw {

struct SearchOptions {
    double share = 0.8;        ///< of the whole loss that the culprits must explain, in (0, 1)
    std::size_t single = 8;    ///< at most so many culprits are measured one by one
};

struct SearchResult {
    struct Suspect {
        std::size_t index = 0; ///< as the caller counts
        double alone = 0;      ///< share of the loss that mending this one alone wins back; NaN: not measured
    };
    std::vector<Suspect> culprits; ///< together they explain `explained`; the most telling first
    double explained = 0;          ///< measured share of the loss that mending all of them wins back
    int measurements = 0;
};

/// @param order   suspects, the likeliest first; any order gives a right answer, a good one a small set at little cost.
/// @param whole   the loss with nothing mended, > 0.
/// @param mended  the loss with these suspects mended; called at most 2·⌈log2 n⌉ + 2 + `single` times.
/// A prefix of the order that explains the share is found by doubling and halving, its members are measured one by one
/// when they are few, and those that the share does not need are dropped when one more measurement agrees.
/// Culprits are empty when even mending all does not explain the share. @throws Error(usage) for no suspects, no loss or
/// an impossible share; what `mended` throws.
SearchResult findCulprits(const std::vector<std::size_t>& order, double whole,
                          const std::function<double(const std::vector<std::size_t>&)>& mended,
                          const SearchOptions& options = {});

} // namespace bw
