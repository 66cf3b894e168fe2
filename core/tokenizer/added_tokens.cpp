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
/// Of all together; normalizing can make them longer.
constexpr std::size_t kMostBytes = std::size_t{64} << 20;

/// Code point that ends before `end` > 0.
char32_t codePointBefore(std::string_view text, std::size_t& end) {
    do --end;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
    return codePointAt(text, end).value;
}

bool isWord(char32_t c) {
    return (unicodeClass(c) & kWord) != 0;
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

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const std::function<std::string(std::string_view)>& normalize)
    : tokens_(std::move(tokens)) {
    std::size_t bytes = 0;
    for (const AddedToken& token : tokens_) {
        if (token.content.empty() || token.content.size() > kLongestToken)
            throw Error(ErrorCode::invalidTokenizer,
                        fmt::format("added token {} has {} bytes of text; 1 to {} are allowed", token.id,
                                    token.content.size(), kLongestToken));
        contents_.push_back(token.normalized && normalize ? normalize(token.content) : token.content);
        bytes += contents_.back().size();
        if (bytes > kMostBytes)
            throw Error(ErrorCode::invalidTokenizer,
                        fmt::format("the added tokens have more than {} of text", formatBytes(kMostBytes)));
    }
    exact_ = makeIndex(false);
    normalized_ = makeIndex(true);
}

AddedTokens::Index AddedTokens::makeIndex(bool normalized) {
    Index index;
    for (std::size_t i = 0; i < tokens_.size(); ++i)
        if (tokens_[i].normalized == normalized && !contents_[i].empty()) index.order.push_back(i);
    std::stable_sort(index.order.begin(), index.order.end(),
                     [&](std::size_t a, std::size_t b) { return contents_[a] < contents_[b]; });
    for (std::size_t i = 1; i < index.order.size(); ++i)
        if (tokens_[index.order[i]].content == tokens_[index.order[i - 1]].content)
            throw Error(ErrorCode::invalidTokenizer,
                        fmt::format("added token '{}' is listed twice, with ids {} and {}",
                                    escapeForDisplay(tokens_[index.order[i]].content, 60),
                                    tokens_[index.order[i - 1]].id, tokens_[index.order[i]].id));
    // Different tokens that look the same once normalized: the first in the file is found.
    index.order.erase(std::unique(index.order.begin(), index.order.end(),
                                  [&](std::size_t a, std::size_t b) { return contents_[a] == contents_[b]; }),
                      index.order.end());
    std::size_t next = 0;
    for (std::size_t byte = 0; byte < 256; ++byte) {
        index.first[byte] = next;
        while (next < index.order.size() && static_cast<unsigned char>(contents_[index.order[next]].front()) == byte)
            ++next;
    }
    index.first[256] = next;
    return index;
}

std::size_t AddedTokens::longestAt(const Index& index, std::string_view text, std::size_t at) const {
    const auto lead = static_cast<unsigned char>(text[at]);
    std::size_t low = index.first[lead], high = index.first[std::size_t{lead} + 1];
    std::size_t longest = kNone;
    // [low, high) holds the tokens that agree with the text in the first `depth` bytes; the shortest comes first.
    for (std::size_t depth = 1; low < high; ++depth) {
        const std::size_t shortest = index.order[low];
        if (contents_[shortest].size() == depth) {
            longest = shortest;
            ++low;
        }
        if (at + depth >= text.size()) break;
        const auto byte = static_cast<unsigned char>(text[at + depth]);
        const auto byteOf = [&](std::size_t i) { return static_cast<unsigned char>(contents_[i][depth]); };
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

std::string_view AddedTokens::longestPrefix(std::string_view text) const {
    if (text.empty()) return {};
    const std::size_t found = longestAt(exact_, text, 0);
    return found == kNone ? std::string_view() : text.substr(0, contents_[found].size());
}

std::vector<AddedTokens::Part> AddedTokens::splitWith(const Index& index, std::string_view text) const {
    std::vector<Part> out;
    std::size_t done = 0, at = 0;
    while (at < text.size() && !index.order.empty()) {
        const std::size_t found = longestAt(index, text, at);
        if (found == kNone) {
            ++at;
            continue;
        }
        const AddedToken& token = tokens_[found];
        std::size_t begin = at, end = at + contents_[found].size();
        at = end;
        if (token.singleWord && !standsAlone(text, begin, end)) continue;
        if (token.stripLeft) begin = spaceBefore(text, begin, done);
        if (token.stripRight) end = spaceAfter(text, end);
        if (begin > done) out.push_back({-1, text.substr(done, begin - done)});
        out.push_back({token.id, text.substr(begin, end - begin)});
        done = at = end;
    }
    if (done < text.size()) out.push_back({-1, text.substr(done)});
    return out;
}

} // namespace bw
