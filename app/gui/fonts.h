// SPDX-License-Identifier: GPL-3.0-or-later
// A window without letters is no window: where the system's font set-up offers nothing, font files are looked for by hand.
#pragma once

#include <QString>

namespace bw {

/// Call after QApplication is there and before the first widget. @return what is wrong and what was done about it; empty
/// when the system has fonts. Cost: nothing then, otherwise a walk over the font folders (at most a few thousand files).
QString ensureFonts();

} // namespace bw
