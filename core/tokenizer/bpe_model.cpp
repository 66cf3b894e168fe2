// SPDX-License-Identifier: GPL-3.0-or-later
// BPE with ranked merges, over byte symbols or over characters with tokens for bytes.
#include "core/base/text.h"
#include "core/tokenizer/bpe.h"
#include "core/tokenizer/byte_level.h"
#include "core/tokenizer/byte_tokens.h"
#include "core/tokenizer/piece_model.h"
#include "core/tokenizer/unicode.h"

#include <array>
#include <fmt/format.h>

namespace bw {
namespace {

class BpeModel final : public PieceModel {
public:
    BpeModel(const TokenizerParts& parts, const TokenTable& table)
        : table_(table), byteLevel_(parts.kind == ModelKind::byteLevelBpe), wholeFirst_(parts.ignoreMerges),
          fuseUnknown_(parts.fuseUnknown) {
        addMerges(parts);
        for (unsigned byte = 0; byte < 256; ++byte) {
            const auto c = static_cast<unsigned char>(byte);
            if (byteLevel_)
                idOfByte_[byte] = table.find(byteSymbol(c));
            else
                idOfByte_[byte] = parts.byteFallback ? table.find(byteToken(byte)) : -1;
            if (byte < 128) idOfAscii_[byte] = table.find(std::string(1, static_cast<char>(c)));
        }
        if (!parts.unknown.empty()) unknown_ = table.require(parts.unknown, "the unknown token");
        if (!byteLevel_) cuts_ = WordCuts(parts, table);
    }
    std::unique_ptr<Session> session() const override;

private:
    class BpeSession;
    void addMerges(const TokenizerParts& parts) {
        merges_ = MergeTable(parts.merges.size());
        std::uint32_t rank = 0;
        for (const auto& merge : parts.merges) {
            const std::string &left = merge.first, &right = merge.second;
            // An empty side would make a pair of its own result: merging could go round for ever.
            if (left.empty() || right.empty()) table_.invalid(fmt::format("merge {} has an empty side", rank));
            const auto id = [&](const std::string& text) {
                const TokenId found = table_.find(text);
                if (found < 0)
                    table_.invalid(fmt::format(
                        "merge {} ('{}' and '{}') needs the token '{}', which is not in the vocabulary", rank,
                        escapeForDisplay(left, 60), escapeForDisplay(right, 60), escapeForDisplay(text, 60)));
                return found;
            };
            const TokenId leftId = id(left), rightId = id(right);
            merges_.add(leftId, rightId, {rank, id(left + right)}, parts.laterMergeWins);
            ++rank;
        }
    }
    void bytesToIds(std::string_view text, std::vector<TokenId>& ids) const;
    void charactersToIds(std::string_view text, std::vector<TokenId>& ids) const;

    const TokenTable& table_;
    bool byteLevel_, wholeFirst_, fuseUnknown_;
    TokenId unknown_ = -1;
    std::array<TokenId, 256> idOfByte_{};
    std::array<TokenId, 128> idOfAscii_{};
    MergeTable merges_;
    WordCuts cuts_;
};

void BpeModel::bytesToIds(std::string_view text, std::vector<TokenId>& ids) const {
    bool lastUnknown = false;
    for (const char c : text) {
        const TokenId id = idOfByte_[static_cast<unsigned char>(c)];
        if (id >= 0)
            ids.push_back(id);
        else if (unknown_ >= 0 && !(fuseUnknown_ && lastUnknown))
            ids.push_back(unknown_);
        lastUnknown = id < 0;
    }
}

void BpeModel::charactersToIds(std::string_view text, std::vector<TokenId>& ids) const {
    bool pending = false; ///< an unknown token is written only before the next known one; bytes go past it
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = codePointAt(text, at).length;
        const std::string_view character = text.substr(at, length);
        at += length;
        const TokenId id = length == 1 ? idOfAscii_[static_cast<unsigned char>(character[0])] : table_.find(character);
        if (id >= 0) {
            if (pending) ids.push_back(unknown_);
            pending = false;
            ids.push_back(id);
            continue;
        }
        bool bytes = true;
        for (const char c : character) bytes &= idOfByte_[static_cast<unsigned char>(c)] >= 0;
        if (bytes) {
            for (const char c : character) ids.push_back(idOfByte_[static_cast<unsigned char>(c)]);
        } else if (unknown_ >= 0) {
            if (pending && !fuseUnknown_) ids.push_back(unknown_);
            pending = true;
        }
    }
    if (pending) ids.push_back(unknown_);
}

class BpeModel::BpeSession final : public PieceModel::Session {
public:
    explicit BpeSession(const BpeModel& model) : model_(model) {}

    void encode(std::string_view piece, std::vector<TokenId>& out) override {
        if (model_.byteLevel_) return encodeWord(piece, out);
        if (model_.wholeFirst_) {
            const TokenId whole = model_.table_.find(piece);
            if (whole >= 0) return out.push_back(whole);
        }
        for (std::size_t at = 0; at < piece.size();) {
            const std::size_t end = model_.cuts_.end(piece, at);
            encodeWord(piece.substr(at, end - at), out);
            at = end;
        }
    }

private:
    void encodeWord(std::string_view text, std::vector<TokenId>& out) {
        if (memory_.recall(text, out)) return;
        ids_.clear();
        const TokenId whole =
            model_.byteLevel_ && model_.wholeFirst_ ? model_.table_.find(symbolsOfBytes(text)) : TokenId{-1};
        if (whole >= 0) {
            ids_.push_back(whole);
        } else {
            if (model_.byteLevel_)
                model_.bytesToIds(text, ids_);
            else
                model_.charactersToIds(text, ids_);
            mergePiece(model_.merges_, ids_, scratch_);
        }
        out.insert(out.end(), ids_.begin(), ids_.end());
        memory_.remember(text, ids_);
    }

    const BpeModel& model_;
    PieceMemory memory_;
    MergeScratch scratch_;
    std::vector<TokenId> ids_;
};

std::unique_ptr<PieceModel::Session> BpeModel::session() const {
    return std::make_unique<BpeSession>(*this);
}

} // namespace

std::unique_ptr<const PieceModel> makeBpe(const TokenizerParts& parts, const TokenTable& table) {
    return std::make_unique<BpeModel>(parts, table);
}

} // namespace bw
