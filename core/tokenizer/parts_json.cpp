// SPDX-License-Identifier: GPL-3.0-or-later
// Reads tokenizer.json (Hugging Face `tokenizers`). Every part that would change ids and is not implemented is refused
// by name; what has no effect on ids (truncation, padding, offsets) is passed over.
#include "core/tokenizer/parts.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

[[noreturn]] void unsupported(const std::string& source, const std::string& part) {
    throw Error(ErrorCode::unsupportedTokenizer, fmt::format("{}: {} is not implemented", source, part),
                "byte-level BPE tokenizers (GPT-2, SmolLM2, Llama 3, Qwen 2 style) are read");
}

[[noreturn]] void invalid(const std::string& source, const std::string& what) {
    throw Error(ErrorCode::invalidTokenizer, fmt::format("{}: {}", source, what),
                "the file may be damaged; take it from the model's origin again");
}

/// The member, or null when it is absent.
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

std::string typeOf(const Json& part) {
    const Json& type = member(part, "type");
    return type.is_string() ? type.get<std::string>() : std::string();
}

TokenId idFrom(const Json& value, const std::string& source, const std::string& what) {
    const bool fits = value.is_number_integer() &&
                      (!value.is_number_unsigned() || value.get<std::uint64_t>() <= kMaxTokenId) &&
                      value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() <= kMaxTokenId;
    if (!fits)
        invalid(source, fmt::format("{} has id {}; ids are 0 to {}", what,
                                    escapeForDisplay(value.dump(-1, ' ', true, Json::error_handler_t::replace), 40),
                                    kMaxTokenId));
    return static_cast<TokenId>(value.get<std::int64_t>());
}

class JsonReader {
public:
    JsonReader(const Json& json, const Json& config, const std::string& source) : json_(json), config_(config) {
        parts_.source = source;
    }

    BpeParts read() {
        if (!json_.is_object()) invalid(parts_.source, "the top level is no object");
        readModel();
        readAddedTokens();
        refuseNormalizer(member(json_, "normalizer"));
        readPreTokenizers();
        checkDecoder();
        readTemplate();
        readConfig();
        return std::move(parts_);
    }

private:
    void readModel() {
        const Json& model = member(json_, "model");
        if (!model.is_object()) invalid(parts_.source, "'model' is missing");
        const std::string type = typeOf(model);
        const bool looksLikeBpe = type.empty() && member(model, "merges").is_array(); // files before the field existed
        if (type != "BPE" && !looksLikeBpe) unsupported(parts_.source, "model type '" + escapeForDisplay(type) + "'");
        for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
            const Json& affix = member(model, key);
            if (affix.is_string() && !affix.get_ref<const std::string&>().empty())
                unsupported(parts_.source, fmt::format("model.{}", key));
        }
        if (const Json& dropout = member(model, "dropout"); dropout.is_number() && dropout.get<double>() > 0)
            unsupported(parts_.source, "model.dropout");
        if (flag(model, "byte_fallback", false)) unsupported(parts_.source, "model.byte_fallback");
        parts_.ignoreMerges = flag(model, "ignore_merges", false);
        parts_.fuseUnknown = flag(model, "fuse_unk", false);
        if (const Json& unknown = member(model, "unk_token"); unknown.is_string())
            parts_.unknown = unknown.get<std::string>();
        const Json& vocabulary = member(model, "vocab");
        if (!vocabulary.is_object()) invalid(parts_.source, "model.vocab is no object");
        parts_.vocabulary.reserve(vocabulary.size());
        for (const auto& [token, id] : vocabulary.items())
            parts_.vocabulary.emplace_back(token,
                                           idFrom(id, parts_.source, "token '" + escapeForDisplay(token, 60) + "'"));
        readMerges(member(model, "merges"));
    }

    void readMerges(const Json& merges) {
        if (!merges.is_array()) invalid(parts_.source, "model.merges is no array");
        if (merges.size() > kMaxMerges)
            invalid(parts_.source, fmt::format("{} merges; at most {} are allowed", merges.size(), kMaxMerges));
        parts_.merges.reserve(merges.size());
        for (const Json& merge : merges) {
            if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
                parts_.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
                continue;
            }
            const std::string text = merge.is_string() ? merge.get<std::string>() : std::string();
            const std::size_t space = text.find(' ');
            if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
                invalid(parts_.source, fmt::format("merge {} is no pair of tokens", parts_.merges.size()));
            parts_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
        }
    }

    void readAddedTokens() {
        const Json& added = member(json_, "added_tokens");
        if (added.is_null()) return;
        if (!added.is_array()) invalid(parts_.source, "'added_tokens' is no array");
        for (const Json& entry : added) {
            const Json& content = member(entry, "content");
            if (!content.is_string()) invalid(parts_.source, "an added token has no 'content'");
            AddedToken token;
            token.content = content.get<std::string>();
            token.id =
                idFrom(member(entry, "id"), parts_.source, "added token '" + escapeForDisplay(token.content, 60) + "'");
            token.special = flag(entry, "special", false);
            token.singleWord = flag(entry, "single_word", false);
            token.stripLeft = flag(entry, "lstrip", false);
            token.stripRight = flag(entry, "rstrip", false);
            token.normalized = flag(entry, "normalized", !token.special);
            parts_.added.push_back(std::move(token));
        }
    }

    void refuseNormalizer(const Json& normalizer) {
        if (normalizer.is_null()) return;
        const Json& inner = member(normalizer, "normalizers");
        if (typeOf(normalizer) == "Sequence" && inner.is_array() && inner.empty()) return;
        unsupported(parts_.source, "normalizer '" + escapeForDisplay(typeOf(normalizer)) + "'");
    }

    void readPreTokenizers() {
        const Json& top = member(json_, "pre_tokenizer");
        if (top.is_null()) unsupported(parts_.source, "a BPE model without a ByteLevel pre-tokenizer");
        std::vector<std::string> names;
        if (typeOf(top) == "Sequence") {
            const Json& list = member(top, "pretokenizers");
            if (!list.is_array()) invalid(parts_.source, "pre_tokenizer.pretokenizers is no array");
            for (const Json& part : list) names.push_back(readPreTokenizer(part));
        } else {
            names.push_back(readPreTokenizer(top));
        }
        if (!byteLevel_) unsupported(parts_.source, "a BPE model without a ByteLevel pre-tokenizer");
        std::string name;
        for (const std::string& part : names)
            if (!part.empty()) name += (name.empty() ? "" : "+") + part;
        parts_.preTokenizer = PreTokenizer(name, std::move(stages_));
    }

    /// Adds one pre-tokenizer's stages. @returns its name for people.
    std::string readPreTokenizer(const Json& part) {
        using Scanner = PreTokenizer::Scanner;
        const std::string type = typeOf(part);
        // After ByteLevel the text is in symbols, which other pre-tokenizers would have to see.
        if (byteLevel_) unsupported(parts_.source, "pre_tokenizer '" + escapeForDisplay(type) + "' after ByteLevel");
        if (type == "ByteLevel") {
            byteLevel_ = true;
            if (flag(part, "add_prefix_space", true)) stages_.push_back({Scanner::prefixSpace, nullptr});
            if (!flag(part, "use_regex", true)) return "";
            stages_.push_back({Scanner::gpt2, nullptr});
            return "gpt2";
        }
        if (type == "Digits") {
            const bool single = flag(part, "individual_digits", false);
            stages_.push_back({single ? Scanner::digit : Scanner::digits, nullptr});
            return "digits";
        }
        if (type == "Split") {
            stages_.push_back(splitStage(part));
            const Scanner scanner = stages_.back().scanner;
            return scanner == Scanner::gpt2     ? "gpt2"
                   : scanner == Scanner::llama3 ? "llama3"
                   : scanner == Scanner::qwen2  ? "qwen2"
                                                : "regex";
        }
        unsupported(parts_.source, "pre_tokenizer '" + escapeForDisplay(type) + "'");
    }

    PreTokenizer::Stage splitStage(const Json& part) {
        const Json& pattern = member(part, "pattern");
        const Json& regex = member(pattern, "Regex");
        const Json& literal = member(pattern, "String");
        PreTokenizer::Stage stage;
        try {
            if (regex.is_string())
                stage = PreTokenizer::stageForPattern(regex.get<std::string>());
            else if (literal.is_string())
                stage = PreTokenizer::stageForPattern("(?:" + quoted(literal.get<std::string>()) + ")");
            else
                invalid(parts_.source, "a Split pre-tokenizer has no pattern");
        } catch (Error& e) {
            e.add("file", parts_.source);
            throw;
        }
        const Json& behaviorValue = member(part, "behavior");
        const std::string behavior = behaviorValue.is_string() ? behaviorValue.get<std::string>() : "";
        const bool inverted = flag(part, "invert", false);
        if (behavior == "Removed")
            (inverted ? stage.keepGaps : stage.keepMatches) = false;
        else if (behavior != "Isolated")
            unsupported(parts_.source, "Split behavior '" + escapeForDisplay(behavior) + "'");
        // Known patterns match everything: their scanners have no gaps, and dropping all matches would drop the text.
        if (stage.scanner != PreTokenizer::Scanner::regex && !stage.keepMatches)
            unsupported(parts_.source, "a Split pre-tokenizer that removes all text");
        return stage;
    }

    static std::string quoted(const std::string& literal) {
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

    void checkDecoder() {
        const Json& decoder = member(json_, "decoder");
        if (!decoder.is_null() && typeOf(decoder) != "ByteLevel")
            unsupported(parts_.source, "decoder '" + escapeForDisplay(typeOf(decoder)) + "'");
    }

    void readTemplate() {
        const Json& top = member(json_, "post_processor");
        if (typeOf(top) == "Sequence") {
            for (const Json& part : member(top, "processors")) readPostProcessor(part);
        } else if (!top.is_null()) {
            readPostProcessor(top);
        }
    }

    void readPostProcessor(const Json& part) {
        const std::string type = typeOf(part);
        if (type == "ByteLevel") return; // only moves offsets
        if (type != "TemplateProcessing") unsupported(parts_.source, "post_processor '" + escapeForDisplay(type) + "'");
        hasTemplate_ = true;
        bool afterText = false;
        for (const Json& piece : member(part, "single")) {
            if (piece.is_object() && piece.contains("Sequence")) {
                afterText = true;
                continue;
            }
            const Json& name = member(member(piece, "SpecialToken"), "id");
            if (!name.is_string()) invalid(parts_.source, "post_processor.single holds an unknown piece");
            const Json& ids =
                member(member(member(part, "special_tokens"), name.get_ref<const std::string&>().c_str()), "ids");
            if (!ids.is_array()) invalid(parts_.source, "post_processor names a special token without ids");
            for (const Json& id : ids)
                (afterText ? parts_.suffix : parts_.prefix).push_back(idFrom(id, parts_.source, "a template token"));
        }
    }

    /// The id of tokenizer_config.json's `key`, given as text or as {"content": text}.
    TokenId configuredToken(const char* key) const {
        const Json& value = member(config_, key);
        const Json& text = value.is_object() ? member(value, "content") : value;
        if (!text.is_string()) return -1;
        const auto& content = text.get_ref<const std::string&>();
        for (const AddedToken& token : parts_.added)
            if (token.content == content) return token.id;
        for (const auto& [token, id] : parts_.vocabulary)
            if (token == content) return id;
        return -1;
    }

    void readConfig() {
        parts_.bos = configuredToken("bos_token");
        parts_.eos = configuredToken("eos_token");
        if (hasTemplate_) return;
        if (flag(config_, "add_bos_token", false) && parts_.bos >= 0) parts_.prefix = {parts_.bos};
        if (flag(config_, "add_eos_token", false) && parts_.eos >= 0) parts_.suffix = {parts_.eos};
    }

    const Json& json_;
    const Json& config_;
    BpeParts parts_;
    std::vector<PreTokenizer::Stage> stages_;
    bool byteLevel_ = false;
    bool hasTemplate_ = false;
};

} // namespace

BpeParts partsFromJson(const Json& json, const Json& config, const std::string& source) {
    return JsonReader(json, config, source).read();
}

} // namespace bw
