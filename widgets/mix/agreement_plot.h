// SPDX-License-Identifier: GPL-3.0-or-later
// One way of judging damage against another, a point per site and format, both axes logarithmic: on the line they agree.
// Colours by bits; a click selects the site.
#pragma once

#include "core/experiment/agreement.h"
#include "widgets/plots/plot_style.h"

#include <QVector>

namespace bw {

class AgreementPlot final : public Plot {
    Q_OBJECT
public:
    explicit AgreementPlot(QWidget* parent = nullptr);
    ~AgreementPlot() override;
    /// @param pairs a along y, b along x. @param sameUnit the line of equal values is drawn.
    void setPairs(const std::vector<AgreementPair>& pairs, const QString& nameA, const QString& nameB, bool sameUnit);
    void setSelected(const QString& site);
    /// Where a pair was drawn, px: for tests.
    QPointF pixelOf(int pair) const;
    QString csv() const;
    QSize sizeHint() const override { return {480, 380}; }
    QSize minimumSizeHint() const override { return {220, 160}; }

Q_SIGNALS:
    void siteChosen(const QString& site);

protected:
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    bool event(QEvent* event) override;

private:
    void fitLabels();
    class Points;
    friend class Points;
    int hitAt(const QPointF& position) const;

    Points* points_;
    std::vector<AgreementPair> pairs_;
    QVector<int> bits_;            ///< of each pair
    QString nameA_, nameB_, selected_;
    bool sameUnit_ = true;
    double floorA_ = 1e-9, floorB_ = 1e-9; ///< what stands for nothing on the log axes
    int hover_ = -1;
};

} // namespace bw
