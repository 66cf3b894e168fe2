// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/token_text.h"

#include "widgets/plots/color_maps.h"
#include "widgets/plots/number_text.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr qreal kLine = 23;
constexpr qsizetype kBefore = 60; ///< tokens shown before the chosen one
constexpr double kQuiet = 0.18;     ///< of the full colour; below, a token stays plain
constexpr double kFullColor = 0.99; ///< quantile of the differences that gets the strongest colour

QFont textFont() {
    QFont font = Theme::instance().figures();
    font.setPixelSize(13);
    return font;
}

} // namespace

TokenText::TokenText(QWidget* parent) : QWidget(parent) {
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAccessibleName(tr("Text, tokens coloured by the difference of KL"));
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void TokenText::setScores(const TokenScoreRow& a, const TokenScoreRow& b, std::shared_ptr<const Tokenizer> tokenizer) {
    const bool usable = !a.kl.empty() && a.kl.size() == b.kl.size() && a.kl.size() == a.ids.size();
    a_ = usable ? a : TokenScoreRow();
    b_ = usable ? b : TokenScoreRow();
    tokenizer_ = std::move(tokenizer);
    std::vector<double> sizes;
    for (qsizetype i = 0; i < count(); ++i) sizes.push_back(std::abs(difference(i)));
    scale_ = 1;
    if (!sizes.empty()) {
        const auto at = sizes.begin() + std::ptrdiff_t(kFullColor * double(sizes.size() - 1));
        std::nth_element(sizes.begin(), at, sizes.end());
        scale_ = *at > 0 ? *at : 1;
    }
    first_ = 0;
    current_ = -1;
    layOut();
}

void TokenText::setTokenizer(std::shared_ptr<const Tokenizer> tokenizer) {
    tokenizer_ = std::move(tokenizer);
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
    const bool visible = std::any_of(pieces_.begin(), pieces_.end(), [&](const Piece& p) { return p.token == token && p.rect.bottom() < height(); });
    if (!visible) {
        first_ = std::max<qsizetype>(0, token - kBefore);
        layOut();
    }
    update();
}

/// Flows tokens from first_ on into lines; a line break in the text breaks the line.
void TokenText::layOut() {
    pieces_.clear();
    const QFontMetricsF metrics(textFont());
    QPointF at(0, 0);
    for (qsizetype i = first_; i < count() && at.y() + kLine <= height() + 1; ++i) {
        QString text = tokenText(i);
        const bool breaks = text.contains(QLatin1Char('\n'));
        text.replace(QLatin1Char('\n'), QStringLiteral("⏎")).replace(QLatin1Char('\t'), QStringLiteral("→"));
        if (text.isEmpty()) text = QStringLiteral("·");
        const qreal width = metrics.horizontalAdvance(text) + 1;
        if (at.x() + width > this->width() && at.x() > 0) at = QPointF(0, at.y() + kLine);
        if (at.y() + kLine > height() + 1) break;
        pieces_ << Piece{i, QRectF(at.x(), at.y() + 2, width, kLine - 3), text};
        at.rx() += width;
        if (breaks) at = QPointF(0, at.y() + kLine);
    }
    update();
}

void TokenText::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const Tokens& t = Theme::instance().tokens();
    if (count() == 0) {
        painter.setPen(t.muted);
        painter.drawText(rect(), static_cast<int>(Qt::AlignCenter) | static_cast<int>(Qt::TextWordWrap),
                         tr("Both runs must have scored the same text against a baseline to be read side by side."));
        return;
    }
    painter.setFont(textFont());
    for (const Piece& piece : std::as_const(pieces_)) {
        const double strength = difference(piece.token) / scale_;
        QColor fill = colorAt(ColorMap::diverging, 0.5 + 0.5 * std::clamp(strength, -1.0, 1.0), t.dark);
        const bool colored = std::abs(strength) > kQuiet;
        if (colored) {
            painter.setPen(Qt::NoPen);
            painter.setBrush(fill);
            painter.drawRoundedRect(piece.rect, 3, 3);
        }
        painter.setPen(colored ? Theme::textOn(fill) : t.text);
        painter.drawText(piece.rect, Qt::AlignCenter, piece.text);
        if (piece.token == current_) {
            painter.setBrush(Qt::NoBrush);
            painter.setPen(QPen(t.text, 2));
            painter.drawRoundedRect(piece.rect, 3, 3);
        }
    }
}

void TokenText::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    layOut();
}

qsizetype TokenText::tokenAt(const QPointF& position) const {
    for (const Piece& piece : pieces_) {
        if (piece.rect.contains(position)) return piece.token;
    }
    return -1;
}

void TokenText::mousePressEvent(QMouseEvent* event) {
    const qsizetype token = tokenAt(event->position());
    if (event->button() != Qt::LeftButton || token < 0) return;
    setCurrent(token);
    Q_EMIT tokenChosen(token);
}

void TokenText::wheelEvent(QWheelEvent* event) {
    if (count() == 0) return;
    constexpr qsizetype kPerNotch = 24;
    first_ = std::clamp<qsizetype>(first_ - event->angleDelta().y() * kPerNotch / 120, 0, count() - 1);
    layOut();
    event->accept();
}

void TokenText::keyPressEvent(QKeyEvent* event) {
    if (count() == 0 || (event->key() != Qt::Key_Left && event->key() != Qt::Key_Right)) return QWidget::keyPressEvent(event);
    setCurrent(std::clamp<qsizetype>(current_ + (event->key() == Qt::Key_Left ? -1 : 1), 0, count() - 1));
    Q_EMIT tokenChosen(current_);
}

QString TokenText::describe(qsizetype token) const {
    if (token < 0 || token >= count()) return {};
    const auto i = std::size_t(token);
    QString text = tr("token %1 “%2”\nKL  A %3  B %4 nats").arg(token).arg(tokenText(token), figureText(double(a_.kl[i])), figureText(double(b_.kl[i])));
    if (i < a_.nll.size() && i < b_.nll.size()) {
        text += tr("\nprobability of the text  A %1 %  B %2 %")
                    .arg(100 * std::exp(-double(a_.nll[i])), 0, 'f', 2).arg(100 * std::exp(-double(b_.nll[i])), 0, 'f', 2);
    }
    return text;
}

bool TokenText::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return QWidget::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const qsizetype token = tokenAt(help->pos());
    if (token < 0) QToolTip::hideText();
    else QToolTip::showText(help->globalPos(), describe(token), this);
    return true;
}

} // namespace bw
