// SPDX-License-Identifier: GPL-3.0-or-later
// Methods that have a name, as parts of a recipe.
#include "core/experiment/methods.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::array kMethods{
    NamedMethod{"nearest", "none", "nearest", "int4:g64:asym", "every weight to the nearest grid value"},
    NamedMethod{"weighted", "none", "weighted", "int4:g64:asym", "scales chosen under the inputs' mean squares (importance matrix)"},
    NamedMethod{"stochastic", "none", "stochastic", "int4:g64:asym", "up or down by chance, right on average"},
    NamedMethod{"gptq", "none", "gptq", "int4:g64:asym", "each column makes up for the rounding of those before it"},
    NamedMethod{"smooth", "smooth:search", "nearest", "int4:g64:asym", "scales between inputs and weights, α searched (SmoothQuant)"},
    NamedMethod{"clip", "clip", "nearest", "int4:g64:asym", "ranges cut to where the output suffers least"},
    NamedMethod{"awq", "awq+clip", "nearest", "int4:g64:asym", "channels with large inputs get finer steps, then ranges are cut (AWQ)"},
    NamedMethod{"awq+gptq", "awq+clip", "gptq", "int4:g64:asym", "AWQ's scales and ranges, then GPTQ"},
    NamedMethod{"rotate", "rotate", "nearest", "int4:g64:asym", "a randomised Hadamard rotation spreads outliers"},
    NamedMethod{"rotate+gptq", "rotate", "gptq", "int4:g64:asym", "rotation, then GPTQ (QuaRot)"},
    NamedMethod{"nf4", "none", "nearest", "nf4:b64", "16 levels at the quantiles of a normal distribution"},
    NamedMethod{"w8a8", "none", "nearest", "int8:channel:sym", "int8 weights and inputs, a scale for every token", "a8:token"},
    NamedMethod{"smooth-w8a8", "smooth:alpha=0.5", "nearest", "int8:channel:sym", "the same after SmoothQuant", "a8:token"},
    NamedMethod{"llm-int8", "outliers:threshold=6", "nearest", "int8:channel:sym", "the same with outlier channels in 16 bits", "a8:token"},
    NamedMethod{"fp8", "none", "nearest", "fp8_e4m3:channel", "fp8 weights and inputs, a scale for every token", "fp8:token"},
};

std::vector<std::string> splitAt(std::string_view text, char mark) {
    std::vector<std::string> out;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(mark, begin), text.size());
        out.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return out;
}

} // namespace

std::span<const NamedMethod> namedMethods() { return kMethods; }

MethodTrial parseMethod(std::string_view text, const Recipe& from, bool formatGiven) {
    const std::vector<std::string> parts = splitAt(text, '/');
    MethodTrial trial{std::string(text), "", from};
    Recipe& r = trial.recipe;
    r.kind = "quantize";
    r.name = trial.name;
    const auto known = std::find_if(kMethods.begin(), kMethods.end(), [&](const NamedMethod& m) { return m.name == parts.front(); });
    if (known != kMethods.end() && parts.size() <= 2) {
        r.transform = known->transform;
        r.rounder = known->rounder;
        if (parts.size() == 2)
            r.assignment.format = parts[1];
        else if (!formatGiven || known->name == "nf4" || !known->activations.empty())
            r.assignment.format = known->format;
        if (!known->activations.empty()) {
            r.activations = known->activations;
            if (r.assignment.head.empty()) // as servers run them
                r.assignment.head = "keep";
        }
    } else if (parts.size() == 3 || parts.size() == 4) {
        r.transform = parts[0];
        r.rounder = parts[1];
        r.assignment.format = parts[2];
        if (parts.size() == 4)
            r.activations = parts[3];
    } else {
        std::string names;
        for (const NamedMethod& method : kMethods)
            names += (names.empty() ? "" : ", ") + std::string(method.name);
        throw Error(ErrorCode::usage, "'" + escapeForDisplay(text) + "' is no method", "there are " + names + "; or write TRANSFORM/ROUNDER/FORMAT[/ACTIVATIONS], or a recipe's .json");
    }
    if (r.rounder == "reference") {
        r.rounder = "nearest";
        r.search = "reference";
    }
    try {
        r = Recipe::fromJson(r.toJson());
    } catch (const Error& e) {
        throw Error(ErrorCode::usage, "the method '" + escapeForDisplay(text) + "': " + e.message(), e.hint());
    }
    return trial;
}

} // namespace bw
