// SPDX-License-Identifier: GPL-3.0-or-later
// What the log says of one chosen run beside its row: warnings, and its figures by text and by position in the window, a tab each.
#pragma once

#include "core/experiment/log.h"

#include <QFrame>
#include <QVector>

class QStackedWidget;
class QTabBar;
class QTableWidget;

namespace bw {

class ElidedLabel;
class WarningsTable;

class RunDetails final : public QFrame {
    Q_OBJECT
public:
    explicit RunDetails(QWidget* parent = nullptr);
    /// Hidden when the log says nothing of it. @throws what reading the log throws.
    void showRun(const LogReader& log, RunId run);
    void clear();

private:
    struct Part { QString name; qint64 tokens = 0; double perplexity = 0, kl = 0, klError = 0, same = 0; }; ///< NaN: not recorded
    static QVector<Part> partsOf(const Json& rows);
    static QString csv(const QVector<Part>& parts);
    void fill(QTableWidget* table, const QVector<Part>& parts);
    QTableWidget* makeTable(const QString& what, const QString& name, const QVector<Part>& parts);

    QVector<Part> texts_, positions_;
    QTabBar* tabs_;
    QStackedWidget* shown_;
    WarningsTable* warnings_;
    QTableWidget *textTable_, *positionTable_;
    ElidedLabel* hint_;
};

} // namespace bw
