// SPDX-License-Identifier: GPL-3.0-or-later
// Texts against texts: BLEU and chrF against references, edit distance, and signs of a model that has collapsed into repeating
// itself. Knows nothing of models.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// Corpus BLEU (Papineni et al. 2002) on words split as mteval-v13a does for text without entities, up to 4-grams, exponential
/// smoothing of missing orders (Lin and Och 2004, method 3), 0…100. @param references one list of references for each
/// hypothesis; the closest length counts. 0 for no hypotheses.
double bleu(const std::vector<std::string>& hypotheses, const std::vector<std::vector<std::string>>& references);

/// chrF2 (Popović 2015): F-score, β = 2, of character n-grams up to 6 without white space, averaged over orders that occur on
/// both sides, counts summed over the corpus; of several references the best for each text. 0…100.
double chrf(const std::vector<std::string>& hypotheses, const std::vector<std::vector<std::string>>& references);

/// Insertions, deletions and replacements of tokens that make b of a (Levenshtein). Cost: |a|·|b|.
std::int64_t editDistance(std::span<const std::int32_t> a, std::span<const std::int32_t> b);

/// Signs of collapse in generated tokens.
struct Collapse {
    std::int64_t longestLoop = 0;   ///< tokens of the longest run that repeats a piece of 1…16 tokens at least three times in a row
    double distinct1 = 1, distinct2 = 1, distinct3 = 1; ///< different n-grams of all; 1 for texts shorter than n
    double entropy = 0;             ///< of the tokens' own frequencies, bits
    bool collapsed() const;         ///< a loop over half of a text of 16 tokens or more, or fewer than a fifth of its 2-grams are different
    std::int64_t tokens = 0;
};
Collapse collapse(std::span<const std::int32_t> ids);

/// Lower case, white space runs to one space, no punctuation at the ends: how answers are held against each other.
std::string normalizedAnswer(std::string_view text);

} // namespace bw
