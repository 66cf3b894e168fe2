// SPDX-License-Identifier: GPL-3.0-or-later
// Reads SentencePiece's own model file, a protocol buffer, with a small reader of the wire format: pieces with scores
// and types, the trainer's ids, the normalizer's rules. Not for: training, tokenizer.json.
#include "core/tokenizer/parts.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/byte_tokens.h"
#include "core/tokenizer/json_reading.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace bw {
namespace {

/// One field of a message. Only varints, 32-bit numbers and bytes are used by SentencePiece.
struct Field {
    std::uint64_t number = 0;
    std::uint64_t value = 0; ///< varint or 32 bits
    std::string_view bytes;
};

/// The fields of one message in order; every length is checked against what is left.
class Wire {
public:
    Wire(std::string_view message, const std::string& source) : left_(message), source_(source) {}

    bool next(Field& field) {
        if (left_.empty()) return false;
        const std::uint64_t tag = varint();
        field = {tag >> 3, 0, {}};
        switch (tag & 7) {
        case 0:
            field.value = varint();
            return true;
        case 1:
            field.bytes = take(8);
            return true;
        case 2:
            field.bytes = take(varint());
            return true;
        case 5: {
            const std::string_view bytes = take(4);
            for (std::size_t i = 0; i < 4; ++i)
                field.value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
            return true;
        }
        default:
            damaged(fmt::format("a field of wire type {}", tag & 7));
        }
    }

private:
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(take(1)[0]);
            value |= std::uint64_t{byte & 0x7Fu} << shift;
            if (byte < 0x80) return value;
        }
        damaged("a number of more than ten bytes");
    }
    std::string_view take(std::uint64_t count) {
        if (count > left_.size()) damaged(fmt::format("a field of {} bytes where {} are left", count, left_.size()));
        const std::string_view taken = left_.substr(0, static_cast<std::size_t>(count));
        left_.remove_prefix(static_cast<std::size_t>(count));
        return taken;
    }
    [[noreturn]] void damaged(const std::string& what) const {
        throw Error(ErrorCode::invalidTokenizer, fmt::format("{}: no SentencePiece model: it holds {}", source_, what),
                    "the file may be damaged; take it from the model's origin again");
    }
    std::string_view left_;
    const std::string& source_;
};

// Values of ModelProto.SentencePiece.type and TrainerSpec.model_type.
constexpr std::uint64_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;
constexpr std::uint64_t kUnigram = 1, kBpe = 2;

class SentencePieceReader {
public:
    SentencePieceReader(const Json& config, const std::string& source) : config_(config) { parts_.source = source; }

    TokenizerParts read(std::string_view model) {
        Field field;
        for (Wire wire(model, parts_.source); wire.next(field);) {
            if (field.number == 1) readPiece(field.bytes);
            if (field.number == 2) readTrainer(field.bytes);
            if (field.number == 3) readNormalizer(field.bytes);
        }
        if (modelType_ != kUnigram && modelType_ != kBpe)
            tokenizer_json::unsupported(parts_.source, fmt::format("SentencePiece model type {}", modelType_));
        parts_.kind = modelType_ == kBpe ? ModelKind::scoredBpe : ModelKind::unigram;
        parts_.singlePrecision = true;
        parts_.fuseUnknown = !parts_.byteFallback;
        settleScores();
        settleText();
        settleSpecial();
        return std::move(parts_);
    }

private:
    void readPiece(std::string_view message) {
        Field field;
        std::string text;
        double score = 0;
        std::uint64_t type = kNormal;
        for (Wire wire(message, parts_.source); wire.next(field);) {
            if (field.number == 1) text = field.bytes;
            if (field.number == 2)
                score = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(field.value)));
            if (field.number == 3) type = field.value;
        }
        const auto id = static_cast<TokenId>(types_.size());
        if (id > kMaxTokenId)
            tokenizer_json::invalid(parts_.source, fmt::format("more than {} pieces", kMaxTokenId + 1));
        if (type < kNormal || type > kByte)
            tokenizer_json::invalid(parts_.source, fmt::format("piece {} has type {}; 1 to 6 are known", id, type));
        if (text.empty() || !isValidUtf8(text))
            tokenizer_json::invalid(
                parts_.source, fmt::format("piece {} ('{}') is empty or no UTF-8", id, escapeForDisplay(text, 60)));
        if (type == kUnknown) parts_.unknown = text;
        if (type == kControl || type == kUnknown || type == kByte || type == kUnused) parts_.notInText.push_back(id);
        types_.push_back(type);
        parts_.vocabulary.emplace_back(std::move(text), id);
        parts_.scores.push_back(score);
    }

    void readTrainer(std::string_view message) {
        Field field;
        for (Wire wire(message, parts_.source); wire.next(field);) {
            if (field.number == 3) modelType_ = field.value;
            if (field.number == 24) rules_.spaceBehind = field.value != 0;
            if (field.number == 35) parts_.byteFallback = field.value != 0;
            if (field.number == 41) parts_.bos = idOf(field.value);
            if (field.number == 42) parts_.eos = idOf(field.value);
        }
    }

    void readNormalizer(std::string_view message) {
        Field field;
        for (Wire wire(message, parts_.source); wire.next(field);) {
            if (field.number == 2 && !field.bytes.empty()) {
                try {
                    rules_.charsmap = std::make_shared<const Charsmap>(field.bytes);
                } catch (Error& e) {
                    e.add("file", parts_.source);
                    throw;
                }
            }
            if (field.number == 3) rules_.addPrefix = field.value != 0;
            if (field.number == 4) rules_.removeExtraSpaces = field.value != 0;
            if (field.number == 5) rules_.escapeSpaces = field.value != 0;
        }
    }

    /// −1 (all bits set) means that there is none.
    static TokenId idOf(std::uint64_t value) {
        return value <= static_cast<std::uint64_t>(kMaxTokenId) ? static_cast<TokenId>(value) : TokenId{-1};
    }

    /// Unknown characters cost more than the worst normal piece; user-defined pieces win over every cut of their text.
    void settleScores() {
        double highest = 0;
        bool any = false;
        for (std::size_t i = 0; i < types_.size(); ++i) {
            if (types_[i] != kNormal) continue;
            parts_.lowestScore = any ? std::min(parts_.lowestScore, parts_.scores[i]) : parts_.scores[i];
            highest = any ? std::max(highest, parts_.scores[i]) : parts_.scores[i];
            any = true;
        }
        for (std::size_t i = 0; i < types_.size(); ++i)
            if (types_[i] == kUserDefined)
                parts_.scores[i] = static_cast<double>(parts_.vocabulary[i].first.size()) * highest - 0.1;
    }

    void settleText() {
        std::vector<AddedToken> userDefined;
        for (std::size_t i = 0; i < types_.size(); ++i) {
            AddedToken token;
            token.content = parts_.vocabulary[i].first;
            token.id = static_cast<TokenId>(i);
            token.special = types_[i] != kUserDefined;
            if (types_[i] == kUserDefined) userDefined.push_back(token);
            if (types_[i] == kControl || types_[i] == kUnknown) parts_.added.push_back(token);
        }
        if (!userDefined.empty()) parts_.frozen = std::make_shared<const AddedTokens>(std::move(userDefined));
        rules_.userDefined = parts_.frozen;
        const bool strip = rules_.addPrefix && !rules_.spaceBehind;
        parts_.normalizer = Normalizer({{.kind = Normalizer::Kind::sentencePiece, .rules = std::move(rules_)}});
        using Kind = Decoder::Kind;
        std::vector<Decoder::Step> steps{{.kind = Kind::replace, .pattern = "\u2581", .content = " "},
                                         {.kind = Kind::byteFallback},
                                         {.kind = Kind::fuse}};
        if (strip) steps.push_back({.kind = Kind::strip, .content = " ", .start = 1});
        parts_.decoder = Decoder(std::move(steps));
    }

    /// Tokens that tokenizer_config.json adds, and who stands around a text: BPE models begin with BOS, unigram models
    /// (T5) end with EOS, unless the configuration says otherwise.
    void settleSpecial() {
        const Json& added = tokenizer_json::member(config_, "added_tokens_decoder");
        if (added.is_object())
            for (const auto& [key, entry] : added.items()) {
                const bool digits = !key.empty() && key.size() < 8 &&
                                    std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
                if (!digits)
                    tokenizer_json::invalid(parts_.source, "tokenizer_config.json: added_tokens_decoder has the id '" +
                                                               escapeForDisplay(key, 40) + "'");
                const auto id = static_cast<TokenId>(std::stol(key));
                if (static_cast<std::size_t>(id) < types_.size()) continue; // described by the model itself
                AddedToken token;
                token.content = tokenizer_json::textOf(entry, "content");
                token.id = id;
                token.special = tokenizer_json::flag(entry, "special", false);
                token.singleWord = tokenizer_json::flag(entry, "single_word", false);
                token.stripLeft = tokenizer_json::flag(entry, "lstrip", false);
                token.stripRight = tokenizer_json::flag(entry, "rstrip", false);
                parts_.added.push_back(std::move(token));
            }
        const bool bpe = parts_.kind == ModelKind::scoredBpe;
        if (tokenizer_json::flag(config_, "add_bos_token", bpe) && parts_.bos >= 0) parts_.prefix = {parts_.bos};
        if (tokenizer_json::flag(config_, "add_eos_token", !bpe) && parts_.eos >= 0) parts_.suffix = {parts_.eos};
    }

    const Json& config_;
    TokenizerParts parts_;
    SentencePieceRules rules_;
    std::vector<std::uint64_t> types_;
    std::uint64_t modelType_ = kUnigram;
};

} // namespace

TokenizerParts partsFromSentencePiece(std::string_view model, const Json& config, const std::string& source) {
    TokenizerParts parts = SentencePieceReader(config, source).read(model);
    if (parts.vocabulary.empty()) tokenizer_json::invalid(source, "the model holds no pieces");
    return parts;
}

} // namespace bw
