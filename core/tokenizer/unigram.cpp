// SPDX-License-Identifier: GPL-3.0-or-later
// SentencePiece unigram: of all ways to cut a piece, the one whose tokens' scores sum highest (Viterbi). One pass over
// the characters; time grows with the text times the longest token. Source: Kudo 2018, §3.2.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/byte_tokens.h"
#include "core/tokenizer/piece_model.h"
#include "core/tokenizer/piece_trie.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

/// How much more an unknown character costs than the worst token.
constexpr double kUnknownPenalty = 10.0;
/// Longer pieces are refused: they would make hostile texts slow. Trained ones have 16 characters.
constexpr std::size_t kLongestPiece = 512;

class Unigram final : public PieceModel {
public:
    Unigram(const TokenizerParts& parts, const TokenTable& table)
        : table_(table), scoreOfId_(table.size(), 0.0), made_(table.size(), false), fuseUnknown_(parts.fuseUnknown),
          singlePrecision_(parts.singlePrecision), cuts_(parts, table),
          unknownScore_(rounded(parts.lowestScore - kUnknownPenalty)) {
        for (const auto& [text, id] : parts.vocabulary) made_[static_cast<std::size_t>(id)] = true;
        for (const TokenId id : parts.notInText) made_[static_cast<std::size_t>(id)] = false;
        for (std::size_t i = 0; i < parts.vocabulary.size(); ++i) {
            const auto& [text, id] = parts.vocabulary[i];
            const double score = i < parts.scores.size() ? parts.scores[i] : 0.0;
            if (!std::isfinite(score))
                table.invalid(fmt::format("token {} ('{}') has the score {}", id, escapeForDisplay(text, 60), score));
            scoreOfId_[static_cast<std::size_t>(id)] = score;
            if (!made_[static_cast<std::size_t>(id)]) continue;
            if (text.size() > kLongestPiece)
                table.invalid(fmt::format("token {} has {} bytes; at most {} are allowed in a unigram vocabulary", id,
                                          text.size(), kLongestPiece));
            if (!trie_.add(text, id)) table.invalid("the tokens' texts are too long in sum");
        }
        for (unsigned byte = 0; byte < 256; ++byte)
            idOfByte_[byte] = parts.byteFallback ? table.find(byteToken(byte)) : -1;
        if (!parts.unknown.empty()) unknown_ = table.require(parts.unknown, "the unknown token");
    }
    std::unique_ptr<Session> session() const override;

private:
    class UnigramSession;
    double rounded(double sum) const { return singlePrecision_ ? static_cast<double>(static_cast<float>(sum)) : sum; }
    const TokenTable& table_;
    std::vector<double> scoreOfId_;
    std::vector<bool> made_;
    bool fuseUnknown_, singlePrecision_;
    WordCuts cuts_;
    double unknownScore_;
    TokenId unknown_ = -1;
    PieceTrie trie_;
    std::array<TokenId, 256> idOfByte_{};
};

class Unigram::UnigramSession final : public PieceModel::Session {
public:
    explicit UnigramSession(const Unigram& model) : model_(model) {}

    void encode(std::string_view piece, std::vector<TokenId>& out) override {
        const std::size_t firstWord = model_.cuts_.end(piece, 0);
        // Sums begin at 0 in each piece, so only a piece of one word always gives the same ids: in a longer one the
        // rounding of the sum so far can decide between equals.
        if (firstWord == piece.size() && memory_.recall(piece, out)) return;
        ids_.clear();
        double sum = 0;
        for (std::size_t at = 0, end = firstWord; at < piece.size(); end = model_.cuts_.end(piece, at)) {
            sum = search(piece.substr(at, end - at), sum);
            write(piece.substr(at, end - at));
            at = end;
            if (at == piece.size()) break;
        }
        out.insert(out.end(), ids_.begin(), ids_.end());
        if (firstWord == piece.size()) memory_.remember(piece, ids_);
    }

private:
    struct Node {
        double sum;
        std::uint32_t begin; ///< where the last token of the best cut up to here begins
        TokenId id;          ///< kUnknown, or kNowhere when nothing ends here
    };
    static constexpr TokenId kNowhere = -2, kUnknown = -1;

    /// Fills best_[i] for each byte i of `word` where a token can end. @returns the sum at its end.
    double search(std::string_view word, double sum) {
        best_.assign(word.size() + 1, Node{0, 0, kNowhere});
        best_[0] = {sum, 0, kNowhere};
        const auto offer = [&](std::size_t begin, std::size_t end, double score, TokenId id) {
            const double candidate = model_.rounded(best_[begin].sum + score);
            Node& node = best_[end];
            if (node.id == kNowhere || candidate > node.sum) node = {candidate, static_cast<std::uint32_t>(begin), id};
        };
        for (std::size_t at = 0; at < word.size();) {
            const std::size_t length = codePointAt(word, at).length;
            bool single = false;
            if (best_[at].id != kNowhere || at == 0) {
                model_.trie_.walk(word.substr(at), [&](std::size_t size, TokenId id) {
                    offer(at, at + size, model_.scoreOfId_[static_cast<std::size_t>(id)], id);
                    single |= size == length;
                });
                if (!single) offer(at, at + length, model_.unknownScore_, kUnknown);
            }
            at += length;
        }
        return best_[word.size()].sum;
    }

    /// Appends the best cut's ids, found from the end.
    void write(std::string_view word) {
        cut_.clear();
        for (std::size_t end = word.size(); end > 0; end = best_[end].begin) cut_.push_back(end);
        std::size_t begin = 0;
        for (std::size_t i = cut_.size(); i-- > 0;) {
            std::size_t end = cut_[i];
            const TokenId id = best_[end].id;
            if (id != kUnknown) {
                ids_.push_back(id);
            } else {
                while (model_.fuseUnknown_ && i > 0 && best_[cut_[i - 1]].id == kUnknown) end = cut_[--i];
                writeUnknown(word.substr(begin, end - begin));
            }
            begin = end;
        }
    }

    void writeUnknown(std::string_view text) {
        const auto byteId = [&](char c) { return model_.idOfByte_[static_cast<unsigned char>(c)]; };
        // A run of unknown characters can be a token that is merely worse than they are.
        const TokenId whole = model_.table_.find(text);
        if (whole >= 0 && model_.made_[static_cast<std::size_t>(whole)]) {
            ids_.push_back(whole);
        } else if (std::all_of(text.begin(), text.end(), [&](char c) { return byteId(c) >= 0; })) {
            for (const char c : text) ids_.push_back(byteId(c));
        } else if (model_.unknown_ >= 0) {
            ids_.push_back(model_.unknown_);
        } else {
            throw Error(ErrorCode::invalidTokenizer,
                        fmt::format("the text holds '{}', which no token stands for, and the tokenizer has no unknown "
                                    "token",
                                    escapeForDisplay(text, 60)),
                        "leave such characters out of the text");
        }
    }

    const Unigram& model_;
    PieceMemory memory_;
    std::vector<Node> best_;
    std::vector<std::size_t> cut_;
    std::vector<TokenId> ids_;
};

std::unique_ptr<PieceModel::Session> Unigram::session() const {
    return std::make_unique<UnigramSession>(*this);
}

} // namespace

std::unique_ptr<const PieceModel> makeUnigram(const TokenizerParts& parts, const TokenTable& table) {
    return std::make_unique<Unigram>(parts, table);
}

} // namespace bw
