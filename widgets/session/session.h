// SPDX-License-Identifier: GPL-3.0-or-later
// What the window has open, shared by all pages: checkpoint, log, recipe with undo, selection. Pages read it and emit
// wishes through it; app/gui fulfils them with jobs and puts results back. Starts no work itself.
#pragma once

#include "core/calibrate/observers.h"
#include "core/calibrate/what_if.h"
#include "core/experiment/log.h"
#include "core/experiment/method_trial.h"
#include "core/experiment/recipe.h"
#include "core/model/model.h"
#include "widgets/session/damage_table.h"
#include "widgets/session/runs_reading.h"

#include <QHash>
#include <QObject>
#include <QStringList>
#include <QUndoStack>
#include <memory>
#include <optional>

namespace bw {

/// One weight looked at: statistics of the checkpoint's values and, when a format is chosen, of decode(encode(W)).
struct WeightView {
    QString site;
    WeightStatistics statistics;
    QString format;               ///< empty: no format chosen
    std::vector<float> gridLevels;///< values the format can take around this weight's largest group (≤ 256), for ticks
    double relativeError = 0;     ///< ‖W−Ŵ‖²/‖W‖² at `format`
    std::vector<float> thumbnail; ///< |W| averaged into thumbRows×thumbCols
    int thumbRows = 0, thumbCols = 0;
};

/// Quick facts of every site for the tree, filled in as they are computed.
struct SiteFacts { double kurtosis = 0, outlierShare = 0, maximum = 0; std::vector<float> sparkline; bool known = false; };

/// What runs write to the same prompts, each judged against its original.
struct OutputsWish {
    std::vector<RunId> runs;          ///< quantize or evaluate runs
    QStringList files;                ///< prompt sets (.jsonl)
    QStringList typed;                ///< prompts
    std::int64_t maxTokens = 64;
};

class Session final : public QObject {
    Q_OBJECT
public:
    explicit Session(QObject* parent = nullptr);
    ~Session() override;

    // What is open ------------------------------------------------------------------------------------------------
    std::shared_ptr<const Model> model() const { return model_; }        ///< null: nothing open, or no sites in it
    std::shared_ptr<const Checkpoint> checkpoint() const { return checkpoint_; }
    /// Why nothing that needs a forward pass can be done with what is open; empty when it can, or nothing is open. Weights
    /// can then still be looked at and rounded, if there is a model().
    QString whyNoForward() const { return whyNoForward_; }
    LogReader* log() const { return log_.get(); }                         ///< null before a log is there
    QString logPath() const { return logPath_; }
    QUndoStack* undoStack() { return &undo_; }

    // Recipe: every change goes through an undo command -------------------------------------------------------------
    const Recipe& recipe() const { return recipe_; }
    /// Device of every recipe from now on, whatever it says: of this machine, not of the recipe. No undo step.
    void setDevice(const QString& name);
    /// Pushes one undo step; `mergeId` ≥ 0 merges quick successive changes (slider drags) of the same id.
    void editRecipe(const QString& text, Recipe changed, int mergeId = -1);
    /// Format of one site by hand: appends or replaces the rule that names exactly this site.
    void setSiteFormat(const QString& site, const QString& format);
    /// Many at once as one undo step (a solved mix, a painted row).
    void setSiteFormats(const QHash<QString, QString>& formats, const QString& text);
    QString siteFormat(const QString& site) const; ///< after rules; the asked format
    /// Undo steps as they are kept over a crash, oldest first; a macro is one step.
    struct Edit { QString text; Recipe before, after; };
    /// The last `most` of them.
    QVector<Edit> edits(int most) const;
    /// In place of all steps; the recipe becomes what it is after the first `done` of them. Nothing is done when they do not follow
    /// upon each other.
    void restoreEdits(const QVector<Edit>& edits, int done);

    // Selection, shared by all pages ----------------------------------------------------------------------------------
    QString selectedSite() const { return site_; }
    RunId runA() const { return runA_; }
    RunId runB() const { return runB_; }
    /// Calibration and sweep the pages show; RunId(0) when there is none yet.
    RunId calibrationRun() const { return calibrationRun_; }
    RunId sweepRun() const { return table_.driving().run; }
    // What the log says, read once for all pages when it changes
    /// Newest first. Of a long log the newest come at once, the others as soon as they are read.
    const RunList& runs() const { return runs_; }
    /// Of a long log also one that is not in runs() yet.
    bool hasRun(RunId run) const;
    const std::vector<SiteStatisticsRow>& statistics() const { return statistics_; } ///< of calibrationRun()
    const std::vector<DataWarning>& dataWarnings() const { return dataWarnings_; }   ///< of calibrationRun()
    const std::vector<ExpertCoverageRow>& expertCoverage() const { return coverage_; } ///< of calibrationRun(); empty without experts
    /// Every sweep of the checkpoint as a column; of an unfinished one it grows with the log.
    const DamageTable& damageTable() const { return table_; }
    /// The column that the pages go by, empty without a sweep.
    const DamageMap& damageMap() const { return table_.driving(); }
    /// Grows when damageTable() changes.
    quint64 mapRevision() const { return mapRevision_; }

    // Facts that jobs deliver ------------------------------------------------------------------------------------------
    const WeightView* weightView(const QString& site) const;
    /// Statistics of one input for what-if questions; null until they were loaded, or when they are not stored.
    std::shared_ptr<const WhatIfInput> whatIfInput() const { return whatIf_; }
    QString whyNoWhatIf() const { return whyNoWhatIf_; }
    SiteFacts siteFacts(const QString& site) const { return facts_.value(site); }

public Q_SLOTS:
    /// @param why there is no model, when there is none; of a model it is asked.
    void setCheckpoint(std::shared_ptr<const bw::Checkpoint> checkpoint, std::shared_ptr<const bw::Model> model,
                       const QString& why = {});
    /// @throws Error fileNotFound, logTooNew, logCorrupt; no log is open then.
    void setLog(const QString& path);
    void refreshLog();                     ///< polled by the window (4 Hz); emits logChanged when data_version moved
    void replaceRecipe(const bw::Recipe& recipe); ///< opening a recipe: clears undo
    void selectSite(const QString& site);
    void selectRuns(bw::RunId a, bw::RunId b);
    void setCalibrationRun(bw::RunId run); ///< emits logChanged, as setSweepRun does
    void setSweepRun(bw::RunId run);       ///< its column drives the pages
    void setDamageBy(bw::DamageBy by);     ///< emits logChanged when another map shows
    void setWeightView(const bw::WeightView& view);
    void setSiteFacts(const QString& site, const bw::SiteFacts& facts);
    /// @param why null: the reason, for people.
    void setWhatIfInput(std::shared_ptr<const bw::WhatIfInput> input, const QString& why = {});

Q_SIGNALS:
    void checkpointChanged();
    void logChanged();
    void runsChanged();
    void statisticsChanged();
    void recipeChanged();
    void siteSelected(const QString& site);
    void runsSelected();
    void weightViewChanged(const QString& site);
    void siteFactsChanged(const QString& site);
    void whatIfInputChanged();
    // Wishes
    void whatIfInputRequested(bw::RunId run, const QString& group);
    void openRequested(const QStringList& paths);
    void demoRequested();
    void runRequested(const bw::Recipe& recipe, bw::RunId resume); ///< queue a job
    void methodsRequested(const std::vector<bw::MethodTrial>& trials); ///< queue a job that runs and ranks them
    void measureUncertainRequested(const bw::Recipe& assign);      ///< queue a job that measures what could change this mix
    void weightViewRequested(const QString& site, const QString& format);
    void compareRequested(bw::RunId a, bw::RunId b);               ///< switch to Compare with these two
    void workspaceRequested(const QString& name);                  ///< "mix" …
    void starRequested(bw::RunId run, bool starred);
    void noteRequested(bw::RunId run, const QString& note);
    void tagRequested(bw::RunId run, const QString& tag, bool add);
    void reportRequested(bw::RunId run, bw::RunId other);          ///< one page on a run, or (other ≠ 0) on both
    void outputsRequested(const bw::OutputsWish& wish);            ///< queue jobs that write and judge them
    void diagnoseRequested(bw::RunId run);                         ///< queue a job that says why it lost what it lost
    void copyCommandRequested(const bw::Recipe& recipe, bw::RunId resume); ///< the recipe's command line to the clipboard
    void messageRequested(const QString& text);                    ///< a quiet line for the status bar

private:
    friend class RecipeCommand;
    void applyRecipe(const Recipe& recipe);
    QString resolvedFormat(const QString& site) const;
    /// Shows a newer calibration of the open checkpoint as soon as the log has one, and what its sweeps have found.
    void adoptLatestRuns();
    /// @return whether the log holds older ones that are read elsewhere.
    bool readNewest();
    void takeRuns(const RunList& runs);
    void forgetReadings();
    void readStatistics();
    void readMaps();
    std::shared_ptr<const Checkpoint> checkpoint_;
    std::shared_ptr<const Model> model_;
    QString whyNoForward_;
    std::unique_ptr<LogReader> log_;
    QString logPath_;
    std::int64_t logVersion_ = -1;
    Recipe recipe_;
    std::string device_ = "cpu";
    QUndoStack undo_;
    QString site_;
    RunId runA_, runB_, calibrationRun_;
    RunId latestCalibration_;               ///< newest one already adopted
    DamageTable table_;
    quint64 mapRevision_ = 0;
    RunId statisticsRun_;
    std::vector<SiteStatisticsRow> statistics_;
    std::vector<DataWarning> dataWarnings_;
    std::vector<ExpertCoverageRow> coverage_;
    RunList runs_;
    RunsReading older_;
    mutable std::optional<QHash<QString, QString>> resolved_; ///< formats of a named mix by site, for recipe_ and model_
    QHash<QString, WeightView> views_;
    std::shared_ptr<const WhatIfInput> whatIf_;
    QString whyNoWhatIf_;
    QHash<QString, SiteFacts> facts_;
};

} // namespace bw

Q_DECLARE_METATYPE(bw::RunId)
Q_DECLARE_METATYPE(bw::Recipe)
