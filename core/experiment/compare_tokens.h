// SPDX-License-Identifier: GPL-3.0-or-later
// Two runs' scores of the same tokens in pairs: differences with intervals over windows and over documents, of the whole, of
// each text and of positions in the window. Private to core/experiment.
#pragma once

#include "core/evaluate/paired.h"
#include "core/experiment/log.h"

#include <map>
#include <optional>
#include <string>

namespace bw {

/// b − a of one figure by token.
struct PairedFigure {
    PairedDifference windows;                   ///< whole windows drawn anew
    std::optional<PairedDifference> documents;  ///< whole documents; none with fewer than kLeastDocuments
    double low = 0, high = 0;                   ///< the wider of both: what is claimed holds for new windows and for new documents
    std::string how;                            ///< "paired, 64 windows of 255 tokens; 212 paragraphs"
};

struct TokenComparison {
    bool shared = false;                          ///< do both have scores of the same tokens?
    std::string whyNot;                           ///< one line; empty where nothing was scored at all
    std::map<std::string, PairedFigure> figures;  ///< by metric: nll, kl_mean, top1, same_top1
    Json byText = Json::array(), byPosition = Json::array(); ///< [{name, tokens, figures: [{name, a, b, difference, ci_low, ci_high}]}]
    Json toJson() const;
};

/// Figures by token mean something only over the same tokens: scores of other texts, windows or tokenizers are refused with the reason.
TokenComparison compareTokens(const LogReader& log, const RunDetail& a, const RunDetail& b);

/// Is the metric one of single tokens, which runs over other tokens can't share?
bool isOfTokens(const std::string& metric);

} // namespace bw
