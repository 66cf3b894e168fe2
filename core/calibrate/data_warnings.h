// SPDX-License-Identifier: GPL-3.0-or-later
// What a careful engineer would say about a calibration set, as data: too few or too short samples, text shared with the
// evaluation, another domain, experts that saw too little. Not for: refusing anything; fronts and logs show these.
#pragma once

#include "core/calibrate/dataset.h"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace bw {

struct DataWarning {
    std::string kind;                 ///< few-samples | short-samples | overlap | domain | duplicates | skipped-files | starved-experts; of a quantization
                                      ///< scaled-channels | extreme-scales | held-scales; of a result (experiment/result_warnings.h)
                                      ///< inversion | block-error | tokenizer | worse-than-chance | non-finite | stack
    std::string seen;                 ///< "only 12 calibration samples"
    std::string why;                  ///< why it matters
    std::string remedy;               ///< what to do
    std::vector<std::string> details = {}; ///< passages, files, sites
    std::string text() const;         ///< one line for people
};

/// A passage of the calibration windows that stands in the evaluation text too: at least 13 tokens.
struct SharedPassage {
    std::int64_t window = 0, tokens = 0;
    std::string text;                 ///< empty without a tokenizer; at most about 200 bytes
};
struct Overlap {
    double share = 0;                 ///< of the calibration's 13-grams that occur in the evaluation text
    std::vector<SharedPassage> longest; ///< the longest first, at most `limit`
};
/// Cost: one pass over both and a hash table of the evaluation's 13-grams (16 bytes a token).
Overlap findOverlap(const Windows& calibration, std::span<const TokenId> evaluation, const Tokenizer* tokenizer, std::size_t limit = 5);

/// Jensen–Shannon divergence, in bits (0…1), between the byte-trigram frequencies of two texts, less what two samples of
/// these sizes show when they come from one source. 0 for texts of fewer than 3 bytes.
double domainDivergence(std::string_view a, std::string_view b);

/// Past this divergence texts count as of another domain. Measured on 17–300 kB of prose (this project's, encyclopedia)
/// and of Python (this project's, its standard library): 0.01–0.10 between prose, 0.09–0.18 between Python, 0.36–0.47 from
/// one to the other; this is their geometric middle.
inline constexpr double kOtherDomain = 0.25;

/// What reading the texts and choosing windows left out: files that are no text, texts without a window, repeated documents and
/// windows; also windows that repeat others although nobody asked to leave them out.
std::vector<DataWarning> checkReading(const std::vector<const TextData*>& texts, const SampledWindows& sampled);

/// All that can be said of windows alone. @param evaluation tokens of what will be judged on; may be empty.
/// @param tokenizer for passages and the domain; null = neither. Texts under 16 KiB are not judged by their domain.
std::vector<DataWarning> checkCalibration(const Windows& calibration, std::span<const TokenId> evaluation, const Tokenizer* tokenizer);

} // namespace bw
