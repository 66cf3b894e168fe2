// SPDX-License-Identifier: GPL-3.0-or-later
// What the Mix page shows, worked out once for all its parts: every site with its format, bytes and predicted damage,
// the totals, the Pareto front, the next best steps, the measured runs. Changes go through the session as undo steps.
#pragma once

#include "widgets/mix/measured_mixes.h"
#include "widgets/session/session.h"

#include "core/assign/budget.h"

#include <QObject>
#include <QVector>
#include <limits>
#include <memory>

namespace bw {

struct MixSite {
    QString name, kind;      ///< "blk.4.attn_v", "attn_v"; "blk.4.ffn_up.e5", "ffn_up.e5"
    int block = -1;          ///< −1: token_embd, output
    qint64 rows = 0, cols = 0;
    QString format;          ///< asked now
    int codeBits = 16;
    quint64 bytes = 0;
    double damage = std::numeric_limits<double>::quiet_NaN(); ///< NaN: this format is not in the map
    double standardError = 0;
    bool estimated = false, pinned = false;
};

struct MixTotals {
    quint64 bytes = 0;       ///< of the file
    double bitsPerWeight = 0; ///< of the sites
    double damage = 0, standardError = 0; ///< sum over sites; errors added as independent
    int unknown = 0;         ///< sites whose format the map does not know
};

/// One step up: what it costs and what it buys.
struct MixStep {
    QStringList sites;       ///< several when tied
    QString name, from, to;
    qint64 bytes = 0;
    double damage = 0;       ///< change, negative
};

class MixState final : public QObject {
    Q_OBJECT
public:
    explicit MixState(Session* session, QObject* parent = nullptr);

    bool hasModel() const { return session_->model() != nullptr; }
    bool hasMap() const { return !map().empty(); }
    const DamageMap& map() const { return session_->damageMap(); }
    QString unit() const; ///< "nats per token" or "relative output error"
    /// Output error has no unit in common with measured runs.
    bool comparable() const { return map().metric == QLatin1String("kl"); }
    const QVector<MixSite>& sites() const { return sites_; }
    int indexOf(const QString& site) const { return index_.value(site, -1); }
    int blocks() const { return blocks_; }
    const QStringList& kinds() const { return kinds_; }        ///< of the blocks, in model order, experts of a role together
    /// What the experts of a block have in common: "ffn_up.e5" → "ffn_up"; any other kind is its own role.
    static QString roleOf(const QString& kind) { return kind.section(QLatin1Char('.'), 0, 0); }
    int siteAt(int block, int kind) const;                      ///< index into sites(), −1 if there is none
    const QVector<int>& headSites() const { return heads_; }    ///< token_embd, output
    const MixTotals& totals() const { return totals_; }
    const MixSite* selected() const;
    double bitsPerWeight(quint64 fileBytes) const;              ///< of the sites, as budgets count it

    std::shared_ptr<const AssignProblem> problem() const { return problem_; } ///< null without a map
    const std::vector<ParetoPoint>& front() const { return front_; }
    BudgetRange range() const { return range_; }
    QString problemError() const { return problemError_; }
    /// Dearest point of the front that is not larger than `bytes`; −1 without a front.
    int frontIndex(quint64 bytes) const;
    QVector<MixStep> nextSteps(int count) const;
    const QVector<MeasuredMix>& measured() const { return measured_.mixes(); }
    quint64 totalBytes(const MeasuredMix& mix) const { return mix.fileBytes ? mix.fileBytes : mix.siteBytes + otherBytes_; }
    const MeasuredMix* measuredNow() const;   ///< run with exactly this mix
    bool isSolved() const;                    ///< this mix is what the solver gave last

    QString formatForBits(int bits) const;    ///< what a chip stands for: of the map, else a default
    QStringList formatsForBits(int bits) const;
    void setFormatForBits(int bits, const QString& format);
    /// The command line that gives this mix.
    QString command() const;
    /// A recipe to run: "sweep" with a metric, or a simulated "quantize" of this mix.
    Recipe sweepRecipe(const std::string& metric) const;
    Recipe verifyRecipe() const;

    /// Takes what is new in the log; without news it costs nothing.
    void readLog();

    // Changes, each one undo step ------------------------------------------------------------------------------------
    void setFormats(const QStringList& sites, const QString& format, const QString& text);
    /// @param budget written to the recipe unless empty. @param rounder as well: what a prediction or run was made with.
    void takeMix(const QHash<QString, QString>& formats, const QString& text, const QString& budget = {}, const QString& rounder = {},
                 int mergeId = -1);
    void takeRun(const MeasuredMix& run);
    void takeChoice(const std::vector<int>& choice, quint64 budgetBytes, const QString& text, int mergeId = -1);
    void takeUniform(const QString& format);
    void takeNamed(const QString& mix); ///< one of llama.cpp's, "q4_k_m"; pins stay
    void togglePin(const QString& site);

Q_SIGNALS:
    void mapChanged();   ///< sites, map, front or measured runs
    void mixChanged();   ///< formats and totals
    void brushChanged(); ///< what a chip stands for

private:
    void readModel();
    void gatherExperts();
    bool takeNews();
    void publish();
    void readMix();
    void rebuildProblem();
    void fillSite(MixSite& site, const QString& format) const;

    Session* session_;
    quint64 mapRevision_ = 0;
    MeasuredMixes measured_;
    QVector<MixSite> sites_;
    QHash<QString, int> index_;
    QStringList kinds_;
    QVector<int> heads_;
    int blocks_ = 0;
    quint64 otherBytes_ = 0; ///< of the file that are no site
    qint64 siteWeights_ = 0;
    MixTotals totals_;
    std::shared_ptr<const AssignProblem> problem_;
    std::string problemKey_;
    std::vector<ParetoPoint> front_;
    BudgetRange range_;
    QString problemError_;
    QHash<int, QString> chosenFormats_;
    QHash<QString, QString> solvedMix_;
};

} // namespace bw
