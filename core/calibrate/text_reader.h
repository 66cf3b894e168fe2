// SPDX-License-Identifier: GPL-3.0-or-later
// A text file of any size in pieces that can be tokenized apart with the same result as the whole. For readers of
// texts and prompts.
#pragma once

#include "core/base/mapped_file.h"

#include <string>
#include <string_view>

namespace bw::detail {

/// Where to cut `text` so that both sides tokenize as they would together: the last "letter| letter" (byte-level
/// pre-tokenizers start a word with its space) or, failing that, the last single newline between two lines.
/// 0 when there is no such place.
std::size_t safeCut(std::string_view text);

/// Refuses what is no text: a NUL byte anywhere, or more than a tenth of a piece's bytes outside valid UTF-8 (Latin-1
/// prose has a few percent, other code pages and binaries far more).
/// @param offset of `piece` in the file, for the message. @throws Error(binaryText).
void requireText(std::string_view piece, std::uint64_t offset, const std::string& path);

/// Hands out a mapped file piece by piece and lets go of the pages behind it.
class TextReader {
public:
    /// @throws Error fileNotFound, notRegularFile, permissionDenied.
    explicit TextReader(const std::string& path);
    std::uint64_t size() const { return file_.size(); }
    std::uint64_t position() const { return position_; }
    bool atEnd() const { return position_ == file_.size(); }
    /// The next 1 MiB up to a safe cut; up to 16 MiB where none comes earlier. Valid until the next call.
    std::string_view nextPiece();
    /// The next line without its newline. @throws Error(binaryText) for a line past 64 MiB.
    std::string_view nextLine();
    /// Up to `length` bytes as they lie in the file at `offset`.
    std::string_view raw(std::uint64_t offset, std::uint64_t length) const;
    /// Lets the pages of a part go; they come back from the file when they are read again.
    void forget(std::uint64_t offset, std::uint64_t length) const { file_.release(offset, length); }

private:
    std::string_view rest() const;
    void take(std::uint64_t bytes);
    MappedFile file_;
    std::uint64_t position_ = 0, released_ = 0;
};

} // namespace bw::detail
