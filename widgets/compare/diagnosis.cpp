// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/diagnosis.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

QString textOf(const Json& json, const char* name) {
    const auto it = json.find(name);
    return it != json.end() && it->is_string() ? QString::fromStdString(it->get<std::string>()) : QString();
}

double numberOf(const Json& json, const char* name) {
    const auto it = json.find(name);
    return it != json.end() && it->is_number() ? it->get<double>() : 0;
}

const Json& listOf(const Json& json, const char* name) {
    static const Json none = Json::array();
    const auto it = json.find(name);
    return it != json.end() && it->is_array() ? *it : none;
}

Diagnosis::Token tokenOf(const Json& json) {
    Diagnosis::Token token;
    token.kl = numberOf(json, "kl");
    for (const Json& id : listOf(json, "ids"))
        if (id.is_number_integer()) token.ids.push_back(id.get<TokenId>());
    for (const Json& site : listOf(json, "sites")) {
        const double share = token.kl > 0 ? numberOf(site, "won_back") / token.kl : 0;
        if (share > 0) token.sites << Diagnosis::Share{textOf(site, "site"), share};
    }
    std::stable_sort(token.sites.begin(), token.sites.end(), [](const auto& a, const auto& b) { return a.share > b.share; });
    return token;
}

} // namespace

QString Diagnosis::text(const QVector<Share>& sites, qsizetype most) {
    QStringList parts;
    for (const Share& site : sites.mid(0, most)) parts << QStringLiteral("%1 %2 %").arg(site.site).arg(100 * site.share, 0, 'f', 0);
    return parts.join(QStringLiteral(", "));
}

Diagnosis Diagnosis::read(const LogReader& log, const RunList& runs, RunId of) {
    Diagnosis out;
    out.of = of;
    for (const RunSummary& run : runs) {
        if (run.kind != "diagnose" || run.status != runStatusName(RunStatus::done)) continue;
        const Json result = log.result(run.id);
        if (!result.is_object() || std::int64_t(numberOf(result, "of")) != of.value()) continue;
        out.run = run.id;
        for (const Json& f : listOf(result, "findings")) out.findings << Finding{textOf(f, "title"), textOf(f, "evidence"), textOf(f, "advice")};
        for (const Json& c : listOf(result, "culprits")) {
            const bool measured = c.contains("share") && c["share"].is_number();
            out.culprits << Share{textOf(c, "site"), measured ? numberOf(c, "share") : std::nan("")};
        }
        for (const Json& token : listOf(result, "worst_tokens")) out.worst << tokenOf(token);
        if (const auto raise = result.find("raise"); raise != result.end() && raise->is_object()) {
            out.raiseFormat = textOf(*raise, "format");
            out.raiseBytes = numberOf(*raise, "bytes");
            out.klBefore = numberOf(*raise, "kl_before");
            out.klAfter = numberOf(*raise, "kl_after");
        }
        return out;
    }
    return out;
}

QHash<qsizetype, QVector<Diagnosis::Share>> Diagnosis::causes(const TokenScoreRow& scores) const {
    QHash<qsizetype, QVector<Share>> out;
    if (scores.kl.size() != scores.ids.size()) return out;
    for (const Token& token : worst) {
        if (token.ids.empty() || token.sites.isEmpty()) continue;
        // The place whose preceding tokens agree furthest back; of several, the one with the nearest KL.
        qsizetype best = -1;
        std::size_t agreed = 0;
        for (std::size_t i = 0; i < scores.ids.size(); ++i) {
            std::size_t same = 0;
            while (same < token.ids.size() && same <= i && scores.ids[i - same] == token.ids[token.ids.size() - 1 - same]) ++same;
            if (same == 0) continue;
            const auto away = [&](qsizetype at) { return std::abs(double(scores.kl[std::size_t(at)]) - token.kl); };
            if (same < agreed || (same == agreed && best >= 0 && away(best) <= away(qsizetype(i)))) continue;
            agreed = same;
            best = qsizetype(i);
        }
        // The first tokens of a window have little before them; otherwise four in a row are no chance.
        if (best >= 0 && (agreed >= std::min<std::size_t>(4, token.ids.size()))) out.insert(best, token.sites);
    }
    return out;
}

} // namespace bw
