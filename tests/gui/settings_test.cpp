// SPDX-License-Identifier: GPL-3.0-or-later
// Settings as a person uses them, and what becomes of them: the device that jobs really compute on, threads, memory, caches;
// and what the window says when a device is not there or fails under a job.
#include "app/gui/command_line.h"
#include "app/gui/main_window.h"
#include "app/gui/notice_bar.h"
#include "app/gui/settings_dialog.h"
#include "core/base/parallel.h"
#include "core/quantize/tensor_cache.h"
#include "tests/gui/gui_fixture.h"

#ifdef BW_WITH_VULKAN
#include "gpu/vulkan_device.h"
#endif

#include <QAction>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFile>
#include <QLabel>
#include <QMenu>
#include <QPushButton>
#include <QSettings>
#include <QSignalSpy>
#include <QSpinBox>
#include <QToolButton>

using namespace bw;
using test::home;

namespace {

constexpr int kPatience = 60000; // only bounds a hang on a loaded machine

} // namespace

class SettingsTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        test::noWarnings();
        QFile::remove(home().settingsFile());
        begin();
    }
    void cleanup() {
        end();
        applyCompute({});
        setTensorCache({});
    }

    void everythingIsKeptAndHoldsAtOnce() {
        SettingsDialog* dialog = settings();
        dialog->findChild<QSpinBox*>(QStringLiteral("settings.threads"))->setValue(3);
        QCOMPARE(threadCount(), 3);
        dialog->findChild<QDoubleSpinBox*>(QStringLiteral("settings.memory"))->setValue(0.5);
        dialog->findChild<QDoubleSpinBox*>(QStringLiteral("settings.cacheLimit"))->setValue(1);
        QCOMPARE(tensorCacheSetting().limit.value_or(0), std::uint64_t{1} << 30);
        auto* theme = dialog->findChild<QComboBox*>(QStringLiteral("settings.theme"));
        theme->setCurrentIndex(1);
        Q_EMIT theme->activated(1);
        QCOMPARE(Theme::instance().mode(), Theme::Mode::light);
        Theme::instance().apply(Theme::Mode::dark);
        QVERIFY(window_->findChild<QPushButton*>(QStringLiteral("job.device"))->text().contains(QStringLiteral("3 threads")));
        end();
        setThreadCount(0);
        begin();
        QCOMPARE(threadCount(), 3); // the next start
        const ComputeSettings kept = AppSettings().compute();
        QCOMPARE(kept.memory, quint64{1} << 29);
        QCOMPARE(AppSettings().theme(), Theme::Mode::light);
        QCOMPARE(settings()->findChild<QSpinBox*>(QStringLiteral("settings.threads"))->value(), 3);
    }

    void damagedSettingsAreTheDefaults() {
        QSettings file(home().settingsFile(), QSettings::IniFormat);
        file.setValue(QStringLiteral("compute/device"), QStringLiteral("../../x"));
        file.setValue(QStringLiteral("compute/threads"), -7);
        file.setValue(QStringLiteral("compute/memory"), QStringLiteral("999999999999999999"));
        file.setValue(QStringLiteral("compute/cacheFolder"), QStringLiteral("here"));
        file.sync();
        QVERIFY(AppSettings().compute() == ComputeSettings());
    }

    void theDialogListsWhatTheMachineHas() {
        std::string why;
        const std::vector<DeviceRow> rows = listDevices(&why);
        auto* box = settings()->findChild<QComboBox*>(QStringLiteral("settings.device"));
        QCOMPARE(std::size_t(box->count()), rows.size() + 1); // and "the first GPU that works"
        for (const DeviceRow& row : rows) QVERIFY2(box->findData(QString::fromStdString(row.name)) >= 0, row.name.c_str());
        const QString facts = settings()->findChild<QLabel*>(QStringLiteral("settings.device.facts"))->text();
        QVERIFY2(facts.contains(QString::fromStdString(rows.front().description)), qPrintable(facts));
        QCOMPARE(facts.contains(QStringLiteral("No GPU")), !why.empty());
        for (const DeviceRow& row : rows) { // type, driver and memory of the one that is chosen
            choose(box, QString::fromStdString(row.name));
            QVERIFY(settings()->findChild<QLabel*>(QStringLiteral("settings.device.facts"))->text().contains(QString::fromStdString(row.detail)));
        }
    }

    void cachesAreCountedAndCleared() {
        const QString folder = home().file(QStringLiteral("my caches"));
        ComputeSettings other;
        other.cacheFolder = folder;
        AppSettings().setCompute(other);
        end();
        begin();
        QCOMPARE(tensorCacheSetting().folder, (folder + QStringLiteral("/tensors")).toStdString());
        const QString id(64, QLatin1Char('a'));
        const QString entry = folder + QStringLiteral("/tensors/aa/") + id + QStringLiteral(".tensor"), mine = folder + QStringLiteral("/tensors/notes.txt");
        QDir().mkpath(QFileInfo(entry).path());
        for (const QString& path : {entry, mine}) {
            QFile file(path);
            QVERIFY(file.open(QIODevice::WriteOnly) && file.write(QByteArray(2048, 'x')) == 2048);
        }
        SettingsDialog* dialog = settings();
        auto* use = dialog->findChild<QLabel*>(QStringLiteral("settings.cache.use"));
        QVERIFY2(use->text().contains(QStringLiteral("1 file")), qPrintable(use->text()));
        dialog->findChild<QPushButton*>(QStringLiteral("settings.cache.clear"))->click();
        QTRY_COMPARE_WITH_TIMEOUT(use->text(), QStringLiteral("nothing"), kPatience);
        QVERIFY(!QFile::exists(entry) && QFile::exists(mine));
    }

    void aDeviceThatIsNotThereIsToldAndTheCpuWorks() {
        ComputeSettings asked;
        asked.device = QStringLiteral("vulkan:99");
        AppSettings().setCompute(asked);
        end();
        begin();
        auto* notices = window_->findChild<NoticeBar*>();
        QTRY_VERIFY_WITH_TIMEOUT(!notices->texts().isEmpty(), kPatience); // before any job
        QVERIFY2(notices->texts().first().contains(QStringLiteral("vulkan:99")), qPrintable(notices->texts().first()));
        QVERIFY(notices->isVisible());
        notices->remove(QStringLiteral("device"));
        const RunId run = calibrate("missing.db");
        QVERIFY2(notices->texts().join(QString()).contains(QStringLiteral("vulkan:99")), "told with the job, too");
        QVERIFY(stackDevice(run).startsWith(QStringLiteral("CPU")));
        QVERIFY(settings()->findChild<QComboBox*>(QStringLiteral("settings.device"))->currentText().contains(QStringLiteral("not there")));
    }

    void aDeviceLostUnderAJobIsToldAndTheNextChoiceIsUsed() {
#ifdef BW_WITH_VULKAN
        if (!hasVulkan()) QSKIP("no Vulkan device");
        const RunId cpu = calibrate("lost.db");
        int opened = 0;
        window_->studio().devices().setFactory([&opened](const std::string& name) -> std::shared_ptr<Device> {
            if (name == "cpu") return makeCpuDevice();
            if (opened++ > 0) return makeDevice(name);
            VulkanOptions options;
            options.loseAfterSubmits = 10;
            return makeVulkanDevice(0, options);
        });
        choose(settings()->findChild<QComboBox*>(QStringLiteral("settings.device")), QStringLiteral("vulkan:0"));
        const RunId lost = calibrate("lost.db");
        auto* notices = window_->findChild<NoticeBar*>();
        QTRY_COMPARE_WITH_TIMEOUT(notices->texts().size(), qsizetype{1}, kPatience);
        QVERIFY2(notices->texts().first().contains(QStringLiteral("vulkan:0 failed")), qPrintable(notices->texts().first()));
        QVERIFY(window_->findChild<QPushButton*>(QStringLiteral("job.device"))->text().startsWith(QStringLiteral("CPU")));
        const LogReader& log = *window_->studio().session().log();
        const auto was = log.siteStatistics(cpu), is = log.siteStatistics(lost);
        QCOMPARE(is.size(), was.size());
        for (std::size_t i = 0; i < was.size(); ++i) { // nothing is lost or counted twice; the GPU's round-off is 1e-4 relative
            QCOMPARE(is[i].group, was[i].group);
            QVERIFY2(std::abs(is[i].absMax - was[i].absMax) <= 1e-3 * std::abs(was[i].absMax), was[i].group.c_str());
        }
        QVERIFY(stackDevice(calibrate("lost.db")).startsWith(QStringLiteral("CPU"))); // not tried again by itself
        QCOMPARE(opened, 1);
        notices->findChild<QPushButton*>()->click(); // "Try the device again"
        const RunId gpu = calibrate("lost.db");
        const QString device = stackDevice(gpu), strip = window_->findChild<QPushButton*>(QStringLiteral("job.device"))->text();
        QVERIFY2(device.contains(QStringLiteral("Vulkan")), qPrintable(device));
        QVERIFY2(strip.startsWith(device.left(20)), qPrintable(strip));
        QVERIFY(log.run(gpu).recipe.at("device") == "vulkan:0");
        QVERIFY(notices->texts().isEmpty());
#else
        QSKIP("built without Vulkan");
#endif
    }

    void theRuntimeIsChosenInTheRecipeMenu() {
        auto* menu = window_->findChild<QToolButton*>(QStringLiteral("bar.recipe"))->menu();
        Q_EMIT menu->aboutToShow();
        menu->findChild<QAction*>(QStringLiteral("runtime.llama.cpp-cpu"))->trigger();
        Session& session = window_->studio().session();
        QCOMPARE(session.recipe().evaluation.runtime, std::string("llama.cpp-cpu"));
        Recipe recipe = session.recipe();
        recipe.kind = "evaluate";
        recipe.evaluation.files = {"/t.txt"};
        QVERIFY(commandFor(recipe, {}).contains(QStringLiteral("--runtime llama.cpp-cpu")));
        session.undoStack()->undo();
        QCOMPARE(session.recipe().evaluation.runtime, std::string("ideal"));
        recipe = session.recipe();
        recipe.activations = "a8:token";
        session.editRecipe(QStringLiteral("activations"), recipe);
        Q_EMIT menu->aboutToShow();
        QVERIFY(!menu->findChild<QAction*>(QStringLiteral("runtime.w8a8"))->isEnabled()); // the recipe could not say both
    }

private:
    void begin() {
        window_ = std::make_unique<MainWindow>();
        window_->useSettings();
        window_->show();
    }
    void end() {
        if (!window_) return;
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
        window_.reset();
    }

    static bool hasVulkan() { return listDevices().size() > 1; }

    SettingsDialog* settings() {
        window_->findChild<QAction*>(QStringLiteral("settings"))->trigger();
        auto* dialog = window_->findChild<SettingsDialog*>();
        if (!QTest::qWaitFor([dialog] { return dialog->quiet(); }, kPatience)) qFatal("the dialog looks for devices for ever");
        return dialog;
    }

    static void choose(QComboBox* box, const QString& data) {
        const int index = box->findData(data);
        if (index < 0) qFatal("%s is not offered", qPrintable(data));
        box->setCurrentIndex(index);
        Q_EMIT box->activated(index);
    }

    /// A short calibration of the demo model, as the window starts one.
    RunId calibrate(const char* log) {
        Studio& studio = window_->studio();
        QSignalSpy opened(&studio, &Studio::checkpointOpened), finished(&studio.jobs(), &JobQueue::finished);
        studio.openCheckpoint(test::resource("demo"));
        if (opened.count() == 0 && !opened.wait(kPatience)) return {};
        if (!studio.session().logPath().endsWith(QLatin1String(log)) && !studio.openLog(home().file(QString::fromLatin1(log)))) return {};
        Recipe recipe = studio.session().recipe();
        recipe.kind = "calibrate";
        recipe.calibration = {{test::resource("texts/calib_prose.txt").toStdString()}, 2, 32};
        setTensorCache({}); // stored statistics of an earlier run would leave nothing to compute
        studio.run(recipe);
        if (finished.count() == 0 && !finished.wait(kPatience)) return {};
        return finished[0][1].value<RunOutcome>().run;
    }

    QString stackDevice(RunId run) const { return QString::fromStdString(window_->studio().session().log()->run(run).stack.device); }

    std::unique_ptr<MainWindow> window_;
};

int main(int argc, char** argv) { return test::run<SettingsTest>(argc, argv); }
#include "settings_test.moc"
