// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/next_steps.h"

#include "widgets/plots/number_text.h"
#include "widgets/theme/theme.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <algorithm>

namespace bw {
namespace {

constexpr int kRow = 25, kMostRows = 12;

} // namespace

NextSteps::NextSteps(Session* session, MixState* model, QWidget* parent) : QWidget(parent), session_(session), model_(model) {
    setMouseTracking(true);
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAccessibleName(tr("What the next bytes buy"));
    connect(model_, &MixState::mixChanged, this, &NextSteps::reload);
    connect(model_, &MixState::mapChanged, this, &NextSteps::reload);
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
    reload();
}

void NextSteps::reload() {
    steps_ = model_->nextSteps(kMostRows);
    current_ = std::clamp(current_, 0, std::max(0, int(steps_.size()) - 1));
    describe();
    update();
}

/// "+1.80 MiB on blk.3.attn_v (q4_0 → q8_0) buys −0.0021 ± 0.0004 nats per token".
QString NextSteps::explanation(const MixStep& step) const {
    QString text = tr("+%1 on %2 (%3 → %4) buys %5 %6").arg(bytesText(double(step.bytes)), step.name, step.from, step.to,
                                                            withError(step.damage, step.standardError), model_->unit());
    if (step.sites.size() > 1) text += tr("\nfor %1 together").arg(step.sites.join(QStringLiteral(", ")));
    if (step.standardError > 0 && -step.damage < 2 * step.standardError) text += tr("\nless than two standard errors: it may buy nothing");
    return text;
}

void NextSteps::describe() {
    if (steps_.isEmpty()) return setAccessibleDescription(tr("nothing left to buy"));
    const MixStep& step = steps_[current_];
    setAccessibleDescription(explanation(step));
}

void NextSteps::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    const Tokens& t = Theme::instance().tokens();
    if (steps_.isEmpty()) {
        painter.setPen(t.muted);
        painter.drawText(rect(), static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignTop),
                         model_->hasMap() ? tr("Nothing in the map buys less damage.") : tr("Known once there is a map."));
        return;
    }
    const QFont figures = Theme::instance().figures();
    painter.setFont(figures);
    const QFontMetrics metrics(figures);
    const int rowsWanted = std::min<int>(int(steps_.size()), std::max(1, height() / kRow));
    int gain = metrics.horizontalAdvance(QStringLiteral("−0.00000")) + 4, gainWithError = gain;
    for (int i = 0; i < rowsWanted; ++i) gainWithError = std::max(gainWithError, metrics.horizontalAdvance(withError(steps_[i].damage, steps_[i].standardError)) + 4);
    // Errors where there is room for them and the names; else they are in the tip.
    const bool errors = width() >= gainWithError + metrics.horizontalAdvance(QStringLiteral("blk.00.ffn_down  q4_0 → q5_0  +0000 KiB")) + 24;
    if (errors) gain = gainWithError;
    const int bytes = metrics.horizontalAdvance(QStringLiteral("+0000 KiB")) + 12;
    const int rows = rowsWanted;
    const int rest = std::max(60, width() - gain - bytes);
    int longest = 0, longestChange = 0;
    for (int i = 0; i < rows; ++i) {
        longest = std::max(longest, metrics.horizontalAdvance(steps_[i].name) + 16);
        longestChange = std::max(longestChange, metrics.horizontalAdvance(steps_[i].from + QStringLiteral(" → ") + steps_[i].to) + 16);
    }
    // Where it is too narrow the name gives way: the change says more.
    const int name = std::min(longest, std::max(40, rest - longestChange)), change = rest - name;
    for (int i = 0; i < rows; ++i) {
        const MixStep& step = steps_[i];
        const QRect row(0, i * kRow, width(), kRow);
        if (i == hover_ || (hasFocus() && i == current_)) painter.fillRect(row.adjusted(-4, 1, 4, -1), t.raised);
        painter.setPen(t.text);
        const auto put = [&](int x, int w, Qt::Alignment side, const QString& text) {
            painter.drawText(QRect(x, row.top(), w, kRow), static_cast<int>(side) | static_cast<int>(Qt::AlignVCenter), metrics.elidedText(text, Qt::ElideMiddle, w));
        };
        put(0, name - 8, Qt::AlignLeft, step.name);
        painter.setPen(t.muted);
        put(name, change - 8, Qt::AlignLeft, step.from + QStringLiteral(" → ") + step.to);
        painter.setPen(t.text);
        put(name + change, bytes - 12, Qt::AlignRight, QLatin1Char('+') + bytesText(double(step.bytes)));
        painter.setPen(t.green);
        put(width() - gain, gain, Qt::AlignRight, errors ? withError(step.damage, step.standardError) : figureText(step.damage, 2));
        painter.setPen(t.line);
        painter.drawLine(0, row.bottom(), width(), row.bottom());
    }
}

void NextSteps::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    update();
}

void NextSteps::take(int row) {
    if (row < 0 || row >= steps_.size()) return;
    const MixStep step = steps_[row];
    session_->selectSite(step.sites.first());
    model_->setFormats(step.sites, step.to, tr("%1 to %2").arg(step.name, step.to));
}

void NextSteps::mouseMoveEvent(QMouseEvent* event) {
    const int row = int(event->position().y()) / kRow;
    hover_ = row < steps_.size() ? row : -1;
    const QString take = tr("Click to take the step; Undo takes it back.");
    setToolTip(hover_ < 0 ? take : explanation(steps_[hover_]) + QLatin1Char('\n') + take);
    setCursor(hover_ >= 0 ? Qt::PointingHandCursor : Qt::ArrowCursor);
    update();
}

void NextSteps::mousePressEvent(QMouseEvent* event) {
    if (event->button() == Qt::LeftButton) take(int(event->position().y()) / kRow);
}

void NextSteps::leaveEvent(QEvent*) {
    hover_ = -1;
    update();
}

void NextSteps::keyPressEvent(QKeyEvent* event) {
    const int rows = std::min<int>(int(steps_.size()), std::max(1, height() / kRow));
    switch (event->key()) {
    case Qt::Key_Up: current_ = std::max(0, current_ - 1); break;
    case Qt::Key_Down: current_ = std::min(rows - 1, current_ + 1); break;
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space: return take(current_);
    default: return QWidget::keyPressEvent(event);
    }
    describe();
    update();
}

} // namespace bw
