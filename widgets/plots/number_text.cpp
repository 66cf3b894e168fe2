// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/number_text.h"

#include <QCoreApplication>
#include <algorithm>
#include <array>
#include <cmath>

namespace bw {
namespace {

/// Decimals after the point that an error of this size leaves meaningful.
int decimalsFor(double error) {
    const double exponent = std::floor(std::log10(error));
    const double lead = error / std::pow(10.0, exponent);
    return std::clamp(static_cast<int>(-exponent) + (lead < 2 ? 1 : 0), 0, 9);
}

QString pairText(double value, double error, bool sign) {
    QString text;
    if (!std::isfinite(value)) return QCoreApplication::translate("bw", "n/a");
    if (!(error > 0) || !std::isfinite(error)) {
        text = figureText(value, 4);
    } else if (error < 1e-7) {
        text = QString::number(value, 'e', 2) + QStringLiteral(" ± ") + QString::number(error, 'e', 0);
    } else {
        const int decimals = decimalsFor(error);
        text = QString::number(value, 'f', decimals) + QStringLiteral(" ± ") + QString::number(error, 'f', decimals);
    }
    if (sign && value > 0) text.prepend(QLatin1Char('+'));
    return withMinus(text);
}

} // namespace

QString withMinus(QString text) {
    if (text.startsWith(QLatin1Char('-'))) text[0] = QChar(0x2212);
    return text;
}

QString bytesText(double bytes) {
    static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (std::abs(bytes) >= 1024 && unit + 1 < kUnits.size()) {
        bytes /= 1024;
        ++unit;
    }
    const int decimals = unit == 0 || std::abs(bytes) >= 100 ? 0 : std::abs(bytes) >= 10 ? 1 : 2;
    return withMinus(QString::number(bytes, 'f', decimals)) + QLatin1Char(' ') + QLatin1String(kUnits[unit]);
}

QString figureText(double value, int digits) {
    if (!std::isfinite(value)) return std::isnan(value) ? QCoreApplication::translate("bw", "n/a") : QString::number(value);
    const double magnitude = std::abs(value);
    if (magnitude != 0 && magnitude < 1e-3) {
        return withMinus(QString::number(value, 'e', std::max(0, digits - 1)).replace(QStringLiteral("e-0"), QStringLiteral("e-")));
    }
    if (magnitude >= 1e6) return withMinus(QString::number(value, 'g', std::max(digits, 4)));
    const int whole = magnitude < 1 ? (magnitude == 0 ? 0 : static_cast<int>(std::ceil(std::log10(magnitude))))
                                    : static_cast<int>(std::floor(std::log10(magnitude))) + 1;
    return withMinus(QString::number(value, 'f', std::clamp(digits - whole, 0, 8)));
}

QString withError(double value, double standardError) { return pairText(value, standardError, false); }
QString signedWithError(double value, double standardError) { return pairText(value, standardError, true); }

QString groupedText(qint64 count) {
    QString text = QString::number(count);
    const qsizetype first = count < 0 ? 1 : 0;
    for (qsizetype at = text.size() - 3; at > first; at -= 3) text.insert(at, QChar(0x202f));
    return withMinus(text);
}

QLocale dateLocale() {
    return QLocale(QCoreApplication::translate("bw", "en", "the code of this language, for the names of months"));
}

QString bitsText(double bitsPerWeight) {
    return QCoreApplication::translate("bw", "%1 bits/weight").arg(QString::number(bitsPerWeight, 'f', 2));
}

} // namespace bw
