// SPDX-License-Identifier: GPL-3.0-or-later
// What runs wrote to the same prompts, as the log holds it: the original's text first, then A's, B's and those of up to six
// more runs that were judged against the same original. Reading only.
#pragma once

#include "core/experiment/log.h"
#include "widgets/session/run_list.h"

#include <QString>
#include <QVector>

namespace bw {

/// One text to one prompt.
struct OutputText {
    enum class Side { base, a, b, other };
    Side side = Side::other;
    RunId run;                            ///< whose it is; 0 for the original's
    QString title, text;
    bool judged = false;                  ///< false: only the text is known
    std::vector<TokenId> ids;
    std::vector<float> underBase, underModel; ///< log probability of each token under the original and under the run's model
    std::int64_t divergence = -1;         ///< first token that differs from the original's; −1: none
    double cosine = 1, lowestCosine = 1;  ///< of last hidden states over the original's text
    std::int64_t longestLoop = 0;
    double distinct2 = 1;
    bool collapsed = false;
    struct Candidate { TokenId id = 0; double probability = 0; };
    QVector<Candidate> topBase, topModel; ///< at the divergence
};

struct OutputPrompt {
    QString id, prompt;
    QVector<OutputText> texts; ///< the original's first, where there is one
};

inline constexpr int kMostOutputRuns = 8;

/// Tag of an evaluation that wrote the outputs of run `run`: "outputs-of-7".
std::string outputsTag(RunId run);
/// Prompts that A or B answered, as A's come first. @param runs newest first. @throws what reading the log throws.
QVector<OutputPrompt> readOutputs(const LogReader& log, const RunList& runs, RunId a, RunId b);

} // namespace bw
