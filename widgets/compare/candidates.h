// SPDX-License-Identifier: GPL-3.0-or-later
// Tokens that came into question at one place, with their probability under each model: as a small table for a tool tip and as
// plain words.
#pragma once

#include <QString>
#include <QStringList>
#include <QVector>

namespace bw {

struct CandidateLine {
    QString word;
    bool came = false;       ///< it stands in the text
    QVector<double> shares;  ///< a probability for each model; NaN: not kept
};

inline constexpr qsizetype kMostCandidateLines = 7;

/// “ <=”: line ends and tabs as signs.
QString quotedToken(QString text);
/// Likeliest of the last model (the original) first; without it, of the first. Words of the text stay in, whatever their place.
void orderCandidates(QVector<CandidateLine>& lines);
/// @param heads a short name for each model. Rich text; everything is escaped.
QString candidatesHtml(const QStringList& heads, const QVector<CandidateLine>& lines);
/// "“ <=” A 0.61 B 0.33 original 0.64 · …".
QString candidatesText(const QStringList& heads, const QVector<CandidateLine>& lines, qsizetype most = 3);

} // namespace bw
