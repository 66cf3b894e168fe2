// SPDX-License-Identifier: GPL-3.0-or-later
// JSON from files that may be hostile: size and depth are capped and duplicate keys refused before a value is built.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace bw {

using Json = nlohmann::json;

struct JsonLimits {
    std::uint64_t bytes = 256ull << 20;
    int depth = 64;
};

/// @param what names the source in errors ("model/config.json").
/// @throws Error invalidHeader (with byte position), depthExceeded, duplicateKey, headerTooLarge.
Json parseJson(std::string_view text, const std::string& what, const JsonLimits& limits = {});
Json readJsonFile(const std::string& path, const JsonLimits& limits = {});

} // namespace bw
