// SPDX-License-Identifier: GPL-3.0-or-later
// Reads tokenizer.json (Hugging Face `tokenizers`). Every part that would change ids and is not implemented is refused
// by name; what has no effect on ids (truncation, padding, offsets) is passed over. Its steps: json_steps.cpp.
#include "core/tokenizer/parts.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/byte_level.h"
#include "core/tokenizer/json_reading.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace bw {
namespace {

using namespace tokenizer_json;

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

    TokenizerParts read() {
        if (!json_.is_object()) invalid(parts_.source, "the top level is no object");
        readModel();
        readAddedTokens();
        parts_.normalizer = readNormalizer(member(json_, "normalizer"), parts_.source);
        bool byteLevel = false;
        parts_.preTokenizer = readPreTokenizer(member(json_, "pre_tokenizer"), parts_.source, byteLevel);
        settleKind(byteLevel);
        parts_.decoder = readDecoder(member(json_, "decoder"), parts_.source, byteLevel);
        readTemplate();
        readConfig();
        return std::move(parts_);
    }

private:
    void readModel() {
        const Json& model = member(json_, "model");
        if (!model.is_object()) invalid(parts_.source, "'model' is missing");
        const std::string type = typeOf(model);
        // Files from before the field existed are told by their vocabulary.
        if (type == "BPE" || (type.empty() && member(model, "merges").is_array()))
            readBpe(model);
        else if (type == "Unigram" || (type.empty() && member(model, "vocab").is_array()))
            readUnigram(model);
        else
            unsupported(parts_.source, "model type '" + escapeForDisplay(type, 60) + "'");
    }

    void readBpe(const Json& model) {
        for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
            const Json& affix = member(model, key);
            if (affix.is_string() && !affix.get_ref<const std::string&>().empty())
                unsupported(parts_.source, fmt::format("model.{}", key));
        }
        if (const Json& dropout = member(model, "dropout"); dropout.is_number() && dropout.get<double>() > 0)
            unsupported(parts_.source, "model.dropout");
        parts_.kind = ModelKind::characterBpe;
        parts_.byteFallback = flag(model, "byte_fallback", false);
        parts_.ignoreMerges = flag(model, "ignore_merges", false);
        parts_.fuseUnknown = flag(model, "fuse_unk", false);
        parts_.unknown = textOf(model, "unk_token");
        const Json& vocabulary = member(model, "vocab");
        if (!vocabulary.is_object()) invalid(parts_.source, "model.vocab is no object");
        parts_.vocabulary.reserve(vocabulary.size());
        for (const auto& [token, id] : vocabulary.items())
            parts_.vocabulary.emplace_back(token,
                                           idFrom(id, parts_.source, "token '" + escapeForDisplay(token, 60) + "'"));
        readMerges(member(model, "merges"));
    }

    void readUnigram(const Json& model) {
        parts_.kind = ModelKind::unigram;
        parts_.fuseUnknown = true;
        parts_.byteFallback = flag(model, "byte_fallback", false);
        const Json& vocabulary = member(model, "vocab");
        if (!vocabulary.is_array()) invalid(parts_.source, "model.vocab is no array");
        if (vocabulary.size() > static_cast<std::size_t>(kMaxTokenId) + 1)
            invalid(parts_.source,
                    fmt::format("{} tokens; at most {} are allowed", vocabulary.size(), kMaxTokenId + 1));
        for (const Json& entry : vocabulary) {
            const auto id = static_cast<TokenId>(parts_.vocabulary.size());
            if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
                invalid(parts_.source, fmt::format("model.vocab: entry {} is no pair of text and score", id));
            parts_.vocabulary.emplace_back(entry[0].get<std::string>(), id);
            parts_.scores.push_back(entry[1].get<double>());
            parts_.lowestScore = id == 0 ? parts_.scores[0] : std::min(parts_.lowestScore, parts_.scores.back());
        }
        const Json& unknown = member(model, "unk_id");
        if (unknown.is_null()) return;
        const TokenId id = idFrom(unknown, parts_.source, "the unknown token");
        if (static_cast<std::size_t>(id) >= parts_.vocabulary.size())
            invalid(parts_.source,
                    fmt::format("model.unk_id is {}, but there are {} tokens", id, parts_.vocabulary.size()));
        parts_.unknown = parts_.vocabulary[static_cast<std::size_t>(id)].first;
    }

    /// What a BPE vocabulary consists of is said by the pre-tokenizer alone.
    void settleKind(bool byteLevel) {
        if (!byteLevel) return;
        if (parts_.kind == ModelKind::unigram) unsupported(parts_.source, "a unigram model of bytes");
        parts_.kind = ModelKind::byteLevelBpe;
        if (!parts_.byteFallback) return;
        // A symbol without token would become the tokens of its own two bytes. With all symbols there it never happens.
        std::set<std::string_view> texts;
        for (const auto& [text, id] : parts_.vocabulary) texts.insert(text);
        for (unsigned byte = 0; byte < 256; ++byte)
            if (!texts.contains(byteSymbol(static_cast<unsigned char>(byte))))
                unsupported(parts_.source, "model.byte_fallback over an incomplete byte alphabet");
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
        if (type == "BertProcessing" || type == "RobertaProcessing") {
            hasTemplate_ = true;
            const auto idOf = [&](const char* key) {
                const Json& pair = member(part, key);
                if (!pair.is_array() || pair.size() != 2)
                    invalid(parts_.source, fmt::format("post_processor.{} is no pair of text and id", key));
                return idFrom(pair[1], parts_.source, fmt::format("post_processor.{}", key));
            };
            parts_.prefix.push_back(idOf("cls"));
            parts_.suffix.insert(parts_.suffix.begin(), idOf("sep"));
            return;
        }
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
    TokenizerParts parts_;
    bool hasTemplate_ = false;
};

} // namespace

TokenizerParts partsFromJson(const Json& json, const Json& config, const std::string& source) {
    return JsonReader(json, config, source).read();
}

} // namespace bw
