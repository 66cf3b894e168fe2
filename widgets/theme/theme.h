// SPDX-License-Identifier: GPL-3.0-or-later
// Colours, spacing and fonts of the window; dark and light. The only place that knows a colour.
#pragma once

#include <QColor>
#include <QFont>
#include <QIcon>
#include <QObject>
#include <QPalette>

namespace bw {

struct Tokens {
    QColor ground, panel, raised, line, text, muted, accent, amber, red, green;
    bool dark = true;
};

class Theme final : public QObject {
    Q_OBJECT
public:
    enum class Mode { system, dark, light };
    static Theme& instance();
    /// Applies palette, style sheet and fonts to the application; emits changed().
    void apply(Mode mode);
    Mode mode() const { return mode_; }
    const Tokens& tokens() const { return tokens_; }
    QColor formatColor(int codeBits) const; ///< 2 3 4 5 6 8 16 and 32
    /// Black or white, whichever reads on `background` (4.5:1 or better).
    static QColor textOn(const QColor& background);
    QFont figures() const;                  ///< tabular/monospaced face for numbers
    static constexpr int kSpacing = 4, kPanelRadius = 8;
    /// SVG icon from resources tinted with the theme's colours.
    QIcon icon(const QString& name) const;

Q_SIGNALS:
    void changed();

private:
    Theme() = default;
    Mode mode_ = Mode::system;
    Tokens tokens_;
};

} // namespace bw
