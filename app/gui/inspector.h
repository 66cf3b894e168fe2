// SPDX-License-Identifier: GPL-3.0-or-later
// What is known of the selected site: shape, format, bytes, errors, its weights with the grid over them, what each format
// would cost, and the inputs that calibration saw.
#pragma once

#include <QScrollArea>

class QFormLayout;
class QLabel;
class QPushButton;

namespace bw {

class BarList;
class ChannelBars;
class HistogramPlot;
class Session;

class Inspector final : public QScrollArea {
    Q_OBJECT
public:
    explicit Inspector(Session& session, QWidget* parent = nullptr);

private:
    void build();
    QLabel* fact(QFormLayout* form, const QString& name, QLabel** keyLabel = nullptr);
    QLabel* section(const QString& title);
    void showSite();
    void showWeights();
    void showCosts();
    void showBars(const QString& site, const QString& asked);
    void showInputs();

    Session& session_;
    QWidget* content_;
    QLabel *name_, *pinned_, *shape_, *empty_;
    QLabel *format_, *bytes_, *measured_, *fisher_, *output_, *measuredName_, *fisherName_, *outputName_, *doubt_, *error_, *outliers_, *kurtosis_;
    QLabel *weightsTitle_, *weightsRange_, *costsTitle_, *inputsTitle_, *inputsText_;
    HistogramPlot* weights_;
    BarList* costs_;
    ChannelBars* inputs_;
    QList<QWidget*> whenSite_; ///< hidden while nothing is selected
    quint64 mapRevision_ = 0; ///< of the session's map, as shown
};

} // namespace bw
