// SPDX-License-Identifier: GPL-3.0-or-later
// Every measured run of this model as a row: method, formats, size, damage, so that methods can be ranked on one's own data.
#pragma once

#include "widgets/mix/measured_mixes.h"

#include <QWidget>

class QLabel;
class QTableWidget;

namespace bw {

class MixState;
class Panel;
class Session;

class MethodsTable final : public QWidget {
    Q_OBJECT
public:
    MethodsTable(Session* session, MixState* model, QWidget* parent = nullptr);

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    void fitColumns();
    void reload();
    void addRow(const MeasuredMix& mix, double least);
    void take(int row);

    Session* session_;
    MixState* model_;
    Panel* panel_;
    QTableWidget* table_;
    QLabel* empty_;
    QVector<MeasuredMix> rows_; ///< as shown
};

/// "int4:g128", "q4_k + 12 rules", "mix:q4_k_m": the formats of a run in few words.
QString formatsText(const Recipe& recipe);

} // namespace bw
