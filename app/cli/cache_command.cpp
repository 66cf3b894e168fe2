// SPDX-License-Identifier: GPL-3.0-or-later
// cache: what the cache of rounded tensors holds, and clearing it; and the options that commands which round take.
#include "app/cli/cache_command.h"

#include "app/cli/output.h"
#include "core/base/error.h"
#include "core/base/text.h"

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
    const std::int64_t removed = clear ? cache.clear() : 0;
    const TensorCache::Size size = cache.size();
    if (context.common.json) {
        printJson({{"folder", options.folder}, {"entries", size.entries}, {"bytes", size.bytes}, {"limit", size.limit}, {"removed", removed}});
        return 0;
    }
    printLine("folder     " + escapeForDisplay(options.folder, 400));
    printLine(fmt::format("holds      {} tensors, {}; limit {}", size.entries, formatBytes(size.bytes), formatBytes(size.limit)));
    if (clear)
        printLine(fmt::format("removed    {} tensors", removed));
    return 0;
}

} // namespace

void addCacheOptions(CLI::App& command, CacheArguments& given) {
    command.add_flag("--no-cache", given.off, "round every tensor, also those that an earlier command rounded the same way");
    command.add_option("--cache-limit", given.limit, "size of the cache of rounded tensors (default: 4 GiB, or a tenth of the free disk)")->type_name("SIZE");
}

void useCache(const CacheArguments& given) {
    if (!given.off)
        setTensorCache(cacheOptions(given));
}

void addCacheCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<CacheArguments>();
    auto clear = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("cache", "Show or clear the cache of rounded tensors, from which mixes are put together");
    command->add_flag("--clear", *clear, "remove all its tensors");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli cache\n  bitwright-cli cache --clear\n\nIt lies in ~/.cache/bitwright/tensors ($XDG_CACHE_HOME), or where BITWRIGHT_CACHE says.");
    command->callback([&context, given, clear] { context.action = [&context, given, clear] { return runCache(context, *given, *clear); }; });
}

} // namespace bw::cli
