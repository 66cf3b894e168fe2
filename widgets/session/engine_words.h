// SPDX-License-Identifier: GPL-3.0-or-later
// Fixed words of the engine in the window's language: kinds and states of runs, stages of jobs, the method guide, warnings, and why
// a comparison is not fair. The log and the command line keep the engine's own; words that are not known here are shown as they come.
#pragma once

#include <QStringList>
#include <cstddef>
#include <string>

namespace bw {

/// "quantize" → "quantisieren" in German; `words` itself where there is no translation. Fit to be shown: no control characters.
/// @param limit bytes beyond which the rest becomes "…".
QString engineText(const std::string& words, std::size_t limit = 1000);
/// Everything that engineText() knows, in English; %1 … stand for what changes.
QStringList engineWords();

} // namespace bw
