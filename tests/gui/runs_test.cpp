// SPDX-License-Identifier: GPL-3.0-or-later
// The Runs page on a log of ten thousand runs: all of them are there, found and sorted, and the window never stands still.
#include "tests/gui/gui_fixture.h"
#include "tests/gui/turn_meter.h"
#include "widgets/compare/compare_page.h"
#include "widgets/mix/mix_state.h"
#include "widgets/runs/runs_model.h"
#include "widgets/runs/runs_page.h"
#include "widgets/session/session.h"

#include <QCheckBox>
#include <QHeaderView>
#include <QLineEdit>
#include <QSignalSpy>
#include <QTableWidget>
#include <QTreeView>
#include <SQLiteCpp/SQLiteCpp.h>

using namespace bw;

namespace {

constexpr int kRuns = 10'000, kPatience = 60'000;
constexpr double kMostSeconds = 0.1 * test::kSlower; ///< of the window's thread between two waits for events

} // namespace

class RunsTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        ExperimentLog log(path().toStdString());
        Recipe recipe;
        recipe.kind = "quantize";
        recipe.checkpoint = demo_.checkpoint->path();
        const RunId first = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
        log.addAssignments(first, {{"blk.0.attn_q", "q4_0", "q4_0", "", 1000, 0, 0.01}});
        log.finishRun(first, RunStatus::done);
        SQLite::Database database(path().toStdString(), SQLite::OPEN_READWRITE);
        const auto repeat = [&](const char* sql) { database.exec("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(kRuns) + ") " + sql); };
        database.exec("PRAGMA synchronous = OFF; BEGIN");
        repeat("INSERT INTO runs (id, kind, name, status, checkpoint, stack, recipe, command_line, started_at, seconds, pid, process_start, boot_id, build) "
               "SELECT i, CASE i % 3 WHEN 0 THEN 'sweep' WHEN 1 THEN 'quantize' ELSE 'evaluate' END, 'trial ' || i, 'done', checkpoint, stack, recipe, command_line, started_at, i % 977, pid, process_start, boot_id, build FROM runs, n WHERE id = 1");
        repeat("INSERT INTO metrics (run, name, value, standard_error) SELECT i, m.value, (i * 7919 % 10007) * 0.001, 0.1 FROM n, "
               "json_each('[\"kl_mean\",\"same_top1\",\"perplexity\",\"nll\",\"ece\",\"brier\",\"kl_p99\",\"bytes\"]') m WHERE i % 10 != 0");
        database.exec("COMMIT");
    }

    void init() {
        test::noWarnings();
        session_ = std::make_unique<Session>();
        session_->setCheckpoint(demo_.checkpoint, demo_.model);
        page_ = std::make_unique<RunsPage>(session_.get());
        page_->resize(1300, 800);
        page_->show();
        QVERIFY(QTest::qWaitForWindowExposed(page_.get()));
    }

    void cleanup() {
        page_.reset();
        session_.reset();
    }

    void tenThousandRunsComeWithoutAPause() {
        ComparePage compare(session_.get());
        compare.resize(1300, 800);
        compare.show();
        MixState mix(session_.get());
        connect(session_.get(), &Session::logChanged, &mix, &MixState::readLog);
        QCoreApplication::processEvents();
        test::TurnMeter meter;
        session_->setLog(path());
        QVERIFY2(session_->runs().size() >= 200, "the newest are there at once");
        // All of them, the comparison of the two newest (worked out beside), and what was queued behind.
        QVERIFY(test::spin([&] { return model()->shownRuns() == kRuns && !compare.comparison().empty(); }, kPatience));
        QCOMPARE(session_->runs().size(), std::size_t(kRuns));
        test::spin([] { return false; }, 300);
        qInfo("%d runs: %zu turns, the longest %.0f ms of processor time", kRuns, meter.turns(), 1000 * meter.longest());
        QVERIFY(meter.turns() > 3);
        QVERIFY2(meter.longest() < kMostSeconds, qPrintable(QString::number(meter.longest())));
    }

    void allOfThemAreFoundAndSorted() {
        load();
        auto* filter = page_->findChild<QLineEdit*>(QStringLiteral("runs.filter"));
        test::TurnMeter meter;
        const auto wait = [&] { // a turn of the loop, with the painting
            const std::size_t before = meter.turns();
            test::spin([&] { return meter.turns() > before + 1; }, kPatience);
        };
        QTest::keyClicks(filter, QStringLiteral("trial 12"));
        wait();
        QCOMPARE(model()->shownRuns(), 1 + 10 + 100 ); // 12, 120–129, 1200–1299
        QTest::keyClicks(filter, QStringLiteral("34"));
        wait();
        QCOMPARE(model()->shownRuns(), 1); // the oldest come with a page of their own
        filter->setText(QStringLiteral("TRIAL 2 "));
        wait();
        QCOMPARE(model()->shownRuns(), 1);
        filter->clear();
        wait();
        for (const int column : {int(RunsModel::kName), int(RunsModel::kSeconds), int(RunsModel::kStarted), metric("kl_mean")})
            for (const Qt::SortOrder order : {Qt::AscendingOrder, Qt::DescendingOrder}) {
                table()->sortByColumn(column, order);
                wait();
                QCOMPARE(model()->shownRuns(), kRuns);
                const auto key = [&](int row) { return model()->index(row, column).data(RunsModel::kSortRole); };
                for (int row = 1; row < kRuns; row += 37) {
                    if (!key(row).isValid()) break; // runs without the metric come last
                    const bool text = key(row).userType() == QMetaType::QString;
                    const bool falls = text ? key(row).toString() < key(row - 1).toString() : key(row).toDouble() < key(row - 1).toDouble();
                    const bool rises = text ? key(row).toString() > key(row - 1).toString() : key(row).toDouble() > key(row - 1).toDouble();
                    QVERIFY2(order == Qt::AscendingOrder ? !falls : !rises, qPrintable(QString::number(row)));
                }
            }
        QVERIFY(!model()->index(kRuns - 1, metric("kl_mean")).data(RunsModel::kSortRole).isValid());
        page_->findChild<QCheckBox*>()->click();
        wait();
        QCOMPARE(model()->rowCount(model()->index(0, 0)), kRuns);
        qInfo("filters, sorts and groups: the longest turn %.0f ms of processor time", 1000 * meter.longest());
        QVERIFY2(meter.longest() < kMostSeconds, qPrintable(QString::number(meter.longest())));
    }

    void whatIsChosenStaysChosen() {
        load();
        const QModelIndex old = model()->indexOf(RunId(5));
        table()->selectionModel()->setCurrentIndex(old, QItemSelectionModel::ClearAndSelect | QItemSelectionModel::Rows);
        table()->sortByColumn(RunsModel::kSeconds, Qt::AscendingOrder);
        QCOMPARE(chosen(), QVector<qint64>{5});
        QCOMPARE(table()->currentIndex().data(RunsModel::kRunRole).toLongLong(), 5);
        page_->findChild<QLineEdit*>(QStringLiteral("runs.filter"))->setText(QStringLiteral("trial 5"));
        QCOMPARE(chosen(), QVector<qint64>{5});
        const int width = table()->header()->sectionSize(RunsModel::kName);
        table()->header()->resizeSection(RunsModel::kName, width + 17);
        page_->findChild<QLineEdit*>(QStringLiteral("runs.filter"))->clear();
        QCOMPARE(table()->header()->sectionSize(RunsModel::kName), width + 17);
        QVERIFY(table()->header()->isSectionHidden(metric("nll")));
    }

    void figuresByTextStandBelowTheTable() {
        const QString path = test::home().file(QStringLiteral("parts.db"));
        RunId with, without;
        {
            ExperimentLog log(path.toStdString());
            Recipe recipe;
            recipe.kind = "evaluate";
            recipe.checkpoint = demo_.checkpoint->path();
            without = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
            log.finishRun(without, RunStatus::done);
            with = log.beginRun(recipe, "test", *demo_.checkpoint, *demo_.device);
            const auto part = [](const char* name, double kl) { return Json{{"name", name}, {"tokens", 1200}, {"perplexity", 44.25}, {"kl_mean", kl}, {"kl_se", 1e-4}, {"same_top1", 0.95}}; };
            log.setResult(with, {{"by_text", Json::array({part("prose.txt", 0.0033), part("code.txt", 0.0052), 7})}, {"positions", "none"}});
            log.finishRun(with, RunStatus::done);
        }
        session_->setLog(path);
        auto* texts = page_->findChild<QTableWidget*>(QStringLiteral("runs.by-text"));
        const auto choose = [&](RunId run) { table()->selectionModel()->setCurrentIndex(model()->indexOf(run), QItemSelectionModel::ClearAndSelect | QItemSelectionModel::Rows); };
        choose(without);
        QVERIFY(!texts->isVisible());
        choose(with);
        QVERIFY(texts->isVisible());
        QCOMPARE(texts->rowCount(), 2);
        QCOMPARE(texts->item(1, 0)->text(), QStringLiteral("code.txt"));
        QCOMPARE(texts->item(1, 3)->text(), QStringLiteral("0.00520 ± 0.00010"));
        QCOMPARE(texts->item(0, 4)->text(), QStringLiteral("95.00 %"));
    }

    /// A star on the oldest run is written by another connection; it shows although only the newest are read at once.
    void newsOfOldRunsArrives() {
        load();
        QVERIFY(!session_->runs().find(RunId(3))->starred);
        ExperimentLog log(path().toStdString());
        log.setStar(RunId(3), true);
        log.addTag(RunId(3), "keeper");
        const RunList before = session_->runs();
        session_->refreshLog();
        QTRY_VERIFY_WITH_TIMEOUT(session_->runs().find(RunId(3))->starred, kPatience);
        QCOMPARE(session_->runs().pointer(0), before.pointer(0)); // what did not change was not replaced
        QTRY_COMPARE_WITH_TIMEOUT(model()->shownRuns(), kRuns, kPatience);
        page_->findChild<QLineEdit*>(QStringLiteral("runs.filter"))->setText(QStringLiteral("keeper"));
        QCOMPARE(model()->shownRuns(), 1);
        page_->findChild<QLineEdit*>(QStringLiteral("runs.filter"))->setText(QStringLiteral("star"));
        QCOMPARE(model()->shownRuns(), 1);
    }

    void anotherLogIsNotMixedWithTheLongOne() {
        session_->setLog(path()); // still being read …
        const QString small = test::home().file(QStringLiteral("small.db"));
        { ExperimentLog log(small.toStdString()); }
        session_->setLog(small);  // … when another one is opened
        QTest::qWait(300);
        QVERIFY(session_->runs().empty());
        QCOMPARE(model()->shownRuns(), 0);
    }

private:
    static QString path() { return test::home().file(QStringLiteral("large.db")); }
    QTreeView* table() const { return page_->findChild<QTreeView*>(QStringLiteral("runs.table")); }
    RunsModel* model() const { return qobject_cast<RunsModel*>(table()->model()); }
    int metric(const char* name) const { return RunsModel::kFirstMetric + int(model()->metricNames().indexOf(QString::fromLatin1(name))); }
    QVector<qint64> chosen() const {
        QVector<qint64> out;
        for (const QModelIndex& at : table()->selectionModel()->selectedRows(RunsModel::kId)) out << at.data(RunsModel::kRunRole).toLongLong();
        return out;
    }
    void load() {
        session_->setLog(path());
        QTRY_COMPARE_WITH_TIMEOUT(model()->shownRuns(), kRuns, kPatience);
    }

    test::Demo demo_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<RunsPage> page_;
};

int main(int argc, char** argv) { return test::run<RunsTest>(argc, argv); }
#include "runs_test.moc"
