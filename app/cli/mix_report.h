// SPDX-License-Identifier: GPL-3.0-or-later
// The main job's result for people: what it took, what came out, what it was held against.
#pragma once

#include "core/base/json.h"

#include <cstddef>
#include <string>

namespace bw::cli {

/// @param result of Runner::mix. At most 100 columns.
std::string mixReport(const Json& result, const std::string& checkpoint, const std::string& logPath);
/// Why the budget is used as it is, and the steps worth most: at most `most` lines of them.
std::string explanationsText(const Json& result, std::size_t most);
/// Formats by number of sites and bytes: "q4_0 ×31, q5_0 ×8, q8_0 ×4".
std::string mixSummary(const Json& formats);

} // namespace bw::cli
