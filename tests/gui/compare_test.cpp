// SPDX-License-Identifier: GPL-3.0-or-later
// The Compare page on a small log: differences with intervals, fairness and its reasons, formats by site, the text.
#include "core/experiment/log.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/compare/compare_page.h"
#include "widgets/compare/comparison_tables.h"
#include "widgets/compare/fairness_badge.h"
#include "widgets/compare/output_pair.h"
#include "widgets/compare/run_chooser.h"
#include "widgets/compare/token_curve.h"
#include "widgets/compare/token_text.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/session/session.h"

#include <QPushButton>
#include <cmath>

using namespace bw;

class CompareTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        ExperimentLog log(logPath().toStdString());
        good_ = addRun(log, "good", "q8_0", 0.01, 1e-4, "windows:256");
        bad_ = addRun(log, "bad", "q4_0", 0.05, 4e-3, "windows:256");
        other_ = addRun(log, "other protocol", "q4_0", 0.05, 4e-3, "llama.cpp:256");
    }

    void init() {
        test::noWarnings();
        session_ = std::make_unique<Session>();
        session_->setCheckpoint(demo_.checkpoint, demo_.model);
        session_->setLog(logPath());
        page_ = std::make_unique<ComparePage>(session_.get());
        page_->resize(1300, 800);
        page_->show();
        session_->selectRuns(good_, bad_);
    }

    void cleanup() {
        page_.reset();
        session_.reset();
    }

    void showsDifferencesWithIntervals() {
        const auto& lines = page_->comparison().metrics;
        QVERIFY(!lines.isEmpty());
        QCOMPARE(lines[0].name, QStringLiteral("kl_mean"));
        QVERIFY(std::abs(lines[0].difference - 0.04) < 1e-6);
        QVERIFY(lines[0].interval);
        QVERIFY(lines[0].low < 0.04 && lines[0].high > 0.0399);
        QCOMPARE(lines[0].verdict, MetricLine::Verdict::worse);
        QCOMPARE(page_->metrics()->rowCount(), int(lines.size()));
        QCOMPARE(page_->metrics()->item(0, 3)->text(), lines[0].differenceText());
        QCOMPARE(page_->metrics()->item(0, 3)->foreground().color(), Theme::instance().tokens().red);
        session_->selectRuns(bad_, good_);
        QCOMPARE(page_->metrics()->item(0, 3)->foreground().color(), Theme::instance().tokens().green);
        QVERIFY(page_->metrics()->item(0, 3)->text().startsWith(QChar(0x2212)));
    }

    void badgeSaysWhyNot() {
        QVERIFY(page_->badge()->fair());
        session_->selectRuns(good_, other_);
        QVERIFY(!page_->badge()->fair());
        QVERIFY(page_->badge()->toolTip().contains(QStringLiteral("protocol")));
    }

    void siteMapShowsWhoHasMoreError() {
        HeatmapPlot* map = page_->siteMap();
        QCOMPARE(map->rows(), 7);
        QCOMPARE(map->columns(), int(demo_.model->config().blocks));
        QVERIFY(std::abs(map->value(0, 0) - (4e-3 - 1e-4)) < 1e-9);
        QVERIFY(map->cellText(0, 0).contains(QStringLiteral("A q8_0 · B q4_0")));
        QTest::mouseClick(map, Qt::LeftButton, {}, map->cellRect(0, 2).center().toPoint());
        QCOMPARE(session_->selectedSite(), QStringLiteral("blk.2.attn_q"));
    }

    void recipesTellWhatDiffers() {
        QStringList what;
        for (const RecipeLine& line : page_->comparison().recipe) what << line.what;
        QVERIFY(what.contains(QStringLiteral("assignment.format")));
        QVERIFY(what.contains(QStringLiteral("blk.*.attn_q")));
        QVERIFY(!what.contains(QStringLiteral("name")));
        QVERIFY(page_->comparison().markdown().contains(QStringLiteral("| assignment.format | q8_0 | q4_0 |")));
        QVERIFY(page_->comparison().csv().startsWith(QStringLiteral("metric,unit,a,b,difference,ci_low,ci_high,interval\n")));
    }

    void curveAndTextAreLinked() {
        QVERIFY(page_->comparison().sameTokens);
        auto* text = page_->findChild<TokenText*>();
        QVERIFY(text);
        QCOMPARE(text->worst(), qsizetype(150)); // the spike put there below
        QCOMPARE(page_->curve()->current(), qsizetype(150));
        QTRY_VERIFY(!text->tokenText(150).startsWith(QStringLiteral("‹"))); // words once the tokenizer is read
        Q_EMIT text->tokenChosen(12);
        QCOMPARE(page_->curve()->current(), qsizetype(12));
        QCOMPARE(page_->curve()->csv().count(QLatin1Char('\n')), 201);
    }

    void choosersSwap() {
        for (QPushButton* button : page_->findChildren<QPushButton*>()) {
            if (button->accessibleName() == QStringLiteral("Swap A and B")) button->click();
        }
        QCOMPARE(session_->runA(), bad_);
        QCOMPARE(session_->runB(), good_);
        const auto choosers = page_->findChildren<RunChooser*>();
        QCOMPARE(choosers.size(), 2);
        QVERIFY(choosers[0]->text().contains(QStringLiteral("bad")) || choosers[1]->text().contains(QStringLiteral("bad")));
    }

    void outputsPartWhereTheyDiffer() {
        QCOMPARE(OutputPair::firstDifference(QStringLiteral("a < b"), QStringLiteral("a <= b")), qsizetype(3));
        QCOMPARE(OutputPair::firstDifference(QStringLiteral("same"), QStringLiteral("same")), qsizetype(-1));
        QCOMPARE(OutputPair::firstDifference(QStringLiteral("ab"), QStringLiteral("abc")), qsizetype(2));
        OutputPair pair;
        pair.setOutputs({{"p", "one", Json()}, {"q", "two", Json()}}, {{"q", "three", Json()}});
        QCOMPARE(pair.prompts(), 1);
    }

    void nothingToCompareSaysSo() {
        Session fresh;
        ComparePage empty(&fresh);
        empty.resize(900, 600);
        empty.show();
        QVERIFY(empty.comparison().empty());
        QVERIFY(!empty.metrics()->isVisible());
        session_->selectRuns(good_, RunId(9999)); // a run that is not there
        QVERIFY(page_->comparison().empty());
        QVERIFY(!page_->metrics()->isVisible());
    }

private:
    QString logPath() const { return test::home().file(QStringLiteral("compare.db")); }

    RunId addRun(ExperimentLog& log, const char* name, const char* format, double kl, double error, const char* protocol) {
        Recipe recipe;
        recipe.kind = "quantize";
        recipe.name = name;
        recipe.checkpoint = demo_.checkpoint->path();
        recipe.assignment.format = format;
        recipe.evaluation.protocol = protocol;
        const RunId run = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
        std::vector<AssignmentRow> rows;
        for (const Site& site : demo_.model->sites()) rows.push_back({site.name, format, format, "", parseFormat(format)->bytes(site.rows, site.cols), 0, error});
        log.addAssignments(run, rows);
        TokenScoreRow scores;
        for (int i = 0; i < 200; ++i) {
            scores.ids.push_back(100 + i);
            // Different noise in each run, so that the paired interval has a width; equal means.
            scores.kl.push_back(static_cast<float>(kl * (1 + 0.1 * std::sin(i * kl * 1000))));
            scores.nll.push_back(3.0f + static_cast<float>(kl));
        }
        double sum = 0;
        scores.kl[150] = static_cast<float>(20 * kl);
        for (const float v : scores.kl) sum += double(v);
        for (float& v : scores.kl) v = static_cast<float>(double(v) * kl * 200 / sum);
        log.addTokenScores(run, scores);
        log.addMetrics(run, {{"perplexity", 20 + kl, 0.5, ""}, {"kl_mean", kl, kl / 20, "nats/token"}, {"same_top1", 1 - kl, 0.002, "share"}});
        log.finishRun(run, RunStatus::done);
        return run;
    }

    test::Demo demo_;
    RunId good_, bad_, other_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<ComparePage> page_;
};

int main(int argc, char** argv) { return test::run<CompareTest>(argc, argv); }
#include "compare_test.moc"
