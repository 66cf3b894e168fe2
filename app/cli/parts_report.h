// SPDX-License-Identifier: GPL-3.0-or-later
// Tables of an evaluation's parts: texts and positions in the window; of one run, and of two in pairs.
#pragma once

#include "core/base/json.h"

namespace bw::cli {

/// "by_text" (when there are two or more) and "positions" of an evaluation's JSON.
void printParts(const Json& evaluation);
/// The same of a comparison (Runner::compare), differences with intervals.
void printPairedParts(const Json& comparison);

} // namespace bw::cli
