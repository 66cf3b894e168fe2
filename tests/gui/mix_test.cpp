// SPDX-License-Identifier: GPL-3.0-or-later
// The Mix page on the demo checkpoint and a logged sensitivity map: what is clicked, typed, painted, slid and taken
// changes the recipe as one undo step, and the figures follow.
#include "core/assign/solver.h"
#include "core/calibrate/dataset.h"
#include "core/quantize/assignment.h"
#include "core/experiment/log.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/mix/bits_grid.h"
#include "widgets/mix/budget_panel.h"
#include "widgets/mix/format_chips.h"
#include "widgets/mix/mix_state.h"
#include "widgets/mix/mix_page.h"
#include "widgets/mix/next_steps.h"
#include "widgets/mix/pareto_plot.h"

#include <QPushButton>
#include <QSignalSpy>
#include <cmath>

using namespace bw;

namespace {

const QStringList kFormats{QStringLiteral("q4_0"), QStringLiteral("q5_0"), QStringLiteral("q8_0")};

/// A map with known figures: halving with every format, later blocks cheaper, ffn_down dearest.
double damageOf(const Site& site, int format) {
    const double base = site.kind == SiteKind::ffnDown ? 4e-3 : 1e-3;
    return base / (1 + std::max(0, site.block.value())) / std::pow(8.0, format);
}

} // namespace

class MixTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        ExperimentLog log(logPath().toStdString());
        sweep_ = addSweep(log);
        measured_ = addMeasured(log, "all q8_0", "q8_0", 3e-4);
    }

    void init() {
        test::noWarnings();
        session_ = std::make_unique<Session>();
        session_->setCheckpoint(demo_.checkpoint, demo_.model);
        session_->setLog(logPath());
        page_ = std::make_unique<MixPage>(session_.get());
        page_->resize(1100, 800);
        page_->show();
        QVERIFY(QTest::qWaitForWindowExposed(page_.get()));
        QCOMPARE(session_->sweepRun(), sweep_);
        QVERIFY(page_->model()->hasMap());
    }

    void cleanup() {
        page_.reset();
        session_.reset();
    }

    void clickSelectsAndKeySetsFormat() {
        const QString site = QStringLiteral("blk.2.ffn_up");
        click(site);
        QCOMPARE(session_->selectedSite(), site);
        QVERIFY2(!session_->undoStack()->canUndo(), "a click without a brush only selects");
        const QString before = session_->siteFormat(site);
        QTest::keyClick(page_->grid(), Qt::Key_8);
        QCOMPARE(session_->siteFormat(site), QStringLiteral("q8_0"));
        QTest::keyClick(page_->grid(), Qt::Key_F);
        QCOMPARE(session_->siteFormat(site), QStringLiteral("f16"));
        session_->undoStack()->undo();
        session_->undoStack()->undo();
        QCOMPARE(session_->siteFormat(site), before);
    }

    void clickWithBrushChangesTheRecipe() {
        pressChip(5);
        const QString site = QStringLiteral("blk.1.attn_v");
        const double before = page_->model()->totals().damage;
        click(site);
        QCOMPARE(session_->siteFormat(site), QStringLiteral("q5_0"));
        QVERIFY(page_->model()->totals().damage < before);
        session_->undoStack()->undo();
        QCOMPARE(session_->siteFormat(site), QStringLiteral("q4_0"));
        QTest::keyClick(page_->grid(), Qt::Key_Escape);
        QVERIFY(page_->grid()->brush().isEmpty());
    }

    void strokeIsOneStep() {
        pressChip(8);
        QWidget* view = page_->grid()->viewport();
        const auto at = [&](const char* site) { return page_->grid()->cellRect(QString::fromLatin1(site)).center().toPoint(); };
        QTest::mousePress(view, Qt::LeftButton, {}, at("blk.0.attn_q"));
        QTest::mouseMove(view, at("blk.1.attn_q"));
        QTest::mouseMove(view, at("blk.2.attn_q"));
        QCOMPARE(session_->siteFormat(QStringLiteral("blk.1.attn_q")), QStringLiteral("q4_0")); // not before the release
        QTest::mouseRelease(view, Qt::LeftButton, {}, at("blk.2.attn_q"));
        for (const char* site : {"blk.0.attn_q", "blk.1.attn_q", "blk.2.attn_q"})
            QCOMPARE(session_->siteFormat(QString::fromLatin1(site)), QStringLiteral("q8_0"));
        QCOMPARE(session_->undoStack()->count(), 1);
        session_->undoStack()->undo();
        for (const char* site : {"blk.0.attn_q", "blk.1.attn_q", "blk.2.attn_q"})
            QCOMPARE(session_->siteFormat(QString::fromLatin1(site)), QStringLiteral("q4_0"));
    }

    void arrowsMoveAndCarryTheFormat() {
        click(QStringLiteral("blk.0.attn_q"));
        QTest::keyClick(page_->grid(), Qt::Key_5);
        QTest::keyClick(page_->grid(), Qt::Key_Down, Qt::ShiftModifier);
        QCOMPARE(session_->selectedSite(), QStringLiteral("blk.1.attn_q"));
        QCOMPARE(session_->siteFormat(QStringLiteral("blk.1.attn_q")), QStringLiteral("q5_0"));
        QTest::keyClick(page_->grid(), Qt::Key_Right);
        QCOMPARE(session_->selectedSite(), QStringLiteral("blk.1.attn_k"));
        for (int i = 0; i < 10; ++i) QTest::keyClick(page_->grid(), Qt::Key_Down);
        QCOMPARE(session_->selectedSite(), QStringLiteral("token_embd"));
    }

    void pinHoldsASiteWhileTheSolverMovesTheRest() {
        const QString site = QStringLiteral("blk.0.ffn_down"); // the dearest: the solver would raise it first
        click(site);
        QTest::keyClick(page_->grid(), Qt::Key_Space);
        QCOMPARE(session_->recipe().assignment.pins.at(site.toStdString()), std::string("q4_0"));
        slideTo(page_->budget()->slider()->maximum());
        QTRY_VERIFY(page_->model()->totals().damage < 1e-2);
        QCOMPARE(session_->siteFormat(site), QStringLiteral("q4_0"));
        QCOMPARE(session_->siteFormat(QStringLiteral("blk.1.ffn_down")), QStringLiteral("q8_0"));
        // By hand a pinned site still moves, and its pin with it, as one step.
        click(site);
        QTest::keyClick(page_->grid(), Qt::Key_5);
        QCOMPARE(session_->recipe().assignment.pins.at(site.toStdString()), std::string("q5_0"));
        session_->undoStack()->undo();
        QCOMPARE(session_->recipe().assignment.pins.at(site.toStdString()), std::string("q4_0"));
        QCOMPARE(session_->siteFormat(site), QStringLiteral("q4_0"));
    }

    void predictionIsTheSumOverSites() {
        double expected = 0;
        for (const Site& site : demo_.model->sites()) expected += damageOf(site, 0);
        // Each cell is shrunk towards its neighbours by its own error, a thousandth of the largest ones.
        QVERIFY(std::abs(page_->model()->totals().damage - expected) < 0.01 * expected);
        const double error = 1e-6 * std::sqrt(double(demo_.model->sites().size()));
        QVERIFY(std::abs(page_->model()->totals().standardError - error) < 1e-12);
        QVERIFY(page_->budget()->predictedText().contains(QLatin1Char('0')));
    }

    void sliderChangesMixPredictionAndBudget() {
        const QString before = page_->budget()->predictedText();
        slideTo(page_->budget()->slider()->maximum() / 2);
        QVERIFY(page_->budget()->predictedText() != before);
        // The exact solution follows; it fits the budget and is what the solver itself gives.
        JobContext job;
        const quint64 budget = page_->budget()->budget();
        const AssignSolution exact = solve(*page_->model()->problem(), budget, job);
        QTRY_VERIFY(std::abs(page_->model()->totals().damage - exact.cost) < 1e-12);
        QVERIFY(page_->model()->totals().bytes <= budget);
        QCOMPARE(QString::fromStdString(session_->recipe().assignment.budget), QStringLiteral("%1B").arg(budget));
        QVERIFY(page_->model()->isSolved());
        QVERIFY(page_->model()->command().contains(QStringLiteral("assign --run %1 --budget %2B").arg(sweep_.value()).arg(budget)));
        QCOMPARE(session_->undoStack()->count(), 1); // one drag, one step
        session_->undoStack()->undo();
        QCOMPARE(page_->budget()->predictedText(), before);
    }

    void paretoClickTakesTheMix() {
        ParetoPlot* plot = page_->pareto();
        const auto& front = page_->model()->front();
        QVERIFY(front.size() > 5);
        const int point = int(front.size()) / 2;
        plot->replot(QCustomPlot::rpImmediateRefresh);
        QSignalSpy taken(plot, &ParetoPlot::pointTaken);
        QTest::mouseClick(plot, Qt::LeftButton, {}, plot->pixelOf(point).toPoint());
        QCOMPARE(taken.size(), 1);
        const ParetoPoint& got = page_->model()->front()[std::size_t(taken[0][0].toInt())];
        QVERIFY(std::abs(page_->model()->totals().damage - got.cost) < 1e-12);
        QCOMPARE(page_->model()->totals().bytes, quint64(got.bytes));
        session_->undoStack()->undo();
        QCOMPARE(session_->siteFormat(QStringLiteral("blk.0.ffn_down")), QStringLiteral("q4_0"));
    }

    void runsOfEqualSizeKeepTheirNames() {
        const QString path = test::home().file(QStringLiteral("equal.db"));
        {
            ExperimentLog log(path.toStdString());
            addSweep(log);
            for (const char* name : {"rtn", "rtn + clip", "weighted", "smooth", "rotated", "gptq"}) addMeasured(log, name, "q8_0", 3e-4);
            addMeasured(log, "gptq", "q8_0", 3e-4); // the same again shares the label
        }
        session_->setLog(path);
        ParetoPlot* plot = page_->pareto();
        plot->replot(QCustomPlot::rpImmediateRefresh);
        const auto names = plot->namesDrawn();
        QStringList texts;
        for (qsizetype i = 0; i < names.size(); ++i) {
            texts << names[i].first;
            for (qsizetype k = 0; k < i; ++k) QVERIFY2(!names[i].second.intersects(names[k].second), qPrintable(names[i].first));
        }
        texts.sort();
        QCOMPARE(texts, (QStringList{QStringLiteral("gptq ×2"), QStringLiteral("rotated"), QStringLiteral("rtn"), QStringLiteral("rtn + clip"),
                                     QStringLiteral("smooth"), QStringLiteral("this mix"), QStringLiteral("weighted")}));
    }

    void nothingNewInTheLogCostsNothing() {
        QSignalSpy changes(page_->model(), &MixState::mapChanged);
        Q_EMIT session_->logChanged(); // what every row of another job's sweep causes
        QCOMPARE(changes.size(), 0);
        {
            ExperimentLog log(logPath().toStdString());
            log.setStar(measured_, true);
        }
        session_->refreshLog();
        QCOMPARE(changes.size(), 0);
        page_->hide();
        {
            ExperimentLog log(logPath().toStdString());
            addMeasured(log, "late", "q5_0", 5e-4);
        }
        session_->refreshLog();
        QCOMPARE(changes.size(), 0); // nobody looks
        page_->show();
        QCOMPARE(changes.size(), 1);
    }

    void nextStepIsTheBestPerByteAndIsTaken() {
        const auto steps = page_->model()->nextSteps(100);
        QVERIFY(!steps.isEmpty());
        for (qsizetype i = 1; i < steps.size(); ++i)
            QVERIFY(steps[i - 1].damage / double(steps[i - 1].bytes) <= steps[i].damage / double(steps[i].bytes));
        auto* list = page_->findChild<NextSteps*>();
        QVERIFY(list);
        const double before = page_->model()->totals().damage;
        QTest::mouseClick(list, Qt::LeftButton, {}, QPoint(20, 10));
        QVERIFY(std::abs(page_->model()->totals().damage - (before + steps[0].damage)) < 1e-12);
        QCOMPARE(session_->selectedSite(), steps[0].sites.first());
    }

    void measuredRunOfThisMixIsShown() {
        QVERIFY(!page_->model()->measuredNow());
        page_->model()->takeUniform(QStringLiteral("q8_0"));
        const MeasuredMix* run = page_->model()->measuredNow();
        QVERIFY(run);
        QCOMPARE(run->run, measured_);
        QCOMPARE(run->damage, 3e-4);
        click(QStringLiteral("blk.0.attn_q"));
        QTest::keyClick(page_->grid(), Qt::Key_4);
        QVERIFY(!page_->model()->measuredNow());
    }

    void namedMixOfLlamaCppIsShownSiteBySite() {
        page_->model()->takeNamed(QStringLiteral("q4_k_m"));
        QCOMPARE(session_->recipe().assignment.format, std::string("mix:q4_k_m"));
        const std::vector<SiteFormat> formats = resolveFormats(*demo_.model, FormatRequest{"mix:q4_k_m", {}, {}, {}, {}, {}, false});
        QSet<QString> kinds;
        for (const SiteFormat& format : formats) {
            const QString site = QString::fromStdString(demo_.model->site(format.site).name);
            QCOMPARE(session_->siteFormat(site), QString::fromStdString(format.asked));
            QVERIFY(page_->model()->sites()[page_->model()->indexOf(site)].codeBits < 16);
            kinds << session_->siteFormat(site);
        }
        QVERIFY(kinds.size() > 1); // that is what makes it a mix
        click(QStringLiteral("blk.0.attn_q"));
        QTest::keyClick(page_->grid(), Qt::Key_8);
        QCOMPARE(session_->siteFormat(QStringLiteral("blk.0.attn_q")), QStringLiteral("q8_0"));
        session_->undoStack()->undo();
        session_->undoStack()->undo();
        QCOMPARE(session_->siteFormat(QStringLiteral("blk.0.attn_q")), QStringLiteral("q4_0"));
    }

    void formatOutsideTheMapIsUnknownNotZero() {
        page_->model()->setFormats({QStringLiteral("blk.0.attn_q")}, QStringLiteral("int3:g32:asym"), QStringLiteral("x"));
        QCOMPARE(page_->model()->totals().unknown, 1);
        QVERIFY(page_->budget()->predictedText().contains(QStringLiteral("unknown")));
        const MixSite& site = page_->model()->sites()[page_->model()->indexOf(QStringLiteral("blk.0.attn_q"))];
        QVERIFY(std::isnan(site.damage));
        QCOMPARE(site.bytes, quint64(parseFormat("int3:g32:asym")->bytes(site.rows, site.cols)));
    }

    void wishesAreEmitted() {
        QSignalSpy wishes(session_.get(), &Session::runRequested);
        for (QPushButton* button : page_->findChildren<QPushButton*>()) {
            if (button->text().contains(QStringLiteral("Verify"))) button->click();
        }
        QCOMPARE(wishes.size(), 1);
        const Recipe verify = wishes[0][0].value<Recipe>();
        QCOMPARE(verify.kind, std::string("quantize"));
        QVERIFY(verify.exporting.path.empty());
        QCOMPARE(verify.checkpoint, demo_.checkpoint->path());
    }

    void withoutAMapThePageSaysWhatToDo() {
        Session fresh;
        fresh.setCheckpoint(demo_.checkpoint, demo_.model);
        MixPage page(&fresh);
        page.resize(1000, 700);
        page.show();
        QVERIFY(!page.pareto()->isVisible());
        QVERIFY(!page.budget()->slider()->isEnabled());
        QSignalSpy wishes(&fresh, &Session::runRequested);
        auto* button = page.findChild<QPushButton*>(QStringLiteral("sweep.fisher"));
        QVERIFY(button && button->isVisible());
        QTest::mouseClick(button, Qt::LeftButton);
        QCOMPARE(wishes.size(), 1);
        QCOMPARE(wishes[0][0].value<Recipe>().kind, std::string("sweep"));
        QCOMPARE(wishes[0][0].value<Recipe>().sweep.metric, std::string("fisher"));
        QVERIFY(!wishes[0][0].value<Recipe>().sweep.formats.empty());
        Session nothing;
        MixPage empty(&nothing);
        empty.resize(1000, 700);
        empty.grab(); // no checkpoint, no log: must draw
    }

    void expertsOfARoleShareAHeadAndHaveACellEach() {
        const auto checkpoint = Checkpoint::open(BW_TEST_DATA "/families/mixtral");
        Session session;
        session.setCheckpoint(checkpoint, Model::open(checkpoint, demo_.device));
        MixPage page(&session);
        page.resize(1100, 800);
        page.show();
        QVERIFY(QTest::qWaitForWindowExposed(&page));
        const MixState& state = *page.model();
        QCOMPARE(state.kinds().size(), 4 + 3 * 4);
        QCOMPARE(state.kinds().mid(4, 5).join(QLatin1Char(' ')), QStringLiteral("ffn_gate.e0 ffn_gate.e1 ffn_gate.e2 ffn_gate.e3 ffn_up.e0"));
        const int third = state.siteAt(1, 6);
        QVERIFY(third >= 0);
        QCOMPARE(state.sites()[third].name, QStringLiteral("blk.1.ffn_gate.e2"));
        const QRectF cell = page.grid()->cellRect(QStringLiteral("blk.1.ffn_gate.e2"));
        QVERIFY(!cell.isEmpty() && !cell.intersects(page.grid()->cellRect(QStringLiteral("blk.1.ffn_gate.e1"))));
        // Painting the head paints every expert of that role, in all blocks, as one step.
        page.grid()->setBrush(QStringLiteral("q8_0"));
        QTest::mouseClick(page.grid()->viewport(), Qt::LeftButton, {}, QPoint(int(cell.center().x()), 8));
        QCOMPARE(session.undoStack()->count(), 1);
        int painted = 0;
        for (const MixSite& site : state.sites()) {
            if (site.codeBits == 8) ++painted;
            QCOMPARE(site.codeBits == 8, MixState::roleOf(site.kind) == QLatin1String("ffn_gate"));
        }
        QCOMPARE(painted, 4 * state.blocks());
    }

    /// A GGUF keeps the experts of a block in one tensor of one type; the window's solver must know, as the CLI's does.
    void aGgufTiesTheExpertsOfABlock() {
        const QString folder = test::home().file(QStringLiteral("mixtral")), families = QStringLiteral(BW_TEST_DATA "/families/");
        QVERIFY(QDir().mkpath(folder));
        for (const QString& name : {QStringLiteral("mixtral/config.json"), QStringLiteral("mixtral/model.safetensors"), QStringLiteral("tokenizer.json")})
            QVERIFY(QFile::copy(families + name, folder + QLatin1Char('/') + name.section(QLatin1Char('/'), -1))); // a GGUF needs a tokenizer
        const auto checkpoint = Checkpoint::open(folder.toStdString());
        const auto model = Model::open(checkpoint, demo_.device);
        const QString path = test::home().file(QStringLiteral("experts.db"));
        {
            ExperimentLog log(path.toStdString());
            Recipe recipe;
            recipe.kind = "sweep";
            recipe.checkpoint = checkpoint->path();
            recipe.sweep.metric = "kl";
            recipe.sweep.formats = {"q4_0", "q8_0"};
            const RunId run = log.beginRun(recipe, "test", *checkpoint, *demo_.device);
            for (const Site& site : model->sites()) {
                for (const std::string& name : recipe.sweep.formats) {
                    const FormatPtr used = fallbackFormat(parseFormat(name), site.rows, site.cols);
                    log.addSensitivity(run, {site.id, site.name, name, used->name(), used->bytes(site.rows, site.cols), name == "q4_0" ? 0.01 : 0.001, 1e-6},
                                       SensitivityMetric::measuredKl);
                }
            }
            log.finishRun(run, RunStatus::done);
        }
        Session session;
        session.setCheckpoint(checkpoint, model);
        session.setLog(path);
        MixPage page(&session);
        const auto names = [&] {
            QStringList out;
            for (const AssignItem& item : page.model()->problem()->items) out << QString::fromStdString(item.name);
            return out;
        };
        QVERIFY(page.model()->problem());
        QVERIFY(names().contains(QStringLiteral("blk.0.ffn_up_exps")));
        QVERIFY(!names().contains(QStringLiteral("blk.0.ffn_up.e1")));
        Recipe apart = session.recipe();
        apart.exporting.path = "/nowhere/folder"; // safetensors: each expert its own tensor
        session.editRecipe(QStringLiteral("export"), apart);
        QVERIFY(names().contains(QStringLiteral("blk.0.ffn_up.e1")));
    }

private:
    QString logPath() const { return test::home().file(QStringLiteral("mix.db")); }

    RunId addSweep(ExperimentLog& log) {
        Recipe recipe;
        recipe.kind = "sweep";
        recipe.checkpoint = demo_.checkpoint->path();
        recipe.sweep.metric = "kl";
        for (const QString& f : kFormats) recipe.sweep.formats.push_back(f.toStdString());
        const RunId run = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
        for (const Site& site : demo_.model->sites()) {
            for (int f = 0; f < kFormats.size(); ++f) {
                const std::string name = kFormats[f].toStdString();
                log.addSensitivity(run, {site.id, site.name, name, name, parseFormat(name)->bytes(site.rows, site.cols), damageOf(site, f), 1e-6},
                                   SensitivityMetric::measuredKl);
            }
        }
        log.finishRun(run, RunStatus::done);
        return run;
    }

    /// A finished run with one format everywhere.
    RunId addMeasured(ExperimentLog& log, const char* name, const char* format, double kl) {
        Recipe recipe;
        recipe.kind = "quantize";
        recipe.name = name;
        recipe.checkpoint = demo_.checkpoint->path();
        recipe.assignment.format = format;
        const RunId run = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
        std::vector<AssignmentRow> rows;
        for (const Site& site : demo_.model->sites()) rows.push_back({site.name, format, format, "", parseFormat(format)->bytes(site.rows, site.cols), 0, 0});
        log.addAssignments(run, rows);
        log.addMetrics(run, {{"kl_mean", kl, kl / 30, "nats/token"}});
        log.finishRun(run, RunStatus::done);
        return run;
    }

    void click(const QString& site, Qt::KeyboardModifiers modifiers = {}) {
        const QRectF rect = page_->grid()->cellRect(site);
        QVERIFY2(!rect.isEmpty(), qPrintable(site));
        QTest::mouseClick(page_->grid()->viewport(), Qt::LeftButton, modifiers, rect.center().toPoint());
    }

    void pressChip(int bits) {
        for (FormatChip* chip : page_->findChildren<FormatChip*>()) {
            if (chip->bits() == bits) chip->click();
        }
        QCOMPARE(page_->grid()->brush(), page_->model()->formatForBits(bits));
    }

    void slideTo(int value) {
        page_->budget()->slider()->setFocus();
        page_->budget()->slider()->setValue(value);
    }

    test::Demo demo_;
    RunId sweep_, measured_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<MixPage> page_;
};

int main(int argc, char** argv) { return test::run<MixTest>(argc, argv); }
#include "mix_test.moc"
