// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/theme/style_sheet.h"

#include <QHash>

namespace bw {
namespace {

/// @name@ stands for a token's colour. Sizes in px: Qt scales them with the screen.
constexpr const char* kTemplate = R"(
QMainWindow, QDialog, QMessageBox { background: @ground@; }
QMainWindow::separator { background: @line@; width: 1px; height: 1px; }
QWidget { color: @text@; }
QToolTip { background: @raised@; color: @text@; border: 1px solid @line@; padding: 4px 8px; }

QFrame[role="panel"] { background: @panel@; border: 1px solid @line@; border-radius: 8px; }
QWidget[role="bar"] { background: @panel@; }
QWidget[role="ground"] { background: @ground@; }
QFrame[role="notice"] { background: @raised@; border: none; border-left: 3px solid @amber@; border-bottom: 1px solid @line@; }
QFrame[role="tip"] { background: @raised@; border: none; border-left: 3px solid @accent@; border-bottom: 1px solid @line@; }
QFrame[role="rule"] { background: @line@; border: none; }
QFrame[role="drop"] { background: @panel@; border: 2px dashed @scroll@; border-radius: 12px; }
QDialog[role="popup"] { background: @raised@; border: 1px solid @line@; }
QDialog[role="popup"] QListWidget { background: @raised@; }
QDialog[role="popup"] QListWidget::item:selected { background: @line@; }
QLabel { background: transparent; }
QLabel[role="stage"] { font-size: 12px; font-weight: 600; }
QLabel[role="title"] { font-size: 12px; font-weight: 600; }
QLabel[role="heading"] { font-size: 15px; font-weight: 600; }
QLabel[role="hero"] { font-size: 22px; font-weight: 600; }
QLabel[role="muted"] { color: @muted@; font-size: 12px; }
QLabel[role="figures"] { font-family: "@figures@"; font-size: 12px; }
QLabel[role="good"] { color: @green@; }
QLabel[role="warn"] { color: @amber@; }
QLabel[role="bad"] { color: @red@; }
QLabel[role="accent"] { color: @accent@; font-size: 12px; }
QLabel[role="badge"] { background: @raised@; border: 1px solid @line@; border-radius: 4px; padding: 1px 6px; font-size: 11px; }

QPushButton, QToolButton[role="button"] { background: @raised@; border: 1px solid @line@; border-radius: 6px; padding: 5px 12px; min-height: 16px; }
QPushButton:hover, QToolButton[role="button"]:hover { border-color: @muted@; }
QPushButton:pressed, QToolButton[role="button"]:pressed { background: @line@; }
QPushButton:disabled, QToolButton[role="button"]:disabled { color: @faint@; border-color: @line@; }
QPushButton:focus, QToolButton[role="button"]:focus { border-color: @accent@; }
QToolButton[role="button"]::menu-indicator { image: none; width: 0; }
QPushButton:default { border-color: @accent@; }
QPushButton[role="accent"] { background: @accentFill@; color: @onAccent@; border: 1px solid @accentFill@; font-weight: 600; padding: 5px 16px; }
QPushButton[role="accent"]:hover { background: @accentHover@; border-color: @accentHover@; }
QPushButton[role="accent"]:focus { border-color: @text@; }
QPushButton[role="accent"]:disabled { background: @raised@; color: @faint@; border-color: @line@; }
QToolButton[role="accent"] { background: @accentFill@; color: @onAccent@; border: 1px solid @accentFill@; border-radius: 6px; font-weight: 600; padding: 5px 30px 5px 14px; min-height: 16px; }
QToolButton[role="accent"]:hover { background: @accentHover@; }
QToolButton[role="accent"]:focus { border-color: @text@; }
QToolButton[role="accent"]:disabled { background: @raised@; color: @faint@; border-color: @line@; }
QToolButton[role="accent"]::menu-button { border: none; border-left: 1px solid @accentEdge@; width: 20px; border-top-right-radius: 6px; border-bottom-right-radius: 6px; }
QToolButton[role="accent"]::menu-button:disabled { border-left-color: @line@; }
QToolButton[role="accent"]::menu-arrow { image: url(:/icons/@arrow@.svg); width: 9px; height: 9px; }
QToolButton[role="accent"]::menu-arrow:disabled { image: url(:/icons/chevron.svg); }
QToolButton[role="rail"]::menu-indicator { image: none; width: 0; }
QPushButton[role="link"], QToolButton[role="link"] { background: transparent; border: 1px solid transparent; color: @accent@; padding: 2px 4px; text-align: left; }
QPushButton[role="link"]:hover, QToolButton[role="link"]:hover { text-decoration: underline; }
QPushButton[role="link"]:focus, QToolButton[role="link"]:focus { border-color: @accent@; border-radius: 4px; }
QPushButton[role="link"]:disabled { color: @faint@; }
QPushButton[role="quiet"] { background: transparent; border: 1px solid transparent; border-radius: 4px; color: @muted@; padding: 1px 4px; font-size: 12px; }
QPushButton[role="quiet"]:hover { color: @text@; background: @raised@; }
QPushButton[role="quiet"]:focus { border-color: @accent@; }
QPushButton[role="flat"], QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 3px; }
QPushButton[role="flat"]:hover, QToolButton:hover { background: @raised@; }
QPushButton[role="flat"]:focus, QToolButton:focus { border-color: @accent@; }
QToolButton:checked { background: @raised@; color: @text@; }
QToolButton[role="rail"] { border: none; border-left: 3px solid transparent; border-radius: 0; padding: 8px 0 6px 0; font-size: 11px; color: @muted@; }
QToolButton[role="rail"]:hover { color: @text@; background: @raised@; }
QToolButton[role="rail"]:checked { color: @text@; background: @raised@; border-left-color: @accent@; }
QToolButton[role="rail"]:focus { color: @text@; }

QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox { background: @ground@; border: 1px solid @line@; border-radius: 6px; padding: 4px 8px; selection-background-color: @accentFill@; selection-color: @onAccent@; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus { border-color: @accent@; }
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled { color: @faint@; }
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button { width: 0; border: none; }
QComboBox { background: @raised@; border: 1px solid @line@; border-radius: 6px; padding: 4px 24px 4px 10px; min-height: 16px; }
QComboBox:hover { border-color: @muted@; }
QComboBox:focus { border-color: @accent@; }
QComboBox:disabled { color: @faint@; }
QComboBox::drop-down { border: none; width: 22px; subcontrol-origin: padding; subcontrol-position: center right; }
QComboBox::down-arrow { image: url(:/icons/chevron.svg); width: 10px; height: 10px; }
QComboBox QAbstractItemView { background: @raised@; border: 1px solid @line@; outline: none; padding: 4px; selection-background-color: @line@; selection-color: @text@; }

QMenu { background: @raised@; border: 1px solid @line@; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 12px; border-radius: 4px; }
QMenu::item:selected { background: @line@; }
QMenu::item:disabled { color: @faint@; }
QMenu::separator { height: 1px; background: @line@; margin: 4px 8px; }
QMenuBar { background: @panel@; }
QMenuBar::item { padding: 4px 8px; background: transparent; }
QMenuBar::item:selected { background: @raised@; border-radius: 4px; }

QAbstractItemView { background: @panel@; alternate-background-color: @panel@; border: none; outline: none; selection-background-color: @selection@; selection-color: @text@; gridline-color: @line@; }
QTreeView::item, QTableView::item, QListView::item { padding: 3px 4px; border: none; }
QTreeView::item:hover, QTableView::item:hover, QListView::item:hover { background: @raised@; }
QTreeView::item:selected, QTableView::item:selected, QListView::item:selected { background: @selection@; color: @text@; }
QTreeView::branch { background: transparent; }
QTreeView::branch:selected { background: @selection@; }
QTreeView::branch:has-children:!has-siblings:closed, QTreeView::branch:closed:has-children:has-siblings { image: url(:/icons/branch-closed.svg); }
QTreeView::branch:open:has-children:!has-siblings, QTreeView::branch:open:has-children:has-siblings { image: url(:/icons/branch-open.svg); }
QHeaderView { background: @panel@; }
QHeaderView::section { background: @panel@; color: @muted@; border: none; border-bottom: 1px solid @line@; padding: 5px 4px; font-size: 11px; font-weight: 600; }
QHeaderView::section:hover { color: @text@; }
QHeaderView::down-arrow { image: url(:/icons/chevron.svg); width: 9px; height: 9px; subcontrol-position: center right; right: 2px; }
QHeaderView::up-arrow { image: url(:/icons/chevron-up.svg); width: 9px; height: 9px; subcontrol-position: center right; right: 2px; }
QAbstractScrollArea::corner { background: transparent; border: none; }
QTableCornerButton::section { background: @panel@; border: none; }

QScrollArea { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: @scroll@; border-radius: 3px; margin: 2px; min-height: 28px; min-width: 28px; }
QScrollBar::handle:hover { background: @muted@; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: @line@; }

QSlider:horizontal { min-height: 20px; }
QSlider::groove:horizontal { background: @line@; height: 5px; border-radius: 2px; }
QSlider::sub-page:horizontal { background: @accentFill@; height: 5px; border-radius: 2px; }
QSlider::handle:horizontal { background: #ffffff; border: 2px solid @accentFill@; width: 12px; height: 12px; margin: -6px 0; border-radius: 8px; }
QSlider::handle:horizontal:focus { border-color: @text@; }
QSlider::handle:horizontal:disabled, QSlider::sub-page:horizontal:disabled { background: @line@; border-color: @line@; }
QProgressBar { background: @line@; border: none; border-radius: 4px; max-height: 8px; min-height: 8px; text-align: center; }
QProgressBar::chunk { background: @accentFill@; border-radius: 4px; }

QTabBar::tab { background: transparent; color: @muted@; padding: 5px 12px; border: none; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: @text@; border-bottom-color: @accent@; }
QTabBar::tab:hover { color: @text@; }
QTabWidget::pane { border: none; }
QDockWidget { titlebar-close-icon: none; titlebar-normal-icon: none; font-weight: 600; }
QDockWidget::title { background: @panel@; padding: 8px 12px; text-align: left; }
QToolBar { background: @panel@; border: none; border-bottom: 1px solid @line@; spacing: 4px; padding: 4px 8px; }
QStatusBar { background: @panel@; }
QCheckBox { spacing: 6px; background: transparent; }
QCheckBox::indicator, QTreeView::indicator { width: 14px; height: 14px; border: 1px solid @scroll@; border-radius: 3px; background: @ground@; }
QCheckBox::indicator:hover { border-color: @accent@; }
QCheckBox::indicator:checked, QTreeView::indicator:checked { background: @accentFill@; border-color: @accentFill@; image: url(:/icons/@tick@.svg); }
QCheckBox:focus { color: @accent@; }
)";

QString mixed(const QColor& a, const QColor& b, double shareOfA) {
    const auto part = [shareOfA](int x, int y) { return static_cast<int>(x * shareOfA + y * (1.0 - shareOfA)); };
    return QColor(part(a.red(), b.red()), part(a.green(), b.green()), part(a.blue(), b.blue())).name();
}

} // namespace

QString styleSheetFor(const Tokens& t, const QString& figuresFamily) {
    const QHash<QString, QString> values{
        {QStringLiteral("ground"), t.ground.name()},
        {QStringLiteral("panel"), t.panel.name()},
        {QStringLiteral("raised"), t.raised.name()},
        {QStringLiteral("line"), t.line.name()},
        {QStringLiteral("text"), t.text.name()},
        {QStringLiteral("muted"), t.muted.name()},
        {QStringLiteral("faint"), mixed(t.muted, t.panel, 0.6)},
        {QStringLiteral("accent"), t.accent.name()},
        {QStringLiteral("accentFill"), t.accent.name()},
        {QStringLiteral("accentHover"), mixed(t.accent, t.dark ? QColor(Qt::white) : QColor(Qt::black), 0.86)},
        {QStringLiteral("onAccent"), Theme::textOn(t.accent).name()},
        {QStringLiteral("accentEdge"), mixed(t.accent, Qt::black, 0.75)},
        {QStringLiteral("arrow"), t.dark ? QStringLiteral("chevron-dark") : QStringLiteral("chevron-light")},
        {QStringLiteral("tick"), t.dark ? QStringLiteral("tick-dark") : QStringLiteral("tick-light")},
        {QStringLiteral("selection"), mixed(t.accent, t.panel, 0.22)},
        {QStringLiteral("scroll"), mixed(t.muted, t.panel, 0.4)},
        {QStringLiteral("amber"), t.amber.name()},
        {QStringLiteral("red"), t.red.name()},
        {QStringLiteral("green"), t.green.name()},
        {QStringLiteral("figures"), figuresFamily},
    };
    QString sheet = QString::fromLatin1(kTemplate);
    for (auto it = values.cbegin(); it != values.cend(); ++it)
        sheet.replace(QLatin1Char('@') + it.key() + QLatin1Char('@'), it.value());
    return sheet;
}

} // namespace bw
