// SPDX-License-Identifier: GPL-3.0-or-later
// Where the files that ship with the program lie: the demo checkpoint (demo/) and its texts (texts/).
#pragma once

#include <string>

namespace bw {

/// The folder that holds demo/ and texts/: $BITWRIGHT_RESOURCES, else ../share/bitwright beside the program's folder, else
/// the source tree it was built from. @throws Error(fileNotFound) naming every place that was looked at.
std::string resourcesFolder();

/// Folder of the program file itself; empty when the system doesn't tell.
std::string executableFolder();

} // namespace bw
