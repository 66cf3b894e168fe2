// SPDX-License-Identifier: GPL-3.0-or-later
// What goes wrong on a person's desk, on the real window: odd drops, files that are still being written, logs of others, a
// checkpoint that goes away, a full disk, a small screen, three thousand layers. Each ends with a clear message and a window that
// works on.
#include "app/gui/main_window.h"
#include "app/gui/notice_bar.h"
#include "app/gui/start_page.h"
#include "core/base/io_ops.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/mix/bits_grid.h"
#include "widgets/mix/mix_page.h"
#include "widgets/theme/elided_label.h"

#include <QAbstractButton>
#include <QComboBox>
#include <QAction>
#include <QFile>
#include <QFileDialog>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QMessageBox>
#include <QPushButton>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTimer>
#include <QUndoStack>
#include <algorithm>
#include <cerrno>
#include <ctime>
#include <vector>

using namespace bw;
using test::home;

namespace {

// Every wait is for a signal or a state; this only bounds a hang on a loaded machine.
constexpr int kPatience = 60000;

/// A disk that has room for the log and not for a model.
class FullDisk final : public IoOps {
public:
    FullDisk() { setIoOps(this); }
    ~FullDisk() override { setIoOps(nullptr); }
    ssize_t write(int fd, const void* data, std::size_t size) override { return full(size) ? -1 : IoOps::write(fd, data, size); }
    ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) override { return full(size) ? -1 : IoOps::pwrite(fd, data, size, offset); }
    int fallocate(int, off_t) override {
        errno = EOPNOTSUPP;
        return -1;
    }

private:
    bool full(std::size_t size) {
        written_ += size;
        if (written_ > 64 * 1024) errno = ENOSPC;
        return written_ > 64 * 1024;
    }
    std::size_t written_ = 0;
};

QString made(const QString& name, const QByteArray& content) {
    QDir().mkpath(QFileInfo(home().file(name)).path());
    QFile file(home().file(name));
    if (!file.open(QIODevice::WriteOnly)) qFatal("can't write %s", qPrintable(name));
    file.write(content);
    return file.fileName();
}

QByteArray bytesOf(const QString& path) {
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly)) qFatal("can't read %s", qPrintable(path));
    return file.readAll();
}

/// The demo checkpoint in a folder of the test's.
QString copyDemo(const QString& name) {
    const QDir demo(test::resource("demo"));
    for (const QString& file : demo.entryList(QDir::Files)) made(name + QLatin1Char('/') + file, bytesOf(demo.filePath(file)));
    return home().file(name);
}

/// A mixture with `experts` experts in each of 8 blocks, its weights all zero: three sites an expert.
QString manyExperts(const QString& name, int experts) {
    constexpr int kBlocks = 8, kWidth = 32, kInner = 16, kVocabulary = 128;
    Json config = parseJson(bytesOf(QStringLiteral(BW_TEST_DATA "/families/mixtral/config.json")).toStdString(), "config");
    config["num_local_experts"] = experts;
    config["num_hidden_layers"] = kBlocks;
    made(name + QStringLiteral("/config.json"), QByteArray::fromStdString(config.dump()));
    Json header = Json::object();
    std::size_t at = 0;
    const auto add = [&](const std::string& tensor, std::vector<int> shape) {
        std::size_t size = 4;
        for (const int n : shape) size *= std::size_t(n);
        header[tensor] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {at, at + size}}};
        at += size;
    };
    add("model.embed_tokens.weight", {kVocabulary, kWidth});
    add("lm_head.weight", {kVocabulary, kWidth});
    add("model.norm.weight", {kWidth});
    for (int b = 0; b < kBlocks; ++b) {
        const std::string block = "model.layers." + std::to_string(b) + ".";
        for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(block + norm + ".weight", {kWidth});
        for (const char* site : {"q_proj", "o_proj"}) add(block + "self_attn." + site + ".weight", {kWidth, kWidth});
        for (const char* site : {"k_proj", "v_proj"}) add(block + "self_attn." + site + ".weight", {kWidth / 2, kWidth});
        add(block + "block_sparse_moe.gate.weight", {experts, kWidth});
        for (int e = 0; e < experts; ++e) {
            const std::string expert = block + "block_sparse_moe.experts." + std::to_string(e) + ".";
            add(expert + "w1.weight", {kInner, kWidth});
            add(expert + "w2.weight", {kWidth, kInner});
            add(expert + "w3.weight", {kInner, kWidth});
        }
    }
    const std::string text = header.dump();
    QByteArray file(8, 0);
    for (int i = 0; i < 8; ++i) file[i] = char(text.size() >> (8 * i) & 0xff);
    file += QByteArray::fromStdString(text) + QByteArray(qsizetype(at), 0);
    made(name + QStringLiteral("/model.safetensors"), file);
    return home().file(name);
}

} // namespace

class JourneysTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        test::noWarnings();
        QFile::remove(home().settingsFile());
        window_ = std::make_unique<MainWindow>();
        window_->show();
    }
    void cleanup() {
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
        window_.reset();
    }

    void tenFilesOfMixedKinds() {
        QList<QUrl> urls;
        const auto add = [&](const QString& path) { urls << QUrl::fromLocalFile(path); };
        add(copyDemo(QStringLiteral("ten")));
        add(made(QStringLiteral("second.gguf"), "GGUF"));
        for (const char* name : {"a.txt", "b.md", "c.jsonl"}) add(made(QString::fromLatin1(name), "{\"text\": \"some words\"}\n"));
        Recipe recipe;
        recipe.rounder = "weighted";
        add(made(QStringLiteral("recipe.json"), QByteArray::fromStdString(recipe.toJson().dump())));
        { const ExperimentLog log(home().file(QStringLiteral("mine.db")).toStdString()); }
        add(home().file(QStringLiteral("mine.db")));
        add(made(QStringLiteral("photo.png"), "\x89PNG"));
        QDir().mkpath(home().file(QStringLiteral("no model in it")));
        add(home().file(QStringLiteral("no model in it")));
        add(made(QStringLiteral("program"), QByteArray("\x7f" "ELF", 4)));
        QCOMPARE(urls.size(), 10);
        QSignalSpy opened(&window_->studio(), &Studio::checkpointOpened), ignored(window_.get(), &MainWindow::dropIgnored);
        QVERIFY(test::drop(window_.get(), urls));
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
        Session& session = window_->studio().session();
        QCOMPARE(session.recipe().calibration.files.size(), std::size_t{3});
        QCOMPARE(session.recipe().rounder, std::string("weighted"));
        QCOMPARE(session.logPath(), home().file(QStringLiteral("mine.db")));
        const QString told = ignored.first().first().toStringList().join(QLatin1Char('\n'));
        for (const char* line : {"second.gguf: one checkpoint at a time", "photo.png: not a file", "no model in it: a folder without config.json or .safetensors", "program: not a file"})
            QVERIFY2(told.contains(QLatin1String(line)), qPrintable(told));
        window_->findChild<QMessageBox*>(QStringLiteral("ignored"))->close();
    }

    void aFileBeingWrittenIsRefusedUntilItIsWhole() {
        const QString folder = copyDemo(QStringLiteral("download"));
        const QString weights = QDir(folder).entryInfoList({QStringLiteral("*.safetensors")}, QDir::Files).first().filePath();
        const QByteArray whole = bytesOf(weights);
        made(QStringLiteral("download/") + QFileInfo(weights).fileName(), whole.left(whole.size() / 2));
        const QString told = failureOf([&] { window_->studio().openCheckpoint(folder); });
        QVERIFY2(told.contains(QFileInfo(weights).fileName()), qPrintable(told));
        QVERIFY(window_->findChild<StartPage*>()->isVisible());
        made(QStringLiteral("download/") + QFileInfo(weights).fileName(), whole);
        QVERIFY(open(folder));
    }

    void aForeignLogLeavesTheOldOneOpen() {
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("own.db"))));
        const QString foreign = made(QStringLiteral("foreign.db"), QByteArray("SQLite format 3\0", 16) + QByteArray(4096, 'x'));
        const QByteArray before = bytesOf(foreign);
        QSignalSpy failed(&window_->studio(), &Studio::failed);
        QVERIFY(test::drop(window_.get(), {QUrl::fromLocalFile(foreign)}));
        QCOMPARE(failed.count(), 1);
        QVERIFY2(failed[0][1].value<JobError>().message.contains(QStringLiteral("foreign.db")), qPrintable(failed[0][1].value<JobError>().message));
        QCOMPARE(bytesOf(foreign), before); // not a byte of it is touched
        QCOMPARE(window_->studio().session().logPath(), home().file(QStringLiteral("own.db")));
        QVERIFY(window_->studio().session().log());
        closeError();
    }

    void aCheckpointThatGoesAwayIsNamedAndTheWindowLives() {
        const QString folder = copyDemo(QStringLiteral("removed"));
        QVERIFY(open(folder));
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("removed.db"))));
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
        QVERIFY(QDir(folder).removeRecursively());
        Session& session = window_->studio().session();
        session.selectSite(QStringLiteral("blk.2.ffn_up")); // mapped files live on
        QTRY_VERIFY_WITH_TIMEOUT(session.weightView(QStringLiteral("blk.2.ffn_up")) != nullptr, kPatience);
        Recipe recipe = session.recipe();
        recipe.kind = "calibrate";
        recipe.calibration.files = {test::resource("texts/calib_prose.txt").toStdString()};
        recipe.calibration.samples = 1;
        recipe.calibration.length = 32;
        QSignalSpy failed(&window_->studio().jobs(), &JobQueue::failed);
        window_->studio().run(recipe);
        QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, kPatience);
        const QString told = failed[0][1].value<JobError>().message;
        QVERIFY2(told.contains(QStringLiteral("removed")), qPrintable(told));
        closeError();
        QVERIFY(open(test::resource("demo"))); // and works on
    }

    void aFullDiskIsSaidAndLeavesNothingBehind() {
        QVERIFY(open(test::resource("demo")));
        QVERIFY(window_->studio().openLog(home().file(QStringLiteral("full.db"))));
        Recipe recipe = window_->studio().session().recipe();
        recipe.kind = "quantize";
        QDir().mkpath(home().file(QStringLiteral("disk")));
        recipe.exporting.path = home().file(QStringLiteral("disk/full.gguf")).toStdString();
        QSignalSpy failed(&window_->studio().jobs(), &JobQueue::failed);
        {
            const FullDisk disk;
            window_->studio().run(recipe);
            QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, kPatience);
        }
        const JobError error = failed[0][1].value<JobError>();
        QVERIFY2(error.message.contains(QStringLiteral("full.gguf")), qPrintable(error.message));
        QVERIFY2((error.message + error.hint).contains(QStringLiteral("space"), Qt::CaseInsensitive), qPrintable(error.message + error.hint));
        QVERIFY2(QDir(home().file(QStringLiteral("disk"))).isEmpty(QDir::Files | QDir::Hidden | QDir::NoDotAndDotDot), "no half a file stays");
        QCOMPARE(QString::fromStdString(window_->studio().session().log()->runs().front().status), QStringLiteral("failed"));
        closeError();
    }

    void nothingIsCutInTheSmallestWindow() {
        QVERIFY(open(test::resource("demo")));
        window_->resize(1100, 700);
        for (const char* workspace : {"model", "calibrate", "mix", "runs", "compare"}) {
            window_->showWorkspace(QString::fromLatin1(workspace));
            QTRY_COMPARE(cut(), QString()); // layouts settle over a few rounds of events
            QCOMPARE(window_->size(), QSize(1100, 700)); // nothing pushes it wider
        }
    }

    void threeClicksFromADroppedModelToAProvenOne() {
        const QString gguf = home().file(QStringLiteral("demo.gguf")), out = home().file(QStringLiteral("first.gguf"));
        Studio& studio = window_->studio();
        QVERIFY(studio.openLog(home().file(QStringLiteral("clicks.db"))));
        {
            Recipe write;
            write.kind = "quantize";
            write.checkpoint = test::resource("demo").toStdString();
            write.assignment.format = "f16";
            write.exporting.path = gguf.toStdString();
            QSignalSpy finished(&studio.jobs(), &JobQueue::finished);
            studio.run(write);
            QTRY_COMPARE_WITH_TIMEOUT(finished.count(), 1, kPatience);
        }
        QSignalSpy opened(&studio, &Studio::checkpointOpened), finished(&studio.jobs(), &JobQueue::finished), failed(&studio.jobs(), &JobQueue::failed);
        QVERIFY(test::drop(window_.get(), {QUrl::fromLocalFile(gguf)}));
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
        Recipe small = studio.session().recipe(); // a person waits some seconds longer than a test may
        small.calibration.samples = 2;
        small.calibration.length = 32;
        small.evaluation.tokens = 256;
        small.sweep.formats = {"q4_0", "q8_0"};
        studio.session().replaceRecipe(small);
        int clicks = 0;
        onDialog([&](QDialog* texts) { // "Use the demo texts", for both
            QCOMPARE(texts->objectName(), QStringLiteral("texts"));
            ++clicks;
            onDialog([&](QDialog* save) { // a name is proposed; here it is the test's folder
                auto* dialog = qobject_cast<QFileDialog*>(save);
                QVERIFY(dialog && !dialog->selectedFiles().isEmpty() && dialog->selectedFiles().first().endsWith(QLatin1String(".gguf")));
                dialog->selectFile(out);
                ++clicks;
                QMetaObject::invokeMethod(dialog, "accept");
            });
            texts->findChild<QPushButton*>(QStringLiteral("texts.demo"))->click();
        });
        auto* start = window_->findChild<QWidget*>(QStringLiteral("road"))->findChild<QPushButton*>();
        QVERIFY(start->isVisible());
        ++clicks; // "Start…"
        start->click();
        QTRY_VERIFY_WITH_TIMEOUT(finished.count() + failed.count() > 0, kPatience);
        QCOMPARE(failed.count(), 0);
        QCOMPARE(clicks, 3);
        QVERIFY(QFile::exists(out));
        const QString proof = window_->findChild<NoticeBar*>()->texts().join(QLatin1Char('|')); // stands there without a click
        QVERIFY2(proof.contains(QStringLiteral("nats per token")) && proof.contains(out), qPrintable(proof));
        const Json result = finished[0][1].value<RunOutcome>().result;
        QVERIFY(result.contains("audit") && result.at("measured_kl").get<double>() > 0);
    }

    void threeThousandSitesAreMixedWithoutAPause() {
        constexpr double kFelt = 100; // ms
        QVERIFY(open(manyExperts(QStringLiteral("many"), 125)));
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
        Session& session = window_->studio().session();
        QVERIFY(session.model()->sites().size() >= 3000);
        window_->showWorkspace(QStringLiteral("mix"));
        QCoreApplication::processEvents();
        auto* page = window_->findChild<MixPage*>();
        const auto spent = [&](auto&& act) { // CPU time of this thread: other programs take none of it
            timespec begin{}, end{};
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
            act();
            QCoreApplication::processEvents();
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
            return 1e3 * double(end.tv_sec - begin.tv_sec) + 1e-6 * double(end.tv_nsec - begin.tv_nsec);
        };
        double change = 0, selection = 0;
        for (int i = 0; i < 5; ++i) {
            change = std::max(change, spent([&] { session.setSiteFormat(QStringLiteral("blk.%1.ffn_up.e%2").arg(i).arg(20 * i), QStringLiteral("q8_0")); }));
            selection = std::max(selection, spent([&] { session.selectSite(QStringLiteral("blk.%1.ffn_down.e%2").arg(i).arg(10 * i)); }));
        }
        const double undo = spent([&] { session.undoStack()->undo(); });
        const double picture = spent([&] { page->grab(); });
        const QString told = QStringLiteral("%1 sites, ms at most: a change %2, a selection %3, undo %4, a whole picture %5").arg(session.model()->sites().size()).arg(change, 0, 'f', 1).arg(selection, 0, 'f', 1).arg(undo, 0, 'f', 1).arg(picture, 0, 'f', 1);
        qInfo("%s", qPrintable(told));
        QVERIFY2(std::max({change, selection, undo, picture}) < kFelt, qPrintable(told));
    }

private:
    /// A visible text or control that has less room than it needs; empty when there is none.
    QString cut() const {
        for (const QWidget* widget : window_->findChildren<QWidget*>()) {
            if (!widget->isVisible() || widget->visibleRegion().isEmpty()) continue;
            const auto* label = qobject_cast<const QLabel*>(widget);
            const auto* button = qobject_cast<const QAbstractButton*>(widget);
            const bool words = label && !label->wordWrap() && !label->text().isEmpty() && !qobject_cast<const ElidedLabel*>(widget);
            const bool control = (button && !button->text().isEmpty() && !qobject_cast<const QLineEdit*>(button->parent())) || qobject_cast<const QComboBox*>(widget) || qobject_cast<const QSpinBox*>(widget);
            // A width that was set for a widget is one that it can be read at.
            const int least = widget->minimumWidth() > 0 ? widget->minimumWidth() : widget->minimumSizeHint().width();
            if ((!words && !control) || (widget->width() >= least && widget->height() >= widget->fontMetrics().height())) continue;
            return QStringLiteral("%1 %2 “%3”, %4 × %5").arg(QLatin1String(widget->metaObject()->className()), widget->objectName() + widget->accessibleName(),
                                                             label ? label->text() : button ? button->text() : QString()).arg(widget->width()).arg(widget->height());
        }
        return {};
    }

    /// What a person does when the next dialog stands there.
    template <class Act>
    void onDialog(Act act) {
        auto* timer = new QTimer(window_.get());
        timer->setInterval(10);
        connect(timer, &QTimer::timeout, this, [timer, act] {
            auto* dialog = qobject_cast<QDialog*>(QApplication::activeModalWidget());
            if (!dialog || !dialog->isVisible()) return;
            timer->stop();
            timer->deleteLater();
            act(dialog);
        });
        timer->start();
    }

    bool open(const QString& path) {
        QSignalSpy opened(&window_->studio(), &Studio::checkpointOpened);
        window_->studio().openCheckpoint(path);
        return opened.count() == 1 || opened.wait(kPatience);
    }

    /// What a person is told when this goes wrong.
    template <class Act>
    QString failureOf(Act&& act) {
        QSignalSpy failed(&window_->studio(), &Studio::failed);
        act();
        if (failed.count() == 0 && !failed.wait(kPatience)) return QStringLiteral("nothing");
        const JobError error = failed[0][1].template value<JobError>();
        closeError();
        return error.message + QLatin1Char('\n') + error.hint;
    }

    void closeError() {
        for (QDialog* dialog : window_->findChildren<QDialog*>(QStringLiteral("error"))) dialog->close();
    }

    std::unique_ptr<MainWindow> window_;
};

int main(int argc, char** argv) { return test::run<JourneysTest>(argc, argv); }
#include "journeys_test.moc"
