// SPDX-License-Identifier: GPL-3.0-or-later
// A small diary of the program for bug reports: starts, ends and errors, in rotating files under
// $XDG_STATE_HOME/bitwright (default ~/.local/state/bitwright). Not for figures: those are in the experiment log.
#pragma once

#include <string>

namespace bw {

/// Opens the diary of `program` ("bitwright", "bitwright-cli"): at most 3 files of 1 MiB. Without a writable home nothing is
/// kept and nothing fails. Call once, before threads start.
void startDiagnostics(const std::string& program);

/// One line each; control characters are escaped. Any thread; never throws.
void noteEvent(const std::string& line) noexcept;
void noteError(const std::string& line) noexcept;

/// Where the diary lies; empty when there is none.
std::string diagnosticsPath();

} // namespace bw
