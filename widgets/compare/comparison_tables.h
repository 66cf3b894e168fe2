// SPDX-License-Identifier: GPL-3.0-or-later
// The two tables of the Compare page: metrics with differences and verdict colours, and what differs in the recipes.
#pragma once

#include "widgets/compare/comparison.h"

#include <QTableWidget>

namespace bw {

class MetricTable final : public QTableWidget {
    Q_OBJECT
public:
    explicit MetricTable(QWidget* parent = nullptr);
    void setLines(const QVector<MetricLine>& lines);

private:
    void fill();
    QVector<MetricLine> lines_;
};

class RecipeTable final : public QTableWidget {
    Q_OBJECT
public:
    explicit RecipeTable(QWidget* parent = nullptr);
    void setLines(const QVector<RecipeLine>& lines);
};

} // namespace bw
