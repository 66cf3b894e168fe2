// SPDX-License-Identifier: GPL-3.0-or-later
// Several sweeps of one checkpoint as columns of one table: which one drives the Mix page, what is predicted from signed
// projections, and how far two columns agree. On the demo checkpoint and a made-up log.
#include "core/base/random.h"
#include "core/experiment/log.h"
#include "core/sensitivity/sketch_check.h"
#include "tests/gui/damage_log.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/mix/agreement_plot.h"
#include "widgets/mix/agreement_view.h"
#include "widgets/mix/bits_grid.h"
#include "widgets/mix/budget_panel.h"
#include "widgets/mix/damage_selector.h"
#include "widgets/mix/interval_bars.h"
#include "widgets/mix/mix_page.h"
#include "widgets/mix/next_steps.h"
#include "widgets/mix/pareto_plot.h"

#include <QElapsedTimer>
#include <QLabel>
#include <QMenu>
#include <QPushButton>
#include <QSignalSpy>
#include <QTabBar>
#include <QTableWidget>
#include <algorithm>
#include <cmath>

using namespace bw;

class DamageTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        ExperimentLog log(logPath().toStdString());
        output_ = test::addOutput(log, demo_);
        fisher_ = test::addFisher(log, demo_);
        measured_ = test::addMeasured(log, demo_);
        addMix(log, "all q8_0", "q8_0");
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
    }

    void cleanup() {
        page_.reset();
        session_.reset();
    }

    void bestKnownIsMeasuredWhereItWas() {
        const DamageMap& map = session_->damageMap();
        QCOMPARE(session_->damageTable().by(), DamageBy::best);
        QCOMPARE(map.run, fisher_);
        QCOMPARE(map.measuredRuns, QVector<RunId>{measured_});
        QCOMPARE(map.metric, QStringLiteral("fisher"));
        QVERIFY(map.inNats());
        // Cells known both ways correct the other estimates of their format, as `assign` has it; other formats stay.
        std::vector<CheckedCell> checked;
        for (const Site& site : demo_.model->sites())
            if (test::isMeasured(site)) checked.push_back({test::fisherRow(site, 0).cell.value, 1.25 * test::damageOf(site, 0), 1.25 * test::damageOf(site, 0) / 20});
        const SketchBias bias = sketchBias(checked);
        QVERIFY(std::abs(bias.factor - 1) > 0.02);
        QCOMPARE(map.corrections.value(QStringLiteral("q4_0"), 1), bias.factor);
        QVERIFY(!map.corrections.contains(QStringLiteral("q5_0")));
        for (const Site& site : demo_.model->sites()) {
            const DamageOption* q4 = map.find(QString::fromStdString(site.name), QStringLiteral("q4_0"));
            QVERIFY(q4);
            if (test::isMeasured(site)) {
                QCOMPARE(q4->source, CellSource::measured);
                QCOMPARE(q4->damage, 1.25 * test::damageOf(site, 0));
            } else {
                QCOMPARE(q4->source, CellSource::fisher);
                QCOMPARE(q4->damage, bias.factor * test::fisherRow(site, 0).cell.value);
                QCOMPARE(map.find(QString::fromStdString(site.name), QStringLiteral("q5_0"))->damage, test::fisherRow(site, 1).cell.value);
            }
        }
        // The recipe of a mix made here names every finished run that its prediction stands on.
        page_->model()->takeUniform(QStringLiteral("q5_0"));
        QCOMPARE(session_->recipe().assignment.sweepRun, fisher_.value());
        QVERIFY(session_->recipe().assignment.measuredRuns.empty()); // `assign` refuses sweeps that were stopped
    }

    void theSelectorChoosesWhatDrivesThePage() {
        auto* selector = page_->findChild<DamageSelector*>();
        QVERIFY(selector && selector->isVisible());
        const auto choose = [&](const QString& name) {
            Q_EMIT selector->menu()->aboutToShow();
            for (QAction* entry : selector->menu()->actions())
                if (entry->text().startsWith(name)) entry->trigger();
        };
        choose(QStringLiteral("output error"));
        QCOMPARE(session_->damageMap().run, output_);
        QVERIFY(!page_->model()->comparable());
        QVERIFY(selector->text().contains(QStringLiteral("output error")));
        choose(QStringLiteral("measured KL"));
        QCOMPARE(session_->damageMap().run, measured_);
        QVERIFY(session_->damageMap().cells(CellSource::scaled) > 0); // the rest by output error
        choose(QStringLiteral("Fisher estimate"));
        QCOMPARE(session_->damageMap().cells(CellSource::measured), qsizetype{0});
        choose(QStringLiteral("best known"));
        QVERIFY(session_->damageMap().cells(CellSource::measured) > 0);
    }

    void aSweepOpenedByHandDrivesUntilANewerIsDone() {
        session_->setSweepRun(output_);
        QCOMPARE(session_->sweepRun(), output_);
        QCOMPARE(session_->damageTable().by(), DamageBy::output);
        session_->setDamageBy(DamageBy::best);
        QCOMPARE(session_->sweepRun(), fisher_);
    }

    void predictionFollowsTheHandAndKnowsInteractions() {
        const MixState& state = *page_->model();
        QVERIFY(state.predictsInteractions());
        for (const char* format : {"q4_0", "q5_0", "q8_0"}) {
            page_->model()->takeUniform(QString::fromLatin1(format));
            compareWithWhole(format);
        }
        // Cell by cell, as painted, it stays what the predictor says of the whole mix.
        page_->model()->takeUniform(QStringLiteral("q4_0"));
        for (const MixSite& site : state.sites().mid(0, 9)) page_->model()->setFormats({site.name}, QStringLiteral("q8_0"), QStringLiteral("x"));
        QHash<QString, QString> formats;
        for (const MixSite& site : state.sites()) formats.insert(site.name, site.format);
        const auto whole = state.predict(formats);
        QVERIFY(whole);
        QVERIFY(std::abs(whole->kl - state.totals().damage) < 1e-9 * whole->kl);
        QVERIFY(std::abs(whole->klSe - state.totals().standardError) < 1e-6 * whole->klSe);
        QVERIFY(whole->klSe > 0);
    }

    void theFrontHasItsBand() {
        const MixState& state = *page_->model();
        QCOMPARE(state.front().size(), state.frontPredictions().size());
        QVERIFY(state.front().size() > 5);
        const std::size_t middle = state.front().size() / 2;
        page_->model()->takeChoice(state.front()[middle].choice, state.front()[middle].bytes, QStringLiteral("x"));
        QVERIFY(std::abs(state.totals().damage - state.frontPredictions()[middle].kl) < 1e-9);
        QVERIFY(state.frontPredictions()[middle].klSe > 0);
        page_->pareto()->replot(QCustomPlot::rpImmediateRefresh);
        QVERIFY(page_->pareto()->csv().contains(QStringLiteral("front,,%1,").arg(state.front()[middle].bytes)));
    }

    void nextStepsSayWhatTheyBuyAndHowSurely() {
        page_->model()->takeUniform(QStringLiteral("q4_0"));
        const auto steps = page_->model()->nextSteps(5);
        QVERIFY(!steps.isEmpty());
        const double before = page_->model()->totals().damage;
        for (const MixStep& step : steps) {
            QVERIFY(step.damage < 0 && step.bytes > 0);
            QVERIFY(step.standardError > 0);
        }
        page_->model()->setFormats(steps[0].sites, steps[0].to, QStringLiteral("x"));
        QVERIFY(std::abs(page_->model()->totals().damage - before - steps[0].damage) < 1e-9);
        auto* list = page_->findChild<NextSteps*>();
        QVERIFY(list->accessibleDescription().contains(QStringLiteral("buys")) && list->accessibleDescription().contains(QStringLiteral("±")));
    }

    void verifiedMixStandsBesideItsPrediction() {
        page_->model()->takeUniform(QStringLiteral("q8_0"));
        const MeasuredMix* run = page_->model()->measuredNow();
        QVERIFY(run);
        QCOMPARE(run->kind, MixKind::uniform);
        bool shown = false;
        for (const QLabel* label : page_->budget()->findChildren<QLabel*>()) shown |= label->isVisible() && label->text().startsWith(QStringLiteral("measured"));
        QVERIFY(shown);
        QVERIFY(page_->budget()->findChild<IntervalBars*>()->isVisible());
        QVERIFY(page_->budget()->predictedText().contains(QStringLiteral("±")));
    }

    void agreementShowsFiguresAndSelects() {
        page_->findChild<QTabBar*>(QStringLiteral("mix.views"))->setCurrentIndex(1);
        AgreementView* view = page_->agreement();
        QVERIFY(view->isVisible() && view->plot()->isVisible());
        const Agreement& data = view->data();
        QCOMPARE(data.metricA, std::string("fisher"));
        QCOMPARE(data.metricB, std::string("kl"));
        std::size_t measured = 0;
        for (const Site& site : demo_.model->sites()) measured += test::isMeasured(site);
        QCOMPARE(data.pairs.size(), measured);
        QCOMPARE(data.scores.front().pairs, std::int64_t(measured));
        std::vector<double> ratios;
        for (const AgreementPair& pair : data.pairs) ratios.push_back(pair.a / pair.b);
        std::sort(ratios.begin(), ratios.end());
        QVERIFY(data.scores.front().medianRatio >= ratios.front() && data.scores.front().medianRatio <= ratios.back());
        view->plot()->replot(QCustomPlot::rpImmediateRefresh);
        const int chosen = int(data.pairs.size()) / 2;
        QTest::mouseClick(view->plot(), Qt::LeftButton, {}, view->plot()->pixelOf(chosen).toPoint());
        const std::string selected = session_->selectedSite().toStdString();
        QVERIFY(std::any_of(data.pairs.begin(), data.pairs.end(), [&](const AgreementPair& pair) { return pair.site == selected; }));
        auto* worst = view->findChild<QTableWidget*>(QStringLiteral("agreement.worst"));
        QCOMPARE(worst->rowCount(), int(measured));
        worst->setCurrentCell(1, 0);
        QCOMPARE(session_->selectedSite(), worst->item(1, 0)->text());
    }

    void disagreementRanksByRatioThenDoubt() {
        const std::vector<AgreementPair> pairs{{"a", "q4_0", 1.0, 1.0, 0.01, 0.01}, {"b", "q4_0", 4.0, 1.0, 0.01, 0.01}, {"c", "q4_0", 9.0, 1.0, 8, 8}, {"d", "q4_0", 0.5, 1.0, 0.01, 0.01}};
        const auto order = byDisagreement(pairs, true);
        QCOMPARE(order, (std::vector<std::size_t>{1, 3, 2, 0})); // the errors of "c" explain its ratio
    }

    void agreementSaysWhatToRun() {
        Session fresh;
        fresh.setCheckpoint(demo_.checkpoint, demo_.model);
        AgreementView view(&fresh);
        view.resize(600, 500);
        view.show();
        auto* empty = view.findChild<QLabel*>(QStringLiteral("agreement.empty"));
        QVERIFY(empty->isVisible() && empty->text().contains(QStringLiteral("sweep")));
    }

    void wishesGoOut() {
        QSignalSpy uncertain(session_.get(), &Session::measureUncertainRequested);
        auto* button = page_->findChild<QPushButton*>(QStringLiteral("mix.uncertain"));
        QVERIFY(button && button->isVisible() && button->isEnabled());
        button->click();
        QCOMPARE(uncertain.size(), 1);
        const Recipe assign = uncertain[0][0].value<Recipe>();
        QCOMPARE(assign.kind, std::string("assign"));
        QCOMPARE(assign.assignment.sweepRun, fisher_.value());
        QCOMPARE(assign.assignment.budget, std::to_string(page_->model()->totals().bytes) + "B");
        Session fresh;
        fresh.setCheckpoint(demo_.checkpoint, demo_.model);
        MixPage page(&fresh);
        page.show();
        QSignalSpy wishes(&fresh, &Session::runRequested);
        for (const char* metric : {"fisher", "kl", "output"}) {
            auto* sweep = page.findChild<QPushButton*>(QStringLiteral("sweep.") + QLatin1String(metric));
            QVERIFY(sweep && sweep->isVisible());
            sweep->click();
            QCOMPARE(wishes.last()[0].value<Recipe>().sweep.metric, std::string(metric));
        }
    }

    /// A painted cell must be predicted within a frame on a model of SmolLM2's size: 211 sites, 7 formats, 256 probes.
    void predictingAPaintedCellTakesMicroseconds() {
        Random random(7);
        std::vector<PredictionSite> sites(211);
        for (PredictionSite& site : sites) {
            for (int f = 0; f < 7; ++f) {
                PredictionOption option{"f" + std::to_string(f), 0, 1e-5, {}};
                for (int k = 0; k < 256; ++k) option.projections.edit().push_back(float(random.normal() * 1e-2));
                site.options.push_back(std::move(option));
            }
        }
        const MixPredictor predictor(std::move(sites), 4, {4.0, 1.0});
        MixPredictor::State state(predictor, std::vector<int>(211, 2));
        QElapsedTimer clock;
        clock.start();
        constexpr int kRounds = 50;
        double sum = 0;
        for (int i = 0; i < kRounds; ++i) {
            state.set(std::size_t(i * 4), i % 7);
            sum += state.prediction().kl;
            for (std::size_t s = 0; s < 211; ++s)
                for (int f = 0; f < 7; ++f) sum += state.klIf(s, f);
        }
        const double each = double(clock.nsecsElapsed()) * 1e-6 / kRounds;
        qInfo("one painted cell with all 1477 possible next steps: %.2f ms", each);
        QVERIFY(std::isfinite(sum));
        QVERIFY2(each < 16 * 4, qPrintable(QString::number(each))); // a frame, with room for a loaded machine
    }

private:
    QString logPath() const { return test::home().file(QStringLiteral("damage.db")); }

    void compareWithWhole(const char* format) {
        QHash<QString, QString> formats;
        for (const MixSite& site : page_->model()->sites()) formats.insert(site.name, QString::fromLatin1(format));
        const auto whole = page_->model()->predict(formats);
        QVERIFY(whole);
        QVERIFY(std::abs(whole->kl - page_->model()->totals().damage) < 1e-9 * whole->kl);
        QVERIFY(whole->interaction != 0);
    }

    void addMix(ExperimentLog& log, const char* name, const char* format) {
        Recipe recipe;
        recipe.kind = "quantize";
        recipe.name = name;
        recipe.checkpoint = demo_.checkpoint->path();
        const RunId run = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
        std::vector<AssignmentRow> rows;
        for (const Site& site : demo_.model->sites()) rows.push_back({site.name, format, format, "", parseFormat(format)->bytes(site.rows, site.cols), 0, 0});
        log.addAssignments(run, rows);
        log.addMetrics(run, {{"kl_mean", 3e-4, 1e-5, "nats/token"}});
        log.finishRun(run, RunStatus::done);
    }

    test::Demo demo_;
    RunId output_, fisher_, measured_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<MixPage> page_;
};

int main(int argc, char** argv) { return test::run<DamageTest>(argc, argv); }
#include "damage_test.moc"
