// SPDX-License-Identifier: GPL-3.0-or-later
// The command that does what the window does: a recipe as a `bitwright-cli` line that can be pasted into a shell.
#pragma once

#include "core/experiment/recipe.h"

#include <QString>

namespace bw {

/// Quoted so that a POSIX shell reads back exactly `argument`; plain words stay plain.
QString shellQuoted(const QString& argument);

/// @param logPath empty = the default log. @param resume run that is continued, 0 = none.
QString commandFor(const Recipe& recipe, const QString& logPath, std::int64_t resume = 0);

} // namespace bw
