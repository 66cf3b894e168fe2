// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/added_tokens.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

/// Far above any real one; keeps the search at each position short.
constexpr std::size_t kLongestToken = 1024;

/// Code point that ends before `end` > 0.
char32_t codePointBefore(std::string_view text, std::size_t& end) {
    do --end;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
    return codePointAt(text, end).value;
}

bool isWord(char32_t c) {
    return c == '_' || (unicodeClass(c) & (kLetter | kNumber | kMark)) != 0;
}

bool standsAlone(std::string_view text, std::size_t begin, std::size_t end) {
    std::size_t before = begin;
    if (begin > 0 && isWord(codePointBefore(text, before))) return false;
    return end >= text.size() || !isWord(codePointAt(text, end).value);
}

std::size_t spaceBefore(std::string_view text, std::size_t begin, std::size_t limit) {
    while (begin > limit) {
        std::size_t previous = begin;
        if ((unicodeClass(codePointBefore(text, previous)) & kWhiteSpace) == 0) break;
        begin = previous;
    }
    return begin;
}

std::size_t spaceAfter(std::string_view text, std::size_t end) {
    while (end < text.size()) {
        const CodePoint c = codePointAt(text, end);
        if ((unicodeClass(c.value) & kWhiteSpace) == 0) break;
        end += c.length;
    }
    return end;
}

} // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
    for (const AddedToken& token : tokens_)
        if (token.content.empty() || token.content.size() > kLongestToken)
            throw Error(ErrorCode::invalidTokenizer,
                        fmt::format("added token {} has {} bytes of text; 1 to {} are allowed", token.id,
                                    token.content.size(), kLongestToken));
    exact_ = makeIndex(false);
    normalized_ = makeIndex(true);
}

AddedTokens::Index AddedTokens::makeIndex(bool normalized) const {
    Index index;
    for (std::size_t i = 0; i < tokens_.size(); ++i)
        if (tokens_[i].normalized == normalized) index.order.push_back(i);
    const auto content = [&](std::size_t i) -> const std::string& { return tokens_[index.order[i]].content; };
    std::sort(index.order.begin(), index.order.end(),
              [&](std::size_t a, std::size_t b) { return tokens_[a].content < tokens_[b].content; });
    for (std::size_t i = 1; i < index.order.size(); ++i)
        if (content(i) == content(i - 1))
            throw Error(ErrorCode::invalidTokenizer,
                        fmt::format("added token '{}' is listed twice", escapeForDisplay(content(i))));
    std::size_t next = 0;
    for (std::size_t byte = 0; byte < 256; ++byte) {
        index.first[byte] = next;
        while (next < index.order.size() && static_cast<unsigned char>(content(next).front()) == byte) ++next;
    }
    index.first[256] = next;
    return index;
}

const AddedToken* AddedTokens::longestAt(const Index& index, std::string_view text, std::size_t at) const {
    const auto lead = static_cast<unsigned char>(text[at]);
    std::size_t low = index.first[lead], high = index.first[std::size_t{lead} + 1];
    const AddedToken* longest = nullptr;
    // [low, high) holds the tokens that agree with the text in the first `depth` bytes; the shortest comes first.
    for (std::size_t depth = 1; low < high; ++depth) {
        const AddedToken& shortest = tokens_[index.order[low]];
        if (shortest.content.size() == depth) {
            longest = &shortest;
            ++low;
        }
        if (at + depth >= text.size()) break;
        const auto byte = static_cast<unsigned char>(text[at + depth]);
        const auto byteOf = [&](std::size_t i) { return static_cast<unsigned char>(tokens_[i].content[depth]); };
        const auto begin = index.order.begin() + static_cast<std::ptrdiff_t>(low);
        const auto end = index.order.begin() + static_cast<std::ptrdiff_t>(high);
        const auto first =
            std::lower_bound(begin, end, byte, [&](std::size_t i, unsigned char b) { return byteOf(i) < b; });
        const auto last =
            std::upper_bound(first, end, byte, [&](unsigned char b, std::size_t i) { return b < byteOf(i); });
        low = static_cast<std::size_t>(first - index.order.begin());
        high = static_cast<std::size_t>(last - index.order.begin());
    }
    return longest;
}

void AddedTokens::splitWith(const Index& index, std::string_view text, std::vector<Part>& out) const {
    std::size_t done = 0, at = 0;
    while (at < text.size() && !index.order.empty()) {
        const AddedToken* token = longestAt(index, text, at);
        if (!token) {
            ++at;
            continue;
        }
        std::size_t begin = at, end = at + token->content.size();
        at = end;
        if (token->singleWord && !standsAlone(text, begin, end)) continue;
        if (token->stripLeft) begin = spaceBefore(text, begin, done);
        if (token->stripRight) end = spaceAfter(text, end);
        if (begin > done) out.push_back({-1, text.substr(done, begin - done)});
        out.push_back({token->id, text.substr(begin, end - begin)});
        done = at = end;
    }
    if (done < text.size()) out.push_back({-1, text.substr(done)});
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text) const {
    std::vector<Part> exact, all;
    splitWith(exact_, text, exact);
    if (normalized_.order.empty()) return exact;
    for (const Part& part : exact) {
        if (part.id >= 0)
            all.push_back(part);
        else
            splitWith(normalized_, part.text, all);
    }
    return all;
}

} // namespace bw
