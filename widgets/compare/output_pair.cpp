// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/output_pair.h"

#include "widgets/theme/elided_label.h"
#include "widgets/theme/theme.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QTextBrowser>
#include <QVBoxLayout>

namespace bw {

OutputPair::OutputPair(QWidget* parent)
    : QWidget(parent), head_(new ElidedLabel(this)), left_(new QTextBrowser(this)), right_(new QTextBrowser(this)) {
    head_->setProperty("role", QStringLiteral("muted"));
    left_->setAccessibleName(tr("Output of A"));
    right_->setAccessibleName(tr("Output of B"));
    auto* top = new QHBoxLayout;
    top->addWidget(head_, 1);
    for (const auto& [text, name, by] : {std::tuple(QStringLiteral("◀"), tr("Previous prompt"), -1), std::tuple(QStringLiteral("▶"), tr("Next prompt"), 1)}) {
        auto* button = new QPushButton(text, this);
        button->setProperty("role", QStringLiteral("flat"));
        button->setAccessibleName(name);
        button->setToolTip(name);
        connect(button, &QPushButton::clicked, this, [this, step = by] { this->step(step); });
        top->addWidget(button);
    }
    auto* texts = new QHBoxLayout;
    texts->setSpacing(12);
    texts->addWidget(left_, 1);
    texts->addWidget(right_, 1);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addLayout(top);
    all->addLayout(texts, 1);
    connect(&Theme::instance(), &Theme::changed, this, &OutputPair::refresh);
}

void OutputPair::setOutputs(const std::vector<OutputRow>& a, const std::vector<OutputRow>& b) {
    pairs_.clear();
    current_ = 0;
    for (const OutputRow& left : a) {
        for (const OutputRow& right : b) {
            if (left.prompt == right.prompt)
                pairs_ << Texts{QString::fromStdString(left.prompt), QString::fromStdString(left.text), QString::fromStdString(right.text)};
        }
    }
    refresh();
}

qsizetype OutputPair::firstDifference(const QString& a, const QString& b) {
    const qsizetype shared = std::min(a.size(), b.size());
    for (qsizetype i = 0; i < shared; ++i) {
        if (a[i] != b[i]) return i;
    }
    return a.size() == b.size() ? -1 : shared;
}

void OutputPair::step(int by) {
    if (pairs_.isEmpty()) return;
    current_ = int((current_ + by + pairs_.size()) % pairs_.size());
    refresh();
}

void OutputPair::refresh() {
    if (pairs_.isEmpty()) return;
    const Texts& texts = pairs_[current_];
    const qsizetype at = firstDifference(texts.a, texts.b);
    head_->setText(tr("Prompt %1 of %2 · “%3” · %4").arg(current_ + 1).arg(pairs_.size()).arg(texts.prompt.simplified().left(120),
                   at < 0 ? tr("identical") : tr("first difference at character %1").arg(at + 1)));
    const Tokens& t = Theme::instance().tokens();
    const auto html = [&](const QString& text, const QColor& color) {
        QColor fill = color;
        fill.setAlpha(60);
        const QString same = (at < 0 ? text : text.left(at)).toHtmlEscaped(), rest = (at < 0 ? QString() : text.mid(at)).toHtmlEscaped();
        return QStringLiteral("<pre style=\"white-space:pre-wrap;font-family:'%1';color:%2\">%3<span style=\"background-color:%4\">%5</span></pre>")
            .arg(Theme::instance().figures().family(), t.text.name(), same, fill.name(QColor::HexArgb), rest);
    };
    left_->setHtml(html(texts.a, t.accent));
    right_->setHtml(html(texts.b, t.amber));
}

} // namespace bw
