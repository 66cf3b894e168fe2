// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/text_reader.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <cstring>

namespace bw::detail {
namespace {

constexpr std::uint64_t kPiece = 1 << 20;
constexpr std::uint64_t kLongestPiece = 16 << 20;
constexpr std::uint64_t kLongestLine = 64 << 20;
constexpr double kInvalidShare = 0.1;

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool isSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

} // namespace

std::size_t safeCut(std::string_view text) {
    for (std::size_t i = text.size(); i-- > 2;)
        if (text[i - 1] == ' ' && isLetter(text[i]) && isLetter(text[i - 2]))
            return i - 1;
    for (std::size_t i = text.size(); i-- > 2;)
        if (text[i - 1] == '\n' && !isSpace(text[i]) && !isSpace(text[i - 2]))
            return i;
    return 0;
}

void requireText(std::string_view piece, std::uint64_t offset, const std::string& path) {
    const char* hint = "give a plain UTF-8 text or a .jsonl file";
    if (const void* nul = std::memchr(piece.data(), 0, piece.size())) {
        const auto at = offset + static_cast<std::uint64_t>(static_cast<const char*>(nul) - piece.data());
        throw Error(ErrorCode::binaryText, "'" + escapeForDisplay(path) + "' is no text: a NUL byte at position " + std::to_string(at), hint);
    }
    std::size_t invalid = 0;
    for (std::size_t i = 0; i < piece.size();) {
        const std::size_t length = utf8SequenceLength(piece.substr(i, 4));
        invalid += length == 0 ? 1 : 0;
        i += std::max<std::size_t>(1, length);
    }
    if (static_cast<double>(invalid) > kInvalidShare * static_cast<double>(piece.size()))
        throw Error(ErrorCode::binaryText, "'" + escapeForDisplay(path) + "' is no text: " + std::to_string(invalid) + " of " +
                    std::to_string(piece.size()) + " bytes from position " + std::to_string(offset) + " are not UTF-8", hint);
}

TextReader::TextReader(const std::string& path) : file_(path) {}

std::string_view TextReader::raw(std::uint64_t offset, std::uint64_t length) const {
    file_.checkUnchanged();
    const auto bytes = file_.bytes().subspan(offset, std::min(length, file_.size() - offset));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view TextReader::rest() const { return raw(position_, file_.size() - position_); }

void TextReader::take(std::uint64_t bytes) {
    // Pages before the current piece are not needed again; whole megabytes keep the calls few.
    const std::uint64_t done = position_ / kPiece * kPiece;
    if (done > released_) {
        file_.release(released_, done - released_);
        released_ = done;
    }
    position_ += bytes;
}

std::string_view TextReader::nextPiece() {
    const std::string_view all = rest();
    std::uint64_t length = kPiece;
    std::size_t cut = 0;
    while (length < all.size() && (cut = safeCut(all.substr(0, length))) == 0 && length < kLongestPiece)
        length *= 2;
    if (length >= all.size())
        cut = all.size();
    if (cut == 0) {
        // No place in 16 MiB: at least no character is torn.
        cut = length;
        while (cut > length - 4 && (static_cast<unsigned char>(all[cut]) & 0xc0) == 0x80)
            --cut;
    }
    take(cut);
    return all.substr(0, cut);
}

std::string_view TextReader::nextLine() {
    const std::string_view all = rest();
    const std::string_view window = all.substr(0, kLongestLine + 1);
    const auto newline = window.find('\n');
    if (newline == std::string_view::npos && window.size() > kLongestLine)
        throw Error(ErrorCode::binaryText, "'" + escapeForDisplay(file_.path()) + "' has a line of more than 64 MiB", "give one JSON object a line");
    if (newline == std::string_view::npos) {
        take(all.size());
        return all;
    }
    take(newline + 1);
    return all.substr(0, newline);
}

} // namespace bw::detail
