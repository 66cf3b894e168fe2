// SPDX-License-Identifier: GPL-3.0-or-later
// The cache of rounded tensors on the command line.
#pragma once

#include "app/cli/context.h"
#include "core/quantize/tensor_cache.h"

namespace bw::cli {

struct CacheArguments {
    bool off = false;
    std::string limit;
};
/// --no-cache and --cache-limit, for a command that rounds weights.
void addCacheOptions(CLI::App& command, CacheArguments& given);
/// --no-cache alone, for a command that holds a model against a baseline.
void addStoreOption(CLI::App& command, CacheArguments& given);
/// Turns the cache on for this process as asked. @throws Error(usage) for a limit that is no size.
void useCache(const CacheArguments& given);

void addCacheCommand(CLI::App& app, Context& context); ///< cache

} // namespace bw::cli
