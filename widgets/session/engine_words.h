// SPDX-License-Identifier: GPL-3.0-or-later
// Fixed words of the engine in the window's language: kinds and states of runs, and the sentences of the method guide. The log and
// the command line keep the engine's own; words that are not known here are shown as they come.
#pragma once

#include <QString>
#include <string>

namespace bw {

/// "quantize" → "quantisieren" in German; `words` itself where there is no translation.
QString engineText(const std::string& words);

} // namespace bw
