// SPDX-License-Identifier: GPL-3.0-or-later
// SentencePiece BPE: of all neighbours whose joined text is a token, those whose token has the highest score are joined
// first, the leftmost of equals. Heap-based, O(n log n). Source: Kudo & Richardson 2018; llama.cpp's "llama" tokenizer.
#include "core/base/text.h"
#include "core/tokenizer/byte_tokens.h"
#include "core/tokenizer/piece_model.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

class ScoredBpe final : public PieceModel {
public:
    ScoredBpe(const TokenizerParts& parts, const TokenTable& table)
        : table_(table), scoreOfId_(table.size(), 0.0f), made_(table.size(), true), fuseUnknown_(parts.fuseUnknown),
          frozen_(parts.frozen), cuts_(parts, table) {
        for (std::size_t i = 0; i < parts.vocabulary.size(); ++i) {
            const auto& [text, id] = parts.vocabulary[i];
            const double score = i < parts.scores.size() ? parts.scores[i] : 0.0;
            if (!std::isfinite(score))
                table.invalid(fmt::format("token {} ('{}') has the score {}", id, escapeForDisplay(text, 60), score));
            scoreOfId_[static_cast<std::size_t>(id)] = static_cast<float>(score);
            longest_ = std::max(longest_, text.size());
        }
        for (const AddedToken& token : parts.added) longest_ = std::max(longest_, token.content.size());
        for (const TokenId id : parts.notInText) made_[static_cast<std::size_t>(id)] = false;
        for (unsigned byte = 0; byte < 256; ++byte) {
            idOfByte_[byte] = parts.byteFallback ? table.find(byteToken(byte)) : -1;
        }
        if (!parts.unknown.empty()) unknown_ = table.require(parts.unknown, "the unknown token");
    }
    std::unique_ptr<Session> session() const override;

private:
    class ScoredSession;
    TokenId find(std::string_view text) const {
        if (text.size() > longest_) return -1;
        const TokenId id = table_.find(text);
        return id >= 0 && made_[static_cast<std::size_t>(id)] ? id : -1;
    }
    const TokenTable& table_;
    std::vector<float> scoreOfId_;
    std::vector<bool> made_; ///< by id: whether merging can make it
    bool fuseUnknown_;
    std::shared_ptr<const AddedTokens> frozen_;
    WordCuts cuts_;
    std::size_t longest_ = 0; ///< bytes
    TokenId unknown_ = -1;
    std::array<TokenId, 256> idOfByte_{};
};

class ScoredBpe::ScoredSession final : public PieceModel::Session {
public:
    explicit ScoredSession(const ScoredBpe& model) : model_(model) {}

    void encode(std::string_view piece, std::vector<TokenId>& out) override {
        for (std::size_t at = 0; at < piece.size();) {
            const std::size_t end = model_.cuts_.end(piece, at);
            const std::string_view word = piece.substr(at, end - at);
            if (!memory_.recall(word, out)) {
                ids_.clear();
                merge(word);
                write(word);
                out.insert(out.end(), ids_.begin(), ids_.end());
                memory_.remember(word, ids_);
            }
            at = end;
        }
    }

private:
    struct Symbol {
        std::uint32_t begin, size; ///< bytes of the word; size 0: joined to its left neighbour
        std::int32_t previous, next;
        bool frozen;
    };
    struct Candidate {
        float score;
        std::int32_t position;
        std::uint32_t size; ///< of both together: it is stale when they no longer have it
    };
    /// std:: heaps keep the largest in front; this one is later in turn.
    static bool later(const Candidate& a, const Candidate& b) {
        return a.score != b.score ? a.score < b.score : a.position > b.position;
    }
    Symbol& at(std::int32_t i) { return symbols_[static_cast<std::size_t>(i)]; }

    bool offer(std::string_view word, std::int32_t position) {
        if (position < 0 || at(position).next < 0) return false;
        const Symbol& left = at(position);
        const Symbol& right = at(left.next);
        if (left.frozen || right.frozen) return false;
        const TokenId id = model_.find(word.substr(left.begin, left.size + right.size));
        if (id < 0) return false;
        heap_.push_back({model_.scoreOfId_[static_cast<std::size_t>(id)], position, left.size + right.size});
        return true;
    }

    void merge(std::string_view word) {
        symbols_.clear();
        heap_.clear();
        for (std::size_t begin = 0; begin < word.size();) {
            std::size_t size = model_.frozen_ ? model_.frozen_->longestPrefix(word.substr(begin)).size() : 0;
            const bool frozen = size > 0;
            if (!frozen) size = codePointAt(word, begin).length;
            const auto index = static_cast<std::int32_t>(symbols_.size());
            const bool last = begin + size == word.size();
            symbols_.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(size), index - 1,
                                last ? -1 : index + 1, frozen});
            begin += size;
        }
        for (std::int32_t i = 0; i < static_cast<std::int32_t>(symbols_.size()); ++i) offer(word, i);
        std::make_heap(heap_.begin(), heap_.end(), later);
        while (!heap_.empty()) {
            std::pop_heap(heap_.begin(), heap_.end(), later);
            const Candidate best = heap_.back();
            heap_.pop_back();
            Symbol& left = at(best.position);
            if (left.size == 0 || left.next < 0) continue;
            Symbol& right = at(left.next);
            if (left.size + right.size != best.size) continue;
            left.size += right.size;
            right.size = 0;
            left.next = right.next;
            if (left.next >= 0) at(left.next).previous = best.position;
            if (offer(word, left.previous)) std::push_heap(heap_.begin(), heap_.end(), later);
            if (offer(word, best.position)) std::push_heap(heap_.begin(), heap_.end(), later);
        }
    }

    void write(std::string_view word) {
        bool lastUnknown = false;
        for (std::int32_t i = symbols_.empty() ? -1 : 0; i >= 0; i = at(i).next) {
            const std::string_view text = word.substr(at(i).begin, at(i).size);
            const TokenId id = at(i).frozen ? model_.table_.find(text) : model_.find(text);
            bool unknown = id < 0;
            if (id >= 0) {
                ids_.push_back(id);
            } else if (std::all_of(text.begin(), text.end(), [&](char c) { return byteId(c) >= 0; })) {
                for (const char c : text) ids_.push_back(byteId(c));
                unknown = false;
            } else if (model_.unknown_ >= 0 && !(model_.fuseUnknown_ && lastUnknown)) {
                ids_.push_back(model_.unknown_);
            }
            lastUnknown = unknown;
        }
    }
    TokenId byteId(char c) const { return model_.idOfByte_[static_cast<unsigned char>(c)]; }

    const ScoredBpe& model_;
    PieceMemory memory_;
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
    std::vector<TokenId> ids_;
};

std::unique_ptr<PieceModel::Session> ScoredBpe::session() const {
    return std::make_unique<ScoredSession>(*this);
}

} // namespace

std::unique_ptr<const PieceModel> makeScoredBpe(const TokenizerParts& parts, const TokenTable& table) {
    return std::make_unique<ScoredBpe>(parts, table);
}

} // namespace bw
