// SPDX-License-Identifier: GPL-3.0-or-later
// The real window, driven as a person drives it: drop, select, run, cancel, undo. Hard use is in robust_test.cpp.
// BW_SHOTS=FOLDER saves pictures of the dialogs, to be looked at.
#include "app/gui/main_window.h"
#include "app/gui/notice_bar.h"
#include "app/gui/plan_dialog.h"
#include "app/gui/start_page.h"
#include "core/base/json.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/compare/output_texts.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/histogram_plot.h"

#include <QAction>
#include <QComboBox>
#include <QDialog>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableWidget>
#include <QToolButton>
#include <QTreeView>

using namespace bw;
using test::home;

namespace {

// Every wait is for a signal or a state; this only bounds a hang on a loaded machine.
constexpr int kPatience = 60000;

int rowsBelow(const QAbstractItemModel& model, const QModelIndex& parent) {
    int count = 0;
    for (int row = 0; row < model.rowCount(parent); ++row) count += 1 + rowsBelow(model, model.index(row, 0, parent));
    return count;
}

} // namespace

class WindowTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        test::noWarnings();
        QFile::remove(home().settingsFile());
        window_ = std::make_unique<MainWindow>();
        window_->show();
    }
    void cleanup() { window_.reset(); }

    void startsWithADropArea() {
        QVERIFY(window_->isVisible());
        QVERIFY(window_->findChild<StartPage*>()->isVisible());
        QVERIFY(!window_->findChild<QTreeView*>(QStringLiteral("model.tree"))->isVisible());
        QVERIFY(!button("bar.run")->isEnabled());
    }

    void dropOpensTheCheckpoint() {
        openDemo();
        auto* tree = window_->findChild<QTreeView*>(QStringLiteral("model.tree"));
        QVERIFY(tree->isVisible());
        const auto model = window_->studio().session().model();
        QVERIFY(model);
        // Every site once, and a line for each block and for the embedding.
        const int groups = static_cast<int>(model->config().blocks) + 1;
        QCOMPARE(rowsBelow(*tree->model(), {}), static_cast<int>(model->sites().size()) + groups);
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
        for (const Site& site : model->sites())
            QVERIFY2(window_->studio().session().siteFacts(QString::fromStdString(site.name)).known, site.name.c_str());
        QVERIFY(button("bar.run")->isEnabled());
    }

    void weightViewMatchesTheEngine() {
        openDemo();
        Session& session = window_->studio().session();
        session.selectSite(QStringLiteral("blk.1.ffn_down"));
        QTRY_VERIFY_WITH_TIMEOUT(session.weightView(session.selectedSite()) && window_->studio().quiet(), kPatience);
        const WeightView before = *session.weightView(session.selectedSite());
        const Site* site = session.model()->findSite("blk.1.ffn_down");
        quint64 counted = before.statistics.histogram.below + before.statistics.histogram.above;
        for (const auto bin : before.statistics.histogram.bins) counted += bin;
        QCOMPARE(counted, static_cast<quint64>(site->rows * site->cols));
        QCOMPARE(before.format, QStringLiteral("q4_0"));
        QVERIFY(before.gridLevels.size() >= 8 && before.gridLevels.size() <= 16);
        // Eight bits leave far less error than four, through the very combo a person uses.
        auto* combo = window_->findChild<QComboBox*>(QStringLiteral("weights.format"));
        combo->setCurrentText(QStringLiteral("q8_0"));
        Q_EMIT combo->textActivated(QStringLiteral("q8_0"));
        QTRY_COMPARE_WITH_TIMEOUT(session.weightView(session.selectedSite())->format, QStringLiteral("q8_0"), kPatience);
        QVERIFY(session.weightView(session.selectedSite())->relativeError < before.relativeError / 50);
    }

    void brokenCheckpointSaysWhy() {
        QFile bad(home().file(QStringLiteral("bad.gguf")));
        QVERIFY(bad.open(QIODevice::WriteOnly));
        bad.write("GGUFxx");
        bad.close();
        QSignalSpy failed(&window_->studio(), &Studio::failed);
        QVERIFY(test::drop(window_.get(), {QUrl::fromLocalFile(bad.fileName())}));
        QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, kPatience);
        auto* dialog = window_->findChild<QDialog*>(QStringLiteral("error"));
        QVERIFY(dialog);
        bool named = false;
        for (const QLabel* label : dialog->findChildren<QLabel*>()) named |= label->text().contains(QStringLiteral("bad.gguf"));
        QVERIFY(named);
        if (const QString shots = qEnvironmentVariable("BW_SHOTS"); !shots.isEmpty()) dialog->grab().save(shots + QStringLiteral("/error.png"));
        dialog->close();
        QVERIFY(window_->findChild<StartPage*>()->isVisible());
    }

    void droppedTextBecomesDataAndCanBeUndone() {
        openDemo();
        Session& session = window_->studio().session();
        QVERIFY(test::drop(window_.get(), {QUrl::fromLocalFile(test::resource("texts/calib_prose.txt"))}));
        QCOMPARE(session.recipe().calibration.files.size(), std::size_t{1});
        trigger("Ctrl+Z");
        QCOMPARE(session.recipe().calibration.files.size(), std::size_t{0});
        trigger("Ctrl+Shift+Z");
        QCOMPARE(session.recipe().calibration.files.size(), std::size_t{1});
    }

    void calibrateJobFillsRunsAndCalibrate() {
        openDemo();
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("calibrate.db"))));
        useShortCalibration(8, 64);
        window_->showWorkspace(QStringLiteral("calibrate"));
        QSignalSpy finished(&window_->studio().jobs(), &JobQueue::finished);
        QSignalSpy failed(&window_->studio().jobs(), &JobQueue::failed);
        QTest::mouseClick(window_->findChild<QPushButton*>(QStringLiteral("calibrate.run")), Qt::LeftButton);
        QVERIFY(window_->studio().jobs().busy());
        QTRY_VERIFY_WITH_TIMEOUT(finished.count() + failed.count() == 1, kPatience);
        QCOMPARE(failed.count(), 0);
        Session& session = window_->studio().session();
        QCOMPARE(session.calibrationRun().value(), 1);
        window_->showWorkspace(QStringLiteral("runs")); // filled when it is shown
        auto* table = window_->findChild<QTreeView*>(QStringLiteral("runs.table"));
        QCOMPARE(table->model()->rowCount(), 1);
        auto* map = window_->findChild<HeatmapPlot*>(QStringLiteral("calibrate.map"));
        QCOMPARE(map->rows(), static_cast<int>(session.model()->config().blocks));
        QCOMPARE(map->columns(), static_cast<int>(session.model()->config().width));
        session.selectSite(QStringLiteral("blk.0.attn_q"));
        auto* plot = window_->findChild<HistogramPlot*>(QStringLiteral("calibrate.histogram"));
        QCOMPARE(plot->markers().size(), 4);
        for (const auto& marker : plot->markers()) QVERIFY2(marker.low < marker.high, qPrintable(marker.name));
    }

    void starTagAndNoteReachTheLog() {
        openDemo();
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("notes.db"))));
        Session& session = window_->studio().session();
        useShortCalibration(4, 32);
        Recipe recipe = session.recipe();
        recipe.kind = "calibrate";
        QSignalSpy finished(&window_->studio().jobs(), &JobQueue::finished);
        window_->studio().run(recipe);
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, kPatience);
        const RunId run = session.log()->runs().front().id;
        Q_EMIT session.starRequested(run, true);
        Q_EMIT session.tagRequested(run, QStringLiteral("good"), true);
        Q_EMIT session.noteRequested(run, QStringLiteral("a <b>note</b>"));
        const RunSummary row = session.log()->runs().front();
        QVERIFY(row.starred);
        QCOMPARE(row.tags, std::vector<std::string>{"good"});
        QCOMPARE(QString::fromStdString(row.note), QStringLiteral("a <b>note</b>"));
    }

    void cancelledJobLeavesTheLogConsistent() {
        openDemo();
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("cancel.db"))));
        useShortCalibration(512, 256); // far longer than the click takes
        Recipe recipe = window_->studio().session().recipe();
        recipe.kind = "calibrate";
        QSignalSpy failed(&window_->studio().jobs(), &JobQueue::failed);
        QSignalSpy progressed(&window_->studio().jobs(), &JobQueue::progressed);
        window_->studio().run(recipe);
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().jobs().progress().done > 0, kPatience);
        QTest::mouseClick(button("job.cancel"), Qt::LeftButton);
        QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, kPatience);
        QVERIFY(failed.first().at(1).value<JobError>().cancelled);
        QVERIFY(!window_->studio().jobs().busy());
        QCOMPARE(QString::fromStdString(window_->studio().session().log()->runs().front().status), QStringLiteral("cancelled"));
        QVERIFY(progressed.count() > 0);
    }

    void stoppedSweepGoesOnFromItsNotice() {
        openDemo();
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("goon.db"))));
        useShortCalibration(32, 128);
        Session& session = window_->studio().session();
        JobQueue& jobs = window_->studio().jobs();
        Recipe recipe = session.recipe();
        recipe.kind = "sweep";
        recipe.sweep.metric = "kl";
        recipe.sweep.formats = {"q4_0", "q5_0", "q8_0"};
        window_->studio().run(recipe);
        QTRY_VERIFY_WITH_TIMEOUT(!session.runs().empty() && !session.log()->sensitivities(session.runs().front().id).empty(), kPatience);
        jobs.cancel();
        QTRY_VERIFY_WITH_TIMEOUT(!jobs.busy(), kPatience);
        const std::size_t cells = session.log()->sensitivities(session.runs().front().id).size();
        auto* notices = window_->findChild<NoticeBar*>();
        QVERIFY(notices->isVisible() && notices->texts().first().contains(QStringLiteral("sweep")));
        notices->findChild<QPushButton*>()->click();
        QVERIFY(jobs.busy());
        QVERIFY(notices->texts().isEmpty());
        QTRY_VERIFY_WITH_TIMEOUT(session.log()->sensitivities(session.runs().front().id).size() > cells, kPatience);
        QCOMPARE(session.runs().size(), std::size_t{1}); // the same run, no second one
        jobs.cancel();
        QTRY_VERIFY_WITH_TIMEOUT(!jobs.busy(), kPatience);
    }

    void pausedJobStandsStillAndGoesOn() {
        openDemo();
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("pause.db"))));
        useShortCalibration(256, 128);
        Recipe recipe = window_->studio().session().recipe();
        recipe.kind = "calibrate";
        JobQueue& jobs = window_->studio().jobs();
        QSignalSpy failed(&jobs, &JobQueue::failed);
        window_->studio().run(recipe);
        QTRY_VERIFY_WITH_TIMEOUT(jobs.progress().done > 0, kPatience);
        QTest::mouseClick(button("job.pause"), Qt::LeftButton);
        QVERIFY(jobs.paused());
        QTest::mouseClick(button("job.pause"), Qt::LeftButton);
        QVERIFY(!jobs.paused());
        jobs.cancel();
        QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, kPatience);
    }

    void stoppedJobGoesOnAtTheNextStart() {
        Recipe recipe;
        recipe.kind = "calibrate";
        recipe.checkpoint = test::resource("demo").toStdString();
        recipe.calibration.files = {test::resource("texts/calib_prose.txt").toStdString()};
        recipe.calibration.samples = 4;
        recipe.calibration.length = 32;
        AppSettings().setInterruptedJob(QString::fromStdString(recipe.toJson().dump()));
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("resume.db"))));
        QSignalSpy finished(&window_->studio().jobs(), &JobQueue::finished);
        window_->restoreSession(true);
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, kPatience);
        QCOMPARE(window_->studio().session().log()->runs().size(), std::size_t{1});
        QVERIFY(AppSettings().takeInterruptedJob().isEmpty()); // once
    }

    void outputsOfARunWithoutAFileAreJudgedAndItsReportIsWritten() {
        openDemo();
        Studio& studio = window_->studio();
        QVERIFY(studio.openLog(home().file(QStringLiteral("outputs.db"))));
        Recipe recipe = studio.session().recipe();
        recipe.kind = "quantize"; // measured elsewhere: nothing is written
        recipe.assignment.format = "int4:g64";
        recipe.clipSearch = false;
        QSignalSpy finished(&studio.jobs(), &JobQueue::finished);
        studio.run(recipe);
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, kPatience);
        const RunId run = finished[0][1].value<RunOutcome>().run;
        OutputsWish wish;
        wish.runs = {run};
        wish.typed = {QStringLiteral("Once upon a time")};
        wish.maxTokens = 3;
        studio.compareOutputs(wish);
        QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 2, kPatience);
        const LogReader& log = *studio.session().log();
        const auto prompts = readOutputs(log, log.runs(), run, run);
        QCOMPARE(prompts.size(), 1);
        QCOMPARE(prompts[0].prompt, QStringLiteral("Once upon a time"));
        QCOMPARE(prompts[0].texts.size(), 2);
        QVERIFY(prompts[0].texts[1].judged && prompts[0].texts[1].run == run && prompts[0].texts[1].cosine > 0.5);
        QVERIFY(!prompts[0].texts[0].ids.empty());
        const QString evaluated = QString::fromStdString(log.run(log.runs().front().id).recipe.at("checkpoint").get<std::string>());
        QVERIFY2(!QFileInfo::exists(evaluated), "the temporary file is gone");
        QSignalSpy written(&studio, &Studio::reportWritten);
        const QString page = home().file(QStringLiteral("run.html"));
        studio.writeReport(run, RunId(), page, false);
        QTRY_COMPARE_WITH_TIMEOUT(written.count(), 1, kPatience);
        QFile html(page);
        QVERIFY(html.open(QIODevice::ReadOnly) && html.readAll().contains("int4:g64"));
        QSignalSpy failed(&studio, &Studio::failed);
        studio.writeReport(RunId(999), RunId(), page, false);
        QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, kPatience);
    }

    void planNamesEveryTensorBeforeAnythingIsWritten() {
        openDemo();
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("plan.db"))));
        Recipe recipe = window_->studio().session().recipe();
        recipe.kind = "quantize";
        recipe.exporting.path = home().file(QStringLiteral("planned.gguf")).toStdString();
        const Json plan = window_->studio().plan(recipe);
        PlanDialog dialog(plan, QStringLiteral("bitwright-cli …"), window_.get());
        dialog.show();
        auto* table = dialog.findChild<QTableWidget*>();
        QVERIFY(table->rowCount() >= static_cast<int>(window_->studio().session().model()->sites().size()));
        int q4 = 0;
        for (int row = 0; row < table->rowCount(); ++row) q4 += table->item(row, 2)->text() == QStringLiteral("q4_0");
        QCOMPARE(q4, static_cast<int>(window_->studio().session().model()->sites().size()));
        QVERIFY(!QFile::exists(QString::fromStdString(recipe.exporting.path)));
        if (const QString shots = qEnvironmentVariable("BW_SHOTS"); !shots.isEmpty()) dialog.grab().save(shots + QStringLiteral("/plan.png"));
    }

    void paletteGoesWhereItIsTold() {
        openDemo();
        trigger("Ctrl+K");
        auto* palette = window_->findChild<QDialog*>(QStringLiteral("palette"));
        QVERIFY(palette);
        auto* query = palette->findChild<QLineEdit*>();
        QTest::keyClicks(query, QStringLiteral("blk.2.ffn_up"));
        if (const QString shots = qEnvironmentVariable("BW_SHOTS"); !shots.isEmpty()) palette->grab().save(shots + QStringLiteral("/palette.png"));
        QTest::keyClick(query, Qt::Key_Return);
        QCOMPARE(window_->studio().session().selectedSite(), QStringLiteral("blk.2.ffn_up"));
    }

    void keysReachEveryWorkspace() {
        openDemo();
        const QStringList names{QStringLiteral("model"), QStringLiteral("calibrate"), QStringLiteral("mix"), QStringLiteral("runs"),
                                QStringLiteral("compare")};
        for (int i = 0; i < names.size(); ++i) {
            trigger(qPrintable(QStringLiteral("Ctrl+%1").arg(i + 1)));
            QCOMPARE(window_->workspace(), names[i]);
        }
    }

    void everyButtonHasAName() {
        openDemo();
        for (const QAbstractButton* found : window_->findChildren<QAbstractButton*>()) {
            if (!found->isVisible() || found->objectName().startsWith(QStringLiteral("qt_"))) continue;
            QVERIFY2(!found->text().isEmpty() || !found->accessibleName().isEmpty() || !found->toolTip().isEmpty(),
                     qPrintable(QStringLiteral("%1 in %2").arg(found->objectName(), found->parent()->objectName())));
        }
    }

private:
    QToolButton* button(const char* name) const { return window_->findChild<QToolButton*>(QString::fromLatin1(name)); }

    void openDemo() {
        QSignalSpy opened(&window_->studio(), &Studio::checkpointOpened);
        QVERIFY(test::drop(window_.get(), {QUrl::fromLocalFile(test::resource("demo"))}));
        QVERIFY(window_->studio().opening()); // it happens elsewhere; the window is free
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
    }

    void useShortCalibration(qint64 samples, qint64 length) {
        Recipe recipe = window_->studio().session().recipe();
        recipe.calibration.files = {test::resource("texts/calib_prose.txt").toStdString()};
        recipe.calibration.samples = samples;
        recipe.calibration.length = length;
        window_->studio().session().editRecipe(QStringLiteral("short"), recipe);
    }

    /// What the key would trigger; focus does not exist offscreen for every platform, the shortcut's action does.
    void trigger(const char* keys) {
        for (QAction* action : window_->actions())
            if (action->shortcuts().contains(QKeySequence(QString::fromLatin1(keys)))) {
                action->trigger();
                return;
            }
        QFAIL(keys);
    }

    std::unique_ptr<MainWindow> window_;
};

int main(int argc, char** argv) { return test::run<WindowTest>(argc, argv); }
#include "window_test.moc"
