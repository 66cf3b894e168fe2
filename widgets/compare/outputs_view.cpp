// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/outputs_view.h"

#include "widgets/compare/output_column.h"
#include "widgets/theme/elided_label.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QStackedWidget>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {

OutputsView::OutputsView(QWidget* parent) : QWidget(parent), head_(new ElidedLabel(this)), bar_(new QWidget(this)), stack_(new QStackedWidget(this)) {
    head_->setProperty("role", QStringLiteral("muted"));
    auto* top = new QHBoxLayout(bar_);
    top->setContentsMargins(0, 0, 0, 0);
    top->addWidget(head_, 1);
    const auto wanted = [this](QWidget* owner, const char* role) {
        auto* button = new QPushButton(tr("Let both answer prompts…"), owner);
        button->setProperty("role", QString::fromLatin1(role));
        connect(button, &QPushButton::clicked, this, &OutputsView::promptsWanted);
        return button;
    };
    top->addWidget(wanted(bar_, "link"));
    for (const auto& [text, name, by] : {std::tuple(QStringLiteral("◀"), tr("Previous prompt"), -1), std::tuple(QStringLiteral("▶"), tr("Next prompt"), 1)}) {
        auto* button = new QPushButton(text, bar_);
        button->setProperty("role", QStringLiteral("flat"));
        button->setAccessibleName(name);
        button->setToolTip(name);
        connect(button, &QPushButton::clicked, this, [this, step = by] { this->step(step); });
        top->addWidget(button);
    }
    auto* none = new QWidget(stack_);
    auto* words = new QLabel(tr("Let both runs answer the same prompts: their texts stand here beside the original's, with the token where they part and what each "
                                "held for likely there."), none);
    words->setProperty("role", QStringLiteral("muted"));
    words->setAlignment(Qt::AlignCenter);
    words->setWordWrap(true);
    auto* start = wanted(none, "accent");
    start->setObjectName(QStringLiteral("compare.outputs.start"));
    auto* empty = new QVBoxLayout(none);
    empty->addStretch(1);
    empty->addWidget(words);
    empty->addWidget(start, 0, Qt::AlignHCenter);
    empty->addStretch(1);
    auto* scroll = new QScrollArea(stack_);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    auto* columns = new QWidget(scroll);
    columns->setProperty("role", QStringLiteral("bar"));
    row_ = new QHBoxLayout(columns);
    row_->setContentsMargins(0, 0, 0, 0);
    row_->setSpacing(16);
    scroll->setWidget(columns);
    stack_->addWidget(none);
    stack_->addWidget(scroll);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(4);
    all->addWidget(bar_);
    all->addWidget(stack_, 1);
    refresh();
}

void OutputsView::setPrompts(const QVector<OutputPrompt>& prompts) {
    // The prompt looked at stays when only another run's answers came.
    const QString before = prompts_.isEmpty() ? QString() : prompts_[current_].prompt;
    prompts_ = prompts;
    current_ = 0;
    for (int i = 0; i < int(prompts_.size()); ++i)
        if (prompts_[i].prompt == before) current_ = i;
    refresh();
}

void OutputsView::setTokenizer(std::shared_ptr<const Tokenizer> tokenizer) {
    tokenizer_ = std::move(tokenizer);
    refresh();
}

qsizetype OutputsView::firstDifference(const QString& a, const QString& b) {
    const qsizetype shared = std::min(a.size(), b.size());
    for (qsizetype i = 0; i < shared; ++i)
        if (a[i] != b[i]) return i;
    return a.size() == b.size() ? -1 : shared;
}

void OutputsView::step(int by) {
    if (prompts_.isEmpty()) return;
    current_ = int((current_ + by + prompts_.size()) % prompts_.size());
    refresh();
}

void OutputsView::refresh() {
    bar_->setVisible(!prompts_.isEmpty());
    stack_->setCurrentIndex(prompts_.isEmpty() ? 0 : 1);
    const QVector<OutputText> texts = prompts_.isEmpty() ? QVector<OutputText>() : prompts_[current_].texts;
    while (columns_.size() < texts.size()) {
        columns_ << new OutputColumn(row_->parentWidget());
        row_->addWidget(columns_.last(), 1);
    }
    while (columns_.size() > texts.size()) delete columns_.takeLast();
    for (qsizetype i = 0; i < texts.size(); ++i)
        columns_[i]->setText(texts[i], tokenizer_, i == 0 ? -1 : firstDifference(texts.first().text, texts[i].text));
    if (prompts_.isEmpty()) return;
    const QString prompt = prompts_[current_].prompt.simplified();
    head_->setText(tr("Prompt %1 of %2 · “%3”").arg(current_ + 1).arg(prompts_.size()).arg(prompt.size() > 160 ? prompt.left(160) + QStringLiteral("…") : prompt));
    head_->setToolTip(prompts_[current_].prompt.left(2000));
}

} // namespace bw
