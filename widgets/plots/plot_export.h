// SPDX-License-Identifier: GPL-3.0-or-later
// Saving and copying what a plot shows: PNG at twice the size, SVG and PDF as vectors, CSV in full precision. Works for
// QCustomPlot and for any painted widget.
#pragma once

#include <QString>
#include <functional>

class QMenu;
class QWidget;

namespace bw {

/// Gives a plot its context menu (right click or the menu key): save picture, save data, copy as PNG, SVG or CSV.
/// @param name file name proposed, without extension. @param csv the data as CSV, C locale; called when needed.
void addExportMenu(QWidget* plot, const QString& name, std::function<QString()> csv);
/// The same entries into a menu of the caller's.
void fillExportMenu(QMenu* menu, QWidget* plot, const QString& name, const std::function<QString()>& csv);

/// Writes a picture; the kind follows the extension (.png .svg .pdf). The file appears whole or not at all.
/// @return empty, or what went wrong and what to do, for people.
QString savePlot(QWidget* plot, const QString& path);
/// Writes text (CSV, Markdown) whole or not at all. @return as savePlot.
QString saveText(const QString& text, const QString& path);

/// One CSV field: quoted when it must be.
QString csvField(const QString& text);

} // namespace bw
