// SPDX-License-Identifier: GPL-3.0-or-later
// Figures of parts of an evaluation: per text (domain), per position in the window, and which tokens belong to one document.
// Works on kept scores alone; knows no model.
#pragma once

#include "core/calibrate/dataset.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bw {

/// Bits of a scored token's mark.
inline constexpr std::uint8_t kTokenWasLikeliest = 1, kSameLikeliest = 2;

/// The scored tokens of one evaluation text, in window order.
struct ScoredText {
    std::string name;
    std::string unit;                          ///< what a document is: "file", "line" (of JSONL), "file or line" (folder), "paragraph"
    std::vector<std::int64_t> documents;       ///< scored tokens of each, ≥ 1
    std::int64_t tokens() const;
    friend bool operator==(const ScoredText&, const ScoredText&) = default;
};

/// Documents are JSONL lines and files of a folder; else the parts between blank lines; a text without any is one document.
/// @param counts  windows that each text gave, in order; their sum is windows.count.
/// Cost: a look at each token of the windows.
std::vector<ScoredText> scoredTexts(const std::vector<TextData>& texts, const std::vector<std::int64_t>& counts, const Windows& windows, const Protocol& protocol,
                                    const Tokenizer& tokenizer);

/// Per-token scores in window order; `kl` and `marks` may be empty.
struct TokenFigures {
    std::span<const float> nll, kl;
    std::span<const std::uint8_t> marks;
};

struct PartFigures {
    std::string name;                      ///< of the text; "16–31" of positions
    std::int64_t tokens = 0;
    double nll = 0, nllStandardError = 0;  ///< nats per token
    double klMean = 0, klStandardError = 0;
    double top1 = 0, sameTop1 = 0;         ///< shares; 0 without marks
};

/// One row for each text. Errors are over the windows where there are eight or more, else over tokens.
std::vector<PartFigures> figuresByText(const TokenFigures& scores, const std::vector<ScoredText>& texts, std::int64_t windows);
/// Positions 1–15, 16–31, 32–63, … of a window, each as long as all before it; without those that no score falls into. Errors over the windows.
/// @param first  position in the window of the first scored token (its own, not of the one that predicts it).
std::vector<PartFigures> figuresByPosition(const TokenFigures& scores, std::int64_t windows, std::int64_t first);

/// Position in the window of the first token that a protocol scores.
std::int64_t firstScoredPosition(const Protocol& protocol, std::int64_t windowLength);

} // namespace bw
