// SPDX-License-Identifier: GPL-3.0-or-later
// The Compare page on a small log: differences with intervals, fairness and its reasons, formats by site, the text.
#include "core/experiment/log.h"
#include "core/evaluate/top_tokens.h"
#include "tests/gui/gui_fixture.h"
#include "tests/gui/turn_meter.h"
#include "widgets/compare/compare_page.h"
#include "widgets/compare/comparison_tables.h"
#include "widgets/compare/fairness_badge.h"
#include "widgets/compare/kl_histogram.h"
#include "widgets/compare/output_column.h"
#include "widgets/compare/outputs_view.h"
#include "widgets/compare/prompts_dialog.h"
#include "widgets/compare/run_chooser.h"
#include "widgets/compare/token_curve.h"
#include "widgets/compare/token_text.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/reliability_plot.h"
#include "widgets/runs/warnings_table.h"
#include "widgets/session/session.h"

#include <QAction>
#include <QClipboard>
#include <QComboBox>
#include <QPushButton>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTabBar>
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
        addEvidence(log);
        partsA_ = addParts(log, "q8_0", 1, 0.01);
        partsB_ = addParts(log, "q4_0", 1, 0.03);
        addParts(log, "q4_0", 2, 0.031); // the same with another seed
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

    void eachTextAndPositionHasItsIntervalAndVerdict() {
        session_->selectRuns(partsA_, partsB_);
        auto* tabs = page_->findChild<QTabBar*>(QStringLiteral("compare.metrics"));
        auto* figure = page_->findChild<QComboBox*>(QStringLiteral("compare.figure"));
        QVERIFY(tabs->isTabVisible(1) && tabs->isTabVisible(2) && tabs->isTabVisible(3));
        tabs->setCurrentIndex(1);
        auto* texts = page_->findChild<QTableWidget*>(QStringLiteral("compare.by-text"));
        QVERIFY(texts->isVisible() && figure->isVisible() && !page_->metrics()->isVisible());
        QCOMPARE(texts->rowCount(), 2);
        QCOMPARE(texts->item(0, 0)->text(), QStringLiteral("prose.txt"));
        // The first text loses three times as much under B, the second the same: planted in addParts.
        const auto& parts = page_->comparison().byText;
        QCOMPARE(parts[0].tokens, 124);
        QVERIFY(std::abs(parts[0].figure(QStringLiteral("kl_mean"))->difference - 0.02) < 1e-3);
        QCOMPARE(parts[0].figure(QStringLiteral("kl_mean"))->verdict, MetricLine::Verdict::worse);
        QCOMPARE(parts[1].figure(QStringLiteral("kl_mean"))->verdict, MetricLine::Verdict::unclear);
        const Tokens& t = Theme::instance().tokens();
        QCOMPARE(texts->item(0, 3)->foreground().color(), t.red);
        QCOMPARE(texts->item(1, 3)->foreground().color(), t.muted);
        QVERIFY(texts->item(1, 3)->toolTip().contains(QStringLiteral("not distinguishable")));
        QVERIFY(texts->item(0, 3)->toolTip().contains(QStringLiteral("95 % interval")));
        figure->setCurrentIndex(figure->findData(QStringLiteral("same_top1")));
        QVERIFY2(texts->item(0, 1)->text().endsWith(QStringLiteral(" %")), qPrintable(texts->item(0, 1)->text()));
        tabs->setCurrentIndex(2);
        auto* positions = page_->findChild<QTableWidget*>(QStringLiteral("compare.by-position"));
        QVERIFY(positions->isVisible());
        QCOMPARE(positions->rowCount(), 2);
        QCOMPARE(positions->item(0, 0)->text(), QStringLiteral("1–15"));
        QCOMPARE(page_->comparison().byPosition[0].tokens + page_->comparison().byPosition[1].tokens, 248);
        QVERIFY(page_->metrics()->item(0, 3)->toolTip().contains(QStringLiteral("over windows")));
        session_->selectRuns(good_, bad_); // one text, without names
        QVERIFY(!tabs->isTabVisible(1) && !tabs->isTabVisible(2));
        QCOMPARE(tabs->currentIndex(), 0);
    }

    void seedsShowWhatIsNoise() {
        session_->selectRuns(partsA_, partsB_);
        auto* tabs = page_->findChild<QTabBar*>(QStringLiteral("compare.metrics"));
        tabs->setCurrentIndex(3);
        auto* seeds = page_->findChild<QTableWidget*>(QStringLiteral("compare.seeds"));
        QVERIFY(seeds->isVisible());
        QCOMPARE(page_->comparison().seedRunsA, 0);
        QCOMPARE(page_->comparison().seedRunsB, 2);
        QCOMPARE(page_->comparison().seeds[0].name, QStringLiteral("kl_mean"));
        QCOMPARE(seeds->item(0, 1)->text(), QStringLiteral("–"));
        // Two runs, 0.030 and 0.031: s = 0.001/√2, half width 12.7062 · √2 · s.
        QVERIFY(std::abs(page_->comparison().seeds[0].halfWidth - 12.7062e-3) < 1e-8);
        QVERIFY2(page_->metrics()->item(0, 3)->toolTip().contains(QStringLiteral("seeds of 2 runs differ by ±0.0127")), qPrintable(page_->metrics()->item(0, 3)->toolTip()));
        session_->selectRuns(good_, bad_);
        QVERIFY(!tabs->isTabVisible(3));
    }

    void tablesCopyThemselves() {
        session_->selectRuns(partsA_, partsB_);
        auto* texts = page_->findChild<QTableWidget*>(QStringLiteral("compare.by-text"));
        const auto copy = [&](const char* entry) {
            for (QAction* action : texts->actions())
                if (action->text() == QLatin1String(entry)) action->trigger();
            return QApplication::clipboard()->text();
        };
        const QString csv = copy("Copy table as CSV"), markdown = copy("Copy table as Markdown");
        QVERIFY(csv.startsWith(QStringLiteral("part,tokens,metric,a,b,difference,ci_low,ci_high,distinguishable\nprose.txt,124,")));
        QCOMPARE(csv.count(QLatin1Char('\n')), qsizetype{1 + 2 * 4});
        QVERIFY(csv.contains(QStringLiteral(",yes\n")) && csv.contains(QStringLiteral(",no\n")));
        QVERIFY(markdown.startsWith(QStringLiteral("| Text | A | B | B − A (95 %) |\n|---|---:|---:|---:|\n| prose.txt | ")));
        QVERIFY(page_->comparison().markdown().contains(QStringLiteral("| code.txt | 124 | ")));
    }

    void candidatesOfBothRunsAndTheOriginalAreInThePopup() {
        session_->selectRuns(partsA_, partsB_);
        auto* text = page_->findChild<TokenText*>();
        QTRY_VERIFY(!text->tokenText(0).startsWith(QStringLiteral("‹")));
        const QVector<CandidateLine> lines = text->candidates(7);
        // Planted: the token itself, one that both runs kept and one of each run alone; the original's likeliest first.
        QCOMPARE(lines.size(), qsizetype{4});
        QVERIFY(lines[0].came && lines[0].word == quotedToken(text->tokenText(7)));
        QVERIFY(std::abs(lines[0].shares[0] - 0.61) < 1e-3 && std::abs(lines[0].shares[1] - 0.33) < 1e-3 && std::abs(lines[0].shares[2] - 0.64) < 1e-3);
        QVERIFY(std::isnan(lines[2].shares[0]) != std::isnan(lines[2].shares[1]));
        QVERIFY2(text->describe(7).contains(QStringLiteral("A 0.61 B 0.33 original 0.64")), qPrintable(text->describe(7)));
        const QString popup = text->popup(7);
        for (const char* part : {">0.61<", ">0.33<", ">0.64<", ">–<", "not among the likeliest"}) QVERIFY2(popup.contains(QString::fromUtf8(part)), part);
        session_->selectRuns(good_, bad_); // of an earlier version
        QVERIFY(text->candidates(7).isEmpty());
        QVERIFY(text->popup(7).contains(QStringLiteral("Evaluate them again")));
        QVERIFY(text->popup(-1).isEmpty());
    }

    /// A hundred thousand tokens: a page of text is drawn in the time of a frame, wherever it is.
    void hundredThousandTokensScroll() {
        constexpr int kTokens = 100'000, kFrames = 60;
        TokenScoreRow a, b;
        for (int i = 0; i < kTokens; ++i) {
            a.ids.push_back(i * 7919 % 4000);
            a.nll.push_back(2);
            a.kl.push_back(float(i % 97) * 1e-3f);
            b.kl.push_back(float(i % 89) * 1e-3f);
            packTopTokens(std::vector<TopToken>{{a.ids.back(), 0.5f, 0.5f}, {1, 0.2f, 0.2f}, {2, 0.1f, 0.1f}}, a.topTokens);
        }
        b.ids = a.ids;
        b.nll = a.nll;
        b.topTokens = a.topTokens;
        TokenText text;
        text.resize(1100, 400);
        text.show();
        QVERIFY(QTest::qWaitForWindowExposed(&text));
        double begin = test::threadSeconds();
        text.setScores(a, b, Tokenizer::open(*demo_.checkpoint));
        const double laidOut = test::threadSeconds() - begin;
        QScrollBar* bar = text.verticalScrollBar();
        QVERIFY(text.lines() > 1000);
        QCOMPARE(bar->maximum(), int(23 * text.lines()) - text.viewport()->height());
        begin = test::threadSeconds();
        for (int i = 0; i < kFrames; ++i) {
            bar->setValue(int(qint64(bar->maximum()) * (i * 37 % kFrames) / kFrames));
            text.viewport()->repaint();
        }
        const double frame = (test::threadSeconds() - begin) / kFrames;
        qInfo("%d tokens: laid out in %.0f ms, %.2f ms a frame of scrolling", kTokens, 1000 * laidOut, 1000 * frame);
        QVERIFY2(frame < test::kSlower / 60.0, qPrintable(QString::number(frame)));
        QVERIFY2(laidOut < 0.1 * test::kSlower, qPrintable(QString::number(laidOut)));
        // Each token has one place; the last ones are reached by the keys, and what is chosen is in view.
        QTest::keyClick(&text, Qt::Key_End);
        QVERIFY(text.viewport()->rect().contains(text.tokenRect(kTokens - 1)));
        QVERIFY(text.tokenRect(0).isNull());
        QTest::keyClick(&text, Qt::Key_Up);
        QTest::keyClick(&text, Qt::Key_Home);
        QVERIFY(text.viewport()->rect().contains(text.tokenRect(0)));
        QSignalSpy chosen(&text, &TokenText::tokenChosen);
        QTest::mousePress(text.viewport(), Qt::LeftButton, {}, text.tokenRect(5).center());
        QCOMPARE(chosen.value(0).value(0).toLongLong(), 5);
        text.resize(600, 400);
        QVERIFY(text.viewport()->rect().contains(text.tokenRect(5)));
        QVERIFY(test::differentColors(text.grab().toImage()) > 20);
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

    void reliabilityShowsWhoClaimsTooMuch() {
        auto* plot = page_->findChild<ReliabilityPlot*>(QStringLiteral("compare.reliability"));
        auto* tabs = page_->findChild<QTabBar*>(QStringLiteral("compare.curves"));
        QVERIFY(!plot->isVisible());
        tabs->setCurrentIndex(1);
        QVERIFY(plot->isVisible() && !page_->curve()->isVisible());
        QCOMPARE(page_->comparison().reliabilityB.size(), std::size_t{3});
        QCOMPARE(plot->csv().count(QLatin1Char('\n')), qsizetype{5}); // head, two bins each: the empty one has no place
        plot->replot();
        const QPointF point(plot->xAxis->coordToPixel(0.75), plot->yAxis->coordToPixel(0.65)); // B: 0.75 − 2 · 0.05
        QVERIFY2(plot->textAt(point).startsWith(QStringLiteral("B: sure 0.750, right 0.650 (95 %: 0.600 … 0.700), 100")), qPrintable(plot->textAt(point)));
        QVERIFY(plot->textAt({plot->xAxis->coordToPixel(0.1), plot->yAxis->coordToPixel(0.9)}).isEmpty());
        QVERIFY(test::differentColors(plot->grab().toImage()) > 8);
        session_->selectRuns(other_, other_);
        QVERIFY(page_->comparison().reliabilityA.empty());
        QCOMPARE(plot->csv().count(QLatin1Char('\n')), qsizetype{1});
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
        QCOMPARE(OutputsView::firstDifference(QStringLiteral("a < b"), QStringLiteral("a <= b")), qsizetype(3));
        QCOMPARE(OutputsView::firstDifference(QStringLiteral("same"), QStringLiteral("same")), qsizetype(-1));
        QCOMPARE(OutputsView::firstDifference(QStringLiteral("ab"), QStringLiteral("abc")), qsizetype(2));
        auto* view = page_->findChild<OutputsView*>();
        QCOMPARE(view->prompts(), 2); // one that only A and B generated, one judged against the original
        auto* tabs = page_->findChild<QTabBar*>(QStringLiteral("compare.evidence"));
        tabs->setCurrentIndex(1);
        QVERIFY(view->isVisible());
        QCOMPARE(tabs->tabText(1), QStringLiteral("Outputs (2)"));
        const auto columns = view->columns();
        QCOMPARE(columns.size(), 3); // original, A, B
        QVERIFY(!columns[0]->shownText().isEmpty());
        QVERIFY2(columns[0]->figures().isEmpty(), qPrintable(columns[0]->figures()));
        const QString told = columns[2]->figures();
        QVERIFY2(told.contains(QStringLiteral("parts from the original at token 3")), qPrintable(told));
        QVERIFY2(told.contains(QStringLiteral("similarity of states 0.9100 (lowest 0.700): reads another text")), qPrintable(told));
        QVERIFY2(told.contains(QStringLiteral("collapsed: the longest loop has 12 tokens")), qPrintable(told));
        QVERIFY2(told.contains(QStringLiteral(" 61 %")), qPrintable(told)); // e^−0.5
        QTRY_VERIFY2(columns[2]->describe(0).contains(QStringLiteral("original 37 % · this run 14 %")), qPrintable(columns[2]->describe(0)));
        view->step(1);
        QCOMPARE(view->columns().size(), 2);
        QCOMPARE(view->columns()[1]->shownText(), QStringLiteral("two plus"));
        session_->selectRuns(good_, other_); // no outputs of the other: A's are still there
        QCOMPARE(view->prompts(), 1);
        session_->selectRuns(other_, other_);
        QCOMPARE(view->prompts(), 0);
        QSignalSpy wanted(view, &OutputsView::promptsWanted);
        page_->findChild<QPushButton*>(QStringLiteral("compare.outputs.start"))->click();
        QCOMPARE(wanted.size(), 1);
        auto* dialog = page_->findChild<PromptsDialog*>();
        QVERIFY(dialog && dialog->isVisible());
        QSignalSpy asked(session_.get(), &Session::outputsRequested);
        dialog->accept();
        QCOMPARE(asked.size(), 1);
        QCOMPARE(asked[0][0].value<OutputsWish>().runs, std::vector<RunId>{other_});
        QCOMPARE(asked[0][0].value<OutputsWish>().typed.size(), 3);
    }

    void promptsArePartedByEmptyLines() {
        QCOMPARE(PromptsDialog::promptsOf(QStringLiteral("one\n\n\n  two\nlines\n \n\n")), (QStringList{QStringLiteral("one"), QStringLiteral("  two\nlines")}));
        QVERIFY(PromptsDialog::promptsOf(QStringLiteral(" \n\n")).isEmpty());
    }

    void aDiagnosisNamesTheCauseAndRaises() {
        auto* tabs = page_->findChild<QTabBar*>(QStringLiteral("compare.evidence"));
        tabs->setCurrentIndex(2);
        auto* text = page_->findChild<TokenText*>();
        QVERIFY2(text->describe(150).contains(QStringLiteral("\nB caused by blk.1.attn_v 54 %, blk.2.ffn_down 11 %")), qPrintable(text->describe(150)));
        QVERIFY(!text->describe(149).contains(QStringLiteral("caused")));
        auto* raise = page_->findChild<QPushButton*>(QStringLiteral("compare.raise.b"));
        QVERIFY(raise->isVisible());
        QCOMPARE(raise->text(), QStringLiteral("Raise these 2 to q8_0"));
        raise->click();
        QCOMPARE(session_->siteFormat(QStringLiteral("blk.1.attn_v")), QStringLiteral("q8_0"));
        QCOMPARE(session_->siteFormat(QStringLiteral("blk.0.attn_q")), QStringLiteral("q4_0")); // as the run had it
        QCOMPARE(session_->undoStack()->count(), 1);
        auto* find = page_->findChild<QPushButton*>(QStringLiteral("compare.diagnose.a"));
        QVERIFY(find->isVisible() && !page_->findChild<QPushButton*>(QStringLiteral("compare.diagnose.b"))->isVisible());
        QSignalSpy asked(session_.get(), &Session::diagnoseRequested);
        find->click();
        QCOMPARE(asked[0][0].value<RunId>(), good_);
    }

    void warningsOfBothRunsAreListed() {
        auto* tabs = page_->findChild<QTabBar*>(QStringLiteral("compare.evidence"));
        QCOMPARE(tabs->tabText(3), QStringLiteral("Warnings (1)"));
        tabs->setCurrentIndex(3);
        auto* table = page_->findChild<WarningsTable*>();
        QVERIFY(table->isVisible());
        QCOMPARE(table->item(0, 0)->text(), QStringLiteral("B"));
        QCOMPARE(table->item(0, 1)->text(), QStringLiteral("only 12 samples"));
        QVERIFY(table->markdown().contains(QStringLiteral("| noise | take more |")));
        session_->selectRuns(good_, other_);
        QVERIFY(!table->isVisible());
        QCOMPARE(tabs->tabText(3), QStringLiteral("Warnings"));
    }

    void theDistributionLaysBothOverEachOther() {
        auto* plot = page_->findChild<KlHistogram*>(QStringLiteral("compare.distribution"));
        page_->findChild<QTabBar*>(QStringLiteral("compare.curves"))->setCurrentIndex(2);
        QVERIFY(plot->isVisible());
        double a = 0, b = 0;
        const QStringList lines = plot->csv().split(QLatin1Char('\n'), Qt::SkipEmptyParts);
        for (const QString& line : lines.mid(1)) {
            a += line.section(QLatin1Char(','), 2, 2).toDouble();
            b += line.section(QLatin1Char(','), 3, 3).toDouble();
        }
        QVERIFY(std::abs(a - 1) < 1e-6 && std::abs(b - 1) < 1e-6); // every token is somewhere
        QVERIFY2(plot->textAt(std::log10(0.0094)).contains(QStringLiteral("A ")), qPrintable(plot->textAt(std::log10(0.0094))));
        QVERIFY(plot->xAxis->range().contains(std::log10(double(page_->comparison().tokensB.kl[150]))));
        QVERIFY(test::differentColors(plot->grab().toImage()) > 8);
    }

    void aReportIsAskedForOnBoth() {
        QSignalSpy asked(session_.get(), &Session::reportRequested);
        page_->findChild<QPushButton*>(QStringLiteral("compare.report"))->click();
        QCOMPARE(asked.size(), 1);
        QCOMPARE(asked[0][1].value<RunId>(), bad_);
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
        // A diagram of three bins, one of them empty; a log from elsewhere may hold anything in its place.
        Json bins = Json::array();
        for (const double at : {0.25, 0.5, 0.75})
            bins.push_back({{"count", at == 0.5 ? 0 : 100}, {"confidence", at}, {"accuracy", at - 2 * kl}, {"low", at - 2 * kl - 0.05}, {"high", at - 2 * kl + 0.05}});
        log.setResult(run, {{"evaluation", {{"reliability", std::string(protocol) == "windows:256" ? bins : Json{{{"count", "many"}}}}}}});
        log.finishRun(run, RunStatus::done);
        return run;
    }

    /// Eight windows of 31 scored tokens, two texts: the first costs `kl` in the mean, the second 0.01 whatever the run.
    RunId addParts(ExperimentLog& log, const char* format, std::uint64_t seed, double kl) {
        Recipe recipe;
        recipe.kind = "quantize";
        recipe.checkpoint = demo_.checkpoint->path();
        recipe.assignment.format = format;
        recipe.evaluation.protocol = "windows:32";
        recipe.seed = seed;
        const RunId run = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
        TokenScoreRow scores;
        for (int i = 0; i < 248; ++i) {
            scores.ids.push_back(100 + i);
            const double mean = i < 124 ? kl : 0.01, wave = 0.2 * std::sin(i * (i < 124 ? 1.0 : kl * 1000));
            scores.kl.push_back(float(mean * (1 + wave)));
            scores.nll.push_back(float(3 + mean * (1 + wave)));
            scores.marks.push_back(std::uint8_t(i % 3 == 0 ? kTokenWasLikeliest | kSameLikeliest : i % int(100 * kl + 2) == 0 ? 0 : kSameLikeliest));
            const bool first = std::string(format) == "q8_0";
            packTopTokens(std::vector<TopToken>{{100 + i, first ? 0.61f : 0.33f, 0.64f}, {20, first ? 0.35f : 0.58f, 0.33f}, {first ? 21 : 22, 0.02f, 0.01f}}, scores.topTokens);
        }
        scores.texts = {{"prose.txt", "paragraph", {60, 64}}, {"code.txt", "paragraph", {124}}};
        log.addTokenScores(run, scores);
        log.addMetrics(run, {{"kl_mean", kl, kl / 20, "nats/token"}, {"nll", 3 + kl, 0.1, "nats/token"}, {"evaluation_windows", 8, std::nullopt, "windows"}});
        log.finishRun(run, RunStatus::done);
        return run;
    }

    RunId finish(ExperimentLog& log, const char* kind, const Json& result, const std::vector<OutputPairRow>& pairs) {
        Recipe recipe;
        recipe.kind = kind;
        recipe.checkpoint = demo_.checkpoint->path();
        const RunId run = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
        log.setResult(run, result);
        if (!pairs.empty()) {
            log.setOutputPairs(run, pairs);
            log.addMetrics(run, {{"outputs_same", 0, std::nullopt, "share"}});
        }
        log.finishRun(run, RunStatus::done);
        return run;
    }

    /// A diagnosis and a warning of B, outputs of both runs.
    void addEvidence(ExperimentLog& log) {
        log.setWarnings(bad_, {{"few-samples", "only 12 samples", "noise", "take more", {}}});
        const LogReader reader(logPath().toStdString());
        const TokenScoreRow scores = *reader.tokenScores(bad_);
        const double kl = double(scores.kl[150]);
        finish(log, "diagnose", {{"of", bad_.value()},
                                 {"culprits", Json::array({Json{{"site", "blk.1.attn_v"}, {"share", 0.6}}, Json{{"site", "blk.2.ffn_down"}, {"share", nullptr}}})},
                                 {"raise", {{"format", "q8_0"}, {"bytes", 1000}, {"kl_before", 0.05}, {"kl_after", 0.01}}},
                                 {"findings", Json::array({Json{{"kind", "culprits"}, {"title", "two sites"}, {"evidence", "KL"}, {"advice", "raise"}}})},
                                 {"worst_tokens", Json::array({Json{{"kl", kl}, {"ids", {247, 248, 249, 250}},
                                                                     {"sites", Json::array({Json{{"site", "blk.2.ffn_down"}, {"won_back", 0.11 * kl}}, Json{{"site", "blk.1.attn_v"}, {"won_back", 0.54 * kl}}})}}})}}, {});
        const auto judged = [](const char* text, bool collapsed) {
            return Json{{"text", text}, {"ids", {300, 301, 302}}, {"under_base", {-1.0, -1.0, -1.0}}, {"under_model", {-2.0, -2.0, -2.0}},
                        {"collapse", {{"longest_loop", collapsed ? 12 : 0}, {"distinct_2", 0.5}, {"collapsed", collapsed}}}};
        };
        const auto pair = [&](const char* text, std::int64_t divergence, double cosine) {
            return OutputPairRow{"1", "p", divergence, cosine, {{"base", judged("to be or", false)}, {"model", judged(text, cosine < 0.95)}, {"lowest_cosine", 0.7},
                                 {"top_base", Json::array({Json{{"id", 300}, {"log_probability", -0.5}}})}, {"top_model", Json::array({Json{{"id", 301}, {"log_probability", "?"}}})}}};
        };
        log.addTag(finish(log, "evaluate", Json::object(), {pair("to be fair", 2, 0.99)}), outputsTag(good_));
        log.addTag(finish(log, "evaluate", Json::object(), {pair("to be be be", 2, 0.91)}), outputsTag(bad_));
        log.addOutput(good_, {"q", "two and", Json::array()});
        log.addOutput(bad_, {"q", "two plus", Json::array()});
    }

    test::Demo demo_;
    RunId good_, bad_, other_, partsA_, partsB_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<ComparePage> page_;
};

int main(int argc, char** argv) { return test::run<CompareTest>(argc, argv); }
#include "compare_test.moc"
