// SPDX-License-Identifier: GPL-3.0-or-later
// The window's parts that need no window: sorting dropped paths, shell quoting, the palette's matching, undo of recipes.
#include "app/gui/command_line.h"
#include "app/gui/command_palette.h"
#include "app/gui/input_kind.h"
#include "app/gui/job_error.h"
#include "app/gui/mix_job.h"
#include "core/base/error.h"
#include "app/gui/inspector.h"
#include "tests/gui/damage_log.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/calibrate/activation_panel.h"
#include "widgets/calibrate/data_panel.h"
#include "widgets/runs/runs_model.h"
#include "widgets/session/session.h"
#include "widgets/theme/theme.h"

#include <QLabel>
#include <QProcess>
#include <QSignalSpy>
#include <algorithm>
#include <cmath>

using namespace bw;
using test::home;

namespace {
QString made(const char* name, const QByteArray& content) {
    const QString path = home().file(QString::fromLatin1(name));
    QFile file(path);
    if (!file.open(QIODevice::WriteOnly)) qFatal("can't write %s", name);
    file.write(content);
    return path;
}

/// Contrast of WCAG 2: 1 (the same) to 21.
double contrast(const QColor& a, const QColor& b) {
    const auto linear = [](double v) { return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
    const auto luminance = [&](const QColor& c) { return 0.2126 * linear(c.redF()) + 0.7152 * linear(c.greenF()) + 0.0722 * linear(c.blueF()); };
    const double x = luminance(a), y = luminance(b);
    return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}
} // namespace

class PartsTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() { test::noWarnings(); }
    void cleanupTestCase() { Theme::instance().apply(Theme::Mode::dark); }

    void textCanBeReadInBothThemes_data() {
        QTest::addColumn<bool>("dark");
        QTest::newRow("dark") << true;
        QTest::newRow("light") << false;
    }
    void textCanBeReadInBothThemes() {
        QFETCH(bool, dark);
        Theme& theme = Theme::instance();
        theme.apply(dark ? Theme::Mode::dark : Theme::Mode::light);
        const Tokens& t = theme.tokens();
        QCOMPARE(t.dark, dark);
        for (const QColor& below : {t.ground, t.panel, t.raised})
            for (const QColor& text : {t.text, t.muted, t.accent, t.amber, t.red, t.green})
                QVERIFY2(contrast(text, below) >= 4.5, qPrintable(QStringLiteral("%1 on %2: %3").arg(text.name(), below.name()).arg(contrast(text, below))));
        QVERIFY(contrast(t.text, t.line) >= 4.5); // chosen lines of menus
        for (const int bits : {2, 3, 4, 5, 6, 8, 16, 32}) QVERIFY(contrast(Theme::textOn(theme.formatColor(bits)), theme.formatColor(bits)) >= 4.5);
        QVERIFY(contrast(Theme::textOn(t.accent), t.accent) >= 4.5);
    }

    void recognisesFiles_data() {
        QTest::addColumn<QString>("path");
        QTest::addColumn<int>("kind");
        const auto row = [](const char* name, const QString& path, InputKind kind) { QTest::newRow(name) << path << static_cast<int>(kind); };
        row("folder", test::resource("demo"), InputKind::checkpoint);
        row("config beside weights", test::resource("demo/config.json"), InputKind::checkpoint);
        row("safetensors", test::resource("demo/model.safetensors"), InputKind::checkpoint);
        row("gguf by magic", made("noname", "GGUF\3"), InputKind::checkpoint);
        row("pickle goes to the reader that refuses it", made("a.pt", "PK"), InputKind::checkpoint);
        row("text", made("a.txt", "hello"), InputKind::text);
        row("jsonl", made("a.jsonl", "{}"), InputKind::text);
        row("recipe", made("r.json", "{}"), InputKind::recipe);
        row("log by magic", made("log", QByteArray("SQLite format 3\0", 16)), InputKind::log);
        row("photo", made("a.png", "\x89PNG"), InputKind::unknown);
        row("empty folder", home().file(QString()), InputKind::unknown);
        row("nothing there", home().file(QStringLiteral("none.gguf")), InputKind::unknown);
    }
    void recognisesFiles() {
        QFETCH(QString, path);
        QFETCH(int, kind);
        const InputPath input = classifyInput(path);
        QCOMPARE(static_cast<int>(input.kind), kind);
        QCOMPARE(input.whyNot.isEmpty(), input.kind != InputKind::unknown);
    }

    void thousandFilesAreSortedAndTheListStaysShort() {
        QStringList paths;
        for (int i = 0; i < 1000; ++i) paths << home().file(QStringLiteral("missing-%1.bin").arg(i));
        paths << made("b.txt", "x") << made("b.txt", "x");
        const InputSet set = sortInputs(paths);
        QCOMPARE(set.texts.size(), 1);
        QVERIFY(set.checkpoint.isEmpty());
        QCOMPARE(set.ignored.size(), InputSet::kMostIgnored + 1);
        QVERIFY(set.ignored.last().contains(QStringLiteral("980")));
    }

    void namesFromFilesAreEscaped() {
        const InputSet set = sortInputs(QStringList{home().file(QStringLiteral("evil\u202Etxt.\x1b[31m"))});
        QCOMPARE(set.ignored.size(), 1);
        QVERIFY(!set.ignored.first().contains(QChar(0x202E)));
        QVERIFY(!set.ignored.first().contains(QChar(0x1b)));
    }

    void shellReadsBackWhatWasQuoted() {
        const QStringList hard{QStringLiteral("plain"), QStringLiteral("two words"), QStringLiteral("it's"), QStringLiteral("$(rm -rf)"),
                               QStringLiteral("a\nb"), QString(), QStringLiteral("\"q\" \\ *")};
        for (const QString& text : hard) {
            QProcess shell;
            shell.start(QStringLiteral("sh"), {QStringLiteral("-c"), QStringLiteral("printf %s ") + shellQuoted(text)});
            QVERIFY(shell.waitForFinished());
            QCOMPARE(QString::fromUtf8(shell.readAllStandardOutput()), text);
        }
    }

    void commandSaysWhatTheRecipeSays() {
        Recipe recipe;
        recipe.kind = "quantize";
        recipe.checkpoint = "/m/a model";
        recipe.exporting.path = "/out/x.gguf";
        recipe.assignment.rules = {{"blk.*.attn_v", "q8_0"}};
        const QString line = commandFor(recipe, {});
        QVERIFY2(line.startsWith(QStringLiteral("bitwright-cli quantize '/m/a model' --out /out/x.gguf")), qPrintable(line));
        QVERIFY2(line.contains(QStringLiteral("--set 'blk.*.attn_v=q8_0'")), qPrintable(line));
    }

    void commandLeavesNothingOut() {
        Recipe recipe;
        recipe.checkpoint = "/m";
        recipe.kind = "assign";
        recipe.assignment.sweepRun = 4;
        recipe.assignment.scaleRun = 3;
        recipe.assignment.budget = "4.5bpw";
        recipe.assignment.pins = {{"token_embd", "q8_0"}};
        recipe.assignment.measuredRuns = {5, 6};
        recipe.assignment.forbid = {"q4_1"};
        const QString assign = commandFor(recipe, QStringLiteral("/l.db"));
        QVERIFY2(assign.startsWith(QStringLiteral("bitwright-cli assign --run 4 --scale-run 3 --measured 5 --measured 6 --budget 4.5bpw --forbid q4_1 --pin token_embd=q8_0")), qPrintable(assign));
        recipe.kind = "sweep";
        recipe.calibration = {{"/t.txt"}, 9, 33};
        recipe.sweep.formats = {"q4_0", "q8_0"};
        recipe.sweep.metric = "kl";
        recipe.sweep.tokens = 512;
        recipe.sweep.positions = 0.25;
        recipe.sweep.shard = "2/8";
        recipe.sweep.orderRun = 7;
        recipe.sweep.sites = {"blk.0.*"};
        recipe.rounder = "weighted";
        recipe.clipSearch = false;
        const QString sweep = commandFor(recipe, {});
        for (const char* part : {"--samples 9", "--length 33", "--formats q4_0,q8_0", "--metric kl", "--tokens 512", "--rounder weighted", "--no-clip-search",
                                 "--positions 0.25", "--shard 2/8", "--order-run 7", "--sites 'blk.0.*'"})
            QVERIFY2(sweep.contains(QLatin1String(part)), qPrintable(sweep));
        recipe.sweep.metric = "fisher";
        const QString sketch = commandFor(recipe, {});
        QVERIFY2(sketch.contains(QStringLiteral("--metric fisher")) && sketch.contains(QStringLiteral("--probes 1024")), qPrintable(sketch));
        recipe.kind = "quantize";
        recipe.assignment.head = "q6_k";
        recipe.evaluation = {{"/e.txt"}, "windows:64", 2048};
        const QString quantize = commandFor(recipe, {});
        for (const char* part : {"--head q6_k", "--set token_embd=q8_0", "--samples 9", "--eval-text /e.txt", "--protocol windows:64", "--tokens 2048"})
            QVERIFY2(quantize.contains(QLatin1String(part)), qPrintable(quantize));
    }

    void inspectorShowsEveryColumnAndDoubts() {
        const test::Demo demo;
        const QString path = test::home().file(QStringLiteral("inspector.db"));
        {
            ExperimentLog log(path.toStdString());
            test::addOutput(log, demo);
            test::addFisher(log, demo);
            test::addMeasured(log, demo);
        }
        Session session;
        session.setCheckpoint(demo.checkpoint, demo.model);
        session.setLog(path);
        Inspector inspector(session);
        inspector.resize(268, 900);
        inspector.show();
        const QString measured = QStringLiteral("blk.0.ffn_down"), site = QStringLiteral("blk.1.attn_v");
        session.selectSite(measured);
        QCOMPARE(figure(inspector, "KL, measured").section(QLatin1Char(' '), 1, 1), QStringLiteral("±"));
        QVERIFY(figure(inspector, "KL, Fisher").contains(QStringLiteral("±")));
        QVERIFY(figure(inspector, "output error").contains(QStringLiteral("±")));
        auto* doubt = inspector.findChild<QLabel*>(QStringLiteral("inspector.doubt"));
        QVERIFY(doubt && !doubt->isVisible());
        // A cell of the output sweep that contradicts a smaller format.
        session.selectSite(site);
        session.setSiteFormat(site, QStringLiteral("q8_0"));
        QVERIFY(doubt->isVisible());
        QVERIFY(doubt->text().contains(QStringLiteral("output error")));
    }

    void paletteFindsByLettersInOrder() {
        QVERIFY(paletteScore(QStringLiteral("b3q"), QStringLiteral("blk.3.attn_q")) > 0);
        QCOMPARE(paletteScore(QStringLiteral("q3b"), QStringLiteral("blk.3.attn_q")), -1);
        QVERIFY(paletteScore(QStringLiteral("mix"), QStringLiteral("Go to Mix")) > paletteScore(QStringLiteral("mix"), QStringLiteral("main six")));
        QCOMPARE(paletteScore({}, QStringLiteral("anything")), 0);
    }

    void recipeEditsUndoAndMerge() {
        Session session;
        QSignalSpy changed(&session, &Session::recipeChanged);
        session.setSiteFormat(QStringLiteral("blk.0.attn_q"), QStringLiteral("q8_0"));
        QCOMPARE(session.siteFormat(QStringLiteral("blk.0.attn_q")), QStringLiteral("q8_0"));
        QCOMPARE(session.siteFormat(QStringLiteral("blk.0.attn_k")), QStringLiteral("q4_0"));
        session.setSiteFormat(QStringLiteral("blk.0.attn_q"), QStringLiteral("q5_0"));
        QCOMPARE(session.recipe().assignment.rules.size(), std::size_t{1}); // replaced, not piled up
        session.undoStack()->undo();
        QCOMPARE(session.siteFormat(QStringLiteral("blk.0.attn_q")), QStringLiteral("q8_0"));
        session.undoStack()->undo();
        QCOMPARE(session.siteFormat(QStringLiteral("blk.0.attn_q")), QStringLiteral("q4_0"));
        QCOMPARE(changed.count(), 4);
        for (int samples = 1; samples <= 5; ++samples) {
            Recipe recipe = session.recipe();
            recipe.calibration.samples = samples;
            session.editRecipe(QStringLiteral("drag"), recipe, 7);
        }
        QCOMPARE(session.undoStack()->count(), 1); // one drag, one step
        session.undoStack()->undo();
        QCOMPARE(session.recipe().calibration.samples, 128);
    }

    void aThousandUndoStepsAreConsistent() {
        Session session;
        for (int i = 0; i < 1000; ++i)
            session.setSiteFormat(QStringLiteral("blk.%1.attn_q").arg(i % 7), i % 2 ? QStringLiteral("q8_0") : QStringLiteral("q5_0"));
        while (session.undoStack()->canUndo()) session.undoStack()->undo();
        QVERIFY(session.recipe().assignment.rules.empty());
    }

    void broaderRuleBehindDoesNotWinOverAHand() {
        Session session;
        session.setSiteFormat(QStringLiteral("blk.0.attn_q"), QStringLiteral("q8_0"));
        Recipe recipe = session.recipe();
        recipe.assignment.rules.push_back({"blk.*", "q5_0"});
        session.editRecipe(QStringLiteral("rule"), recipe);
        session.setSiteFormat(QStringLiteral("blk.0.attn_q"), QStringLiteral("q8_0"));
        QCOMPARE(session.siteFormat(QStringLiteral("blk.0.attn_q")), QStringLiteral("q8_0"));
    }

    void aStoppedMixIsKeptWhole() {
        Runner::MixOptions options;
        options.checkpoint = "/models/a";
        options.outPath = "/models/a.gguf";
        options.budget = "3.9bpw";
        options.formats = {"q4_0", "q8_0"};
        options.calibrationFiles = {"/t/1.txt", "/t/2.txt"};
        options.samples = 77;
        options.replace = true;
        options.seed = 9;
        options.pins = {{"blk.0.*", "q8_0"}};
        options.transform = "awq";
        options.runtime = "w8a8";
        const Json json = mixToJson(options);
        const Runner::MixOptions back = mixFromJson(parseJson(json.dump(), "test"));
        QCOMPARE(mixToJson(back).dump(), json.dump());
        QCOMPARE(back.budget, options.budget);
        QCOMPARE(back.calibrationFiles, options.calibrationFiles);
        QCOMPARE(back.samples, options.samples);
        QVERIFY(back.transform == "awq" && back.runtime == "w8a8");
        QCOMPARE(back.pins.size(), options.pins.size());
        QVERIFY_EXCEPTION_THROWN(mixFromJson(Json::object()), Error);
    }

    void errorsKeepCodeHintAndContext() {
        JobError error;
        try {
            throw Error(ErrorCode::invalidTensor, "bad \x1b[31m tensor", "get it again").add("file", "a.gguf");
        } catch (...) {
            error = describeError(std::current_exception());
        }
        QCOMPARE(error.code, QStringLiteral("invalidTensor"));
        QVERIFY(!error.message.contains(QChar(0x1b)));
        QVERIFY(error.details.contains(QStringLiteral("file: a.gguf")) && error.details.contains(QStringLiteral("get it again")));
        QVERIFY(!error.cancelled);
    }

    void clippedShareCountsBinsOutside() {
        Histogram h;
        h.low = -1;
        h.high = 1;
        h.bins = {10, 20, 30, 40}; // centres −0.75 −0.25 0.25 0.75
        QCOMPARE(clippedShare(h, -0.5, 0.5), 0.5);
        QCOMPARE(clippedShare(h, -1, 1), 0.0);
        h.above = 100;
        QCOMPARE(clippedShare(h, -1, 1), 0.5);
        QCOMPARE(clippedShare(Histogram{}, -1, 1), 0.0);
    }

    void carefulEngineersWarnings() {
        Recipe recipe;
        recipe.calibration.files = {test::resource("texts/calib_prose.txt").toStdString()};
        QVERIFY(calibrationSetWarnings(recipe).isEmpty());
        recipe.calibration.samples = 32;
        recipe.calibration.length = 64;
        recipe.evaluation.files = recipe.calibration.files;
        QCOMPARE(calibrationSetWarnings(recipe).size(), 3);
    }

    void runsGroupSortAndNameColumns() {
        RunsModel model;
        std::vector<RunSummary> runs(3);
        for (int i = 0; i < 3; ++i) {
            auto& run = runs[static_cast<std::size_t>(i)];
            run.id = RunId(i + 1);
            run.checkpoint = i == 1 ? "b" : "a";
            run.status = "done";
            run.metrics = {{"kl_mean", 0.1 * (i + 1), 0.01, "nats/token"}};
        }
        model.setRuns(runs);
        QCOMPARE(model.rowCount(), 3);
        const int kl = RunsModel::kFirstMetric + static_cast<int>(model.metricNames().indexOf(QStringLiteral("kl_mean")));
        QCOMPARE(model.columnKey(kl), QStringLiteral("kl_mean"));
        QCOMPARE(model.index(2, kl).data(RunsModel::kSortRole).toDouble(), runs[2].metrics[0].value);
        model.setGrouped(true);
        QCOMPARE(model.rowCount(), 2);
        QCOMPARE(model.rowCount(model.index(0, 0)), 2);
        QCOMPARE(model.runAt(model.indexOf(RunId(2)))->id.value(), 2);
        QVERIFY(!model.runAt(model.index(0, 0)));
    }

private:
    static QString figure(const Inspector& inspector, const char* name) {
        for (const QLabel* label : inspector.findChildren<QLabel*>())
            if (label->accessibleName() == QLatin1String(name)) return label->text();
        return {};
    }
};

int main(int argc, char** argv) { return test::run<PartsTest>(argc, argv); }
#include "parts_test.moc"
