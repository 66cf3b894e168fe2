// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/token_text.h"

#include "widgets/plots/color_maps.h"
#include "widgets/plots/number_text.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

constexpr qreal kLine = 23;
constexpr double kQuiet = 0.18;     ///< of the full colour; below, a token stays plain
constexpr double kFullColor = 0.99; ///< quantile of the differences that gets the strongest colour

QFont textFont() {
    QFont font = Theme::instance().figures();
    font.setPixelSize(13);
    return font;
}

} // namespace

TokenText::TokenText(QWidget* parent) : QAbstractScrollArea(parent) {
    setFrameShape(QFrame::NoFrame);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    viewport()->setAutoFillBackground(false);
    viewport()->setMouseTracking(true);
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAccessibleName(tr("Text, tokens coloured by the difference of KL"));
    connect(&Theme::instance(), &Theme::changed, this, [this] {
        words_.clear(); // the font may be another one
        layOut();
    });
}

void TokenText::setScores(const TokenScoreRow& a, const TokenScoreRow& b, std::shared_ptr<const Tokenizer> tokenizer) {
    const bool usable = !a.kl.empty() && a.kl.size() == b.kl.size() && a.kl.size() == a.ids.size();
    a_ = usable ? a : TokenScoreRow();
    b_ = usable ? b : TokenScoreRow();
    topA_ = TopTokenTable(a_.topTokens, a_.kl.size());
    topB_ = TopTokenTable(b_.topTokens, b_.kl.size());
    tokenizer_ = std::move(tokenizer);
    words_.clear();
    std::vector<double> sizes;
    for (qsizetype i = 0; i < count(); ++i) sizes.push_back(std::abs(difference(i)));
    scale_ = 1;
    if (!sizes.empty()) {
        const auto at = sizes.begin() + std::ptrdiff_t(kFullColor * double(sizes.size() - 1));
        std::nth_element(sizes.begin(), at, sizes.end());
        scale_ = *at > 0 ? *at : 1;
    }
    current_ = hovered_ = -1;
    causes_.clear();
    verticalScrollBar()->setValue(0);
    layOut();
}

void TokenText::setCauses(const QHash<qsizetype, QString>& causes) {
    causes_ = causes;
    viewport()->update();
}

void TokenText::setTokenizer(std::shared_ptr<const Tokenizer> tokenizer) {
    tokenizer_ = std::move(tokenizer);
    words_.clear();
    layOut();
}

double TokenText::difference(qsizetype token) const {
    const double d = double(b_.kl[std::size_t(token)]) - double(a_.kl[std::size_t(token)]);
    return std::isfinite(d) ? d : 0;
}

qsizetype TokenText::worst() const {
    qsizetype best = -1;
    for (qsizetype i = 0; i < count(); ++i) {
        if (best < 0 || std::abs(difference(i)) > std::abs(difference(best))) best = i;
    }
    return best;
}

QString TokenText::tokenText(qsizetype token) const {
    const TokenId id = a_.ids[std::size_t(token)];
    return tokenizer_ ? QString::fromStdString(tokenizer_->tokenText(id)) : QStringLiteral("‹%1›").arg(id);
}

void TokenText::setCurrent(qsizetype token) {
    if (token < 0 || token >= count()) return;
    current_ = token;
    setAccessibleDescription(describe(token));
    const int top = int(kLine * double(lineOf(token))), shown = viewport()->height();
    const int at = verticalScrollBar()->value();
    if (top < at || top + int(kLine) > at + shown) verticalScrollBar()->setValue(top - shown / 3); // what stands before explains it
    viewport()->update();
}

const TokenText::Word& TokenText::wordOf(qsizetype token) const {
    const TokenId id = a_.ids[std::size_t(token)];
    auto at = words_.find(id);
    if (at != words_.end()) return *at;
    static const auto drawn = [](QString text) { return text.replace(QLatin1Char('\n'), QStringLiteral("⏎")).replace(QLatin1Char('\t'), QStringLiteral("→")); };
    Word word;
    word.text = tokenText(token);
    word.breaks = word.text.contains(QLatin1Char('\n'));
    word.text = word.text.isEmpty() ? QStringLiteral("·") : drawn(word.text);
    word.width = float(QFontMetricsF(textFont()).horizontalAdvance(word.text)) + 1;
    return *words_.insert(id, word);
}

/// Flows all tokens into lines; a line break in the text breaks the line.
void TokenText::layOut() {
    lines_.clear();
    const double width = viewport()->width();
    double x = 0;
    bool fresh = true;
    for (qsizetype i = 0; i < count(); ++i) {
        const Word& word = wordOf(i);
        if (fresh || (x + double(word.width) > width && x > 0)) {
            lines_ << i;
            x = 0;
        }
        x += double(word.width);
        fresh = word.breaks;
    }
    setBars();
    viewport()->update();
}

void TokenText::setBars() {
    const int shown = viewport()->height();
    verticalScrollBar()->setSingleStep(int(kLine));
    verticalScrollBar()->setPageStep(std::max(int(kLine), shown - int(kLine)));
    verticalScrollBar()->setRange(0, std::max(0, int(std::min(1e9, kLine * double(lines_.size()))) - shown));
}

qsizetype TokenText::lineOf(qsizetype token) const {
    return std::max<qsizetype>(0, std::upper_bound(lines_.begin(), lines_.end(), token) - lines_.begin() - 1);
}

template <class Use>
void TokenText::eachVisible(Use use) const {
    const double scrolled = verticalScrollBar()->value();
    for (auto line = qsizetype(scrolled / kLine); line < lines_.size() && kLine * double(line) - scrolled < viewport()->height(); ++line) {
        double x = 0;
        for (qsizetype i = lines_[line]; i < endOf(line); ++i) {
            const Word& word = wordOf(i);
            use(i, QRectF(x, kLine * double(line) - scrolled + 2, double(word.width), kLine - 3), word.text);
            x += double(word.width);
        }
    }
}

QRect TokenText::tokenRect(qsizetype token) const {
    QRect found;
    eachVisible([&](qsizetype i, const QRectF& rect, const QString&) {
        if (i == token) found = rect.toAlignedRect();
    });
    return found;
}

void TokenText::paintEvent(QPaintEvent*) {
    QPainter painter(viewport());
    painter.setRenderHint(QPainter::Antialiasing);
    const Tokens& t = Theme::instance().tokens();
    if (count() == 0) {
        painter.setPen(t.muted);
        painter.drawText(viewport()->rect(), static_cast<int>(Qt::AlignCenter) | static_cast<int>(Qt::TextWordWrap),
                         tr("Both runs must have scored the same text against a baseline to be read side by side."));
        return;
    }
    painter.setFont(textFont());
    eachVisible([&](qsizetype token, const QRectF& rect, const QString& text) {
        const double strength = difference(token) / scale_;
        const QColor fill = colorAt(ColorMap::diverging, 0.5 + 0.5 * std::clamp(strength, -1.0, 1.0), t.dark);
        const bool colored = std::abs(strength) > kQuiet;
        if (colored) {
            painter.setPen(Qt::NoPen);
            painter.setBrush(fill);
            painter.drawRoundedRect(rect, 3, 3);
        }
        painter.setPen(colored ? Theme::textOn(fill) : t.text);
        painter.drawText(rect, Qt::AlignCenter, text);
        if (causes_.contains(token)) painter.fillRect(QRectF(rect.left() + 1, rect.bottom() - 1, rect.width() - 2, 2), t.red);
        if (token == current_) {
            painter.setBrush(Qt::NoBrush);
            painter.setPen(QPen(t.text, 2));
            painter.drawRoundedRect(rect, 3, 3);
        }
    });
}

void TokenText::resizeEvent(QResizeEvent* event) {
    QAbstractScrollArea::resizeEvent(event);
    const qsizetype first = lines_.isEmpty() ? 0 : lines_[std::min(lines_.size() - 1, qsizetype(verticalScrollBar()->value() / kLine))];
    const bool wider = event->oldSize().width() != event->size().width();
    if (wider) layOut();
    else setBars();
    if (wider && first > 0) verticalScrollBar()->setValue(int(kLine * double(lineOf(first)))); // the same words stay on top
}

qsizetype TokenText::tokenAt(const QPointF& position) const {
    qsizetype found = -1;
    eachVisible([&](qsizetype token, const QRectF& rect, const QString&) {
        if (rect.contains(position)) found = token;
    });
    return found;
}

void TokenText::mousePressEvent(QMouseEvent* event) {
    const qsizetype token = tokenAt(event->position());
    if (event->button() != Qt::LeftButton || token < 0) return;
    setCurrent(token);
    Q_EMIT tokenChosen(token);
}

void TokenText::keyPressEvent(QKeyEvent* event) {
    if (count() == 0) return QAbstractScrollArea::keyPressEvent(event);
    const qsizetype page = std::max<qsizetype>(1, qsizetype(viewport()->height() / kLine) - 1);
    const auto byLines = [&](qsizetype lines) { // at the same place in the line
        const qsizetype line = lineOf(std::max<qsizetype>(0, current_)), target = std::clamp<qsizetype>(line + lines, 0, lines_.size() - 1);
        return std::min(lines_[target] + std::max<qsizetype>(0, current_) - lines_[line], endOf(target) - 1);
    };
    qsizetype token = current_;
    switch (event->key()) {
    case Qt::Key_Left: token = current_ - 1; break;
    case Qt::Key_Right: token = current_ + 1; break;
    case Qt::Key_Up: token = byLines(-1); break;
    case Qt::Key_Down: token = byLines(1); break;
    case Qt::Key_PageUp: token = byLines(-page); break;
    case Qt::Key_PageDown: token = byLines(page); break;
    case Qt::Key_Home: token = 0; break;
    case Qt::Key_End: token = count() - 1; break;
    default: return QAbstractScrollArea::keyPressEvent(event);
    }
    setCurrent(std::clamp<qsizetype>(token, 0, count() - 1));
    Q_EMIT tokenChosen(current_);
}

QStringList TokenText::heads() const { return {QStringLiteral("A"), QStringLiteral("B"), tr("original")}; }

QVector<CandidateLine> TokenText::candidates(qsizetype token) const {
    if (token < 0 || token >= count()) return {};
    QVector<CandidateLine> lines;
    QVector<TokenId> ids;
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    const auto take = [&](const TopTokenTable& table, int side) {
        for (const TopToken& top : table.at(std::size_t(token))) {
            qsizetype at = ids.indexOf(top.id);
            if (at < 0) {
                at = ids.size();
                ids << top.id;
                const QString word = tokenizer_ ? QString::fromStdString(tokenizer_->tokenText(top.id)) : QStringLiteral("‹%1›").arg(top.id);
                lines << CandidateLine{quotedToken(word), top.id == a_.ids[std::size_t(token)], {unknown, unknown, unknown}};
            }
            lines[at].shares[side] = double(top.probability);
            if (!std::isnan(top.baseProbability)) lines[at].shares[2] = double(top.baseProbability);
        }
    };
    take(topA_, 0);
    take(topB_, 1);
    orderCandidates(lines);
    return lines;
}

QString TokenText::noCandidates() const {
    if (topA_.empty() && topB_.empty()) return tr("Neither run kept its likeliest tokens: an earlier version made them. Evaluate them again to see these.");
    if (topA_.empty()) return tr("A did not keep its likeliest tokens: evaluate it again to see these.");
    return topB_.empty() ? tr("B did not keep its likeliest tokens: evaluate it again to see these.") : QString();
}

QString TokenText::describe(qsizetype token) const {
    if (token < 0 || token >= count()) return {};
    const auto i = std::size_t(token);
    QString text = tr("token %1 %2\nKL  A %3  B %4 nats").arg(token).arg(quotedToken(tokenText(token)), figureText(double(a_.kl[i])), figureText(double(b_.kl[i])));
    if (const auto cause = causes_.constFind(token); cause != causes_.cend()) text += QLatin1Char('\n') + *cause;
    if (const QVector<CandidateLine> lines = candidates(token); !lines.isEmpty()) return text + QLatin1Char('\n') + candidatesText(heads(), lines);
    if (i < a_.nll.size() && i < b_.nll.size()) {
        text += tr("\nprobability of the text  A %1 %  B %2 %")
                    .arg(100 * std::exp(-double(a_.nll[i])), 0, 'f', 2).arg(100 * std::exp(-double(b_.nll[i])), 0, 'f', 2);
    }
    return text;
}

QString TokenText::popup(qsizetype token) const {
    if (token < 0 || token >= count()) return {};
    const QVector<CandidateLine> lines = candidates(token);
    const QString muted = Theme::instance().tokens().muted.name(), missing = noCandidates();
    const QStringList words = describe(token).split(QLatin1Char('\n'));
    QString html = QStringLiteral("<div style=\"white-space:pre\"><b>%1</b></div>").arg(words.value(0).toHtmlEscaped());
    if (!lines.isEmpty()) html += candidatesHtml(heads(), lines);
    for (qsizetype l = 1; l < words.size() - (lines.isEmpty() ? 0 : 1); ++l) html += QStringLiteral("<div>%1</div>").arg(words[l].toHtmlEscaped());
    if (!missing.isEmpty()) html += QStringLiteral("<div style=\"color:%1\">%2</div>").arg(muted, missing.toHtmlEscaped());
    return html;
}

/// The pointer need not rest: a text is read by moving along it.
bool TokenText::viewportEvent(QEvent* event) {
    const bool moved = event->type() == QEvent::MouseMove, asked = event->type() == QEvent::ToolTip;
    if (event->type() == QEvent::Leave) hovered_ = -1;
    if (!moved && !asked) return QAbstractScrollArea::viewportEvent(event);
    const QPoint at = moved ? static_cast<QMouseEvent*>(event)->position().toPoint() : static_cast<QHelpEvent*>(event)->pos();
    const qsizetype token = tokenAt(at);
    if (token < 0) {
        QToolTip::hideText();
    } else if (asked || token != hovered_) {
        // Beside the line, not on it: the words around stay readable.
        QToolTip::showText(viewport()->mapToGlobal(QPoint(at.x(), tokenRect(token).bottom())), popup(token), viewport(), tokenRect(token));
    }
    hovered_ = token;
    return asked || QAbstractScrollArea::viewportEvent(event);
}

} // namespace bw
