// SPDX-License-Identifier: GPL-3.0-or-later
// Two runs side by side as the Compare page shows them, read from the log: metrics with differences, fairness, formats
// by site, what differs in the recipes, scores by token. Differences are B − A throughout.
#pragma once

#include "core/evaluate/reliability.h"
#include "core/experiment/runner.h"
#include "widgets/compare/comparison_parts.h"

#include <QString>
#include <QStringList>
#include <QVector>

namespace bw {

struct RecipeLine { QString what, a, b; };

struct SiteLine {
    QString site, kind;
    int block = -1;
    QString formatA, formatB;
    double difference = 0; ///< relative squared weight error of B − A
};

struct Comparison {
    RunId a, b;
    RunSummary summaryA, summaryB;
    QVector<MetricLine> metrics;
    QVector<PartLine> byText, byPosition; ///< empty where the runs do not share their tokens
    QVector<SeedLine> seeds;  ///< empty: no runs with other seeds
    int seedRunsA = 0, seedRunsB = 0;
    bool fair = false;
    QStringList reasons;      ///< why not
    QVector<RecipeLine> recipe;
    QVector<SiteLine> sites;
    std::vector<OutputRow> outputsA, outputsB;
    std::vector<ReliabilityBin> reliabilityA, reliabilityB; ///< empty in logs older than the diagram
    TokenScoreRow tokensA, tokensB;
    bool sameTokens = false;  ///< both scored the same ids: curves can be laid over each other

    bool empty() const { return a == RunId() || b == RunId(); }
    QString markdown() const;
    QString csv() const { return metricsCsv(metrics); }
    static QString metricsCsv(const QVector<MetricLine>& metrics);
    /// @throws Error(unknownRun) and what reading the log throws.
    static Comparison read(const LogReader& log, RunId a, RunId b);
};

/// One line under a run's name: "5.00 bits/weight · 3.20 MiB · run 5".
QString runDetailText(const RunSummary& run);
QString runTitle(const RunSummary& run);

} // namespace bw
