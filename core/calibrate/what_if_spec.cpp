// SPDX-License-Identifier: GPL-3.0-or-later
// The grammar of what-if questions.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/calibrate/what_if.h"

#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr const char* kHint = "write smooth:alpha=0.7, rotate, outliers:threshold=6, clip:share=0.8, clip:percentile=99.9 or clip:mse, several with +";

[[noreturn]] void refuse(std::string_view part, const std::string& why) {
    throw Error(ErrorCode::usage, "what-if '" + escapeForDisplay(part, 80) + "' " + why, kHint);
}

/// The number behind "KEY="; @throws Error(usage) outside [least, most].
double numberOf(std::string_view part, std::string_view option, std::string_view key, double least, double most) {
    double value = 0;
    if (!option.starts_with(key) || option.size() <= key.size() || option[key.size()] != '=')
        refuse(part, fmt::format("needs {}=NUMBER", key));
    const std::string_view number = option.substr(key.size() + 1);
    const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (failure != std::errc{} || end != number.data() + number.size() || !std::isfinite(value) || value < least || value > most)
        refuse(part, fmt::format("needs {} from {} to {}", key, least, most));
    return value;
}

void takePart(std::string_view part, WhatIf& out) {
    const auto colon = part.find(':');
    const std::string_view name = part.substr(0, colon), option = colon == std::string_view::npos ? std::string_view() : part.substr(colon + 1);
    const auto once = [&](bool taken) {
        if (taken)
            refuse(part, "comes twice, or with one that it excludes");
    };
    if (name == "smooth") {
        once(out.alpha.has_value() || out.rotate);
        out.alpha = numberOf(part, option, "alpha", 0, 1);
    } else if (part == "rotate") {
        once(out.rotate || out.alpha);
        out.rotate = true;
    } else if (name == "outliers") {
        once(out.threshold.has_value());
        out.threshold = numberOf(part, option, "threshold", 1e-9, 1e9);
    } else if (part == "clip:mse") {
        once(out.clip != WhatIf::Clip::none);
        out.clip = WhatIf::Clip::mse;
    } else if (name == "clip" && option.starts_with("percentile")) {
        once(out.clip != WhatIf::Clip::none);
        out.clipValue = numberOf(part, option, "percentile", 90, 100);
        out.clip = WhatIf::Clip::percentile;
    } else if (name == "clip") {
        once(out.clip != WhatIf::Clip::none);
        out.clipValue = numberOf(part, option, "share", 0.001, 1);
        out.clip = WhatIf::Clip::share;
    } else {
        refuse(part, "is not known");
    }
}

} // namespace

std::string WhatIf::text() const {
    std::string out;
    const auto add = [&](const std::string& part) { out += (out.empty() ? "" : "+") + part; };
    if (alpha)
        add(fmt::format("smooth:alpha={}", *alpha));
    if (rotate)
        add("rotate");
    if (threshold)
        add(fmt::format("outliers:threshold={}", *threshold));
    if (clip == Clip::share)
        add(fmt::format("clip:share={}", clipValue));
    if (clip == Clip::percentile)
        add(fmt::format("clip:percentile={}", clipValue));
    if (clip == Clip::mse)
        add("clip:mse");
    return out.empty() ? "none" : out;
}

WhatIf parseWhatIf(std::string_view text) {
    WhatIf out;
    if (text == "none")
        return out;
    for (std::size_t at = 0;;) {
        const auto end = text.find('+', at);
        takePart(text.substr(at, end - at), out);
        if (end == std::string_view::npos)
            break;
        at = end + 1;
    }
    if (out.rotate && out.threshold)
        refuse(text, "keeps outlier channels apart after a rotation, which leaves none");
    return out;
}

} // namespace bw
