// SPDX-License-Identifier: GPL-3.0-or-later
// Text data sets: reading .txt, .jsonl and folders of source files with bounded memory, cutting tokens into samples or windows, and the warnings
// of a careful engineer (too few samples, short samples, overlap with the evaluation text).
#pragma once

#include "core/base/job.h"
#include "core/model/walk.h"
#include "core/tokenizer/tokenizer.h"

#include <string>
#include <vector>

namespace bw {

/// How the texts of a file or folder are read.
struct TextOptions {
    std::string field = {};                ///< JSONL: member that holds the text, "a.b" inside objects; empty: "text", "prompt" or "t"
    std::vector<std::string> include = {}; ///< folder: globs over a file's name or its path below the folder, "!glob" leaves out; empty = all
    std::int64_t minTokens = 0;            ///< documents (files, lines of JSONL) with fewer tokens are left out
    bool deduplicate = false;              ///< documents that this file or folder held before are left out
    friend bool operator==(const TextOptions&, const TextOptions&) = default;
};

/// A text's identity and tokens: of a file, or of a folder's files one after another in the order of their names.
struct TextData {
    std::string path, name; ///< name: file name for people
    std::string sha256;     ///< of the file's bytes; of a folder: of "SHA256  PATH\n" of every file that was read
    std::uint64_t bytes = 0;
    std::vector<TokenId> ids;
    std::int64_t documents = 1, tooShort = 0, duplicates = 0; ///< read; left out for minTokens; left out as seen before
    std::vector<std::int64_t> documentStarts = {}; ///< first token of each line (JSONL) or file (folder) that was read; a plain file: empty
    std::string documentUnit = "file";             ///< what those are: file, line, "file or line"
    std::int64_t files = 1;                   ///< read
    std::vector<std::string> skipped = {};    ///< "data.bin: no text": files of a folder that were left out, at most 64 of them
    std::int64_t skippedFiles = 0;            ///< all of them; hidden files and what `include` leaves out do not count
};

/// No special tokens are added; JSONL texts and files of a folder are tokenized one by one and follow each other. A JSONL line
/// is one object; a broken one is an error with its number. Of a folder, hidden files and links are passed over, and files that are no
/// text or larger than 4 MiB are left out; it is read in full or refused, never in part.
/// @param maxTokens stop reading once that many tokens are there (0 = all). The hash is of the whole file all the same.
/// @throws Error fileNotFound, binaryText (NUL bytes or more than a tenth invalid UTF-8), textTooShort (empty; a folder
/// without texts; nothing as long as minTokens), invalidHeader (a broken JSONL line or one without the field, with its number),
/// usage (more than 2^28 tokens without a limit; a folder of more than 20,000 files or 256 MiB), cancelled.
TextData loadText(const std::string& path, const Tokenizer& tokenizer, std::int64_t maxTokens, JobContext& job, const TextOptions& options = {});
/// TextData::sha256 without reading tokens. @throws as loadText, of files and folders.
std::string textDigest(const std::string& path, const TextOptions& options, JobContext& job);

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

/// Where a window came from.
struct WindowOrigin {
    std::size_t text = 0;     ///< number in the list of texts
    std::int64_t start = 0;   ///< first token
};
struct Sampling {
    std::int64_t samples = 128, length = 512;
    /// Share of the windows that each text gives, in any unit, one for each text; empty: in proportion to their lengths. A text
    /// that has not as many windows gives all it has, the others make up for it.
    std::vector<double> weights = {};
    bool random = false;      ///< drawn by `seed`; else spread evenly
    std::uint64_t seed = 0;
    bool deduplicate = false; ///< a window that shares more than half its 13-grams with earlier ones is left out
};
struct SampledWindows {
    Windows windows;
    std::vector<WindowOrigin> origins;    ///< of each window, in the order of texts and positions
    std::int64_t duplicates = 0;          ///< candidates left out
    std::vector<std::string> shortTexts;  ///< names of texts that hold no window
};
/// As calibrationWindows() where nothing else is asked for. The same texts and sampling give the same windows, byte for byte.
/// @throws Error(textTooShort), Error(usage), cancelled. Cost: with deduplicate one pass over all ids.
SampledWindows sampleWindows(const std::vector<const TextData*>& texts, const Sampling& sampling, JobContext& job);

/// Texts are held against each other by sequences of this many tokens.
inline constexpr std::int64_t kGramTokens = 13;
/// A 64-bit mix of kGramTokens ids. Two of n different sequences collide with chance n²/2^65: 1e-7 for a million.
std::uint64_t gramHash(const TokenId* ids);
/// Share of the calibration's 13-grams (token ids) that also occur in the evaluation text, 0…1.
double overlapShare(const Windows& calibration, std::span<const TokenId> evaluation);
/// One line for each warning of checkCalibration() (data_warnings.h) that needs no tokenizer.
std::vector<std::string> calibrationWarnings(const Windows& calibration, std::span<const TokenId> evaluation);

} // namespace bw
