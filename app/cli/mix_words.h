// SPDX-License-Identifier: GPL-3.0-or-later
// What the commands that make mixes share: pins from the command line, recipes written to files.
#pragma once

#include "app/cli/context.h"

namespace bw::cli {

/// "SITE=FORMAT" words. @throws Error(usage).
std::map<std::string, std::string> parsePins(const std::vector<std::string>& given);
void writeRecipe(const std::string& path, const Json& recipe, bool replace);

} // namespace bw::cli
