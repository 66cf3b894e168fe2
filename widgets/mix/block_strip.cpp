// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/block_strip.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/plots/plot_style.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>

namespace bw {
namespace {

constexpr qreal kFoot = 16, kMostBar = 64;

} // namespace

BlockStrip::BlockStrip(Session* session, MixState* model, QWidget* parent) : QWidget(parent), session_(session), model_(model) {
    setAccessibleName(tr("Bytes per block"));
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    addExportMenu(this, QStringLiteral("bytes-per-block"), [this] { return csv(); });
    connect(model_, &MixState::mixChanged, this, qOverload<>(&QWidget::update));
    connect(session_, &Session::siteSelected, this, qOverload<>(&QWidget::update));
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

/// As the grid's rows begin under their labels, so do the bars.
QRectF BlockStrip::area() const {
    const qreal left = QFontMetricsF(smallFigures()).horizontalAdvance(QStringLiteral("blk.%1").arg(std::max(10, model_->blocks()))) + 10;
    return QRectF(left, 2, width() - left, height() - kFoot - 2);
}

quint64 BlockStrip::largestBlock() const {
    QVector<quint64> sums(std::max(1, model_->blocks()), 0);
    for (const MixSite& site : model_->sites()) {
        if (site.block >= 0) sums[site.block] += site.bytes;
    }
    return *std::max_element(sums.begin(), sums.end());
}

void BlockStrip::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    const Tokens& t = Theme::instance().tokens();
    painter.setFont(smallFigures());
    const quint64 most = largestBlock();
    if (model_->blocks() == 0 || most == 0) {
        painter.setPen(t.muted);
        painter.drawText(rect(), Qt::AlignCenter, tr("no data"));
        return;
    }
    const QRectF a = area();
    const qreal step = a.width() / model_->blocks(), bar = std::min(kMostBar, std::max<qreal>(1, step - (step > 5 ? 2 : 0)));
    for (int b = 0; b < model_->blocks(); ++b) {
        qreal y = a.bottom();
        const qreal x = a.left() + b * step + (step - bar) / 2;
        for (int k = int(model_->kinds().size()) - 1; k >= 0; --k) {
            const int i = model_->siteAt(b, k);
            if (i < 0) continue;
            const MixSite& site = model_->sites()[i];
            const qreal height = a.height() * double(site.bytes) / double(most);
            const QRectF part(x, y - height, bar, height);
            painter.fillRect(part.adjusted(0, 0, 0, height > 3 ? -1 : 0), Theme::instance().formatColor(site.codeBits));
            if (site.name == session_->selectedSite()) {
                painter.setPen(QPen(t.text, 1));
                painter.drawRect(part.adjusted(0, 0, -1, -1));
            }
            y -= height;
        }
    }
    painter.setPen(t.muted);
    const QRectF foot(a.left(), a.bottom() + 2, a.width(), kFoot);
    const QString range = tr("largest %1").arg(bytesText(double(most)));
    painter.drawText(foot, static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignVCenter), QStringLiteral("blk.0"));
    painter.drawText(foot, Qt::AlignCenter, range);
    if (model_->blocks() > 1) {
        painter.drawText(foot, static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter), QStringLiteral("blk.%1").arg(model_->blocks() - 1));
    }
}

int BlockStrip::siteAt(const QPointF& p) const {
    const QRectF a = area();
    const quint64 most = largestBlock();
    if (model_->blocks() == 0 || most == 0 || !a.contains(p)) return -1;
    const int block = std::min(model_->blocks() - 1, int((p.x() - a.left()) / a.width() * model_->blocks()));
    qreal y = a.bottom();
    for (int k = int(model_->kinds().size()) - 1; k >= 0; --k) {
        const int i = model_->siteAt(block, k);
        if (i < 0) continue;
        y -= a.height() * double(model_->sites()[i].bytes) / double(most);
        if (p.y() >= y) return i;
    }
    return -1;
}

void BlockStrip::mousePressEvent(QMouseEvent* event) {
    const int site = siteAt(event->position());
    if (site >= 0 && event->button() == Qt::LeftButton) session_->selectSite(model_->sites()[site].name);
}

bool BlockStrip::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return QWidget::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const int i = siteAt(help->pos());
    if (i < 0) {
        QToolTip::hideText();
    } else {
        const MixSite& site = model_->sites()[i];
        QToolTip::showText(help->globalPos(), tr("%1 · %2 · %3").arg(site.name, site.format, bytesText(double(site.bytes))), this);
    }
    return true;
}

QString BlockStrip::csv() const {
    QString text = QStringLiteral("block,site,format,bytes\n");
    for (const MixSite& site : model_->sites()) {
        text += QStringLiteral("%1,%2,%3,%4\n").arg(site.block).arg(csvField(site.name), csvField(site.format)).arg(site.bytes);
    }
    return text;
}

} // namespace bw
