// SPDX-License-Identifier: GPL-3.0-or-later
// The byte-level BPE tokenizer itself: added tokens, then pieces, then merges. Files are read in parts_*.cpp.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/bpe.h"
#include "core/tokenizer/byte_level.h"
#include "core/tokenizer/parts.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <unordered_map>

namespace bw {
namespace {

/// Pieces longer than this are rarely seen twice; remembering more entries than this no longer fits the caches.
constexpr std::size_t kRememberedBytes = 64, kRememberedPieces = 1 << 16;

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using IdOfText = std::unordered_map<std::string, TokenId, TextHash, std::equal_to<>>;

class ByteLevelBpe final : public Tokenizer {
public:
    explicit ByteLevelBpe(BpeParts parts)
        : source_(std::move(parts.source)), preTokenizer_(std::move(parts.preTokenizer)),
          ignoreMerges_(parts.ignoreMerges), fuseUnknown_(parts.fuseUnknown), prefix_(std::move(parts.prefix)),
          suffix_(std::move(parts.suffix)), bos_(parts.bos), eos_(parts.eos) {
        for (const auto& [text, id] : parts.vocabulary) addToken(text, id);
        for (const AddedToken& token : parts.added) addAddedToken(token);
        for (const auto& [text, id] : parts.decodeOnly) setText(id, bytesOfSymbols(text).value_or(text));
        addMerges(parts);
        for (unsigned byte = 0; byte < 256; ++byte) {
            const auto found = idOfSymbols_.find(byteSymbol(static_cast<unsigned char>(byte)));
            idOfByte_[byte] = found == idOfSymbols_.end() ? -1 : found->second;
        }
        if (!parts.unknown.empty()) unknown_ = idOf(parts.unknown, "the unknown token");
        added_ = AddedTokens(std::move(parts.added));
        for (const std::vector<TokenId>* ids : {&prefix_, &suffix_})
            for (const TokenId id : *ids) requireId(id, "the template");
        for (TokenId* id : {&bos_, &eos_}) {
            if (*id < 0 || known(*id)) continue;
            warnings_.push_back(
                fmt::format("{}: {} id {} has no token and is passed over", source_, id == &bos_ ? "bos" : "eos", *id));
            *id = -1;
        }
        checkEmbeddingRows(parts.embeddingRows);
    }

    std::vector<TokenId> encode(std::string_view text, bool addSpecial) const override;
    std::string decode(std::span<const TokenId> ids, bool keepSpecial) const override {
        std::string text;
        for (const TokenId id : ids)
            if (known(id) && (keepSpecial || !isSpecial(id))) text += texts_[static_cast<std::size_t>(id)];
        return text;
    }
    std::string tokenText(TokenId id) const override { return known(id) ? texts_[static_cast<std::size_t>(id)] : ""; }
    std::int64_t vocabulary() const override { return static_cast<std::int64_t>(texts_.size()); }
    std::int64_t bos() const override { return bos_; }
    std::int64_t eos() const override { return eos_; }
    bool isSpecial(TokenId id) const override {
        return known(id) && (flags_[static_cast<std::size_t>(id)] & kSpecial) != 0;
    }
    const std::vector<std::string>& warnings() const override { return warnings_; }
    std::string description() const override {
        std::string count = std::to_string(texts_.size());
        for (std::size_t at = count.size(); at > 3; at -= 3) count.insert(at - 3, ",");
        return fmt::format("byte-level BPE, {} tokens, {} pre-tokenizer", count, preTokenizer_.name());
    }

private:
    static constexpr std::uint8_t kUsed = 1, kSpecial = 2;
    struct Encoding;

    [[noreturn]] void invalid(const std::string& what) const {
        throw Error(ErrorCode::invalidTokenizer, fmt::format("{}: {}", source_, what),
                    "the file may be damaged; take it from the model's origin again");
    }
    bool known(TokenId id) const {
        return id >= 0 && static_cast<std::size_t>(id) < flags_.size() &&
               (flags_[static_cast<std::size_t>(id)] & kUsed) != 0;
    }
    void requireId(TokenId id, const char* who) const {
        if (!known(id)) invalid(fmt::format("{} names id {}, which no token has", who, id));
    }
    void setText(TokenId id, std::string text) {
        if (id < 0 || id > kMaxTokenId) invalid(fmt::format("id {} is out of range 0 to {}", id, kMaxTokenId));
        const auto at = static_cast<std::size_t>(id);
        if (at >= flags_.size()) {
            flags_.resize(at + 1, 0);
            texts_.resize(at + 1);
        }
        if (flags_[at] & kUsed)
            invalid(fmt::format("id {} is used by '{}' and by '{}'", id, escapeForDisplay(texts_[at], 60),
                                escapeForDisplay(text, 60)));
        flags_[at] |= kUsed;
        texts_[at] = std::move(text);
    }
    void addToken(const std::string& symbols, TokenId id) {
        if (!idOfSymbols_.emplace(symbols, id).second)
            invalid(fmt::format("token '{}' is listed twice", escapeForDisplay(symbols, 60)));
        setText(id, bytesOfSymbols(symbols).value_or(symbols));
    }
    void addAddedToken(const AddedToken& token) {
        const auto found = idOfSymbols_.find(token.content);
        if (found == idOfSymbols_.end()) {
            setText(token.id, token.content);
            idOfSymbols_.emplace(token.content, token.id);
        } else if (found->second != token.id) {
            invalid(fmt::format("added token '{}' has id {} here and id {} in the vocabulary",
                                escapeForDisplay(token.content, 60), token.id, found->second));
        }
        texts_[static_cast<std::size_t>(token.id)] = token.content; // written as it stands, not in symbols
        if (token.special) flags_[static_cast<std::size_t>(token.id)] |= kSpecial;
    }
    TokenId idOf(const std::string& symbols, const char* what) const {
        const auto found = idOfSymbols_.find(symbols);
        if (found == idOfSymbols_.end())
            invalid(fmt::format("{} '{}' is not in the vocabulary", what, escapeForDisplay(symbols, 60)));
        return found->second;
    }
    void addMerges(const BpeParts& parts) {
        merges_ = MergeTable(parts.merges.size());
        std::uint32_t rank = 0;
        for (const auto& [left, right] : parts.merges) {
            // An empty side would make a pair of its own result: merging could go round for ever.
            if (left.empty() || right.empty()) invalid(fmt::format("merge {} has an empty side", rank));
            const MergeTable::Merge merge{rank, idOf(left + right, "the result of a merge,")};
            merges_.add(idOf(left, "merged token"), idOf(right, "merged token"), merge, parts.laterMergeWins);
            ++rank;
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

    std::string source_;
    PreTokenizer preTokenizer_;
    bool ignoreMerges_, fuseUnknown_;
    std::vector<TokenId> prefix_, suffix_;
    TokenId bos_, eos_, unknown_ = -1;
    IdOfText idOfSymbols_;
    std::vector<std::string> texts_;  ///< by id: bytes
    std::vector<std::uint8_t> flags_; ///< by id: kUsed | kSpecial
    std::array<TokenId, 256> idOfByte_{};
    MergeTable merges_;
    AddedTokens added_;
    std::vector<std::string> warnings_;
};

/// The state of one encode(): what it has found so far and pieces it remembers. Never shared between threads.
struct ByteLevelBpe::Encoding {
    const ByteLevelBpe& owner;
    std::vector<TokenId>& out;
    MergeScratch scratch;
    std::vector<TokenId> piece, pool;
    struct Remembered {
        std::size_t begin, count;
    };
    std::unordered_map<std::string, Remembered, TextHash, std::equal_to<>> remembered;

    void add(std::string_view text) {
        const bool remember = text.size() <= kRememberedBytes;
        if (remember) {
            const auto found = remembered.find(text);
            if (found != remembered.end()) {
                const auto begin = pool.begin() + static_cast<std::ptrdiff_t>(found->second.begin);
                out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(found->second.count));
                return;
            }
        }
        encodePiece(text);
        out.insert(out.end(), piece.begin(), piece.end());
        if (remember && remembered.size() < kRememberedPieces) {
            remembered.emplace(std::string(text), Remembered{pool.size(), piece.size()});
            pool.insert(pool.end(), piece.begin(), piece.end());
        }
    }

    void encodePiece(std::string_view text) {
        piece.clear();
        if (owner.ignoreMerges_) {
            const auto whole = owner.idOfSymbols_.find(symbolsOfBytes(text));
            if (whole != owner.idOfSymbols_.end()) {
                piece.push_back(whole->second);
                return;
            }
        }
        bool lastUnknown = false;
        for (const char c : text) {
            const TokenId id = owner.idOfByte_[static_cast<unsigned char>(c)];
            if (id >= 0)
                piece.push_back(id);
            else if (owner.unknown_ >= 0 && !(owner.fuseUnknown_ && lastUnknown))
                piece.push_back(owner.unknown_);
            lastUnknown = id < 0;
        }
        mergePiece(owner.merges_, piece, scratch);
    }
};

std::vector<TokenId> ByteLevelBpe::encode(std::string_view text, bool addSpecial) const {
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
    Encoding encoding{*this, ids, {}, {}, {}, {}};
    for (const AddedTokens::Part& part : added_.split(valid)) {
        if (part.id >= 0)
            ids.push_back(part.id);
        else
            preTokenizer_.split(part.text, [&](std::string_view piece) { encoding.add(piece); });
    }
    if (addSpecial) ids.insert(ids.end(), suffix_.begin(), suffix_.end());
    return ids;
}

} // namespace

std::shared_ptr<const Tokenizer> makeByteLevelBpe(BpeParts parts) {
    return std::make_shared<ByteLevelBpe>(std::move(parts));
}

} // namespace bw
