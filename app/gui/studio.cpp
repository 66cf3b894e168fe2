// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/studio.h"

#include "app/common/devices.h"
#include "app/common/resources.h"
#include "app/gui/command_line.h"
#include "app/gui/mix_job.h"
#include "app/gui/outputs_job.h"
#include "app/gui/weight_facts.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/experiment/methods.h"
#include "core/experiment/what_if_job.h"
#include "widgets/session/engine_words.h"

#include <QDir>
#include <QFileInfo>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

// Beyond this a site's facts (f32 copy of 256 MiB) are computed when it is selected, not ahead of time.
constexpr std::int64_t kMostWeightsAhead = std::int64_t{1} << 26;
// A selected weight is looked at before the facts of those that nobody asked for.
constexpr int kOpenPriority = 20, kViewPriority = 10;

} // namespace

/// A checkpoint read on the background thread, not yet shown.
struct Studio::Opened {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::shared_ptr<const Model> model;
    QString whyNoModel;
};

Studio::Opened Studio::openFiles(const std::string& path) {
    Opened opened;
    opened.checkpoint = Checkpoint::open(path);
    try {
        opened.model = Model::openWeights(opened.checkpoint, makeDevice("cpu"));
    } catch (const Error&) {
        // The list of tensors can be looked at without a single site; the page says so.
        opened.whyNoModel = describeError(std::current_exception()).message;
    }
    return opened;
}

namespace {

std::vector<std::string> toStd(const QStringList& list) {
    std::vector<std::string> out;
    for (const QString& text : list) out.push_back(text.toStdString());
    return out;
}

} // namespace

Studio::Studio(QObject* parent)
    : QObject(parent), devices_(&makeDevice), jobs_([this](const std::string& name) { return devices_.make(name); }),
      generation_(std::make_shared<std::atomic<int>>(0)) {
    connect(&session_, &Session::openRequested, this, [this](const QStringList& paths) { open(sortInputs(paths)); });
    connect(&session_, &Session::demoRequested, this, &Studio::openDemo);
    connect(&session_, &Session::runRequested, this, [this](const Recipe& r, RunId resume) { run(r, resume); });
    connect(&session_, &Session::methodsRequested, this, &Studio::tryMethods);
    connect(&session_, &Session::measureUncertainRequested, this, &Studio::measureUncertain);
    connect(&session_, &Session::outputsRequested, this, &Studio::compareOutputs);
    connect(&session_, &Session::diagnoseRequested, this, &Studio::diagnose);
    connect(&session_, &Session::weightViewRequested, this, &Studio::requestWeightView);
    connect(&session_, &Session::whatIfInputRequested, this, &Studio::requestWhatIf);
    connect(&session_, &Session::siteSelected, this, &Studio::refreshSelectedView);
    connect(&session_, &Session::recipeChanged, this, &Studio::refreshSelectedView);
    connect(&session_, &Session::starRequested, this,
            [this](RunId run, bool on) { annotate([run, on](ExperimentLog& log) { log.setStar(run, on); }); });
    connect(&session_, &Session::noteRequested, this, [this](RunId run, const QString& text) {
        annotate([run, note = text.toStdString()](ExperimentLog& log) { log.setNote(run, note); });
    });
    connect(&session_, &Session::tagRequested, this, [this](RunId run, const QString& text, bool add) {
        annotate([run, tag = text.toStdString(), add](ExperimentLog& log) {
            add ? log.addTag(run, tag) : log.removeTag(run, tag);
        });
    });
    // 4 Hz: rows of a sweep show up as they are committed, at no cost that could be felt.
    poll_.setInterval(250);
    connect(&poll_, &QTimer::timeout, &session_, &Session::refreshLog);
    connect(&jobs_, &JobQueue::finished, &session_, &Session::refreshLog);
    connect(&jobs_, &JobQueue::failed, &session_, &Session::refreshLog);
    const auto settle = [this] { // before the next job begins
        devices_.release();
        applyComputeNow();
    };
    connect(&jobs_, &JobQueue::finished, this, settle);
    connect(&jobs_, &JobQueue::failed, this, settle);
    connect(&jobs_, &JobQueue::idle, this, &Studio::checkQuiet);
    connect(&background_, &Background::idle, this, &Studio::checkQuiet);
    poll_.start();
}

Studio::~Studio() {
    ++*generation_;
    jobs_.disconnect(this);
    background_.disconnect(this);
    jobs_.disconnect(&session_);
}

bool Studio::openLog(const QString& path) {
    if (jobs_.busy()) {
        Q_EMIT message(tr("The log can't be changed while a job writes to it."));
        return false;
    }
    try {
        try {
            useLog(path);
        } catch (const Error& e) {
            if (e.code() != ErrorCode::logTooNew && e.code() != ErrorCode::permissionDenied) throw;
            onlyReadLog(path);
        }
        return true;
    } catch (...) {
        Q_EMIT failed(tr("The experiment log could not be opened"), describeError(std::current_exception()));
        return false;
    }
}

void Studio::onlyReadLog(const QString& path) {
    session_.setLog(path);
    log_.reset();
    jobs_.setLog(nullptr);
    compareNewestMix();
    const QString why = QString::fromStdString(escapeForDisplay(session_.log()->notice()));
    Q_EMIT message(tr("This log is only read, jobs need another one. %1").arg(why));
}

void Studio::useLog(const QString& path) {
    auto log = std::make_unique<ExperimentLog>(path.toStdString());
    try {
        session_.setLog(path);
    } catch (const Error&) {
        if (log_) session_.setLog(QString::fromStdString(log_->path()));
        throw;
    }
    log_ = std::move(log);
    jobs_.setLog(log_.get());
    compareNewestMix(); // Compare opens on what matters, not on whatever ran last
}

QString Studio::openLogOrTemporary(const QString& path) {
    QString why;
    try {
        useLog(path.isEmpty() ? QString::fromStdString(ExperimentLog::defaultPath()) : path);
        return {};
    } catch (...) {
        why = describeError(std::current_exception()).message;
    }
    try {
        QTemporaryDir folder(QDir::temp().filePath(QStringLiteral("bitwright-XXXXXX")));
        folder.setAutoRemove(false); // the person may want to keep what was measured
        useLog(folder.filePath(QStringLiteral("experiments.db")));
        return tr("The experiment log can't be used, so runs go to %2 for now: %1").arg(why, session_.logPath());
    } catch (...) {
        return tr("The experiment log can't be used, nor one in the temporary folder, so nothing can be run: %1").arg(why);
    }
}

void Studio::open(const InputSet& inputs) {
    if (!inputs.log.isEmpty()) openLog(inputs.log);
    if (!inputs.recipe.isEmpty()) openRecipe(inputs.recipe);
    if (!inputs.checkpoint.isEmpty()) openCheckpoint(inputs.checkpoint);
    if (!inputs.texts.isEmpty()) addTexts(inputs.texts, false);
    if (!inputs.ignored.isEmpty()) Q_EMIT ignored(inputs.ignored);
}

void Studio::openCheckpoint(const QString& path) {
    if (session_.checkpoint()) {
        const QString now = QFileInfo(QString::fromStdString(session_.checkpoint()->path())).canonicalFilePath();
        if (now == QFileInfo(path).canonicalFilePath()) {
            Q_EMIT message(tr("%1 is open already.").arg(QFileInfo(path).fileName()));
            Q_EMIT checkpointOpened(path);
            return;
        }
    }
    ++opening_;
    Q_EMIT openingChanged();
    const int generation = ++*generation_;
    background_.run<Opened>(
        [file = path.toStdString()] { return openFiles(file); },
        [this, path, generation](Opened opened) {
            --opening_;
            Q_EMIT openingChanged();
            if (generation != *generation_) return; // another one was asked for since
            adopt(std::move(opened));
            if (const QString why = session_.whyNoForward(); !why.isEmpty()) Q_EMIT message(tr("Weights only: %1").arg(why));
            Q_EMIT checkpointOpened(path);
        },
        [this, path](const JobError& error) {
            --opening_;
            demoWanted_ = false;
            goOnLater_.clear();
            Q_EMIT openingChanged();
            Q_EMIT failed(tr("%1 could not be opened").arg(QFileInfo(path).fileName()), error);
        },
        kOpenPriority);
}

void Studio::adopt(Opened opened) {
    session_.setCheckpoint(std::move(opened.checkpoint), std::move(opened.model), opened.whyNoModel);
    requestFacts();
    if (const Model* m = session_.model().get(); m && !m->sites().empty()) {
        // The first block's site is a better start than the embedding.
        const Site& first = m->sites().size() > 1 ? m->sites()[1] : m->sites()[0];
        session_.selectSite(QString::fromStdString(first.name));
    }
    if (demoWanted_) startDemo();
    for (const QString& again : std::exchange(goOnLater_, {})) goOn(again);
}

void Studio::requestFacts() {
    const auto model = session_.model();
    if (!model) return;
    const int generation = *generation_;
    for (const Site& site : model->sites()) {
        if (site.rows * site.cols > kMostWeightsAhead) continue;
        background_.run<SiteFacts>(
            [model, site, generation, now = generation_] {
                return generation == *now ? siteFacts(*model, site) : SiteFacts{};
            },
            [this, generation, name = QString::fromStdString(site.name)](SiteFacts facts) {
                if (generation == *generation_ && facts.known) session_.setSiteFacts(name, facts);
            });
    }
}

void Studio::refreshSelectedView() {
    const QString site = session_.selectedSite();
    if (!site.isEmpty()) requestWeightView(site, session_.siteFormat(site));
}

void Studio::requestWeightView(const QString& name, const QString& format) {
    const auto model = session_.model();
    const Site* site = model ? model->findSite(name.toStdString()) : nullptr;
    if (!site || (name == pendingSite_ && format == pendingFormat_)) return;
    pendingSite_ = name;
    pendingFormat_ = format;
    background_.run<WeightView>(
        [model, site = *site, format] { return weightView(*model, site, format); },
        [this, model, name, format](WeightView view) {
            if (session_.model() != model) return;
            session_.setWeightView(view);
            if (name == pendingSite_ && format == pendingFormat_) pendingSite_.clear();
            if (!session_.siteFacts(name).known) {
                const WeightStatistics& s = view.statistics;
                session_.setSiteFacts(name, {s.kurtosis, s.outlierShare, s.maximum, {}, true});
            }
        },
        [this](const JobError& error) {
            pendingSite_.clear();
            Q_EMIT message(error.message);
        },
        kViewPriority);
}

void Studio::requestWhatIf(RunId run, const QString& group) {
    using Input = std::shared_ptr<const WhatIfInput>;
    const int number = ++whatIfAsked_;
    background_.run<Input>(
        [path = session_.logPath().toStdString(), run, name = group.toStdString()]() -> Input {
            JobContext nobody;
            return std::make_shared<const WhatIfInput>(storedWhatIfInput(LogReader(path), run, name, nobody));
        },
        [this, number](Input input) {
            if (number == whatIfAsked_) session_.setWhatIfInput(std::move(input));
        },
        [this, number](const JobError& error) {
            if (number == whatIfAsked_) session_.setWhatIfInput(nullptr, error.message);
        },
        kViewPriority);
}

void Studio::addTexts(const QStringList& paths, bool evaluation) {
    Recipe changed = session_.recipe();
    auto& files = evaluation ? changed.evaluation.files : changed.calibration.files;
    const std::size_t before = files.size();
    for (const QString& path : paths)
        if (std::find(files.begin(), files.end(), path.toStdString()) == files.end()) files.push_back(path.toStdString());
    if (files.size() == before) return;
    session_.editRecipe(evaluation ? tr("Add evaluation text") : tr("Add calibration text"), std::move(changed));
}

void Studio::openRecipe(const QString& path) {
    try {
        const Recipe recipe = Recipe::load(path.toStdString());
        session_.replaceRecipe(recipe);
        Q_EMIT message(tr("Recipe %1 opened.").arg(QFileInfo(path).fileName()));
        if (!recipe.checkpoint.empty()) openCheckpoint(QString::fromStdString(recipe.checkpoint));
    } catch (...) {
        Q_EMIT failed(tr("%1 could not be opened").arg(QFileInfo(path).fileName()),
                      describeError(std::current_exception()));
    }
}

int Studio::run(const Recipe& asked, RunId resume) {
    Recipe recipe = asked;
    if (recipe.checkpoint.empty() && session_.checkpoint()) recipe.checkpoint = session_.checkpoint()->path();
    const QString name = session_.checkpoint() ? QString::fromStdString(session_.checkpoint()->displayName()) : QString();
    Job job;
    job.title = QStringLiteral("%1 · %2").arg(engineText(recipe.kind), name);
    job.again = QString::fromStdString(recipe.toJson().dump());
    job.work = [recipe, resume, command = commandFor(recipe, session_.logPath(), resume.value()).toStdString()](
                   Runner& runner, JobContext& context) { return runner.run(recipe, context, command, resume); };
    return jobs_.submit(std::move(job));
}

void Studio::runMix(const Runner::MixOptions& options, const QString& title) {
    Job job;
    job.title = title;
    job.again = QString::fromStdString(Json{{"title", title.toStdString()}, {"mix", mixToJson(options)}}.dump());
    job.work = [options](Runner& runner, JobContext& context) {
        return runner.mix(options, context, "bitwright (the window)");
    };
    submitSolving(std::move(job));
}

void Studio::tryMethods(const std::vector<MethodTrial>& trials) {
    MethodsOptions options;
    Json again = Json::array();
    for (MethodTrial trial : trials) {
        if (trial.recipe.checkpoint.empty() && session_.checkpoint()) trial.recipe.checkpoint = session_.checkpoint()->path();
        trial.recipe.exporting = {}; // measured, not written
        again.push_back({{"name", trial.name}, {"why", trial.why}, {"recipe", trial.recipe.toJson()}});
        options.trials.push_back(std::move(trial));
    }
    Job job;
    job.title = tr("try %1 methods").arg(options.trials.size());
    job.again = QString::fromStdString(Json{{"methods", again}}.dump());
    const DeviceFactory devices = [this](const std::string& name) { return devices_.make(name); };
    job.work = [options, devices, log = log_.get()](Runner&, JobContext& context) { // the log and the desk outlive the queue
        const Json ranked = bw::tryMethods(*log, devices, options, context, "bitwright (the window)");
        return RunOutcome{RunId(ranked.at("methods").front().at("run").get<std::int64_t>()), ranked};
    };
    jobs_.submit(std::move(job));
}

void Studio::measureUncertain(const Recipe& assign) {
    Runner::RefineOptions options;
    options.assign = assign;
    if (options.assign.checkpoint.empty() && session_.checkpoint()) options.assign.checkpoint = session_.checkpoint()->path();
    Job job;
    job.title = tr("measure the uncertain");
    job.again = QString::fromStdString(Json{{"uncertain", options.assign.toJson()}}.dump());
    job.work = [options](Runner& runner, JobContext& context) {
        return runner.measureUncertain(options, context, "bitwright (the window)");
    };
    submitSolving(std::move(job));
}

void Studio::submitSolving(Job job) {
    const int number = jobs_.submit(std::move(job));
    auto* once = new QObject(this); // lives until this very job has ended
    connect(&jobs_, &JobQueue::finished, once, [this, once, number](int done) {
        if (done != number) return;
        once->deleteLater();
        takeNewestMix();
    });
    connect(&jobs_, &JobQueue::failed, once, [once, number](int done) {
        if (done == number) once->deleteLater();
    });
}

void Studio::takeNewestMix() {
    if (!session_.log() || !session_.checkpoint()) return;
    try {
        session_.refreshLog();
        const RunId run = session_.log()->latest("assign", session_.checkpoint()->path());
        if (run.value() == 0) return;
        const RunDetail detail = session_.log()->run(run);
        QHash<QString, QString> formats;
        for (const AssignmentRow& row : detail.assignments)
            formats.insert(QString::fromStdString(row.site), QString::fromStdString(row.used.empty() ? row.asked : row.used));
        // The prediction holds for the rounder that the map was measured with, so the mix brings it along.
        const Recipe solved = Recipe::fromJson(detail.recipe);
        const QString text = tr("Take the mix of run %1").arg(run.value());
        session_.undoStack()->beginMacro(text);
        Recipe changed = session_.recipe();
        changed.rounder = solved.rounder;
        changed.clipSearch = solved.clipSearch;
        session_.editRecipe(text, std::move(changed));
        session_.setSiteFormats(formats, text);
        session_.undoStack()->endMacro();
        compareNewestMix();
    } catch (...) {
        Q_EMIT message(describeError(std::current_exception()).message);
    }
}

void Studio::compareNewestMix() {
    const auto bytesOf = [](const RunSummary& run) {
        for (const MetricRow& metric : run.metrics)
            if (metric.name == "bytes") return metric.value;
        return 0.0;
    };
    const std::vector<RunSummary> runs = session_.log()->runs(200);
    const auto isMix = [](const RunSummary& r) { return r.kind == "quantize" && r.status == "done" && r.name.starts_with("mix"); };
    const auto mix = std::find_if(runs.begin(), runs.end(), isMix);
    if (mix == runs.end()) return;
    const RunSummary* nearest = nullptr;
    for (const RunSummary& run : runs) {
        const bool uniform = run.kind == "quantize" && run.status == "done" && run.name.starts_with("uniform") && run.checkpoint == mix->checkpoint;
        const auto away = [&](const RunSummary& r) { return std::fabs(bytesOf(r) - bytesOf(*mix)); };
        if (uniform && (!nearest || away(run) < away(*nearest))) nearest = &run;
    }
    if (nearest) session_.selectRuns(mix->id, nearest->id);
}

Json Studio::plan(const Recipe& recipe) {
    if (!log_)
        throw Error(ErrorCode::logCorrupt, "No experiment log is open.", "Open or create a log file first.");
    JobContext context;
    const auto device = [](const std::string& name) { // whether it is there is told when the job begins
        try {
            return makeDevice(name);
        } catch (const Error& e) {
            if (e.code() != ErrorCode::deviceUnavailable) throw;
            return makeDevice("cpu");
        }
    };
    return Runner(*log_, device).plan(recipe, context);
}

QString Studio::demoFolder() {
    try {
        const QString folder = QString::fromStdString(resourcesFolder()) + QStringLiteral("/demo");
        return QFileInfo::exists(folder) ? folder : QString();
    } catch (const Error&) {
        return {};
    }
}

QStringList Studio::demoTexts(const QString& part) {
    try {
        const QDir folder(QString::fromStdString(resourcesFolder()) + QStringLiteral("/texts"));
        QStringList paths;
        for (const QString& name : folder.entryList({part + QStringLiteral("_*.txt")}, QDir::Files, QDir::Name))
            paths << folder.filePath(name);
        return paths;
    } catch (const Error&) {
        return {};
    }
}

void Studio::openDemo() {
    const QString folder = demoFolder();
    if (folder.isEmpty()) {
        Q_EMIT message(tr("The demo model is not installed."));
        return;
    }
    demoWanted_ = true;
    const bool there = session_.checkpoint() != nullptr &&
                       QFileInfo(QString::fromStdString(session_.checkpoint()->path())).canonicalFilePath() ==
                           QFileInfo(folder).canonicalFilePath();
    openCheckpoint(folder);
    if (there) startDemo();
}

void Studio::startDemo() {
    demoWanted_ = false;
    Recipe recipe = session_.recipe();
    recipe.calibration.files = toStd(demoTexts(QStringLiteral("calib")));
    recipe.evaluation.files = toStd(demoTexts(QStringLiteral("eval")));
    recipe.calibration.samples = 64; // enough for a model of five million weights, and quick
    recipe.calibration.length = 128;
    session_.replaceRecipe(recipe);
    if (session_.sweepRun().value() != 0) { // the log holds its results already
        takeNewestMix();
        return;
    }
    QDir data(QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) + QStringLiteral("/bitwright/demo"));
    if (!data.mkpath(QStringLiteral("."))) data = QFileInfo(session_.logPath()).dir(); // a home that can't be written
    Runner::MixOptions options;
    options.checkpoint = recipe.checkpoint;
    options.outPath = data.filePath(QStringLiteral("demo-mix.gguf")).toStdString();
    options.formats = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0"};
    options.calibrationFiles = recipe.calibration.files;
    options.evaluationFiles = recipe.evaluation.files;
    options.budget = "5.5bpw";
    options.samples = recipe.calibration.samples;
    options.length = recipe.calibration.length;
    options.sweepTokens = 1024;
    options.evaluationTokens = 4096;
    options.device = recipe.device;
    options.replace = true;
    runMix(options, tr("demo · the whole road"));
}

void Studio::goOn(const QString& again) {
    try {
        const Json document = parseJson(again.toStdString(), "the stopped job");
        const bool mix = document.contains("mix"), uncertain = document.contains("uncertain"), methods = document.contains("methods");
        if (document.contains("outputs")) {
            const Json& asked = document.at("outputs");
            submitOutputs({asked.at("run").get<std::int64_t>(), asked.at("prompts").get<std::vector<std::string>>(), asked.at("max_tokens").get<std::int64_t>(), asked.value("device", std::string("cpu"))});
            return;
        }
        std::vector<MethodTrial> trials;
        if (methods)
            for (const Json& trial : document.at("methods"))
                trials.push_back({trial.at("name").get<std::string>(), trial.at("why").get<std::string>(), Recipe::fromJson(trial.at("recipe"))});
        const Recipe recipe = mix ? Recipe() : methods ? trials.at(0).recipe : Recipe::fromJson(uncertain ? document.at("uncertain") : document);
        const Runner::MixOptions options = mix ? mixFromJson(document.at("mix")) : Runner::MixOptions();
        const std::string& wanted = mix ? options.checkpoint : recipe.checkpoint;
        const auto open = session_.checkpoint();
        if (!open || open->path() != wanted) {
            goOnLater_ << again;
            if (goOnLater_.size() == 1) openCheckpoint(QString::fromStdString(wanted));
            return;
        }
        if (mix) runMix(options, QString::fromStdString(document.value("title", std::string("mix"))));
        else if (methods) tryMethods(trials);
        else if (uncertain) measureUncertain(recipe);
        else run(recipe, stoppedRunOf(recipe));
        Q_EMIT message(tr("Going on with the job that was stopped."));
    } catch (...) {
        Q_EMIT failed(tr("The stopped job can't go on"), describeError(std::current_exception()));
    }
}

/// The sweep of the log that this recipe continues; RunId(0) when it begins anew.
RunId Studio::stoppedRunOf(const Recipe& recipe) const {
    if (recipe.kind != "sweep" || !session_.log()) return {};
    const Json wanted = recipe.toJson();
    for (const RunSummary& row : session_.log()->runs(50)) {
        const bool stopped = row.status == runStatusName(RunStatus::cancelled) || row.status == runStatusName(RunStatus::interrupted);
        if (stopped && row.kind == "sweep" && session_.log()->run(row.id).recipe == wanted) return row.id;
    }
    return {};
}

void Studio::annotate(const std::function<void(ExperimentLog&)>& write) {
    if (!log_) return;
    try {
        write(*log_);
        session_.refreshLog();
    } catch (...) {
        Q_EMIT failed(tr("The log could not be written"), describeError(std::current_exception()));
    }
}

void Studio::setCompute(const ComputeSettings& settings) {
    session_.setDevice(settings.device);
    computeLater_ = settings;
    if (!jobs_.busy()) applyComputeNow();
    devices_.forgive(); // whoever chooses a device anew wants it tried
    checkDevice(settings.device);
}

void Studio::applyComputeNow() {
    if (const auto settings = std::exchange(computeLater_, std::nullopt)) {
        applyCompute(*settings);
        Q_EMIT computeApplied();
    }
}

/// Whether the device is there is told at once, not after the first job was prepared.
void Studio::checkDevice(const QString& name) {
    if (name == QLatin1String("cpu") || name == QLatin1String("auto")) return;
    background_.run<QString>(
        [name] {
            std::string why;
            const std::vector<DeviceRow> rows = listDevices(&why);
            const auto named = [&](const DeviceRow& row) { return QString::fromStdString(row.name) == name; };
            if (std::any_of(rows.begin(), rows.end(), named)) return QString();
            return why.empty() ? tr("this machine has no device of that number") : QString::fromStdString(why);
        },
        [this, name](QString why) {
            if (!why.isEmpty() && name.toStdString() == session_.recipe().device) Q_EMIT devices_.missing(name, why);
        });
}

void Studio::checkQuiet() {
    if (quiet()) Q_EMIT becameQuiet();
}

} // namespace bw
