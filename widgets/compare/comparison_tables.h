// SPDX-License-Identifier: GPL-3.0-or-later
// The tables of the Compare page: metrics with differences and verdict colours, the same of parts of the tokens, what seeds differ
// by, and what differs in the recipes. Each copies itself as Markdown and CSV.
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

/// One metric of each text, or of each stretch of positions.
class PartsTable final : public QTableWidget {
    Q_OBJECT
public:
    /// @param what head of the first column. @param fileName proposed for the CSV, without extension.
    PartsTable(const QString& what, const QString& fileName, QWidget* parent = nullptr);
    void setParts(const QVector<PartLine>& parts, const QString& metric);

private:
    void fill();
    QVector<PartLine> parts_;
    QString metric_;
};

class SeedsTable final : public QTableWidget {
    Q_OBJECT
public:
    explicit SeedsTable(QWidget* parent = nullptr);
    void setLines(const QVector<SeedLine>& lines);

private:
    QVector<SeedLine> lines_;
};

class RecipeTable final : public QTableWidget {
    Q_OBJECT
public:
    explicit RecipeTable(QWidget* parent = nullptr);
    void setLines(const QVector<RecipeLine>& lines);
};

} // namespace bw
