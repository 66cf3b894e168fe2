// SPDX-License-Identifier: GPL-3.0-or-later
// Draws a one-colour SVG icon at any size in the colour that the theme has at that moment.
#pragma once

#include <QIconEngine>
#include <QString>

namespace bw {

class TintedSvgEngine final : public QIconEngine {
public:
    explicit TintedSvgEngine(QString resource) : resource_(std::move(resource)) {}
    void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State state) override;
    QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override;
    QIconEngine* clone() const override { return new TintedSvgEngine(resource_); }
    /// Whether the resource is there and can be drawn.
    static bool exists(const QString& resource);

private:
    QString resource_;
};

} // namespace bw
