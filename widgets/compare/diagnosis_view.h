// SPDX-License-Identifier: GPL-3.0-or-later
// Why A and B lost what they lost, side by side: the sites behind it, a button that raises them in the mix, the findings; or a
// button that finds out.
#pragma once

#include "widgets/compare/diagnosis.h"
#include "widgets/session/session.h" // RunId as a signal argument

#include <QWidget>

class QLabel;
class QPushButton;
class QVBoxLayout;

namespace bw {

class BarList;

class DiagnosisView final : public QWidget {
    Q_OBJECT
public:
    explicit DiagnosisView(QWidget* parent = nullptr);
    struct Side { QString title; Diagnosis diagnosis; QString whyNot; }; ///< whyNot: why it can't be diagnosed; empty when it can
    void setSides(const Side& a, const Side& b);

Q_SIGNALS:
    void diagnoseWanted(bw::RunId run);
    void raiseWanted(bw::RunId run, const QStringList& sites, const QString& format);

private:
    struct Half {
        Side side;
        QLabel *title, *words;
        BarList* bars;
        QPushButton *raise, *find;
        QVBoxLayout* findings;
    };
    void build(Half& half, const QString& letter);
    void show(Half& half);
    Half a_, b_;
};

} // namespace bw
