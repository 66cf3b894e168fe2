// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/theme/icon_engine.h"

#include "widgets/theme/theme.h"

#include <QFile>
#include <QPainter>
#include <QPixmap>
#include <QSvgRenderer>

namespace bw {
namespace {

/// The icons are drawn in #000000; that word is replaced before rendering.
QByteArray tinted(const QString& resource, const QColor& color) {
    QFile file(resource);
    if (!file.open(QIODevice::ReadOnly)) return {};
    QByteArray svg = file.readAll();
    svg.replace("#000000", color.name().toLatin1());
    return svg;
}

QColor colorFor(QIcon::Mode mode, QIcon::State state) {
    const Tokens& tokens = Theme::instance().tokens();
    if (mode == QIcon::Disabled) return tokens.line;
    if (mode == QIcon::Selected) return tokens.accent;
    return mode == QIcon::Active || state == QIcon::On ? tokens.text : tokens.muted;
}

} // namespace

bool TintedSvgEngine::exists(const QString& resource) { return QFile::exists(resource); }

void TintedSvgEngine::paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State state) {
    QSvgRenderer renderer(tinted(resource_, colorFor(mode, state)));
    if (renderer.isValid()) renderer.render(painter, QRectF(rect));
}

QPixmap TintedSvgEngine::pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) {
    QPixmap image(size);
    image.fill(Qt::transparent);
    QPainter painter(&image);
    paint(&painter, QRect(QPoint(0, 0), size), mode, state);
    return image;
}

} // namespace bw
