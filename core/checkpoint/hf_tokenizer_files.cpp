// SPDX-License-Identifier: GPL-3.0-or-later
// The rules of a pre-tokenizer are compared as data with the few that llama.cpp has a name for.
#include "core/checkpoint/hf_tokenizer_files.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/base/text.h"
#include "core/checkpoint/folder_files.h"

#include <algorithm>
#include <filesystem>
#include <unordered_map>
#include <vector>

namespace bw {
namespace {

namespace fs = std::filesystem;

/// Splitting regex → name. Source: the tokenizer.json of the models after which llama.cpp named the rules.
struct NamedRegex {
    const char* regex;
    const char* name;
    bool nfc;           ///< the model's tokenizer composes characters first, which llama.cpp leaves out
    bool ignoresMerges; ///< a piece that is a token as a whole is taken as such
};
constexpr NamedRegex kSplitRegexes[] = {
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", "llama-bpe", false, true},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", "smaug-bpe", false, false},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", "qwen2", true, false},
};

[[noreturn]] void unsupported(const std::string& folder, const std::string& what) {
    throw Error(ErrorCode::unsupportedTokenizer, escapeForDisplay(folder) + "/tokenizer.json: " + what + " has no counterpart in GGUF that is written here",
                "Write a safetensors folder instead, or convert it with llama.cpp's own converter.");
}

[[noreturn]] void invalid(const std::string& folder, const std::string& what) {
    throw Error(ErrorCode::invalidTokenizer, escapeForDisplay(folder) + "/tokenizer.json: " + what, "The tokenizer file is damaged; fetch it again.");
}

const Json& member(const Json& object, const char* key) {
    static const Json kNull;
    return object.is_object() && object.contains(key) ? object.at(key) : kNull;
}

std::string textOf(const Json& object, const char* key) {
    const Json& value = member(object, key);
    return value.is_string() ? value.get<std::string>() : std::string();
}

bool flagOf(const Json& object, const char* key, bool fallback) {
    const Json& value = member(object, key);
    return value.is_boolean() ? value.get<bool>() : fallback;
}

/// Whole text of a file of the folder; empty when it is not there.
std::string optionalText(const std::string& folder, const char* name) {
    std::error_code ignored;
    if (!fs::exists(fs::path(folder) / name, ignored)) return {};
    return readTextFile(resolveInside(folder, name), 256ull << 20);
}

constexpr const char* kMetaSpace = "\xe2\x96\x81"; // U+2581, SentencePiece's visible space

bool replacesSpaces(const Json& step) {
    return textOf(step, "type") == "Replace" && textOf(member(step, "pattern"), "String") == " " && textOf(step, "content") == kMetaSpace;
}

bool prependsSpace(const Json& step) { return textOf(step, "type") == "Prepend" && textOf(step, "prepend") == kMetaSpace; }

std::ptrdiff_t countCodePoints(const std::string& text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

/// "<0x0A>"
bool isByteToken(const std::string& text) { return text.size() == 6 && text.starts_with("<0x") && text.back() == '>'; }

bool isByteLevel(const Json& step, bool usesRegex) {
    return textOf(step, "type") == "ByteLevel" && flagOf(step, "use_regex", true) == usesRegex && !flagOf(step, "add_prefix_space", true);
}

/// DeepSeek cuts with one Split after the other. The long list of letters is known by its beginning. llama.cpp keeps runs
/// of digits together for "deepseek-llm"; its vocabulary has no token of two.
struct NamedSplits {
    const char* name;
    std::vector<std::string> regexes;
    bool digits; ///< digits are cut apart after that
};

/// Some files hold line ends themselves where others spell them.
std::string withSpelledLineEnds(const std::string& regex) {
    std::string spelled;
    for (const char c : regex) {
        if (c == '\r' || c == '\n')
            spelled += c == '\r' ? "\\r" : "\\n";
        else
            spelled += c;
    }
    return spelled;
}

std::string nameOfSplits(const Json& steps) {
    static const std::string kCjk = "[一-龥\u0800-一가-\uD7FF]+";
    static const std::vector<NamedSplits> kNamed{
        {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjk}, true},
        {"deepseek-llm", {R"([\r\n])", R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿ)", "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", R"(\s+$)", kCjk}, true},
        {"deepseek-v3",
         {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+",
          R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
         false}};
    if (!steps.is_array() || steps.empty() || !isByteLevel(steps.back(), false)) return {};
    for (const NamedSplits& named : kNamed) {
        const std::size_t splits = named.regexes.size();
        if (steps.size() != splits + (named.digits ? 2 : 1)) continue;
        bool same = !named.digits || (textOf(steps[splits], "type") == "Digits" && flagOf(steps[splits], "individual_digits", false));
        for (std::size_t i = 0; i < splits; ++i)
            same = same && textOf(steps[i], "type") == "Split" && textOf(steps[i], "behavior") == "Isolated" && !flagOf(steps[i], "invert", false) &&
                   withSpelledLineEnds(textOf(member(steps[i], "pattern"), "Regex")).starts_with(named.regexes[i]);
        if (same) return named.name;
    }
    return {};
}

} // namespace

HfTokenizerFiles::HfTokenizerFiles(const std::string& folder) : folder_(folder) {
    const std::string text = optionalText(folder, "tokenizer.json");
    if (text.empty())
        throw Error(ErrorCode::fileNotFound, escapeForDisplay(folder) + " holds no tokenizer.json, which a GGUF file needs", "Copy the model's tokenizer.json into the folder.");
    tokenizer_ = parseJson(text, escapeForDisplay(folder) + "/tokenizer.json");
    if (const std::string config = optionalText(folder, "tokenizer_config.json"); !config.empty())
        config_ = parseJson(config, escapeForDisplay(folder) + "/tokenizer_config.json");
    jinja_ = optionalText(folder, "chat_template.jinja");
    const Json& model = member(tokenizer_, "model");
    if (textOf(model, "type") != "BPE") unsupported(folder_, "the tokenizer model '" + escapeForDisplay(textOf(model, "type"), 40) + "'");
    if (!member(model, "vocab").is_object() || !member(model, "merges").is_array()) invalid(folder_, "vocab or merges are missing");
}

std::string HfTokenizerFiles::modelName() const { return flagOf(member(tokenizer_, "model"), "byte_fallback", false) ? "llama" : "gpt2"; }

bool HfTokenizerFiles::addsSpacePrefix() const {
    const Json& normalizer = member(tokenizer_, "normalizer");
    const Json& steps = member(normalizer, "normalizers");
    if (steps.is_array() && !steps.empty() && prependsSpace(steps[0])) return true;
    const Json& pre = member(tokenizer_, "pre_tokenizer");
    return textOf(pre, "type") == "Metaspace" && textOf(pre, "prepend_scheme") != "never";
}

std::vector<double> HfTokenizerFiles::scores(const std::vector<Token>& tokens) const {
    std::unordered_map<std::string_view, std::size_t> idOf;
    for (std::size_t i = 0; i < tokens.size(); ++i) idOf.emplace(tokens[i].text, i);
    const auto isPiece = [&](std::string_view text) {
        const auto id = idOf.find(text);
        return id != idOf.end() && tokens[id->second].type == TokenType::normal;
    };
    std::vector<double> scores(tokens.size(), 0.0);
    std::vector<std::size_t> ways(tokens.size(), 0);
    std::size_t last = tokens.size();
    double rank = 0;
    for (const std::string& merge : merges()) {
        const auto space = merge.find(' ');
        const std::string text = merge.substr(0, space) + merge.substr(space + 1);
        const auto id = idOf.find(text);
        if (id == idOf.end()) invalid(folder_, "the merge '" + escapeForDisplay(merge, 80) + "' makes no token");
        // Added tokens are found in the text before any merging, and so are never made.
        if (tokens[id->second].type != TokenType::normal) continue;
        if (id->second != last && ways[id->second] > 0) unsupported(folder_, "the order of the merges that make '" + escapeForDisplay(text, 60) + "'");
        if (id->second != last) scores[id->second] = rank--;
        last = id->second;
        ++ways[last];
    }
    // Readers of scores join any two pieces whose union is a piece: the merges must allow all of these.
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::string_view text = tokens[i].text;
        if (tokens[i].type != TokenType::normal) continue;
        std::size_t splits = 0;
        for (std::size_t at = 1; at < text.size(); ++at) splits += isPiece(text.substr(0, at)) && isPiece(text.substr(at)) ? 1u : 0u;
        if (splits > ways[i] || (ways[i] == 0 && countCodePoints(tokens[i].text) > 1))
            unsupported(folder_, "the piece '" + escapeForDisplay(text, 60) + "', which " + std::to_string(ways[i]) + " merges make where " + std::to_string(splits) + " pairs of pieces would,");
    }
    return scores;
}

std::vector<HfTokenizerFiles::Token> HfTokenizerFiles::tokens(std::int64_t count) const {
    std::vector<Token> list(static_cast<std::size_t>(std::max<std::int64_t>(0, count)));
    for (std::size_t i = 0; i < list.size(); ++i) list[i].text = "[PAD" + std::to_string(i) + "]";
    const auto place = [&](const Json& id, const std::string& text, TokenType type) {
        if (!id.is_number_unsigned()) invalid(folder_, "the token '" + escapeForDisplay(text, 60) + "' has no id");
        const auto index = id.get<std::uint64_t>();
        if (index >= list.size())
            throw Error(ErrorCode::vocabularyMismatch, escapeForDisplay(folder_) + "/tokenizer.json: the token '" + escapeForDisplay(text, 60) + "' has the id " + std::to_string(index) +
                            ", but the embedding has " + std::to_string(count) + " rows", "The tokenizer belongs to another model.");
        list[index] = {text, type};
    };
    const Json& model = member(tokenizer_, "model");
    const bool pieces = modelName() == "llama";
    const std::string unknown = textOf(model, "unk_token");
    for (const auto& [text, id] : member(model, "vocab").items()) place(id, text, pieces && isByteToken(text) ? TokenType::byte : TokenType::normal);
    const Json& added = member(tokenizer_, "added_tokens");
    if (added.is_array())
        for (const Json& token : added) place(member(token, "id"), textOf(token, "content"), flagOf(token, "special", false) ? TokenType::control : TokenType::userDefined);
    if (pieces)
        for (Token& token : list)
            if (token.text == unknown && !unknown.empty()) token.type = TokenType::unknown;
    return list;
}

std::vector<std::string> HfTokenizerFiles::merges() const {
    std::vector<std::string> list;
    const auto protectSpaces = [](std::string text) {
        for (auto at = text.find(' '); at != std::string::npos; at = text.find(' ', at)) text.replace(at, 1, "\xc4\xa0");
        return text;
    };
    for (const Json& merge : member(member(tokenizer_, "model"), "merges")) {
        if (merge.is_string())
            list.push_back(merge.get<std::string>());
        else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
            list.push_back(protectSpaces(merge[0].get<std::string>()) + " " + protectSpaces(merge[1].get<std::string>()));
        else
            invalid(folder_, "merge " + std::to_string(list.size()) + " is no pair of symbols");
    }
    return list;
}

std::string HfTokenizerFiles::preTokenizerName() const {
    const Json& normalizer = member(tokenizer_, "normalizer");
    const Json& pre = member(tokenizer_, "pre_tokenizer");
    if (modelName() == "llama") {
        const Json& steps = member(normalizer, "normalizers");
        const bool sequence = textOf(normalizer, "type") == "Sequence" && steps.is_array() && steps.size() == 2 && prependsSpace(steps[0]) && replacesSpaces(steps[1]);
        // Gemma's Split at spaces finds none: they were replaced before.
        const bool plain = pre.is_null() || (textOf(pre, "type") == "Split" && textOf(member(pre, "pattern"), "String") == " ");
        if ((plain && (sequence || replacesSpaces(normalizer))) || (normalizer.is_null() && textOf(pre, "type") == "Metaspace" && !flagOf(pre, "split", true))) return "default";
        unsupported(folder_, "SentencePiece BPE with the normalizer " + escapeForDisplay(normalizer.dump(), 160));
    }
    const bool nfc = textOf(normalizer, "type") == "NFC";
    const Json& parts = member(normalizer, "normalizers");
    const bool plain = normalizer.is_null() || (textOf(normalizer, "type") == "Sequence" && parts.is_array() && parts.empty());
    if (!plain && !nfc) unsupported(folder_, "the normalizer '" + escapeForDisplay(textOf(normalizer, "type"), 40) + "'");
    if (isByteLevel(pre, true)) return nfc ? "olmo" : "gpt-2"; // llama.cpp splits both alike and normalizes neither
    const Json& steps = member(pre, "pretokenizers");
    if (textOf(pre, "type") == "Sequence" && steps.is_array() && steps.size() == 2) {
        if (!nfc && textOf(steps[0], "type") == "Digits" && flagOf(steps[0], "individual_digits", false) && isByteLevel(steps[1], true)) return "smollm";
        if (textOf(steps[0], "type") == "Split" && textOf(steps[0], "behavior") == "Isolated" && !flagOf(steps[0], "invert", false) && isByteLevel(steps[1], false)) {
            const std::string regex = textOf(member(steps[0], "pattern"), "Regex");
            const bool ignoresMerges = flagOf(member(tokenizer_, "model"), "ignore_merges", false);
            for (const auto& known : kSplitRegexes)
                if (regex == known.regex && (!nfc || known.nfc) && ignoresMerges == known.ignoresMerges) return known.name;
        }
    }
    if (const std::string name = nameOfSplits(steps); plain && !name.empty()) return name;
    unsupported(folder_, "the pre-tokenizer " + escapeForDisplay(pre.dump(), 160));
}

std::optional<std::int64_t> HfTokenizerFiles::specialId(const std::string& role) const {
    const Json& token = member(config_, role.c_str());
    const std::string text = token.is_string() ? token.get<std::string>() : textOf(token, "content");
    if (text.empty()) return std::nullopt;
    const Json& added = member(tokenizer_, "added_tokens");
    if (added.is_array())
        for (const Json& entry : added)
            if (textOf(entry, "content") == text && member(entry, "id").is_number_integer()) return entry.at("id").get<std::int64_t>();
    const Json& id = member(member(member(tokenizer_, "model"), "vocab"), text.c_str());
    if (id.is_number_integer()) return id.get<std::int64_t>();
    return std::nullopt;
}

bool HfTokenizerFiles::addsEos() const { return flagOf(config_, "add_eos_token", false); }

std::vector<std::pair<std::string, std::string>> HfTokenizerFiles::chatTemplates() const {
    std::vector<std::pair<std::string, std::string>> templates;
    const Json& value = member(config_, "chat_template");
    if (!jinja_.empty()) {
        templates.emplace_back("tokenizer.chat_template", jinja_);
    } else if (value.is_string()) {
        templates.emplace_back("tokenizer.chat_template", value.get<std::string>());
    } else if (value.is_array()) {
        for (const Json& entry : value) {
            const std::string name = textOf(entry, "name"), body = textOf(entry, "template");
            if (name.empty() || body.empty()) continue;
            templates.emplace_back(name == "default" ? "tokenizer.chat_template" : "tokenizer.chat_template." + name, body);
        }
    }
    return templates;
}

} // namespace bw
