// SPDX-License-Identifier: GPL-3.0-or-later
// The tokenizer itself: added tokens, then normalizing, then pieces, then the model; decoding goes back. Files are read
// in parts_*.cpp.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/parts.h"
#include "core/tokenizer/piece_model.h"
#include "core/tokenizer/unicode.h"

#include <chrono>
#include <fmt/format.h>
#include <limits>
#include <unordered_map>

namespace bw {
namespace {

std::unique_ptr<const PieceModel> makeModel(const TokenizerParts& parts, const TokenTable& table) {
    switch (parts.kind) {
    case ModelKind::byteLevelBpe:
    case ModelKind::characterBpe:
        return makeBpe(parts, table);
    case ModelKind::scoredBpe:
        return makeScoredBpe(parts, table);
    case ModelKind::unigram:
        return makeUnigram(parts, table);
    }
    return nullptr;
}

const char* nameOf(ModelKind kind) {
    switch (kind) {
    case ModelKind::byteLevelBpe:
        return "byte-level BPE";
    case ModelKind::characterBpe:
        return "BPE with byte fallback";
    case ModelKind::scoredBpe:
        return "SentencePiece BPE";
    case ModelKind::unigram:
        return "unigram";
    }
    return "";
}

class TextTokenizer final : public Tokenizer {
public:
    explicit TextTokenizer(TokenizerParts parts)
        : source_(std::move(parts.source)), kind_(parts.kind), table_(withSource(parts, source_)),
          model_(makeModel(parts, table_)), normalizer_(std::move(parts.normalizer)),
          preTokenizer_(std::move(parts.preTokenizer)), decoder_(std::move(parts.decoder)),
          prefix_(std::move(parts.prefix)), suffix_(std::move(parts.suffix)), bos_(parts.bos), eos_(parts.eos) {
        added_ = AddedTokens(std::move(parts.added), [&](std::string_view text) { return normalizer_.apply(text); });
        for (std::size_t i = 0; i < added_.tokens().size(); ++i)
            if (added_.tokens()[i].normalized) normalizedText_.emplace(added_.tokens()[i].id, added_.sought(i));
        decodeAll();
        for (const std::vector<TokenId>* ids : {&prefix_, &suffix_})
            for (const TokenId id : *ids) table_.requireId(id, "the template");
        for (TokenId* id : {&bos_, &eos_}) {
            if (*id < 0 || table_.known(*id)) continue;
            warnings_.push_back(
                fmt::format("{}: {} id {} has no token and is passed over", source_, id == &bos_ ? "bos" : "eos", *id));
            *id = -1;
        }
        checkEmbeddingRows(parts.embeddingRows);
    }

    std::vector<TokenId> encode(std::string_view text, bool addSpecial) const override;
    std::string decode(std::span<const TokenId> ids, bool keepSpecial) const override {
        std::string text;
        bool first = true;
        for (const TokenId id : ids) {
            if (!table_.known(id) || (!keepSpecial && isSpecial(id))) continue;
            if (!first) text += decoder_.between();
            if (first && decoder_.firstDiffers())
                text += decoded(id, true);
            else
                text += texts_[static_cast<std::size_t>(id)];
            first = false;
        }
        return decoder_.whole(std::move(text));
    }
    std::string tokenText(TokenId id) const override {
        return table_.known(id) ? texts_[static_cast<std::size_t>(id)] : "";
    }
    std::int64_t vocabulary() const override { return static_cast<std::int64_t>(table_.size()); }
    std::int64_t bos() const override { return bos_; }
    std::int64_t eos() const override { return eos_; }
    bool isSpecial(TokenId id) const override { return table_.isSpecial(id); }
    const std::vector<std::string>& warnings() const override { return warnings_; }
    std::string description() const override {
        std::string count = std::to_string(table_.size());
        for (std::size_t at = count.size(); at > 3; at -= 3) count.insert(at - 3, ",");
        const std::string pre =
            preTokenizer_.name().empty() ? "" : fmt::format(", {} pre-tokenizer", preTokenizer_.name());
        return fmt::format("{}, {} tokens{}", nameOf(kind_), count, pre);
    }

private:
    /// The table's errors name the file.
    static TokenTable withSource(TokenizerParts& parts, const std::string& source) {
        parts.source = source;
        return TokenTable(parts);
    }
    /// Bytes of a token. An added token of a byte-level vocabulary is written as it stands, not in symbols; one that is
    /// found in normalized text is written normalized, as the reference does.
    std::string decoded(TokenId id, bool first) const {
        if (!table_.known(id)) return {};
        const auto normalized = normalizedText_.find(id);
        const std::string& text = normalized == normalizedText_.end() ? table_.text(id) : normalized->second;
        if (kind_ == ModelKind::byteLevelBpe && table_.isAdded(id)) return text;
        return first ? decoder_.firstToken(text) : decoder_.token(text);
    }
    /// A hostile decoder could make each text long, or take long for each.
    void decodeAll() {
        constexpr std::size_t kMostBytes = std::size_t{512} << 20;
        constexpr std::chrono::seconds kMostTime{30}; // half a million tokens take a fraction of a second
        const auto started = std::chrono::steady_clock::now();
        std::size_t bytes = 0;
        for (std::size_t id = 0; id < table_.size(); ++id) {
            texts_.push_back(decoded(static_cast<TokenId>(id), false));
            bytes += texts_.back().size();
            if (bytes > kMostBytes)
                table_.invalid(fmt::format("the decoder makes more than {} of the tokens", formatBytes(kMostBytes)));
            if (std::chrono::steady_clock::now() - started > kMostTime)
                table_.invalid(fmt::format("the decoder is still at token {} of {} after 30 s", id, table_.size()));
        }
    }
    void checkEmbeddingRows(std::int64_t rows) {
        if (rows < 0 || rows == vocabulary()) return;
        if (rows < vocabulary())
            throw Error(ErrorCode::vocabularyMismatch,
                        fmt::format("{}: the tokenizer has ids up to {}, but the embedding has only {} rows", source_,
                                    vocabulary() - 1, rows),
                        "tokenizer and weights belong to different models; use the tokenizer the weights came with");
        warnings_.push_back(fmt::format("{}: the embedding has {} rows for {} token ids; the last {} are never used",
                                        source_, rows, vocabulary(), rows - vocabulary()));
    }
    void encodePart(std::string_view part, bool beginsText, PieceModel::Session& session,
                    std::vector<TokenId>& ids) const;

    std::string source_;
    ModelKind kind_;
    TokenTable table_;
    std::unique_ptr<const PieceModel> model_;
    Normalizer normalizer_;
    PreTokenizer preTokenizer_;
    Decoder decoder_;
    AddedTokens added_;
    std::vector<TokenId> prefix_, suffix_;
    TokenId bos_, eos_;
    std::unordered_map<TokenId, std::string> normalizedText_; ///< of added tokens found in normalized text
    std::vector<std::string> texts_;                          ///< by id: bytes
    std::vector<std::string> warnings_;
};

void TextTokenizer::encodePart(std::string_view part, bool beginsText, PieceModel::Session& session,
                               std::vector<TokenId>& ids) const {
    std::string storage;
    if (!normalizer_.empty()) part = storage = normalizer_.apply(part);
    for (const AddedTokens::Part& rest : added_.splitNormalized(part)) {
        const bool begins = beginsText && rest.text.data() == part.data();
        if (rest.id >= 0)
            ids.push_back(rest.id);
        else
            preTokenizer_.split(
                rest.text, [&](std::string_view piece) { session.encode(piece, ids); }, begins);
    }
}

std::vector<TokenId> TextTokenizer::encode(std::string_view text, bool addSpecial) const {
    // Positions inside a piece are 32-bit, and replacing bad bytes can treble the length.
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) / 3)
        throw Error(ErrorCode::usage,
                    fmt::format("a text of {} is too long to encode at once", formatBytes(text.size())),
                    "give it in parts of at most 600 MiB");
    std::string storage;
    const std::string_view valid = replaceInvalidUtf8(text, storage);
    std::vector<TokenId> ids;
    ids.reserve(valid.size() / 3 + 8); // prose has 3 to 5 bytes a token
    if (addSpecial) ids = prefix_;
    const auto session = model_->session();
    for (const AddedTokens::Part& part : added_.split(valid)) {
        if (part.id >= 0)
            ids.push_back(part.id);
        else
            encodePart(part.text, part.text.data() == valid.data(), *session, ids);
    }
    if (addSpecial) ids.insert(ids.end(), suffix_.begin(), suffix_.end());
    return ids;
}

} // namespace

std::shared_ptr<const Tokenizer> makeTokenizer(TokenizerParts parts) {
    return std::make_shared<TextTokenizer>(std::move(parts));
}

} // namespace bw
