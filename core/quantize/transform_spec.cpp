// SPDX-License-Identifier: GPL-3.0-or-later
// The grammar of transforms: NAME[:OPTION…] joined by '+', OPTION = KEY=NUMBER or a word.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/quantize/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace bw {
namespace {

/// A number that a part takes, and what is allowed.
struct Option {
    std::string_view part, key;
    double least, most;
    bool openBelow, whole; ///< `least` itself is refused; only whole numbers
};
constexpr std::array kOptions{
    Option{"smooth", "alpha", 0, 1, false, false},
    Option{"awq", "grid", 1, 200, false, true},
    Option{"rotate", "seed", 0, 9007199254740991.0, false, true}, // 2^53 − 1: exact in JSON too
    Option{"outliers", "threshold", 0, 1e6, true, false},
    Option{"outliers", "weights", 0, 0.5, true, false},
};
/// The order in which they work.
constexpr std::array<std::string_view, 5> kParts{"rotate", "smooth", "awq", "clip", "outliers"};

[[noreturn]] void refuse(std::string message, std::string hint) {
    throw Error(ErrorCode::usage, std::move(message), std::move(hint));
}

std::vector<std::string_view> split(std::string_view text, char mark) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0;;) {
        const auto end = text.find(mark, at);
        parts.push_back(text.substr(at, end - at));
        if (end == std::string_view::npos) return parts;
        at = end + 1;
    }
}

std::string allowed(std::string_view part) {
    std::string text;
    for (const Option& option : kOptions)
        if (option.part == part) text += fmt::format("{}{}={}…{}", text.empty() ? "" : ", ", option.key, option.least, option.most);
    return part == "smooth" ? text + ", search" : text.empty() ? "none" : text;
}

void parseOption(TransformSpec::Part& part, std::string_view text) {
    const auto equals = text.find('=');
    if (part.name == "smooth" && text == "search") {
        part.options["search"] = "";
        return;
    }
    const std::string_view key = text.substr(0, equals);
    const auto option = std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& o) { return o.part == part.name && o.key == key; });
    if (option == kOptions.end() || equals == std::string_view::npos)
        refuse(fmt::format("transform '{}' has no option '{}'", part.name, escapeForDisplay(text, 60)), fmt::format("It takes {}.", allowed(part.name)));
    const std::string_view number = text.substr(equals + 1);
    double value = 0;
    const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), value);
    const bool good = fault == std::errc() && end == number.data() + number.size() && std::isfinite(value) && value >= option->least &&
                      value <= option->most && !(option->openBelow && value <= option->least) && !(option->whole && value != std::floor(value));
    if (!good)
        refuse(fmt::format("transform '{}': {} = '{}' is not {} {}{} and {}", part.name, key, escapeForDisplay(number, 60),
                           option->whole ? "a whole number between" : "between", option->least, option->openBelow ? " (excluded)" : "", option->most),
               fmt::format("It takes {}.", allowed(part.name)));
    if (!part.options.emplace(std::string(key), fmt::format("{}", value)).second)
        refuse(fmt::format("transform '{}' has the option {} twice", part.name, key), "Give each option once.");
}

/// Options that stand for their defaults, so that equal transforms have equal texts.
void settle(TransformSpec::Part& part) {
    if (part.name == "smooth" && part.options.contains("search") && part.options.contains("alpha"))
        refuse("transform 'smooth' has both alpha and search", "Give an α, or let it be searched.");
    if (part.name == "smooth" && part.options.empty()) part.options["alpha"] = "0.5";
    if (part.name == "awq" && part.options.empty()) part.options["grid"] = "20";
    if (part.name == "outliers" && part.options.empty()) part.options["threshold"] = "6";
}

} // namespace

const TransformSpec::Part* TransformSpec::find(std::string_view name) const {
    const auto found = std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.name == name; });
    return found == parts.end() ? nullptr : &*found;
}

bool TransformSpec::folds() const { return find("rotate") || find("smooth") || find("awq"); }

bool TransformSpec::readsText() const { return find("smooth") || find("awq") || find("clip"); }

std::string TransformSpec::text() const {
    if (parts.empty()) return "none";
    std::string text;
    for (const Part& part : parts) {
        text += (text.empty() ? "" : "+") + part.name;
        for (const auto& [key, value] : part.options) text += value.empty() ? ":" + key : ":" + key + "=" + value;
    }
    return text;
}

TransformSpec parseTransform(std::string_view text) {
    TransformSpec spec;
    if (text.empty() || text == "none") return spec;
    std::size_t last = 0;
    for (const std::string_view member : split(text, '+')) {
        const auto words = split(member, ':');
        const auto known = std::find(kParts.begin(), kParts.end(), words.front());
        if (known == kParts.end())
            refuse(fmt::format("'{}' is no transform", escapeForDisplay(words.front(), 60)),
                   "Transforms are none, rotate, smooth, awq, clip and outliers, joined by '+'.");
        TransformSpec::Part part{std::string(words.front()), {}};
        for (std::size_t i = 1; i < words.size(); ++i) parseOption(part, words[i]);
        settle(part);
        const auto place = static_cast<std::size_t>(known - kParts.begin()) + 1;
        if (place <= last)
            refuse(fmt::format("transform '{}' stands after '{}'", part.name, kParts[last - 1]),
                   "Each may be named once, in the order rotate+smooth+awq+clip+outliers.");
        last = place;
        spec.parts.push_back(std::move(part));
    }
    return spec;
}

} // namespace bw
