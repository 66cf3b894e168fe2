// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/prompts_dialog.h"

#include "widgets/compare/comparison.h"
#include "widgets/compare/output_texts.h"

#include <QDialogButtonBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QRegularExpression>
#include <QSpinBox>
#include <QVBoxLayout>

namespace bw {
namespace {

constexpr int kMostListed = 60; // runs, newest first; older ones are compared by choosing them as A or B

QLabel* text(const QString& words, const char* role, QWidget* parent) {
    auto* made = new QLabel(words, parent);
    made->setProperty("role", QString::fromLatin1(role));
    made->setWordWrap(true);
    made->setTextFormat(Qt::PlainText);
    return made;
}

} // namespace

PromptsDialog::PromptsDialog(const RunList& runs, RunId a, RunId b, QWidget* parent) : QDialog(parent) {
    setWindowTitle(tr("Outputs side by side"));
    setObjectName(QStringLiteral("prompts"));
    resize(640, 560);
    typed_ = new QPlainTextEdit(this);
    typed_->setObjectName(QStringLiteral("prompts.typed"));
    typed_->setAccessibleName(tr("Prompts"));
    typed_->setPlainText(tr("Once upon a time\n\nThe most important thing about a bridge is\n\ndef mean(values):"));
    file_ = text({}, "muted", this);
    problem_ = text({}, "warn", this);
    runs_ = new QListWidget(this);
    runs_->setAccessibleName(tr("Runs that answer"));
    for (const RunSummary& run : runs) {
        const bool side = run.id == a || run.id == b;
        if (!side && runs_->count() >= kMostListed) continue;
        auto* item = new QListWidgetItem(QStringLiteral("%1%2 · %3").arg(run.id == a ? QStringLiteral("A · ") : run.id == b ? QStringLiteral("B · ") : QString(), runTitle(run), runDetailText(run)));
        item->setData(Qt::UserRole, qlonglong(run.id.value()));
        item->setCheckState(side ? Qt::Checked : Qt::Unchecked);
        side ? runs_->insertItem(run.id == a ? 0 : std::min(1, runs_->count()), item) : runs_->addItem(item);
    }
    tokens_ = new QSpinBox(this);
    tokens_->setRange(1, 1024);
    tokens_->setValue(64);
    tokens_->setAccessibleName(tr("Tokens of each answer"));
    auto* choose = new QPushButton(tr("Prompt set…"), this);
    choose->setToolTip(tr("A .jsonl file: one object with a \"prompt\" a line"));
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel, this);
    start_ = buttons->addButton(tr("Start"), QDialogButtonBox::AcceptRole);
    auto* files = new QHBoxLayout;
    files->addWidget(choose);
    files->addWidget(file_, 1);
    auto* length = new QHBoxLayout;
    length->addWidget(text(tr("tokens of each answer, at most"), "muted", this));
    length->addWidget(tokens_);
    length->addStretch(1);
    auto* all = new QVBoxLayout(this);
    all->setSpacing(8);
    all->addWidget(text(tr("Prompts, an empty line between two"), "title", this));
    all->addWidget(typed_, 3);
    all->addLayout(files);
    all->addWidget(text(tr("Runs that answer, up to %1").arg(kMostOutputRuns), "title", this));
    all->addWidget(runs_, 2);
    all->addLayout(length);
    all->addWidget(text(tr("The original answers too. A run that wrote no file is written to a temporary one first."), "muted", this));
    all->addWidget(problem_);
    all->addWidget(buttons);
    connect(choose, &QPushButton::clicked, this, &PromptsDialog::chooseFile);
    connect(typed_, &QPlainTextEdit::textChanged, this, &PromptsDialog::check);
    connect(runs_, &QListWidget::itemChanged, this, &PromptsDialog::check);
    connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    check();
}

QStringList PromptsDialog::promptsOf(const QString& text) {
    static const QRegularExpression empty(QStringLiteral("\\n[ \\t]*\\n"));
    QStringList prompts;
    for (QString part : text.split(empty)) {
        while (part.startsWith(QLatin1Char('\n'))) part.remove(0, 1);
        while (part.endsWith(QLatin1Char('\n'))) part.chop(1);
        if (!part.trimmed().isEmpty()) prompts << part;
    }
    return prompts;
}

void PromptsDialog::chooseFile() {
    path_ = QFileDialog::getOpenFileName(this, tr("Prompt set"), {}, tr("Prompt sets (*.jsonl);;All files (*)"));
    file_->setText(path_.isEmpty() ? QString() : tr("and those of %1").arg(QFileInfo(path_).fileName()));
    check();
}

OutputsWish PromptsDialog::wish() const {
    OutputsWish wish;
    wish.typed = promptsOf(typed_->toPlainText());
    if (!path_.isEmpty()) wish.files << path_;
    wish.maxTokens = tokens_->value();
    for (int i = 0; i < runs_->count(); ++i)
        if (runs_->item(i)->checkState() == Qt::Checked) wish.runs.emplace_back(runs_->item(i)->data(Qt::UserRole).toLongLong());
    return wish;
}

void PromptsDialog::check() {
    const OutputsWish now = wish();
    QString problem;
    if (now.runs.empty()) problem = tr("Tick at least one run.");
    else if (now.runs.size() > std::size_t(kMostOutputRuns)) problem = tr("At most %1 runs stand side by side.").arg(kMostOutputRuns);
    else if (now.typed.isEmpty() && now.files.isEmpty()) problem = tr("Type a prompt, or choose a prompt set.");
    problem_->setText(problem);
    problem_->setVisible(!problem.isEmpty());
    start_->setEnabled(problem.isEmpty());
}

} // namespace bw
