// SPDX-License-Identifier: GPL-3.0-or-later
// How two ways of judging damage agree on this model: a scatter of their common cells, rank correlation and median ratio
// of every format, and the sites they disagree on most. Works on the columns of the session's table.
#pragma once

#include "core/experiment/agreement.h"
#include "widgets/session/session.h"

#include <QWidget>

class QComboBox;
class QLabel;
class QStackedWidget;
class QTabBar;
class QTableWidget;

namespace bw {

class AgreementPlot;
class Panel;

class AgreementView final : public QWidget {
    Q_OBJECT
public:
    explicit AgreementView(Session* session, QWidget* parent = nullptr);
    AgreementPlot* plot() const { return plot_; }
    const Agreement& data() const { return data_; }

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    QWidget* buildFigures();
    void arrange();
    void reload();
    void showScores();
    void showDisagreements();
    void chooseColumns();
    Session* session_;
    Agreement data_;
    QComboBox *first_, *second_;
    QStackedWidget* stack_;
    QLabel *empty_, *summary_, *against_;
    AgreementPlot* plot_;
    QTabBar* tables_; ///< which table shows while there is no room for both
    Panel *scorePanel_, *worstPanel_;
    QTableWidget *scores_, *worst_;
    bool chosen_ = false; ///< by hand: new sweeps don't change what is compared
};

/// The common cells of two columns and their figures; no pairs when they have none.
Agreement agreementOf(const DamageMap& a, const DamageMap& b);
/// Indices of `pairs`, the most at odds first: ratios (less the usual ratio of that format when the units differ), those
/// that their errors could explain last.
std::vector<std::size_t> byDisagreement(const std::vector<AgreementPair>& pairs, bool sameUnit);

} // namespace bw
