// SPDX-License-Identifier: GPL-3.0-or-later
// The Compare workspace: two runs of the log, what differs in their figures, their formats, their recipes, and where in
// the text it shows.
#pragma once

#include "widgets/compare/comparison.h"

#include "core/tokenizer/tokenizer.h"

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
class RecipeTable;
class TokenCurve;
class TokenText;
class OutputPair;
class HeatmapPlot;
class Panel;

class ComparePage final : public QWidget {
    Q_OBJECT
public:
    explicit ComparePage(Session* session, QWidget* parent = nullptr);
    const Comparison& comparison() const { return comparison_; }
    MetricTable* metrics() const { return metrics_; }
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
    void showSites();
    void showTexts();
    void loadTokenizer();

    Session* session_;
    Comparison comparison_;
    std::vector<RunSummary> runs_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    QString tokenizerOf_;
    QVector<QString> mapSites_; ///< site of each cell of the map
    QStackedWidget* stack_;
    RunChooser* a_;
    RunChooser* b_;
    FairnessBadge* badge_;
    MetricTable* metrics_;
    TokenCurve* curve_;
    HeatmapPlot* siteMap_;
    TokenText* text_;
    OutputPair* outputs_;
    RecipeTable* recipe_;
    QHBoxLayout* upperRow_;
    QHBoxLayout* lowerRow_;
    Panel* curvePanel_;
    Panel* mapPanel_;
    Panel* textPanel_;
    QLabel* emptyTitle_;
    QLabel* emptyText_;
};

} // namespace bw
