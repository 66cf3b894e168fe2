// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/methods_table.h"

#include "widgets/mix/mix_state.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_style.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/panel.h"
#include "widgets/theme/theme.h"

#include <QHeaderView>
#include <QLabel>
#include <QResizeEvent>
#include <QScrollBar>
#include <QTableWidget>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

enum Column { kMethod, kFormats, kBits, kKl, kPerplexity, kTop1, kSeconds };

/// Sorts by number and shows text.
class NumberItem final : public QTableWidgetItem {
public:
    NumberItem(const QString& text, double value) : QTableWidgetItem(text), value_(value) {}
    bool operator<(const QTableWidgetItem& other) const override {
        const auto* number = dynamic_cast<const NumberItem*>(&other);
        if (!number) return QTableWidgetItem::operator<(other);
        if (std::isnan(value_) || std::isnan(number->value_)) return std::isnan(number->value_) && !std::isnan(value_); // unknown last
        return value_ < number->value_;
    }

private:
    double value_;
};

} // namespace

QString formatsText(const Recipe& recipe) {
    QString text = QString::fromStdString(recipe.assignment.format);
    if (!recipe.assignment.rules.empty())
        text += QStringLiteral(" + ") + counted(qint64(recipe.assignment.rules.size()), MethodsTable::tr("1 rule"), MethodsTable::tr("%1 rules"));
    return text;
}

MethodsTable::MethodsTable(Session* session, MixState* model, QWidget* parent)
    : QWidget(parent), session_(session), model_(model), panel_(new Panel(tr("Measured on this model"), this)), table_(new QTableWidget(0, kSeconds + 1, panel_)),
      empty_(new QLabel(panel_)) {
    setAccessibleName(tr("Measured methods"));
    table_->setObjectName(QStringLiteral("methods.table"));
    table_->setAccessibleName(tr("Measured methods"));
    table_->setHorizontalHeaderLabels({tr("method"), tr("formats"), tr("bits"), tr("KL"), tr("perplexity"), tr("same top-1"), tr("s")});
    table_->horizontalHeaderItem(kBits)->setToolTip(tr("bits per weight of the sites, scales and kept weights included"));
    table_->horizontalHeaderItem(kKl)->setToolTip(tr("mean KL against the original, nats per token, ± one standard error"));
    table_->horizontalHeaderItem(kSeconds)->setToolTip(tr("seconds of rounding"));
    table_->verticalHeader()->hide();
    table_->verticalHeader()->setDefaultSectionSize(26);
    table_->setShowGrid(false);
    table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table_->setSelectionBehavior(QAbstractItemView::SelectRows);
    table_->setSelectionMode(QAbstractItemView::SingleSelection);
    table_->setTabKeyNavigation(false);
    table_->setWordWrap(false);
    QHeaderView* head = table_->horizontalHeader();
    head->setHighlightSections(false);
    head->setSectionResizeMode(QHeaderView::ResizeToContents);
    head->setSectionResizeMode(kMethod, QHeaderView::Stretch); // what does not fit is elided; the tool tip has it whole
    head->setMinimumSectionSize(40);
    table_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    for (int c = 0; c <= kSeconds; ++c) table_->horizontalHeaderItem(c)->setTextAlignment((c <= kFormats ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    table_->setSortingEnabled(true);
    table_->sortByColumn(kKl, Qt::AscendingOrder);
    empty_->setProperty("role", QStringLiteral("muted"));
    empty_->setWordWrap(true);
    empty_->setText(tr("Nothing measured yet. Verify the method above, or try all proposals: each is rounded in memory and compared with the original on the evaluation texts."));
    panel_->setHint(tr("double click takes the recipe"));
    panel_->body()->addWidget(empty_);
    panel_->body()->addWidget(table_, 1);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    connect(table_, &QTableWidget::cellActivated, this, [this](int row) { take(row); });
    connect(model_, &MixState::mapChanged, this, &MethodsTable::reload);
    reload();
}

void MethodsTable::reload() {
    rows_ = model_->measured();
    empty_->setVisible(rows_.isEmpty());
    table_->setVisible(!rows_.isEmpty());
    double least = std::numeric_limits<double>::infinity();
    for (const MeasuredMix& mix : std::as_const(rows_)) least = std::min(least, mix.damage);
    table_->setSortingEnabled(false);
    table_->setRowCount(0);
    for (const MeasuredMix& mix : std::as_const(rows_)) addRow(mix, least);
    table_->setSortingEnabled(true);
    fitColumns();
}

void MethodsTable::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    fitColumns();
}

/// Leaves out what is asked for least until names have room: nothing scrolls sideways, tool tips tell the rest.
void MethodsTable::fitColumns() {
    constexpr int kName = 130; ///< px
    const QAbstractItemView* view = table_;
    const auto widthOf = [&](int c) { return std::max(view->sizeHintForColumn(c), table_->horizontalHeader()->sectionSizeHint(c)); };
    int needed = kName;
    for (int c = kFormats; c <= kSeconds; ++c) {
        table_->setColumnHidden(c, false);
        needed += widthOf(c);
    }
    const int room = panel_->contentsRect().width() - 32 - table_->verticalScrollBar()->sizeHint().width();
    for (const int c : {int(kSeconds), int(kPerplexity), int(kTop1), int(kFormats)}) {
        if (needed <= room) break;
        needed -= widthOf(c);
        table_->setColumnHidden(c, true);
    }
}

void MethodsTable::addRow(const MeasuredMix& mix, double least) {
    const int row = table_->rowCount();
    table_->insertRow(row);
    const QString tip = tr("run %1 · %2\n%3, %4\nKL %5 nats per token\n%6").arg(mix.run.value()).arg(mix.name, mix.method, formatsText(mix.recipe), withError(mix.damage, mix.standardError), bytesText(double(mix.siteBytes)))
                        + (std::isnan(mix.perplexity) ? QString() : tr(" · perplexity %1").arg(mix.perplexity, 0, 'f', 2))
                        + (std::isnan(mix.sameTop1) ? QString() : tr(" · same top-1 %1 %").arg(100 * mix.sameTop1, 0, 'f', 1));
    const auto put = [&](int column, const QString& text, double value) {
        QTableWidgetItem* cell = column <= kFormats ? new QTableWidgetItem(text) : new NumberItem(text, value);
        if (column > kMethod) cell->setFont(smallFigures());
        cell->setTextAlignment((column <= kFormats ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
        cell->setToolTip(tip);
        cell->setData(Qt::UserRole, qint64(mix.run.value()));
        if (column == kKl && mix.damage <= least) cell->setForeground(Theme::instance().tokens().green);
        table_->setItem(row, column, cell);
    };
    const auto known = [](double value, const QString& text) { return std::isnan(value) ? QStringLiteral("–") : text; };
    put(kMethod, mix.method, 0);
    put(kFormats, formatsText(mix.recipe), 0);
    put(kBits, mix.bitsPerWeight > 0 ? QString::number(mix.bitsPerWeight, 'f', 2) : QStringLiteral("–"), mix.bitsPerWeight > 0 ? mix.bitsPerWeight : std::nan(""));
    put(kKl, withError(mix.damage, mix.standardError), mix.damage);
    put(kPerplexity, known(mix.perplexity, QString::number(mix.perplexity, 'f', 2)), mix.perplexity);
    put(kTop1, known(mix.sameTop1, QStringLiteral("%1 %").arg(100 * mix.sameTop1, 0, 'f', 1)), mix.sameTop1);
    put(kSeconds, known(mix.roundingSeconds, figureText(mix.roundingSeconds, 2)), mix.roundingSeconds);
}

/// Formats and method of a run become the recipe's; texts and export stay.
void MethodsTable::take(int row) {
    const QTableWidgetItem* cell = table_->item(row, kMethod);
    const auto found = std::find_if(rows_.cbegin(), rows_.cend(), [&](const MeasuredMix& mix) { return cell && mix.run.value() == cell->data(Qt::UserRole).toLongLong(); });
    if (found == rows_.cend()) return;
    Recipe changed = session_->recipe();
    changed.assignment = found->recipe.assignment;
    copyMethod(found->recipe, changed);
    session_->editRecipe(tr("Method of run %1").arg(found->run.value()), std::move(changed));
}

} // namespace bw
