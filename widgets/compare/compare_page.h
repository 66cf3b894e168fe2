// SPDX-License-Identifier: GPL-3.0-or-later
// The Compare workspace: two runs of the log, what differs in their figures, their formats, their recipes, and where in
// the text it shows.
#pragma once

#include "widgets/compare/comparison.h"

#include "core/tokenizer/tokenizer.h"
#include "widgets/session/run_list.h"

#include <QWidget>
#include <memory>

class QHBoxLayout;
class QLabel;
class QStackedWidget;

namespace bw {

class Session;
class RunChooser;
class FairnessBadge;
class MetricTable;
class MetricsPanel;
class RecipeTable;
class TokenCurve;
class EvidencePanel;
class KlHistogram;
class HeatmapPlot;
class ReliabilityPlot;
class Panel;

class ComparePage final : public QWidget {
    Q_OBJECT
public:
    explicit ComparePage(Session* session, QWidget* parent = nullptr);
    const Comparison& comparison() const { return comparison_; }
    MetricTable* metrics() const;
    HeatmapPlot* siteMap() const { return siteMap_; }
    TokenCurve* curve() const { return curve_; }
    FairnessBadge* badge() const { return badge_; }

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    QWidget* buildContents();
    QWidget* buildEmpty();
    QWidget* buildLinks();
    void reloadRuns();
    void reload();
    void readAside(RunId a, RunId b);
    void take(const Comparison& comparison, const QString& problem);
    bool takesLong(RunId a, RunId b) const;
    void showSites();
    void showTexts();
    void loadTokenizer();

    Session* session_;
    Comparison comparison_;
    RunList runs_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    QString tokenizerOf_;
    quint64 asked_ = 0;   ///< counts comparisons: one that is not the newest comes too late
    QVector<QString> mapSites_; ///< site of each cell of the map
    QStackedWidget* stack_;
    RunChooser* a_;
    RunChooser* b_;
    FairnessBadge* badge_;
    MetricsPanel* metrics_;
    TokenCurve* curve_;
    ReliabilityPlot* reliability_;
    HeatmapPlot* siteMap_;
    KlHistogram* distribution_;
    EvidencePanel* evidence_;
    RecipeTable* recipe_;
    QHBoxLayout* upperRow_;
    QHBoxLayout* lowerRow_;
    Panel* curvePanel_;
    Panel* mapPanel_;
    bool reading_ = false;
    QLabel* emptyTitle_;
    QLabel* emptyText_;
    QWidget* emptyRuns_;
};

} // namespace bw
