// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/candidates.h"

#include "widgets/plots/number_text.h"
#include "widgets/theme/theme.h"

#include <QCoreApplication>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

QString shareText(double share) {
    if (std::isnan(share)) return QStringLiteral("–");
    return share >= 0.01 ? QString::number(share, 'f', 2) : figureText(share, 2);
}

} // namespace

QString quotedToken(QString text) {
    return QStringLiteral("“%1”").arg(text.replace(QLatin1Char('\n'), QStringLiteral("⏎")).replace(QLatin1Char('\t'), QStringLiteral("→")));
}

void orderCandidates(QVector<CandidateLine>& lines) {
    const auto rank = [](const CandidateLine& line) {
        for (const double share : {line.shares.isEmpty() ? std::nan("") : line.shares.last(), line.shares.isEmpty() ? std::nan("") : line.shares.first()})
            if (!std::isnan(share)) return share;
        return line.shares.size() > 1 && !std::isnan(line.shares[1]) ? line.shares[1] : -1.0;
    };
    std::stable_sort(lines.begin(), lines.end(), [&](const CandidateLine& x, const CandidateLine& y) { return rank(x) > rank(y); });
    while (lines.size() > kMostCandidateLines) {
        const auto last = std::find_if(lines.rbegin(), lines.rend(), [](const CandidateLine& line) { return !line.came; });
        if (last == lines.rend()) break;
        lines.erase(std::next(last).base());
    }
}

QString candidatesHtml(const QStringList& heads, const QVector<CandidateLine>& lines) {
    const Tokens& t = Theme::instance().tokens();
    const QString muted = t.muted.name(), family = Theme::instance().figures().family();
    QString html = QStringLiteral("<table cellspacing=\"0\" cellpadding=\"2\"><tr><td></td>");
    for (const QString& head : heads) html += QStringLiteral("<td align=\"right\" style=\"color:%1;padding-left:12px\">%2</td>").arg(muted, head.toHtmlEscaped());
    html += QStringLiteral("</tr>");
    bool unknown = false;
    for (const CandidateLine& line : lines) {
        const QString word = line.word.toHtmlEscaped();
        html += QStringLiteral("<tr><td style=\"font-family:'%1';white-space:pre\">%2</td>").arg(family, line.came ? QStringLiteral("<b>%1</b>").arg(word) : word);
        const double most = *std::max_element(line.shares.begin(), line.shares.end(), [](double x, double y) { return std::isnan(x) || x < y; });
        for (const double share : line.shares) {
            unknown |= std::isnan(share);
            const bool bold = !std::isnan(share) && share >= most && line.shares.size() > 1;
            html += QStringLiteral("<td align=\"right\" style=\"font-family:'%1';padding-left:12px%2\">%3</td>").arg(family, bold ? QStringLiteral(";font-weight:700") : QString(), shareText(share));
        }
        html += QStringLiteral("</tr>");
    }
    html += QStringLiteral("</table>");
    if (unknown) html += QStringLiteral("<div style=\"color:%1\">%2</div>").arg(muted, QCoreApplication::translate("bw::Candidates", "–: not among the likeliest that were kept").toHtmlEscaped());
    return html;
}

QString candidatesText(const QStringList& heads, const QVector<CandidateLine>& lines, qsizetype most) {
    QStringList parts;
    for (const CandidateLine& line : lines.mid(0, most)) {
        QString part = line.word;
        for (qsizetype i = 0; i < line.shares.size(); ++i) part += QStringLiteral(" %1 %2").arg(heads.value(i), shareText(line.shares[i]));
        parts << part;
    }
    return parts.join(QStringLiteral(" · "));
}

} // namespace bw
