// SPDX-License-Identifier: GPL-3.0-or-later
// Text data sets: reading .txt and .jsonl with bounded memory, cutting tokens into samples or windows, and the warnings
// of a careful engineer (too few samples, short samples, overlap with the evaluation text).
#pragma once

#include "core/base/job.h"
#include "core/model/walk.h"
#include "core/tokenizer/tokenizer.h"

#include <string>
#include <vector>

namespace bw {

/// A text file's identity and tokens. JSONL: one object a line with "text", "prompt" or "t"; a broken line is an error
/// with its number.
struct TextData {
    std::string path, name; ///< name: file name for people
    std::string sha256;     ///< of the file's bytes
    std::uint64_t bytes = 0;
    std::vector<TokenId> ids;
};

/// No special tokens are added; JSONL texts are tokenized one by one and follow each other.
/// @param maxTokens stop reading once that many tokens are there (0 = all). The hash is of the whole file all the same.
/// @throws Error fileNotFound, binaryText (NUL bytes or more than a tenth invalid UTF-8), textTooShort (empty),
/// invalidHeader (a broken JSONL line, with its number), usage (more than 2^28 tokens without a limit), cancelled.
TextData loadText(const std::string& path, const Tokenizer& tokenizer, std::int64_t maxTokens, JobContext& job);

/// Protocol "windows:N": consecutive non-overlapping windows of N from the start, tail dropped, at most maxTokens.
/// "llama.cpp:N": same windows; BOS over the first token where the tokenizer wants it (and one in front of the whole text,
/// as that program does), second half scored.
struct Protocol {
    enum class Kind { windows, llamaCpp } kind = Kind::windows;
    std::int64_t length = 256;
    std::string name() const; ///< "windows:256"
};
Protocol parseProtocol(std::string_view text); ///< @throws Error(usage)
/// @throws Error(textTooShort) naming the file, its tokens and N.
Windows cutWindows(const TextData& text, const Protocol& protocol, const Tokenizer& tokenizer, std::int64_t maxTokens);
/// `samples` windows of `length` tokens spread evenly over the concatenation of `texts`, each text in proportion. They
/// never overlap nor cross from one text into the next: short texts give fewer (see the warnings).
/// @throws Error(textTooShort) when no text holds one window; Error(usage).
Windows calibrationWindows(const std::vector<TextData>& texts, std::int64_t samples, std::int64_t length);

/// Texts are held against each other by sequences of this many tokens.
inline constexpr std::int64_t kGramTokens = 13;
/// A 64-bit mix of kGramTokens ids. Two of n different sequences collide with chance n²/2^65: 1e-7 for a million.
std::uint64_t gramHash(const TokenId* ids);
/// Share of the calibration's 13-grams (token ids) that also occur in the evaluation text, 0…1.
double overlapShare(const Windows& calibration, std::span<const TokenId> evaluation);
/// One line for each warning of checkCalibration() (data_warnings.h) that needs no tokenizer.
std::vector<std::string> calibrationWarnings(const Windows& calibration, std::span<const TokenId> evaluation);

} // namespace bw
