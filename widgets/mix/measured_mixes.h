// SPDX-License-Identifier: GPL-3.0-or-later
// Mixes whose damage was measured: finished runs of the log that hold a KL against the baseline and the format of every
// site.
#pragma once

#include "core/experiment/method_trial.h"
#include "core/experiment/log.h"
#include "widgets/session/run_list.h"

#include <QHash>
#include <QSet>
#include <QString>
#include <QVector>

namespace bw {

/// A solved or painted mix, and the kinds of mixes that it must beat.
enum class MixKind { own, uniform, ruleList };

struct MeasuredMix {
    RunId run;
    MixKind kind = MixKind::own;
    QString name;
    QString rounder;
    quint64 siteBytes = 0;          ///< of the sites alone
    quint64 fileBytes = 0;          ///< 0 when the run does not say
    double damage = 0, standardError = 0; ///< mean KL, nats per token
    Recipe recipe;                  ///< that made it; its defaults when the run's is of another version
    QString method;                 ///< methodName(recipe)
    double perplexity = 0, perplexityError = 0, sameTop1 = 0, roundingSeconds = 0; ///< NaN when the run does not say
    double bitsPerWeight = 0;       ///< of the sites; 0 when the run does not say
    QHash<QString, QString> asked, used;  ///< format by site
};

/// How weights, activations and the cache are rounded; formats and texts are another matter.
bool sameMethod(const Recipe& a, const Recipe& b);
/// Do both ask for the same formats in the same words?
bool asksAlike(const Recipe& a, const Recipe& b);
void copyMethod(const Recipe& from, Recipe& to);

/// More of them on one plot say nothing more.
inline constexpr int kMostMixes = 300;

/// Keeps what it has read of one checkpoint in one log; a log only grows.
class MeasuredMixes {
public:
    /// Reads finished ones of `runs` that are not known yet, newest first and not more than take a few milliseconds. Only the newest
    /// kMostMixes are kept. @param logPath names the log. @return anything changed.
    bool update(const LogReader& log, const RunList& runs, const QString& logPath, const std::string& checkpointPath);
    /// There were more to read: call again soon.
    bool more() const { return more_; }
    const QVector<MeasuredMix>& mixes() const { return mixes_; } ///< newest first

private:
    QVector<MeasuredMix> mixes_;
    QSet<qint64> seen_;
    bool more_ = false;
    QString logPath_;
    std::string checkpointPath_;
};

} // namespace bw
