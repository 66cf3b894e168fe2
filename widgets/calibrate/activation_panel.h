// SPDX-License-Identifier: GPL-3.0-or-later
// What enters the selected site: histogram of the activations with the clip lines of every calibrator, draggable, and
// the error each of them leaves.
#pragma once

#include "core/experiment/log.h"

#include <QHash>
#include <QWidget>
#include <optional>

class QCheckBox;
class QGridLayout;
class QLabel;

namespace bw {

class HistogramPlot;
class Panel;
class Session;

/// Share of a histogram's values outside [low, high], whole bins by their centres.
double clippedShare(const Histogram& histogram, double low, double high);

class ActivationPanel final : public QWidget {
    Q_OBJECT
public:
    explicit ActivationPanel(Session* session, QWidget* parent = nullptr);
    void setStatistics(std::vector<SiteStatisticsRow> rows);

private:
    void show();
    void showRanges();
    void moved(const QString& name, double low, double high);
    const SiteStatisticsRow* current() const;

    Session* session_;
    std::vector<SiteStatisticsRow> rows_;
    QHash<QString, ClipRange> dragged_; ///< lines the person has moved, for this site
    Panel* panel_;
    HistogramPlot* plot_;
    QCheckBox* log_;
    QLabel* facts_;
    QHash<QString, QList<QLabel*>> cells_; ///< calibrator → range, clipped, error
    QGridLayout* table_;
};

/// Sites named in a row, in order.
QStringList sitesOf(const SiteStatisticsRow& row);

} // namespace bw
