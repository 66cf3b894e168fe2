// SPDX-License-Identifier: GPL-3.0-or-later
// Common options and small parsers.
#include "app/cli/context.h"

#include "app/common/devices.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/scratch.h"
#include "core/base/text.h"

#include <charconv>

namespace bw::cli {

void Context::applyLimits() const {
    if (common.threads < 0)
        throw Error(ErrorCode::usage, "--threads must be 0 (one per core) or more");
    setThreadCount(common.threads);
    if (!common.memory.empty())
        setScratchLimit(parseByteSize(common.memory));
    if (!common.gpuMemory.empty())
        setGpuMemory(parseByteSize(common.gpuMemory));
}

std::string Context::logPath() const { return common.log.empty() ? ExperimentLog::defaultPath() : common.log; }

ExperimentLog& Context::log() {
    if (!log_) {
        log_ = std::make_unique<ExperimentLog>(logPath());
        tellRecovered();
    }
    return *log_;
}

/// What a kill or a power cut left behind, and how each goes on.
void Context::tellRecovered() {
    if (log_->recovered().empty())
        return;
    const LogReader reader(log_->path());
    for (const RunId id : log_->recovered()) {
        const RunSummary run = reader.run(id).summary;
        const std::string number = std::to_string(id.value());
        std::string line = "run " + number + " (" + run.kind + (run.name.empty() ? "" : ", " + escapeForDisplay(run.name, 60)) + ") was interrupted: ";
        if (run.name.starts_with("mix") || run.name.starts_with("uniform"))
            line += "the same command again goes on behind its last finished stage";
        else if (run.kind == "sweep")
            line += "go on with 'bitwright-cli sweep --resume " + number + "'";
        else
            line += "the same command again does it anew; what it had half written is removed";
        job.note(line);
    }
}

Runner Context::runner() { return {log(), makeDevice}; }

Runner Context::dryRunner() {
    if (!scratch_)
        scratch_ = std::make_unique<ExperimentLog>(ExperimentLog::kInMemory);
    return {*scratch_, makeDevice};
}

Recipe Context::baseRecipe(const std::string& kind) const {
    Recipe recipe;
    if (!common.recipe.empty()) {
        recipe = Recipe::load(common.recipe);
        if (recipe.kind != kind)
            throw Error(ErrorCode::usage, "the recipe '" + common.recipe + "' is of kind '" + recipe.kind + "', this command runs '" + kind + "'",
                        "use the command of that kind, or change \"kind\" in the recipe");
    }
    recipe.kind = kind;
    if (common.device)
        recipe.device = *common.device;
    recipe.nonFinite = common.nonFinite.value_or(recipe.nonFinite);
    if (common.seed)
        recipe.seed = *common.seed;
    return recipe;
}

void addCommon(CLI::App& command, CommonOptions& common) {
    const std::string group = "Common options";
    command.add_option("--log", common.log, "experiment log (default: the user's own)")->group(group)->type_name("FILE");
    command.add_option("--threads", common.threads, "threads to use; 0 = one per core")->group(group)->type_name("N");
    command.add_option("--memory", common.memory, "memory for activations before they spill to disk, like 2G")->group(group)->type_name("SIZE");
    command.add_option("--device", common.device, "auto, cpu or vulkan:N")->group(group)->type_name("NAME");
    command.add_option("--gpu-memory", common.gpuMemory, "most memory to take of a GPU, like 4G (default: nine tenths of it)")->group(group)->type_name("SIZE");
    command.add_option("--seed", common.seed, "seed of every random choice")->group(group)->type_name("N");
    command.add_option("--recipe", common.recipe, "start from this recipe; options override it")->group(group)->type_name("FILE");
    command.add_flag("--json", common.json, "print one JSON object on stdout; messages go to stderr")->group(group);
    command.add_flag("--quiet", common.quiet, "no progress, only warnings and errors")->group(group);
    command.add_flag("--dry-run", common.dryRun, "print the plan and do nothing")->group(group);
    command.add_flag("--strict", common.strict, "fail when something would differ from what was asked")->group(group);
}

void addNonFinite(CLI::App& command, CommonOptions& common) {
    command.add_option("--non-finite", common.nonFinite, "weights that are NaN or infinite, as in blocks with a damaged scale: refuse (default), or zero")
        ->check(CLI::IsMember({"refuse", "zero"}));
}

std::vector<std::string> splitList(const std::vector<std::string>& given) {
    std::vector<std::string> out;
    for (const std::string& text : given) {
        std::size_t begin = 0;
        while (begin <= text.size()) {
            const std::size_t end = std::min(text.find(',', begin), text.size());
            if (end > begin)
                out.push_back(text.substr(begin, end - begin));
            begin = end + 1;
        }
    }
    return out;
}

std::vector<TokenId> parseIds(const std::string& text) {
    std::vector<TokenId> ids;
    for (const std::string& word : splitList({text})) {
        TokenId id = 0;
        const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), id);
        if (failure != std::errc{} || end != word.data() + word.size() || id < 0)
            throw Error(ErrorCode::usage, "'" + escapeForDisplay(word) + "' is no token id", "give ids like --ids 1,2,3");
        ids.push_back(id);
    }
    if (ids.empty())
        throw Error(ErrorCode::usage, "there are no token ids", "give ids like --ids 1,2,3");
    return ids;
}

FormatRule parseRule(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
        throw Error(ErrorCode::usage, "'" + escapeForDisplay(text) + "' is no PATTERN=FORMAT", "write for example blk.*.attn_v=q8_0");
    return {text.substr(0, equals), text.substr(equals + 1)};
}

} // namespace bw::cli
