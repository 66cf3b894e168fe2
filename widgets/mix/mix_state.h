// SPDX-License-Identifier: GPL-3.0-or-later
// What the Mix page shows, worked out once for all its parts: every site with its format, bytes and predicted damage,
// the totals, the Pareto front, the next best steps, the measured runs. Changes go through the session as undo steps.
#pragma once

#include "widgets/mix/measured_mixes.h"
#include "widgets/session/session.h"

#include "core/assign/budget.h"
#include "core/sensitivity/prediction.h"

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
    CellSource source = CellSource::output; ///< of `damage`
    bool inMap = false;      ///< `damage` is a cell of the map, not what follows from 16 bits
    QString doubt;           ///< why that cell contradicts its neighbours; mostly empty
    bool pinned = false;
};

struct MixTotals {
    quint64 bytes = 0;       ///< of the file
    double bitsPerWeight = 0; ///< of the sites
    double damage = 0, standardError = 0; ///< predicted for the whole mix
    Prediction prediction;   ///< its parts
    int unknown = 0;         ///< sites whose format the map does not know
};

/// One step up: what it costs and what it buys.
struct MixStep {
    QStringList sites;       ///< several when tied
    QString name, from, to;
    qint64 bytes = 0;
    double damage = 0, standardError = 0; ///< change of the whole mix's prediction, negative
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
    bool comparable() const { return map().inNats(); }
    /// Signed projections are there: sites acting together are predicted too.
    bool predictsInteractions() const { return !session_->damageTable().fisher().projections.empty() && usesFisher(); }
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
    /// Null without a map, and of maps that predict no whole mixes.
    std::shared_ptr<const MixPredictor> predictor() const { return comparable() ? predictor_ : nullptr; }
    /// This mix as the predictor numbers it.
    std::vector<int> predictorChoice() const { return state_ ? state_->choice() : std::vector<int>(); }
    const std::vector<ParetoPoint>& front() const { return front_; }
    /// What each point of the front does as a whole mix, in front()'s order.
    const std::vector<Prediction>& frontPredictions() const { return frontPredictions_; }
    BudgetRange range() const { return range_; }
    QString problemError() const { return problemError_; }
    /// Dearest point of the front that is not larger than `bytes`; −1 without a front.
    int frontIndex(quint64 bytes) const;
    QVector<MixStep> nextSteps(int count) const;
    /// Of any mix of this model; nothing when the map does not know one of its formats (below 16 bits).
    std::optional<Prediction> predict(const QHash<QString, QString>& formats) const;
    const QVector<MeasuredMix>& measured() const { return measured_.mixes(); }
    quint64 totalBytes(const MeasuredMix& mix) const { return mix.fileBytes ? mix.fileBytes : mix.siteBytes + otherBytes_; }
    const MeasuredMix* measuredNow() const;   ///< run with exactly this mix
    bool isSolved() const;                    ///< this mix is what the solver gave last

    static int formatBits(const QString& format); ///< of its codes; 16 for "keep" and for what is no format
    QString formatForBits(int bits) const;    ///< what a chip stands for: of the map, else a default
    QStringList formatsForBits(int bits) const;
    void setFormatForBits(int bits, const QString& format);
    /// The command line that gives this mix.
    QString command() const;
    /// A recipe to run: "sweep" with a metric, "assign" for this mix's size on the map that drives the page, or a
    /// simulated "quantize" of this mix.
    Recipe sweepRecipe(const std::string& metric) const;
    Recipe assignRecipe() const;
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
    std::string tieOfTarget() const;
    void rebuildProblem();
    void fillSite(MixSite& site, const QString& format) const;
    bool usesFisher() const;
    void setMap(Recipe::Assignment& assignment) const;
    void rebuildPredictor();
    std::vector<PredictionSite> predictionSites();
    std::vector<PredictionSite> shrunkSites(const MixPredictor& raw) const;
    void predictFront();
    /// Index of a format among the predictor's options of a site; −1: full precision, or not in the map.
    int optionOf(int predictorSite, const QString& format) const;
    MixStep stepTo(const AssignItem& item, const AssignOption& option, const std::vector<int>& members) const;
    double stepError(int predictorSite, int from, int to) const;

    Session* session_;
    quint64 mapRevision_ = 0;
    MeasuredMixes measured_;
    bool newMixes_ = false; ///< read, but not shown yet
    QVector<MixSite> sites_;
    QHash<QString, int> index_;
    QHash<QPair<int, QString>, int> places_; ///< site by block and kind
    QStringList kinds_;
    QVector<int> heads_;
    int blocks_ = 0;
    quint64 otherBytes_ = 0; ///< of the file that are no site
    bool stacked_ = false;   ///< experts of a block lie in one tensor of a GGUF
    qint64 siteWeights_ = 0;
    MixTotals totals_;
    std::shared_ptr<const AssignProblem> problem_;
    std::string problemKey_;
    std::vector<ParetoPoint> front_;
    std::vector<Prediction> frontPredictions_;
    std::shared_ptr<const MixPredictor> predictor_;       ///< null without a map
    std::optional<MixPredictor::State> state_;      ///< of this mix
    QVector<int> predictorSite_;                    ///< by site; −1: the map does not know it
    QString predictorKey_;
    quint64 filledFor_ = ~quint64{0};               ///< map revision that sites_ are filled from
    int windowDraws_ = 1;
    BudgetRange range_;
    QString problemError_;
    QHash<int, QString> chosenFormats_;
    QHash<QString, QString> solvedMix_;
};

} // namespace bw
