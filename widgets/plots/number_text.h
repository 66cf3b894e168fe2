// SPDX-License-Identifier: GPL-3.0-or-later
// Numbers as the pages write them: sizes, small figures, a value with its error rounded to that error. Dot as the
// decimal sign everywhere, so that what is copied can be pasted into a script.
#pragma once

#include <QLocale>
#include <QString>
#include <cstdint>

namespace bw {

/// "76.4 MiB", "90.7 KiB", "512 B".
QString bytesText(double bytes);
/// At most `digits` significant: "0.0431", "1.2e-5", "n/a" for NaN.
QString figureText(double value, int digits = 3);
/// Value and error to the error's leading digit (two when it starts with 1): "0.0431 ± 0.0011".
QString withError(double value, double standardError);
/// The same with the sign always written: "−0.0131 ± 0.0011" (a real minus sign).
QString signedWithError(double value, double standardError);
/// A real minus sign instead of the hyphen.
QString withMinus(QString text);
/// "1 234 567", in groups of three with a narrow space that no language takes for a decimal sign.
QString groupedText(qint64 count);
/// For days and months, in the language of the window's words; figures never follow it.
QLocale dateLocale();
/// "4.50 bits/weight".
QString bitsText(double bitsPerWeight);

} // namespace bw
