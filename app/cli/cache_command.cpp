// SPDX-License-Identifier: GPL-3.0-or-later
// cache: what the caches of rounded tensors and of calibrations hold, and clearing them; and the options that commands which round take.
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
    CalibrationStore store({calibrationFolder(options.folder), {}});
    const std::int64_t removed = clear ? cache.clear() : 0, forgotten = clear ? store.clear() : 0;
    const TensorCache::Size size = cache.size();
    const CalibrationStore::Size kept = store.size();
    if (context.common.json) {
        printJson({{"folder", options.folder}, {"entries", size.entries}, {"bytes", size.bytes}, {"limit", size.limit}, {"removed", removed},
                   {"calibrations", {{"folder", calibrationFolder(options.folder)}, {"entries", kept.entries}, {"bytes", kept.bytes}, {"limit", kept.limit}, {"removed", forgotten}}}});
        return 0;
    }
    printLine("folder     " + escapeForDisplay(options.folder, 400));
    printLine(fmt::format("holds      {} tensors, {}; limit {}", size.entries, formatBytes(size.bytes), formatBytes(size.limit)));
    printLine("folder     " + escapeForDisplay(calibrationFolder(options.folder), 400));
    printLine(fmt::format("holds      {} calibrations, {}; limit {}", kept.entries, formatBytes(kept.bytes), formatBytes(kept.limit)));
    if (clear)
        printLine(fmt::format("removed    {} tensors, {} calibrations", removed, forgotten));
    return 0;
}

} // namespace

void addCacheOptions(CLI::App& command, CacheArguments& given) {
    command.add_flag("--no-cache", given.off, "round every tensor and walk every text, also where an earlier command did the same");
    command.add_option("--cache-limit", given.limit, "size of the cache of rounded tensors (default: 4 GiB, or a tenth of the free disk)")->type_name("SIZE");
}

void useCache(const CacheArguments& given) {
    if (!given.off)
        setTensorCache(cacheOptions(given));
}

void addCacheCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<CacheArguments>();
    auto clear = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("cache", "Show or clear the caches: rounded tensors, from which mixes are put together, and calibration statistics");
    command->add_flag("--clear", *clear, "remove all they hold");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli cache\n  bitwright-cli cache --clear\n\nThey lie in ~/.cache/bitwright/tensors and …/calibration ($XDG_CACHE_HOME), or where BITWRIGHT_CACHE says.");
    command->callback([&context, given, clear] { context.action = [&context, given, clear] { return runCache(context, *given, *clear); }; });
}

} // namespace bw::cli
