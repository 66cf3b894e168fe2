// SPDX-License-Identifier: GPL-3.0-or-later
// Options that name calibration texts and choose windows of them; the same for every command that calibrates.
#pragma once

#include "app/cli/context.h"

namespace bw::cli {

struct CalibrationArguments {
    std::vector<std::string> texts, include;
    std::optional<std::string> field, sampling;
    std::optional<std::int64_t> samples, length, minLength, expertFloor;
    bool deduplicate = false;
};

/// --text, --samples, --length and how texts are read and sampled.
void addCalibrationOptions(CLI::App& command, CalibrationArguments& given);
/// What was given replaces the recipe's. @throws Error(usage) for a weight that is none.
void applyCalibration(const CalibrationArguments& given, Recipe& recipe);

} // namespace bw::cli
