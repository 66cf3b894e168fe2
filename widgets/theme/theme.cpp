// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/theme/theme.h"

#include "widgets/theme/icon_engine.h"
#include "widgets/theme/style_sheet.h"

#include <QApplication>
#include <QFontDatabase>
#include <QStyleFactory>
#include <cmath>

// Outside every namespace: the macro declares a global function.
static void loadIconResources() { Q_INIT_RESOURCE(resources); }

namespace bw {
namespace {

struct TokenColor { QColor Tokens::*token; QRgb dark, light; };

/// Every hue that text may have reads 4.5:1 or better on ground, panel and raised; the light ones are the dark ones, darkened.
constexpr TokenColor kTokenColors[] = {
    {&Tokens::ground, 0x14171c, 0xf5f6f8}, {&Tokens::panel, 0x1b1f26, 0xffffff}, {&Tokens::raised, 0x242a34, 0xeef0f4},
    {&Tokens::line, 0x2f3642, 0xd8dce3},   {&Tokens::text, 0xe6e9ef, 0x1a1e26},  {&Tokens::muted, 0x98a2b1, 0x5c6675},
    {&Tokens::accent, 0x4c9ffe, 0x186bcb}, {&Tokens::amber, 0xe5a50a, 0x8f6400}, {&Tokens::red, 0xef676b, 0xc8282e},
    {&Tokens::green, 0x3fb68b, 0x1b7a57}};

Tokens tokensFor(bool dark) {
    Tokens tokens;
    tokens.dark = dark;
    for (const TokenColor& color : kTokenColors) tokens.*color.token = QColor(dark ? color.dark : color.light);
    return tokens;
}

QPalette paletteFor(const Tokens& t) {
    QPalette p;
    p.setColor(QPalette::Window, t.ground);
    p.setColor(QPalette::Base, t.panel);
    p.setColor(QPalette::AlternateBase, t.raised);
    p.setColor(QPalette::Button, t.raised);
    p.setColor(QPalette::WindowText, t.text);
    p.setColor(QPalette::Text, t.text);
    p.setColor(QPalette::ButtonText, t.text);
    p.setColor(QPalette::BrightText, t.red);
    p.setColor(QPalette::PlaceholderText, t.muted);
    p.setColor(QPalette::Highlight, t.accent);
    p.setColor(QPalette::HighlightedText, Theme::textOn(t.accent));
    p.setColor(QPalette::Link, t.accent);
    p.setColor(QPalette::LinkVisited, t.accent);
    p.setColor(QPalette::ToolTipBase, t.raised);
    p.setColor(QPalette::ToolTipText, t.text);
    p.setColor(QPalette::Light, t.raised);
    p.setColor(QPalette::Mid, t.line);
    p.setColor(QPalette::Dark, t.line);
    p.setColor(QPalette::Shadow, t.ground);
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
        p.setColor(QPalette::Disabled, role, t.muted);
    return p;
}

/// Relative luminance of WCAG 2.
double luminance(const QColor& c) {
    const auto linear = [](double v) { return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
    return 0.2126 * linear(c.redF()) + 0.7152 * linear(c.greenF()) + 0.0722 * linear(c.blueF());
}

bool systemIsDark() {
    // Asked once, before our own palette hides the platform's.
    static const bool dark = QApplication::palette().color(QPalette::Window).lightness() < 128;
    return dark;
}

} // namespace

Theme& Theme::instance() {
    static Theme theme;
    return theme;
}

void Theme::apply(Mode mode) {
    loadIconResources();
    const bool systemDark = systemIsDark();
    mode_ = mode;
    tokens_ = tokensFor(mode == Mode::dark || (mode == Mode::system && systemDark));
    QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
    QFont font = QFontDatabase::systemFont(QFontDatabase::GeneralFont);
    font.setPixelSize(13);
    QApplication::setFont(font);
    QApplication::setPalette(paletteFor(tokens_));
    qApp->setStyleSheet(styleSheetFor(tokens_, figures().family()));
    Q_EMIT changed();
}

QColor Theme::formatColor(int codeBits) const {
    if (codeBits <= 2) return QColor(0xc2467e);
    switch (codeBits) {
    case 3: return QColor(0xe0732c);
    case 4: return QColor(0xd9a521);
    case 5: return QColor(0x7fb24a);
    case 6: return QColor(0x2fa58c);
    case 7:
    case 8: return QColor(0x3f86d6);
    default: return codeBits <= 16 ? QColor(0x8a93a3) : QColor(0xb4bac6);
    }
}

QColor Theme::textOn(const QColor& background) {
    const double l = luminance(background);
    // Contrast with white is 1.05/(l+0.05), with near-black about (l+0.05)/0.055: take the larger.
    const QColor black(0x0b0d10);
    return 1.05 / (l + 0.05) >= (l + 0.05) / (luminance(black) + 0.05) ? QColor(Qt::white) : black;
}

QFont Theme::figures() const {
    QFont font = QFontDatabase::systemFont(QFontDatabase::FixedFont);
    font.setPixelSize(12);
    return font;
}

QIcon Theme::icon(const QString& name) const {
    loadIconResources();
    const QString resource = QStringLiteral(":/icons/%1.svg").arg(name);
    // A null icon rather than an invisible one: the caller's text stays readable.
    return TintedSvgEngine::exists(resource) ? QIcon(new TintedSvgEngine(resource)) : QIcon();
}

} // namespace bw
