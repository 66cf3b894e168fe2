// SPDX-License-Identifier: GPL-3.0-or-later
// Fulfils what the pages wish: opens files, runs jobs, computes views of weights, writes notes. Owns the session, the log
// and the threads; has no widgets, so tests can drive it without a window.
#pragma once

#include "app/gui/background.h"
#include "app/gui/compute_settings.h"
#include "app/gui/device_desk.h"
#include "app/gui/input_kind.h"
#include "app/gui/job_queue.h"
#include "widgets/session/session.h"

#include <QTimer>
#include <optional>

namespace bw {

struct OutputsJob;

class Studio final : public QObject {
    Q_OBJECT
public:
    explicit Studio(QObject* parent = nullptr);
    ~Studio() override;

    Session& session() { return session_; }
    JobQueue& jobs() { return jobs_; }
    DeviceDesk& devices() { return devices_; }
    /// Jobs that begin from now on use this of the machine.
    void setCompute(const ComputeSettings& settings);
    /// Opens or creates the experiment log; on failure says why (failed) and there is no log.
    bool openLog(const QString& path);
    /// For the start: where `path` can't be used, a log in a new temporary folder is, so that work can begin.
    /// @return why `path` could not be used and where runs go instead; empty when it is open.
    QString openLogOrTemporary(const QString& path);

    /// Opens what is recognised; the rest is told through `ignored`.
    void open(const InputSet& inputs);
    void openCheckpoint(const QString& path);
    void addTexts(const QStringList& paths, bool evaluation);
    void openRecipe(const QString& path);
    void openDemo();
    /// Runs calibrate → sweep → solve → quantize → evaluate on the open checkpoint.
    void runMix(const Runner::MixOptions& options, const QString& title);
    int run(const Recipe& recipe, RunId resume = {});
    /// Runs the methods one after the other and ranks them; what the log holds is not run again.
    void tryMethods(const std::vector<MethodTrial>& trials);
    /// Measures the cells that could change this mix and solves again; takes the mix it ends with.
    void measureUncertain(const Recipe& assign);
    /// One page on a run or on two (report.h), written beside the window's thread; an existing file is replaced.
    /// @param open in the person's browser afterwards.
    void writeReport(RunId run, RunId other, const QString& path, bool open);
    /// A job for each run that has it answer the prompts.
    void compareOutputs(const OutputsWish& wish);
    void diagnose(RunId run);
    /// What `run` would do. Reads files: call it on a background thread. @throws as Runner::plan.
    Json plan(const Recipe& recipe);
    /// Continues a job that was stopped, by a person or by closing. @param again as in Job::again.
    void goOn(const QString& again);

    bool opening() const { return opening_ > 0; }
    /// Nothing is being opened, computed or run.
    bool quiet() const { return opening_ == 0 && background_.pending() == 0 && !jobs_.busy(); }

    static QString demoFolder(); ///< empty when it is not installed
    static QStringList demoTexts(const QString& part); ///< "calib", "eval"

Q_SIGNALS:
    void openingChanged();
    void checkpointOpened(const QString& path);
    void failed(const QString& title, const bw::JobError& error);
    void ignored(const QStringList& lines);
    void message(const QString& text);
    void becameQuiet();
    void reportWritten(const QString& path);
    void computeApplied(); ///< threads are what setCompute() said

private:
    void useLog(const QString& path); ///< @throws Error; the former log stays then
    void onlyReadLog(const QString& path); ///< one that can't be written, a newer version's say; nothing can be run then
    struct Opened;
    static Opened openFiles(const std::string& path); ///< @throws Error; runs on a background thread
    void adopt(Opened opened);
    void requestFacts();
    void requestWeightView(const QString& site, const QString& format);
    void requestWhatIf(RunId run, const QString& group);
    void refreshSelectedView();
    void startDemo();
    /// Queues a job whose solved mix is taken into the recipe when it is done.
    void submitSolving(Job job);
    void submitOutputs(const OutputsJob& asked);
    RunId stoppedRunOf(const Recipe& recipe) const;
    /// Puts the formats of the newest solved mix of the open checkpoint into the recipe, as one step that can be undone.
    void takeNewestMix();
    /// Puts the newest mix beside the uniform run nearest in size.
    void compareNewestMix();
    void annotate(const std::function<void(ExperimentLog&)>& write);
    void checkQuiet();
    void applyComputeNow();
    void checkDevice(const QString& name);

    DeviceDesk devices_;
    std::optional<ComputeSettings> computeLater_; ///< waits for the running job
    std::unique_ptr<ExperimentLog> log_; // before jobs_: the running job writes here until it has ended
    Session session_;
    JobQueue jobs_;
    Background background_;
    QTimer poll_;
    int opening_ = 0;
    std::shared_ptr<std::atomic<int>> generation_; ///< of the open checkpoint; older results are dropped
    QString pendingSite_, pendingFormat_;
    int whatIfAsked_ = 0;  ///< number of the last request: earlier answers come too late
    bool demoWanted_ = false;
    QStringList goOnLater_; ///< wait for their checkpoint to be opened
};

} // namespace bw
