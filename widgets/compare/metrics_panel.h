// SPDX-License-Identifier: GPL-3.0-or-later
// The figures of a comparison, a tab each: all metrics, one metric by text and by position in the window, and what seeds alone differ by.
#pragma once

#include "widgets/compare/comparison.h"

#include <QFrame>

class QComboBox;
class QStackedWidget;
class QTabBar;

namespace bw {

class ElidedLabel;
class MetricTable;
class PartsTable;
class SeedsTable;

class MetricsPanel final : public QFrame {
    Q_OBJECT
public:
    explicit MetricsPanel(QWidget* parent = nullptr);
    void setComparison(const Comparison& comparison);
    MetricTable* metrics() const { return metrics_; }

private:
    void showTab(int tab);
    void showFigure();

    Comparison comparison_;
    QTabBar* tabs_;
    QComboBox* figure_;
    QStackedWidget* shown_;
    MetricTable* metrics_;
    PartsTable *texts_, *positions_;
    SeedsTable* seeds_;
    ElidedLabel* note_;
};

} // namespace bw
