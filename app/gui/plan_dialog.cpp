// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/plan_dialog.h"

#include "core/base/text.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/engine_words.h"
#include "widgets/theme/theme.h"

#include <QCheckBox>
#include <QClipboard>
#include <QDialogButtonBox>
#include <QGridLayout>
#include <QGuiApplication>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QTableWidget>
#include <QVBoxLayout>

namespace bw {
namespace {

QString shown(const std::string& text) { return QString::fromStdString(escapeForDisplay(text, 160)); }

QString textOf(const Json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_string() ? shown(it->get<std::string>()) : QString();
}

double numberOf(const Json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_number() ? it->get<double>() : -1.0;
}

/// Exact, in groups of three.
QString exactBytes(const Json& object, const char* key) {
    const double bytes = numberOf(object, key);
    return bytes < 0 ? QStringLiteral("–") : groupedText(static_cast<qint64>(bytes));
}

QString bytesOf(const Json& object, const char* key) {
    const double bytes = numberOf(object, key);
    return bytes < 0 ? QStringLiteral("–") : QString::fromStdString(formatBytes(static_cast<std::uint64_t>(bytes)));
}

const Json& tensorsOf(const Json& plan) {
    static const Json none = Json::array();
    const auto it = plan.find("tensors");
    return it != plan.end() && it->is_array() ? *it : none;
}

} // namespace

PlanDialog::PlanDialog(const Json& plan, const QString& command, QWidget* parent) : QDialog(parent) {
    setWindowTitle(tr("Plan"));
    setObjectName(QStringLiteral("plan"));
    auto* title = new QLabel(tr("What will be written"), this);
    title->setProperty("role", QStringLiteral("heading"));
    auto* table = makeTable(plan);
    auto* only = new QCheckBox(tr("Only where the format differs from what was asked"), this);
    connect(only, &QCheckBox::toggled, table, [table](bool on) {
        for (int row = 0; row < table->rowCount(); ++row) table->setRowHidden(row, on && table->item(row, 4)->text().isEmpty());
    });
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel, this);
    auto* run = new QPushButton(tr("Run"), buttons);
    run->setProperty("role", QStringLiteral("accent")); // before the box dresses it
    buttons->addButton(run, QDialogButtonBox::AcceptRole);
    run->setDefault(true);
    auto* copy = buttons->addButton(tr("Copy as command"), QDialogButtonBox::ActionRole);
    connect(copy, &QPushButton::clicked, this, [command] { QGuiApplication::clipboard()->setText(command); });
    connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);

    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(20, 20, 20, 16);
    column->setSpacing(12);
    column->addWidget(title);
    column->addWidget(makeSummary(plan));
    column->addWidget(only);
    column->addWidget(table, 1);
    column->addWidget(buttons);
    resize(820, 620);
}

QWidget* PlanDialog::makeSummary(const Json& plan) {
    auto* box = new QFrame(this);
    box->setProperty("role", QStringLiteral("panel"));
    auto* grid = new QGridLayout(box);
    grid->setContentsMargins(16, 12, 16, 12);
    grid->setHorizontalSpacing(24);
    int column = 0;
    const auto fact = [&](const QString& name, const QString& value) {
        auto* label = new QLabel(name, box);
        label->setProperty("role", QStringLiteral("muted"));
        auto* figure = new QLabel(value, box);
        figure->setTextFormat(Qt::PlainText);
        figure->setProperty("role", QStringLiteral("figures"));
        grid->addWidget(label, 0, column);
        grid->addWidget(figure, 1, column++);
    };
    const double bits = numberOf(plan, "bits_per_weight"), seconds = numberOf(plan, "seconds_estimate");
    fact(tr("file, bytes"), exactBytes(plan, "file_bytes"));
    fact(tr("file"), bytesOf(plan, "file_bytes"));
    fact(tr("bits/weight"), bits < 0 ? QStringLiteral("–") : QString::number(bits, 'f', 3));
    fact(tr("memory"), bytesOf(plan, "memory_bytes"));
    fact(tr("disk free"), bytesOf(plan, "disk_free"));
    fact(tr("time"), seconds < 0 ? QStringLiteral("–") : shown(formatSeconds(seconds)));
    const auto warnings = plan.find("warnings");
    if (warnings != plan.end() && warnings->is_array()) {
        int row = 2;
        for (const Json& line : *warnings) {
            if (!line.is_string()) continue;
            auto* label = new QLabel(engineText(line.get<std::string>()), box);
            label->setTextFormat(Qt::PlainText);
            label->setProperty("role", QStringLiteral("warn"));
            label->setWordWrap(true);
            grid->addWidget(label, row++, 0, 1, column);
        }
    }
    return box;
}

QTableWidget* PlanDialog::makeTable(const Json& plan) {
    const Json& tensors = tensorsOf(plan);
    auto* table = new QTableWidget(static_cast<int>(tensors.size()), 5, this);
    table->setHorizontalHeaderLabels({tr("tensor"), tr("asked"), tr("used"), tr("bytes"), tr("why it differs")});
    table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table->setSelectionBehavior(QAbstractItemView::SelectRows);
    table->setShowGrid(false);
    table->setAccessibleName(tr("Planned tensors"));
    table->verticalHeader()->hide();
    table->verticalHeader()->setDefaultSectionSize(24);
    table->horizontalHeader()->setStretchLastSection(true);
    table->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    const QFont figures = Theme::instance().figures();
    int row = 0;
    for (const Json& tensor : tensors) {
        const QString why = engineText(textOf(tensor, "why").toStdString());
        const QStringList cells{textOf(tensor, "name"), textOf(tensor, "asked"), textOf(tensor, "used"),
                                exactBytes(tensor, "bytes"), why};
        for (int c = 0; c < cells.size(); ++c) {
            auto* item = new QTableWidgetItem(cells[c]);
            if (c < 4) item->setFont(figures);
            if (c == 3) item->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
            if (c == 2 && !why.isEmpty()) item->setForeground(Theme::instance().tokens().amber);
            table->setItem(row, c, item);
        }
        ++row;
    }
    table->horizontalHeaderItem(3)->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
    table->resizeColumnsToContents();
    for (int c = 0; c < 4; ++c) table->setColumnWidth(c, table->columnWidth(c) + 20);
    return table;
}

} // namespace bw
