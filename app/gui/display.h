// SPDX-License-Identifier: GPL-3.0-or-later
// Watches the start of the window system: without a display the program ends with one line that says so, instead of an
// abort.
#pragma once

namespace bw {

/// While this lives, messages of Qt's platform plug-ins are kept back (one that failed before another worked is no news);
/// a fatal one ends the program with exit code 1. Make it before QApplication, drop it after.
class DisplayWatch {
public:
    DisplayWatch();
    ~DisplayWatch();
    DisplayWatch(const DisplayWatch&) = delete;
    DisplayWatch& operator=(const DisplayWatch&) = delete;
};

} // namespace bw
