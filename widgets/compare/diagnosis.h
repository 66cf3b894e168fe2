// SPDX-License-Identifier: GPL-3.0-or-later
// A logged diagnosis as the Compare page shows it: findings, the sites behind the loss and what raising them brings, the worst
// tokens with the sites behind each. Reading only.
#pragma once

#include "core/experiment/log.h"
#include "widgets/session/run_list.h"

#include <QHash>
#include <QString>
#include <QStringList>
#include <QVector>

namespace bw {

struct Diagnosis {
    RunId of, run;              ///< whose, and the diagnosis itself; 0: there is none
    struct Finding { QString title, evidence, advice; };
    struct Share { QString site; double share = 0; }; ///< of the loss
    struct Token { std::vector<TokenId> ids; double kl = 0; QVector<Share> sites; }; ///< ids: what stands before, and the token
    QVector<Finding> findings;
    QVector<Share> culprits;    ///< the most telling first
    QVector<Token> worst;
    QString raiseFormat;        ///< empty: nothing to raise
    double raiseBytes = 0, klBefore = 0, klAfter = 0;

    bool known() const { return run != RunId(); }
    /// "blk.9.attn_v 54 %, blk.2.ffn_down 11 %".
    static QString text(const QVector<Share>& sites, qsizetype most = 3);
    /// Newest finished one of this run. @param runs newest first. @throws what reading the log throws.
    static Diagnosis read(const LogReader& log, const RunList& runs, RunId of);
    /// Sites behind the worst tokens, by their place among the scored tokens.
    QHash<qsizetype, QVector<Share>> causes(const TokenScoreRow& scores) const;
};

} // namespace bw
