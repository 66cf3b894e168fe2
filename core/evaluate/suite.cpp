// SPDX-License-Identifier: GPL-3.0-or-later
// Suites and thresholds.
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/evaluate/tasks.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& key, const std::string& what) {
    throw Error(ErrorCode::invalidHeader, fmt::format("suite {}: \"{}\" {}", path, escapeForDisplay(key, 80), what),
                "keys: name, prompts, texts, max_tokens, thresholds; see the manual's page on evaluation");
}

std::vector<std::string> paths(const Json& json, const std::string& path, const std::string& key) {
    const auto found = json.find(key);
    if (found == json.end()) return {};
    if (!found->is_array()) refuse(path, key, "must be a list of files");
    std::vector<std::string> out;
    for (const Json& file : *found) {
        if (!file.is_string() || file.get_ref<const std::string&>().empty()) refuse(path, key, "must be a list of files");
        out.push_back((std::filesystem::path(path).parent_path() / file.get<std::string>()).lexically_normal().string());
    }
    return out;
}

} // namespace

std::string Threshold::text() const { return fmt::format("{}{} {}", below ? "<" : ">", orEqual ? "=" : "", limit); }

Threshold parseThreshold(const std::string& text) {
    Threshold out;
    std::string_view rest = text;
    const auto fail = [&]() -> Error { return {ErrorCode::usage, "'" + escapeForDisplay(text, 60) + "' is no threshold", "write \">= 0.35\", \"<= 0.05\", \"> 0\" or \"< 60\""}; };
    if (rest.empty() || (rest.front() != '<' && rest.front() != '>')) throw fail();
    out.below = rest.front() == '<';
    rest.remove_prefix(1);
    out.orEqual = !rest.empty() && rest.front() == '=';
    if (out.orEqual) rest.remove_prefix(1);
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), out.limit);
    if (failure != std::errc() || end != rest.data() + rest.size() || !std::isfinite(out.limit)) throw fail();
    return out;
}

Suite loadSuite(const std::string& path) {
    const Json json = readJsonFile(path);
    if (!json.is_object()) throw Error(ErrorCode::invalidHeader, "suite " + path + " is no object {…}");
    for (const auto& entry : json.items())
        if (entry.key() != "name" && entry.key() != "prompts" && entry.key() != "texts" && entry.key() != "max_tokens" && entry.key() != "thresholds") refuse(path, entry.key(), "is not a key of a suite");
    Suite out;
    out.name = std::filesystem::path(path).stem().string();
    if (const auto name = json.find("name"); name != json.end()) {
        if (!name->is_string()) refuse(path, "name", "must be text");
        out.name = name->get<std::string>();
    }
    out.prompts = paths(json, path, "prompts");
    out.texts = paths(json, path, "texts");
    if (const auto tokens = json.find("max_tokens"); tokens != json.end()) {
        if (!tokens->is_number_integer() || tokens->get<std::int64_t>() < 1 || tokens->get<std::int64_t>() > (1 << 20)) refuse(path, "max_tokens", "must be a whole number from 1 to 1048576");
        out.maxTokens = tokens->get<std::int64_t>();
    }
    if (const auto thresholds = json.find("thresholds"); thresholds != json.end()) {
        if (!thresholds->is_object()) refuse(path, "thresholds", "must be an object of figure: limit");
        for (const auto& entry : thresholds->items()) {
            if (!entry.value().is_string()) refuse(path, "thresholds." + entry.key(), "must be text like \">= 0.35\"");
            parseThreshold(entry.value().get<std::string>());
            out.thresholds[entry.key()] = entry.value().get<std::string>();
        }
    }
    if (out.prompts.empty() && out.texts.empty()) throw Error(ErrorCode::usage, "suite " + path + " measures nothing", "name prompt sets in \"prompts\" or texts in \"texts\"");
    return out;
}

} // namespace bw
