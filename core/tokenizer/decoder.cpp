// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/decoder.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/byte_level.h"
#include "core/tokenizer/byte_tokens.h"

#include <fmt/format.h>

namespace bw {
namespace {

/// Replacements of a sane file make text shorter, or a few bytes longer.
constexpr std::size_t kMostGrowth = 16, kAlwaysAllowed = 4096;

void checkGrowth(const std::string& out, const std::string& text) {
    if (out.size() > kAlwaysAllowed + kMostGrowth * text.size())
        throw Error(ErrorCode::invalidTokenizer,
                    fmt::format("the decoder makes more than {} bytes of {}",
                                kAlwaysAllowed + kMostGrowth * text.size(), text.size()),
                    "the tokenizer file may be hostile; take it from the model's origin again");
}

std::string replaceAll(const std::string& text, const Decoder::Step& step) {
    std::string out;
    std::size_t at = 0;
    if (step.regex) {
        if (!isValidUtf8(text)) return text; // a byte of a longer character: no pattern can see it
        SplitRegex::Matcher matcher(*step.regex, text);
        std::size_t begin = 0, end = 0;
        while (at < text.size() && matcher.find(at, begin, end)) {
            out.append(text, at, begin - at).append(step.content);
            checkGrowth(out, text);
            at = end;
        }
    } else if (!step.pattern.empty()) {
        for (std::size_t found = text.find(step.pattern); found != std::string::npos;
             found = text.find(step.pattern, at)) {
            out.append(text, at, found - at).append(step.content);
            checkGrowth(out, text);
            at = found + step.pattern.size();
        }
    }
    return out.append(text, at);
}

std::string stripEnds(std::string text, const Decoder::Step& step) {
    if (step.content.empty()) return text;
    std::size_t begin = 0, end = text.size();
    const auto holds = [&](std::size_t at) { return text.compare(at, step.content.size(), step.content) == 0; };
    for (std::size_t i = 0; i < step.start && holds(begin); ++i) begin += step.content.size();
    for (std::size_t i = 0; i < step.stop && end >= begin + step.content.size() && holds(end - step.content.size());
         ++i)
        end -= step.content.size();
    return text.substr(begin, end - begin);
}

std::string applyStep(std::string text, const Decoder::Step& step, bool first) {
    using Kind = Decoder::Kind;
    switch (step.kind) {
    case Kind::byteLevel:
        return bytesOfSymbols(text).value_or(text);
    case Kind::byteFallback:
        if (const int byte = byteOfToken(text); byte >= 0) return std::string(1, static_cast<char>(byte));
        return text;
    case Kind::replace:
        return replaceAll(text, step);
    case Kind::metaspace: {
        Decoder::Step marks = step;
        marks.kind = Kind::replace;
        marks.content = first && !step.keepFirst ? "" : " ";
        return replaceAll(text, marks);
    }
    case Kind::strip:
        return stripEnds(std::move(text), step);
    case Kind::fuse:
    case Kind::spaces:
        break;
    }
    return text;
}

} // namespace

Decoder::Decoder(std::vector<Step> steps) {
    bool fused = false;
    for (Step& step : steps) {
        if (step.kind == Kind::spaces) between_ = " ";
        if (step.kind == Kind::fuse) fused = true;
        if (step.kind == Kind::spaces || step.kind == Kind::fuse) continue;
        firstDiffers_ |= !fused && step.kind == Kind::metaspace && !step.keepFirst;
        (fused ? wholeSteps_ : tokenSteps_).push_back(std::move(step));
    }
}

std::string Decoder::apply(std::string_view text, bool first) const {
    std::string now(text);
    for (const Step& step : tokenSteps_) now = applyStep(std::move(now), step, first);
    return now;
}

std::string Decoder::whole(std::string text) const {
    for (const Step& step : wholeSteps_) text = applyStep(std::move(text), step, true);
    return text;
}

} // namespace bw
