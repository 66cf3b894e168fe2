// SPDX-License-Identifier: GPL-3.0-or-later
// cache: what the caches of rounded tensors, of calibrations, of Gram matrices and of baselines hold, and clearing them; and the options that
// commands which round or judge take.
#include "app/cli/cache_command.h"

#include "app/cli/output.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/experiment/calibration_store.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

TensorCacheOptions cacheOptions(const CacheArguments& given) {
    TensorCacheOptions options;
    options.folder = defaultTensorCache();
    if (!given.limit.empty())
        options.limit = parseByteSize(given.limit);
    return options;
}

int runCache(Context& context, const CacheArguments& given, bool clear) {
    const TensorCacheOptions options = cacheOptions(given);
    if (options.folder.empty())
        throw Error(ErrorCode::usage, "there is no folder for a cache", "set BITWRIGHT_CACHE or HOME");
    TensorCache cache(options, "", "");
    CalibrationStore store({calibrationFolder(options.folder), {}, 0});
    InputStore grams({gramFolder(options.folder), options.limit, 0}, "", "");
    BaselineStore baselines({baselineFolder(options.folder), {}, 0});
    const std::int64_t removed = clear ? cache.clear() : 0, forgotten = clear ? store.clear() : 0, dropped = clear ? grams.clear() : 0, left = clear ? baselines.clear() : 0;
    const TensorCache::Size size = cache.size();
    const CalibrationStore::Size kept = store.size();
    const InputStore::Size sums = grams.size();
    const BaselineStore::Size bases = baselines.size();
    if (context.common.json) {
        printJson({{"folder", options.folder}, {"entries", size.entries}, {"bytes", size.bytes}, {"limit", size.limit}, {"removed", removed},
                   {"calibrations", {{"folder", calibrationFolder(options.folder)}, {"entries", kept.entries}, {"bytes", kept.bytes}, {"limit", kept.limit}, {"removed", forgotten}}},
                   {"grams", {{"folder", gramFolder(options.folder)}, {"entries", sums.entries}, {"bytes", sums.bytes}, {"limit", sums.limit}, {"removed", dropped}}},
                   {"baselines", {{"folder", baselineFolder(options.folder)}, {"entries", bases.entries}, {"bytes", bases.bytes}, {"limit", bases.limit}, {"removed", left}}}});
        return 0;
    }
    printLine("folder     " + escapeForDisplay(options.folder, 400));
    printLine(fmt::format("holds      {} tensors, {}; limit {}", size.entries, formatBytes(size.bytes), formatBytes(size.limit)));
    printLine("folder     " + escapeForDisplay(calibrationFolder(options.folder), 400));
    printLine(fmt::format("holds      {} calibrations, {}; limit {}", kept.entries, formatBytes(kept.bytes), formatBytes(kept.limit)));
    printLine("folder     " + escapeForDisplay(gramFolder(options.folder), 400));
    printLine(fmt::format("holds      {} sets of Gram matrices, {}; limit {}", sums.entries, formatBytes(sums.bytes), formatBytes(sums.limit)));
    printLine("folder     " + escapeForDisplay(baselineFolder(options.folder), 400));
    printLine(fmt::format("holds      states of {} baselines, {}; limit {}", bases.entries, formatBytes(bases.bytes), formatBytes(bases.limit)));
    if (clear)
        printLine(fmt::format("removed    {} tensors, {} calibrations, {} sets of Gram matrices, {} baselines", removed, forgotten, dropped, left));
    return 0;
}

} // namespace

void addCacheOptions(CLI::App& command, CacheArguments& given) {
    command.add_flag("--no-cache", given.off, "round every tensor and walk every text, also where an earlier command did the same");
    command.add_option("--cache-limit", given.limit, "size of the cache of rounded tensors, and of that of Gram matrices (default: 4 GiB each, or a tenth of the free disk)")->type_name("SIZE");
}

void addStoreOption(CLI::App& command, CacheArguments& given) {
    command.add_flag("--no-cache", given.off, "walk the baseline, also where an earlier command on this text left its states");
}

void useCache(const CacheArguments& given) {
    if (!given.off)
        setTensorCache(cacheOptions(given));
}

void addCacheCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<CacheArguments>();
    auto clear = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("cache", "Show or clear the caches: rounded tensors, from which mixes are put together, calibration statistics, Gram matrices of inputs, and states of baselines");
    command->add_flag("--clear", *clear, "remove all they hold");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli cache\n  bitwright-cli cache --clear\n\nThey lie in ~/.cache/bitwright/tensors, …/calibration, …/grams and …/baselines ($XDG_CACHE_HOME), or where BITWRIGHT_CACHE says.");
    command->callback([&context, given, clear] { context.action = [&context, given, clear] { return runCache(context, *given, *clear); }; });
}

} // namespace bw::cli
