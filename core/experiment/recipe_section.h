// SPDX-License-Identifier: GPL-3.0-or-later
// Strict reading of a recipe's objects: whatever is not understood is refused by its path. Private to core/experiment.
#pragma once

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/text.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

namespace bw {

struct Recipe;

inline constexpr const char* kRecipeHint = "see 'bitwright-cli quantize --help' for the recipe's keys";

[[noreturn]] inline void refuseRecipe(const std::string& path, const std::string& what, const std::string& hint = kRecipeHint) {
    throw Error(ErrorCode::invalidRecipe, "recipe: \"" + escapeForDisplay(path) + "\" " + what, hint);
}

/// Reads one JSON object and remembers which keys were asked for; `close` refuses the rest.
class RecipeSection {
public:
    RecipeSection(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
        if (!json.is_object())
            refuseRecipe(path_.empty() ? "(top)" : path_, "must be an object {…}");
    }

    void text(const char* key, std::string& out) {
        if (const Json* value = find(key)) {
            if (!value->is_string())
                refuseRecipe(at(key), "must be text");
            out = value->get<std::string>();
        }
    }
    void choice(const char* key, std::string& out, const std::vector<std::string>& allowed) {
        text(key, out);
        if (std::find(allowed.begin(), allowed.end(), out) != allowed.end())
            return;
        std::string list;
        for (const std::string& word : allowed)
            list += (list.empty() ? "" : ", ") + word;
        refuseRecipe(at(key), "is \"" + escapeForDisplay(out) + "\"; it can be " + list);
    }
    void flag(const char* key, bool& out) {
        if (const Json* value = find(key)) {
            if (!value->is_boolean())
                refuseRecipe(at(key), "must be true or false");
            out = value->get<bool>();
        }
    }
    void integer(const char* key, std::int64_t& out, std::int64_t least, std::int64_t most) {
        if (const Json* value = find(key)) {
            if (!value->is_number_integer() || (value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX))
                refuseRecipe(at(key), "must be a whole number");
            out = value->get<std::int64_t>();
        }
        if (out < least || out > most)
            refuseRecipe(at(key), "is " + std::to_string(out) + "; it must lie in " + std::to_string(least) + "…" + std::to_string(most));
    }
    void seed(const char* key, std::uint64_t& out) {
        if (const Json* value = find(key)) {
            if (!value->is_number_unsigned())
                refuseRecipe(at(key), "must be a whole number ≥ 0");
            out = value->get<std::uint64_t>();
        }
    }
    void real(const char* key, double& out, double least, double most) {
        if (const Json* value = find(key)) {
            if (!value->is_number())
                refuseRecipe(at(key), "must be a number");
            out = value->get<double>();
        }
        if (!std::isfinite(out) || out < least || out > most)
            refuseRecipe(at(key), "is out of range");
    }
    void texts(const char* key, std::vector<std::string>& out) {
        const Json* value = find(key);
        if (!value)
            return;
        if (!value->is_array())
            refuseRecipe(at(key), "must be a list of texts");
        out.clear();
        for (std::size_t i = 0; i < value->size(); ++i) {
            if (!(*value)[i].is_string())
                refuseRecipe(at(key) + "[" + std::to_string(i) + "]", "must be text");
            out.push_back((*value)[i].get<std::string>());
        }
    }
    const Json* find(const char* key) {
        known_.insert(key);
        const auto found = json_.find(key);
        return found == json_.end() ? nullptr : &*found;
    }
    std::string at(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

    void close() const {
        for (const auto& entry : json_.items()) {
            if (known_.contains(entry.key()))
                continue;
            std::string list;
            for (const std::string& word : known_)
                list += (list.empty() ? "" : ", ") + word;
            refuseRecipe(at(entry.key()), "is not a key of a recipe", "known keys here: " + list);
        }
    }

private:
    const Json& json_;
    std::string path_;
    std::set<std::string> known_;
};

/// Refuses what `parse` refuses, with its message and hint behind the key's path.
template <class Parse>
void checkParses(const std::string& path, const std::string& text, Parse parse) {
    try {
        parse(text);
    } catch (const Error& e) {
        refuseRecipe(path, "is \"" + escapeForDisplay(text) + "\": " + e.message(), e.hint());
    }
}

/// "transform", "rounder", "gptq", "clip_search", "search", "activations" and "kv_cache".
void readMethods(RecipeSection& top, Recipe& out);
/// "gptq" of a recipe.
Json gptqJson(const Recipe& recipe);

} // namespace bw
