// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/calibration_options.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <charconv>
#include <cmath>
#include <filesystem>

namespace bw::cli {
namespace {

/// "FILE=0.3" is a file and its weight, unless a file of that whole name is there.
void addText(const std::string& text, Recipe& recipe) {
    std::error_code ignored;
    const std::size_t at = text.rfind('=');
    double weight = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, failure] = at == std::string::npos ? std::from_chars_result{end, std::errc::invalid_argument} : std::from_chars(text.data() + at + 1, end, weight);
    if (at == 0 || failure != std::errc{} || stopped != end || std::filesystem::exists(text, ignored)) {
        recipe.calibration.files.push_back(text);
        return;
    }
    if (!std::isfinite(weight) || weight < 0)
        throw Error(ErrorCode::usage, "--text " + escapeForDisplay(text) + ": a weight is a number of 0 or more", "write --text FILE=0.3");
    recipe.calibration.files.push_back(text.substr(0, at));
    recipe.calibrationSet.weights[recipe.calibration.files.back()] = weight;
}

} // namespace

void addCalibrationOptions(CLI::App& command, CalibrationArguments& given) {
    const std::string group = "Calibration set";
    command.add_option("--text", given.texts, "calibration text: .txt, .jsonl or a folder of text files, several are fine; FILE=0.3 gives it that share of the windows (others: 1)")
        ->group(group)->type_name("FILE[=WEIGHT]");
    command.add_option("--samples", given.samples, "windows of text")->group(group)->check(CLI::PositiveNumber)->type_name("N");
    command.add_option("--length", given.length, "tokens in a window")->group(group)->check(CLI::PositiveNumber)->type_name("T");
    command.add_option("--field", given.field, "JSONL: field that holds the text, a.b inside objects (default: text, prompt or t)")->group(group)->type_name("NAME");
    command.add_option("--include", given.include, "folders: files to read, by glob ('*.py'); '!*_test.py' leaves out")->group(group)->type_name("GLOB");
    command.add_option("--min-length", given.minLength, "leave out documents (files, JSONL lines) with fewer tokens")->group(group)->check(CLI::NonNegativeNumber)->type_name("T");
    command.add_flag("--deduplicate", given.deduplicate, "leave out documents that came before, and windows that repeat most of others")->group(group);
    command.add_option("--sampling", given.sampling, "even (default), random (by --seed), or balanced: more windows for experts that see few tokens")
        ->group(group)->check(CLI::IsMember({"even", "random", "balanced"}))->type_name("S");
    command.add_option("--expert-floor", given.expertFloor, "balanced: tokens that every expert should see (default 128)")->group(group)->check(CLI::PositiveNumber)->type_name("N");
}

void applyCalibration(const CalibrationArguments& given, Recipe& recipe) {
    if (!given.texts.empty()) {
        recipe.calibration.files.clear();
        recipe.calibrationSet.weights.clear();
        for (const std::string& text : given.texts)
            addText(text, recipe);
    }
    recipe.calibration.samples = given.samples.value_or(recipe.calibration.samples);
    recipe.calibration.length = given.length.value_or(recipe.calibration.length);
    Recipe::CalibrationSet& set = recipe.calibrationSet;
    set.field = given.field.value_or(set.field);
    if (!given.include.empty())
        set.include = given.include;
    set.minLength = given.minLength.value_or(set.minLength);
    set.deduplicate = set.deduplicate || given.deduplicate;
    set.sampling = given.sampling.value_or(set.sampling);
    set.expertFloor = given.expertFloor.value_or(set.expertFloor);
}

} // namespace bw::cli
