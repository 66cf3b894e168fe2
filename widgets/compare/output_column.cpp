// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/output_column.h"

#include "core/evaluate/outputs.h"
#include "widgets/plots/color_maps.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QLabel>
#include <QStyle>
#include <QTextBrowser>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

constexpr double kQuiet = 0.03;    ///< of probability moved; less stays plain
constexpr double kFull = 0.5;      ///< gets the full colour
constexpr qsizetype kShownCandidates = 4;

QString percent(double probability) { return QStringLiteral("%1 %").arg(100 * probability, 0, 'f', probability < 0.1 ? 1 : 0); }

void showRole(QLabel* label, const char* role) {
    label->setProperty("role", QString::fromLatin1(role));
    label->style()->unpolish(label);
    label->style()->polish(label);
}

/// Line ends and leading blanks stay what they are.
QString asHtml(const QString& text) { return text.toHtmlEscaped().replace(QLatin1Char('\n'), QStringLiteral("<br/>")); }

} // namespace

OutputColumn::OutputColumn(QWidget* parent) : QFrame(parent), title_(new ElidedLabel(this)), body_(new QTextBrowser(this)) {
    title_->setProperty("role", QStringLiteral("title"));
    body_->setFrameShape(QFrame::NoFrame);
    body_->setMinimumHeight(48); // two lines; what is below it must be seen too
    body_->viewport()->installEventFilter(this);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->setSpacing(2);
    all->addWidget(title_);
    all->addWidget(body_, 1);
    for (int i = 0; i < 4; ++i) { // wrapped lines would take the text's room
        foot_ << new ElidedLabel(this);
        foot_.last()->setTextFormat(Qt::PlainText);
        all->addWidget(foot_.last());
    }
    setMinimumWidth(220);
    connect(&Theme::instance(), &Theme::changed, this, &OutputColumn::refresh);
}

void OutputColumn::setText(const OutputText& text, std::shared_ptr<const Tokenizer> tokenizer, qsizetype partsAt) {
    text_ = text;
    tokenizer_ = std::move(tokenizer);
    partsAt_ = partsAt;
    refresh();
}

QString OutputColumn::wordOf(TokenId id) const {
    const QString word = tokenizer_ ? QString::fromStdString(tokenizer_->tokenText(id)) : QString::number(id);
    return QStringLiteral("“%1”").arg(QString(word).replace(QLatin1Char('\n'), QStringLiteral("⏎")));
}

QVector<CandidateLine> OutputColumn::candidatesThere(TokenId came) const {
    QVector<CandidateLine> lines;
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    QVector<TokenId> ids;
    const auto take = [&](const QVector<OutputText::Candidate>& list, int side) {
        for (const OutputText::Candidate& candidate : list) {
            if (!ids.contains(candidate.id)) {
                ids << candidate.id;
                lines << CandidateLine{wordOf(candidate.id), candidate.id == came, {unknown, unknown}};
            }
            lines[ids.indexOf(candidate.id)].shares[side] = candidate.probability;
        }
    };
    take(text_.topModel, 1);
    take(text_.topBase, 0);
    std::stable_sort(lines.begin(), lines.end(), [](const CandidateLine& x, const CandidateLine& y) {
        const auto most = [](const CandidateLine& line) { return std::fmax(line.shares[0], line.shares[1]); };
        return most(x) > most(y);
    });
    lines.resize(std::min(lines.size(), kMostCandidateLines));
    return lines;
}

QString OutputColumn::candidatesText(const QVector<OutputText::Candidate>& candidates) const {
    QStringList parts;
    for (const OutputText::Candidate& c : candidates.mid(0, kShownCandidates)) parts << wordOf(c.id) + QLatin1Char(' ') + percent(c.probability);
    return parts.join(QStringLiteral(" · "));
}

/// Blue: the original holds the token for likelier; amber: the run does. The first that differs is framed by bold letters.
QString OutputColumn::tokensHtml() {
    const Tokens& t = Theme::instance().tokens();
    QString html;
    qsizetype end = 0;
    for (std::size_t i = 0; i < text_.ids.size(); ++i) {
        const QString word = QString::fromStdString(tokenizer_->tokenText(text_.ids[i]));
        const double base = std::exp(double(text_.underBase[i])), model = std::exp(double(text_.underModel[i]));
        const double moved = std::isfinite(model - base) ? model - base : 0;
        end += word.size();
        const bool divides = text_.divergence == std::int64_t(i) && !text_.topBase.isEmpty();
        QString tip = tr("token %1 %2\noriginal %3 · this run %4").arg(i + 1).arg(wordOf(text_.ids[i]), percent(base), percent(model));
        if (divides) tip = QStringLiteral("<b>%1</b>%2").arg(tr("token %1: the texts part here").arg(i + 1), candidatesHtml({tr("original"), tr("this run")}, candidatesThere(text_.ids[i])));
        tips_ << qMakePair(end, tip);
        QString style;
        if (std::abs(moved) >= kQuiet) {
            const QColor fill = colorAt(ColorMap::diverging, 0.5 + 0.5 * std::clamp(moved / kFull, -1.0, 1.0), t.dark);
            style = QStringLiteral("background-color:%1;color:%2;").arg(fill.name(), Theme::textOn(fill).name());
        }
        const bool parts = text_.side != OutputText::Side::base && text_.divergence == std::int64_t(i);
        if (parts) style += QStringLiteral("font-weight:700;text-decoration:underline;");
        html += style.isEmpty() ? asHtml(word) : QStringLiteral("<span style=\"%1\">%2</span>").arg(style, asHtml(word));
    }
    return html;
}

QString OutputColumn::figures() const {
    if (!text_.judged) return {};
    QStringList lines;
    if (text_.side == OutputText::Side::base) {
        if (text_.collapsed) lines << tr("repeats itself");
        return lines.join(QLatin1Char('\n'));
    }
    lines << (text_.divergence < 0 ? tr("the same text as the original") : tr("parts from the original at token %1").arg(text_.divergence + 1));
    if (text_.divergence >= 0 && !text_.topBase.isEmpty()) lines << tr("original there: %1").arg(candidatesText(text_.topBase)) << tr("this run there: %1").arg(candidatesText(text_.topModel));
    const QString states = tr("similarity of states %1 (lowest %2)").arg(text_.cosine, 0, 'f', 4).arg(text_.lowestCosine, 0, 'f', 3) + (text_.cosine < kAlertCosine ? tr(": reads another text") : QString());
    lines << states + QStringLiteral(" · ") + (text_.collapsed ? tr("collapsed: the longest loop has %1 tokens, %2 of token pairs differ").arg(text_.longestLoop).arg(percent(text_.distinct2))
                                                              : tr("no collapse, %1 of token pairs differ").arg(percent(text_.distinct2)));
    return lines.join(QLatin1Char('\n'));
}

QString OutputColumn::shownText() const { return body_->toPlainText(); }

void OutputColumn::refresh() {
    const Tokens& t = Theme::instance().tokens();
    const QColor mark = text_.side == OutputText::Side::a ? t.accent : text_.side == OutputText::Side::b ? t.amber : t.muted;
    const QString letter = text_.side == OutputText::Side::a ? QStringLiteral("A · ") : text_.side == OutputText::Side::b ? QStringLiteral("B · ") : QString();
    title_->setText(letter + text_.title);
    title_->setStyleSheet(QStringLiteral("border-left: 3px solid %1; padding-left: 6px;").arg(mark.name()));
    body_->setAccessibleName(tr("Output of %1").arg(letter + text_.title));
    tips_.clear();
    QString html;
    if (tokenizer_ && !text_.ids.empty()) {
        html = tokensHtml();
    } else {
        QColor fill = mark;
        fill.setAlpha(60);
        html = asHtml(partsAt_ < 0 ? text_.text : text_.text.left(partsAt_));
        if (partsAt_ >= 0) html += QStringLiteral("<span style=\"background-color:%1\">%2</span>").arg(fill.name(QColor::HexArgb), asHtml(text_.text.mid(partsAt_)));
    }
    body_->setHtml(QStringLiteral("<div style=\"white-space:pre-wrap;font-family:'%1';color:%2\">%3</div>").arg(Theme::instance().figures().family(), t.text.name(), html));
    const QStringList lines = figures().split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    const bool alert = text_.side != OutputText::Side::base && text_.judged && (text_.collapsed || text_.cosine < kAlertCosine);
    for (int i = 0; i < foot_.size(); ++i) {
        foot_[i]->setText(lines.value(i));
        foot_[i]->setVisible(i < lines.size());
        showRole(foot_[i], alert && i + 1 == lines.size() ? "warn" : "muted"); // states and collapse are the last line
    }
}

QString OutputColumn::describe(qsizetype character) const {
    for (const auto& [end, words] : tips_)
        if (character < end) return words;
    return {};
}

bool OutputColumn::eventFilter(QObject* watched, QEvent* event) {
    if (event->type() != QEvent::ToolTip) return QFrame::eventFilter(watched, event);
    auto* help = static_cast<QHelpEvent*>(event);
    const QString words = describe(body_->cursorForPosition(help->pos()).position());
    if (words.isEmpty()) QToolTip::hideText();
    else QToolTip::showText(help->globalPos(), words, this);
    return true;
}

} // namespace bw
