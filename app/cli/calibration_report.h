// SPDX-License-Identifier: GPL-3.0-or-later
// What `calibrate` prints for people.
#pragma once

#include "core/base/json.h"

namespace bw::cli {

/// Statistics of every input, the calibrators' errors on held-out windows, experts that saw little, warnings with remedies.
void printCalibration(const Json& result);
/// Before and after of every input, one table a question, and the mean change of each error.
void printWhatIf(const Json& table);

} // namespace bw::cli
