// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of tokenizer.json: normalizers, pre-tokenizers, decoders. Each that is not known is refused by name.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/json_reading.h"

#include <fmt/format.h>

namespace bw::tokenizer_json {

void unsupported(const std::string& source, const std::string& part) {
    throw Error(ErrorCode::unsupportedTokenizer, fmt::format("{}: {} is not implemented", source, part),
                "BPE and unigram tokenizers of the common language models are read; weights can still be quantized");
}

void invalid(const std::string& source, const std::string& what) {
    throw Error(ErrorCode::invalidTokenizer, fmt::format("{}: {}", source, what),
                "the file may be damaged; take it from the model's origin again");
}

const Json& member(const Json& object, const char* key) {
    static const Json none;
    if (!object.is_object()) return none;
    const auto found = object.find(key);
    return found == object.end() ? none : *found;
}

bool flag(const Json& object, const char* key, bool otherwise) {
    const Json& value = member(object, key);
    return value.is_boolean() ? value.get<bool>() : otherwise;
}

std::string textOf(const Json& object, const char* key) {
    const Json& value = member(object, key);
    return value.is_string() ? value.get<std::string>() : std::string();
}

namespace {

/// Real files have up to eight; each step is a pass over the text, and a frame on the stack in a pre-tokenizer.
constexpr int kMostSteps = 64;

/// Calls read(part) for the part itself, or for each part of a Sequence of them. Sequences may hold sequences.
template <class Read>
void eachStep(const Json& json, const char* listKey, const std::string& source, Read read, int& steps) {
    if (json.is_null()) return;
    if (typeOf(json) != "Sequence") {
        if (++steps > kMostSteps) invalid(source, fmt::format("'{}' has more than {} steps", listKey, kMostSteps));
        return read(json);
    }
    const Json& list = member(json, listKey);
    if (!list.is_array()) invalid(source, fmt::format("a Sequence has no '{}'", listKey));
    for (const Json& part : list) eachStep(part, listKey, source, read, steps);
}
template <class Read>
void eachStep(const Json& json, const char* listKey, const std::string& source, Read read) {
    int steps = 0;
    eachStep(json, listKey, source, read, steps);
}

/// Adds the file's name to what a pattern or a map complains about.
template <class Body>
auto naming(const std::string& source, Body body) {
    try {
        return body();
    } catch (Error& e) {
        e.add("file", source);
        throw;
    }
}

/// {"Regex": …} or {"String": …} into one of the two. @returns false when it is neither.
bool readPattern(const Json& pattern, const std::string& source, std::string& literal,
                 std::shared_ptr<const SplitRegex>& regex) {
    if (const Json& text = member(pattern, "Regex"); text.is_string())
        regex = naming(source, [&] { return std::make_shared<const SplitRegex>(text.get<std::string>()); });
    else if (const Json& plain = member(pattern, "String"); plain.is_string())
        literal = plain.get<std::string>();
    else
        return false;
    return true;
}

std::string fromBase64(const std::string& text, const std::string& source) {
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        if (c == '=' || c == '\n') continue;
        const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                          : c >= 'a' && c <= 'z' ? c - 'a' + 26
                          : c >= '0' && c <= '9' ? c - '0' + 52
                          : c == '+'             ? 62
                          : c == '/'             ? 63
                                                 : -1;
        if (value < 0) invalid(source, "precompiled_charsmap is no base64 text");
        bits = (bits << 6) | static_cast<std::uint32_t>(value);
        if ((count += 6) >= 8) bytes.push_back(static_cast<char>((bits >> (count -= 8)) & 0xFF));
    }
    return bytes;
}

/// The one character that stands for a space.
std::string markOf(const Json& metaspace, const std::string& source) {
    const std::string mark = textOf(metaspace, "replacement");
    if (mark.empty()) return "\u2581";
    if (utf8SequenceLength(mark) != mark.size())
        invalid(source, "Metaspace: the replacement '" + escapeForDisplay(mark, 40) + "' is no single character");
    return mark;
}

std::uint32_t countOf(const Json& object, const char* key, const std::string& source) {
    const Json& value = member(object, key);
    if (value.is_null()) return 0;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 1'000'000)
        invalid(source, fmt::format("decoder.{} is no number from 0 to 1,000,000", key));
    return value.get<std::uint32_t>();
}

} // namespace

Normalizer readNormalizer(const Json& json, const std::string& source) {
    using Kind = Normalizer::Kind;
    std::vector<Normalizer::Step> steps;
    eachStep(json, "normalizers", source, [&](const Json& part) {
        const std::string type = typeOf(part);
        struct Plain {
            const char* type;
            Kind kind;
        };
        for (const Plain& plain :
             {Plain{"NFC", Kind::nfc}, Plain{"NFD", Kind::nfd}, Plain{"NFKC", Kind::nfkc}, Plain{"NFKD", Kind::nfkd},
              Plain{"Lowercase", Kind::lowerCase}, Plain{"StripAccents", Kind::stripAccents}, Plain{"Nmt", Kind::nmt}})
            if (type == plain.type) return steps.push_back({.kind = plain.kind});
        if (type == "Strip")
            return steps.push_back({.kind = Kind::strip,
                                    .left = flag(part, "strip_left", true),
                                    .right = flag(part, "strip_right", true)});
        if (type == "Prepend") return steps.push_back({.kind = Kind::prepend, .content = textOf(part, "prepend")});
        if (type == "Replace") {
            Normalizer::Step step{.kind = Kind::replace, .content = textOf(part, "content")};
            if (!readPattern(member(part, "pattern"), source, step.pattern, step.regex))
                invalid(source, "a Replace normalizer has no pattern");
            return steps.push_back(std::move(step));
        }
        if (type == "Precompiled") {
            const std::string map = fromBase64(textOf(part, "precompiled_charsmap"), source);
            if (map.empty()) return;
            return steps.push_back({.kind = Kind::charsmap,
                                    .charsmap = naming(source, [&] { return std::make_shared<const Charsmap>(map); })});
        }
        unsupported(source, "normalizer '" + escapeForDisplay(type, 60) + "'");
    });
    return Normalizer(std::move(steps));
}

namespace {

using Stage = PreTokenizer::Stage;
using Scanner = PreTokenizer::Scanner;
using Behavior = PreTokenizer::Behavior;

Behavior behaviorOf(const Json& part, const std::string& source) {
    const std::string name = textOf(part, "behavior");
    struct Named {
        const char* name;
        Behavior behavior;
    };
    for (const Named& known :
         {Named{"Isolated", Behavior::isolated}, Named{"Removed", Behavior::removed},
          Named{"MergedWithPrevious", Behavior::mergedWithPrevious}, Named{"MergedWithNext", Behavior::mergedWithNext},
          Named{"Contiguous", Behavior::contiguous}})
        if (name == known.name) return known.behavior;
    unsupported(source, typeOf(part) + " behavior '" + escapeForDisplay(name, 60) + "'");
}

/// A pattern that matches exactly `literal`.
std::string literalPattern(const std::string& literal) {
    std::string pattern;
    for (const char c : literal) {
        const auto byte = static_cast<unsigned char>(c);
        const bool wordOrPartOfCharacter = byte >= 0x80 || (byte >= '0' && byte <= '9') ||
                                           (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        if (!wordOrPartOfCharacter) pattern += '\\';
        pattern += c;
    }
    return pattern;
}

Stage splitStage(const Json& part, const std::string& source) {
    const Json& pattern = member(part, "pattern");
    const Json& regex = member(pattern, "Regex");
    const Json& literal = member(pattern, "String");
    if (!regex.is_string() && !literal.is_string()) invalid(source, "a Split pre-tokenizer has no pattern");
    Stage stage = naming(source, [&] {
        if (regex.is_string()) return PreTokenizer::stageForPattern(regex.get<std::string>());
        return PreTokenizer::stageForPattern(literalPattern(literal.get<std::string>()));
    });
    stage.behavior = behaviorOf(part, source);
    stage.invert = flag(part, "invert", false);
    return stage;
}

void addMetaspace(const Json& part, const std::string& source, std::vector<Stage>& stages) {
    const std::string scheme = textOf(part, "prepend_scheme");
    Stage stage{.scanner = Scanner::metaspace};
    if (scheme.empty())
        stage.prefix =
            flag(part, "add_prefix_space", true) ? PreTokenizer::Prefix::always : PreTokenizer::Prefix::never;
    else if (scheme == "always" || scheme == "first" || scheme == "never")
        stage.prefix = scheme == "always"  ? PreTokenizer::Prefix::always
                       : scheme == "first" ? PreTokenizer::Prefix::first
                                           : PreTokenizer::Prefix::never;
    else
        unsupported(source, "Metaspace prepend_scheme '" + escapeForDisplay(scheme, 60) + "'");
    stage.replacement = markOf(part, source);
    stages.push_back(stage);
    if (!flag(part, "split", true)) return;
    stages.push_back(PreTokenizer::stageForPattern(literalPattern(stage.replacement)));
    stages.back().behavior = Behavior::mergedWithNext;
}

/// \w+|[^\w\s]+ with Unicode's \w: alphabetic, marks, decimal digits, connectors, joiners.
constexpr const char* kWordsAndSigns =
    R"([\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}]+|[^\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}\s]+)";

/// Adds one pre-tokenizer's stages. @returns its name for people, which may be empty.
std::string addStages(const Json& part, const std::string& source, std::vector<Stage>& stages, bool& byteLevel) {
    const std::string type = typeOf(part);
    // After ByteLevel the text is in symbols, which other pre-tokenizers would have to see.
    if (byteLevel) unsupported(source, "pre_tokenizer '" + escapeForDisplay(type, 60) + "' after ByteLevel");
    if (type == "ByteLevel") {
        byteLevel = true;
        if (flag(part, "add_prefix_space", true)) stages.push_back({.scanner = Scanner::prefixSpace});
        if (!flag(part, "use_regex", true)) return "";
        stages.push_back({.scanner = Scanner::gpt2});
        return "gpt2";
    }
    if (type == "Digits") {
        stages.push_back({.scanner = flag(part, "individual_digits", false) ? Scanner::digit : Scanner::digits});
        return "digits";
    }
    if (type == "Split") {
        stages.push_back(splitStage(part, source));
        const Scanner scanner = stages.back().scanner;
        return scanner == Scanner::gpt2        ? "gpt2"
               : scanner == Scanner::llama3    ? "llama3"
               : scanner == Scanner::qwen2     ? "qwen2"
               : scanner == Scanner::deepseek3 ? "deepseek-v3"
               : scanner == Scanner::regex     ? "regex"
                                               : "";
    }
    if (type == "Metaspace") {
        addMetaspace(part, source, stages);
        return "metaspace";
    }
    if (type == "WhitespaceSplit") {
        stages.push_back({.scanner = Scanner::whiteSpace, .behavior = Behavior::removed});
        return "words";
    }
    if (type == "Whitespace") {
        stages.push_back(PreTokenizer::stageForPattern(kWordsAndSigns));
        stages.back().behavior = Behavior::removed;
        stages.back().invert = true;
        return "words";
    }
    if (type == "Punctuation") {
        stages.push_back({.scanner = Scanner::punctuation, .behavior = behaviorOf(part, source)});
        return "punctuation";
    }
    if (type == "CharDelimiterSplit") {
        stages.push_back(PreTokenizer::stageForPattern(literalPattern(textOf(part, "delimiter"))));
        stages.back().behavior = Behavior::removed;
        return "delimiter";
    }
    unsupported(source, "pre_tokenizer '" + escapeForDisplay(type, 60) + "'");
}

} // namespace

PreTokenizer readPreTokenizer(const Json& json, const std::string& source, bool& byteLevel) {
    byteLevel = false;
    std::vector<Stage> stages;
    std::string name;
    eachStep(json, "pretokenizers", source, [&](const Json& part) {
        const std::string added = addStages(part, source, stages, byteLevel);
        if (!added.empty()) name += (name.empty() ? "" : "+") + added;
    });
    return PreTokenizer(name, std::move(stages));
}

Decoder readDecoder(const Json& json, const std::string& source, bool byteLevel) {
    using Kind = Decoder::Kind;
    std::vector<Decoder::Step> steps;
    if (json.is_null()) {
        if (byteLevel) return Decoder({{.kind = Kind::byteLevel}});
        return Decoder({{.kind = Kind::replace, .pattern = "\u2581", .content = " "}, {.kind = Kind::byteFallback}});
    }
    eachStep(json, "decoders", source, [&](const Json& part) {
        const std::string type = typeOf(part);
        if (type == "ByteLevel") return steps.push_back({.kind = Kind::byteLevel});
        if (type == "ByteFallback") return steps.push_back({.kind = Kind::byteFallback});
        if (type == "Fuse") return steps.push_back({.kind = Kind::fuse});
        if (type == "Strip")
            return steps.push_back({.kind = Kind::strip,
                                    .content = textOf(part, "content"),
                                    .start = countOf(part, "start", source),
                                    .stop = countOf(part, "stop", source)});
        if (type == "Metaspace") {
            const std::string scheme = textOf(part, "prepend_scheme");
            const bool never = scheme.empty() ? !flag(part, "add_prefix_space", true) : scheme == "never";
            return steps.push_back({.kind = Kind::metaspace, .pattern = markOf(part, source), .keepFirst = never});
        }
        if (type == "Replace") {
            Decoder::Step step{.kind = Kind::replace, .content = textOf(part, "content")};
            if (!readPattern(member(part, "pattern"), source, step.pattern, step.regex))
                invalid(source, "a Replace decoder has no pattern");
            return steps.push_back(std::move(step));
        }
        unsupported(source, "decoder '" + escapeForDisplay(type, 60) + "'");
    });
    return Decoder(std::move(steps));
}

} // namespace bw::tokenizer_json
