// SPDX-License-Identifier: GPL-3.0-or-later
// All sweeps of the open checkpoint as columns of one table: Fisher estimate, measured KL, output error; and which of
// them the pages go by. Reads the log, finished sweeps once.
#pragma once

#include "core/experiment/log.h"
#include "widgets/session/damage_map.h"
#include "widgets/session/run_list.h"

#include <map>

namespace bw {

/// What the pages show as damage.
enum class DamageBy {
    best,     ///< measured where it was, estimated elsewhere; the best known of each cell
    fisher,
    measured, ///< with cells scaled by output error where nothing was measured
    output,
};

/// What the Fisher estimate knows beyond its cells, for predicting whole mixes.
struct FisherKnowledge {
    std::map<std::string, std::map<std::string, std::vector<float>>> projections; ///< site → format → c[k]
    int draws = 1;             ///< projections of each window: draws of labels times segments
    double saturation = 0;     ///< nats; 0 = unknown
    qint64 probes = 0;         ///< gradients that were sampled
    int segments = 1;          ///< of a window's positions, each with a projection of its own
};

class DamageTable {
public:
    /// Reads what is new. @return whether anything shown changed. @throws Error.
    bool update(const LogReader& log, const RunList& runs, const std::string& checkpointPath);
    void clear();

    const DamageMap& column(DamageBy by) const; ///< empty when there is no such sweep; `best` is put together
    /// The column the pages go by.
    const DamageMap& driving() const { return column(by_); }
    DamageBy by() const { return by_; }
    /// @return whether it changed.
    bool setBy(DamageBy by);
    /// A sweep chosen by hand: it is its metric's column and drives the pages until a newer one is done.
    void prefer(const LogReader& log, RunId run);
    /// Of the column `fisher`.
    const FisherKnowledge& fisher() const { return fisher_; }
    bool finished(RunId run) const;

private:
    struct Sweep {
        QString metric, rounder;
        bool alone = true;     ///< context of a measured sweep; the other one's figures are not damages of one site
        bool done = false;     ///< its rows do not change any more
        std::size_t rows = 0;  ///< as read last
        QHash<QString, QVector<DamageOption>> cells;
    };
    const Sweep* choose(const char* metric, RunId& run) const;
    bool readSweep(const LogReader& log, RunId run, Sweep& sweep);
    void build(const LogReader& log);
    DamageMap mapOf(RunId run, const Sweep& sweep) const;
    void correctEstimates();
    void readFisher(const LogReader& log, RunId run);

    std::map<RunId, Sweep> sweeps_;
    DamageMap best_, fisherMap_, measured_, output_;
    FisherKnowledge fisher_;
    RunId fisherRead_;
    bool fisherFinal_ = false;
    DamageBy by_ = DamageBy::best;
    RunId preferred_, newestDone_;
    std::string checkpoint_;
};

} // namespace bw
