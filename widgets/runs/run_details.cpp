// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/runs/run_details.h"

#include "core/base/text.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/plots/table_export.h"
#include "widgets/runs/warnings_table.h"
#include "widgets/theme/elided_label.h"

#include <QHBoxLayout>
#include <QStackedWidget>
#include <QTabBar>
#include <QTableWidget>
#include <QVBoxLayout>
#include <cmath>
#include <limits>

namespace bw {
namespace {

enum Tab { kWarnings, kTexts, kPositions };

/// A log may come from anywhere: what has another type counts as not there.
double numberOf(const Json& row, const char* name) {
    const auto it = row.find(name);
    return it != row.end() && it->is_number() ? it->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

/// Where its kind of run keeps the evaluation.
Json evaluationOf(const Json& result) {
    if (!result.is_object()) return Json::object();
    const auto inside = result.find("evaluation");
    return inside != result.end() && inside->is_object() ? *inside : result;
}

} // namespace

RunDetails::RunDetails(QWidget* parent) : QFrame(parent), tabs_(new QTabBar(this)), shown_(new QStackedWidget(this)), warnings_(new WarningsTable(this)), hint_(new ElidedLabel(this)) {
    setProperty("role", QStringLiteral("panel"));
    setAccessibleName(tr("The chosen run"));
    tabs_->setObjectName(QStringLiteral("runs.details"));
    tabs_->setAccessibleName(accessibleName());
    tabs_->setDrawBase(false);
    tabs_->setExpanding(false);
    for (const QString& name : {tr("Warnings"), tr("By text"), tr("By position")}) tabs_->addTab(name);
    hint_->setProperty("role", QStringLiteral("muted"));
    hint_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    textTable_ = makeTable(tr("Text"), QStringLiteral("by-text"), texts_);
    positionTable_ = makeTable(tr("Position"), QStringLiteral("by-position"), positions_);
    for (QWidget* table : {static_cast<QWidget*>(warnings_), static_cast<QWidget*>(textTable_), static_cast<QWidget*>(positionTable_)}) shown_->addWidget(table);
    auto* head = new QHBoxLayout;
    head->addWidget(tabs_);
    head->addWidget(hint_, 1);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 6, 16, 12);
    all->setSpacing(6);
    all->addLayout(head);
    all->addWidget(shown_, 1);
    connect(tabs_, &QTabBar::currentChanged, shown_, &QStackedWidget::setCurrentIndex);
    hide();
}

QTableWidget* RunDetails::makeTable(const QString& what, const QString& name, const QVector<Part>& parts) {
    auto* table = new QTableWidget(this);
    dressTable(table, {what, tr("Tokens"), tr("Perplexity"), tr("KL, nats"), tr("Same top token")});
    table->setObjectName(QStringLiteral("runs.") + name);
    table->setAccessibleName(what);
    addTableMenu(table, name, [&parts] { return csv(parts); });
    return table;
}

QVector<RunDetails::Part> RunDetails::partsOf(const Json& rows) {
    QVector<Part> parts;
    if (!rows.is_array()) return parts;
    for (const Json& row : rows) {
        if (!row.is_object() || !row.contains("name") || !row["name"].is_string()) continue;
        parts << Part{QString::fromStdString(escapeForDisplay(row["name"].get<std::string>(), 200)), qint64(std::isfinite(numberOf(row, "tokens")) ? numberOf(row, "tokens") : 0),
                      numberOf(row, "perplexity"), numberOf(row, "kl_mean"), numberOf(row, "kl_se"), numberOf(row, "same_top1")};
    }
    return parts;
}

QString RunDetails::csv(const QVector<Part>& parts) {
    const auto exact = [](double v) { return std::isnan(v) ? QString() : QString::number(v, 'g', 17); };
    QString text = QStringLiteral("part,tokens,perplexity,kl_mean,kl_se,same_top1\n");
    for (const Part& part : parts)
        text += QStringList{csvField(part.name), QString::number(part.tokens), exact(part.perplexity), exact(part.kl), exact(part.klError), exact(part.same)}.join(QLatin1Char(',')) + QLatin1Char('\n');
    return text;
}

void RunDetails::fill(QTableWidget* table, const QVector<Part>& parts) {
    const auto dash = [](double value, const QString& text) { return std::isnan(value) ? QStringLiteral("–") : text; };
    table->setRowCount(int(parts.size()));
    for (int r = 0; r < parts.size(); ++r) {
        const Part& part = parts[r];
        const QStringList cells{part.name, QString::number(part.tokens), dash(part.perplexity, figureText(part.perplexity, 5)),
                                dash(part.kl, std::isnan(part.klError) ? figureText(part.kl, 4) : withError(part.kl, part.klError)), dash(part.same, QStringLiteral("%1 %").arg(100 * part.same, 0, 'f', 2))};
        for (int c = 0; c < cells.size(); ++c) table->setItem(r, c, tableCell(cells[c], c > 0, c > 0));
    }
}

void RunDetails::clear() { hide(); }

void RunDetails::showRun(const LogReader& log, RunId run) {
    const std::vector<DataWarning> warnings = log.warnings(run);
    const Json evaluation = evaluationOf(log.result(run));
    texts_ = partsOf(evaluation.value("by_text", Json::array()));
    positions_ = partsOf(evaluation.value("positions", Json::array()));
    // One part alone says what the run's row says.
    tabs_->setTabVisible(kWarnings, !warnings.empty());
    tabs_->setTabVisible(kTexts, texts_.size() > 1);
    tabs_->setTabVisible(kPositions, positions_.size() > 1);
    setVisible(!warnings.empty() || texts_.size() > 1 || positions_.size() > 1);
    if (isHidden()) return;
    tabs_->setTabText(kWarnings, tr("Warnings (%1)").arg(warnings.size()));
    hint_->setText(tr("run %1").arg(run.value()));
    warnings_->setWarnings(warnings);
    fill(textTable_, texts_);
    fill(positionTable_, positions_);
    for (int tab = 0; tab < tabs_->count() && !tabs_->isTabVisible(tabs_->currentIndex()); ++tab)
        if (tabs_->isTabVisible(tab)) tabs_->setCurrentIndex(tab);
    shown_->setCurrentIndex(tabs_->currentIndex());
}

} // namespace bw
