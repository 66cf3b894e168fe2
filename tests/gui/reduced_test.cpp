// SPDX-License-Identifier: GPL-3.0-or-later
// An architecture that nobody described here, in the window: its weights can be looked at, painted and quantized; what
// needs a forward pass is disabled and says why.
#include "app/gui/main_window.h"
#include "core/checkpoint/checkpoint.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/mix/bits_grid.h"
#include "widgets/mix/mix_page.h"
#include "widgets/mix/mix_state.h"

#include <QAction>
#include <QFile>
#include <QLabel>
#include <QPushButton>
#include <QSignalSpy>
#include <QToolButton>
#include <QTreeView>

using namespace bw;

namespace {

constexpr int kPatience = 60000; ///< ms; bounds a hang only

/// A copy of a small checkpoint under an unknown name of the architecture; one linear has an unknown name too.
QString makeZebra() {
    const QString from = QStringLiteral(BW_TEST_DATA "/families/mistral/"), to = test::home().file(QStringLiteral("zebra/"));
    QDir().mkpath(to);
    const auto copy = [&](const QString& name, const QByteArray& old, const QByteArray& renamed) {
        QFile in(from + name), out(to + name);
        if (!in.open(QIODevice::ReadOnly) || !out.open(QIODevice::WriteOnly)) return;
        out.write(in.readAll().replace(old, renamed));
    };
    copy(QStringLiteral("config.json"), "\"mistral\"", "\"zebra\"");
    copy(QStringLiteral("model.safetensors"), "mlp.up_proj", "mlp.zz_proj");
    return to;
}

} // namespace

class ReducedTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        test::noWarnings();
        window_ = std::make_unique<MainWindow>();
        window_->show();
        QVERIFY(window_->studio().openLog(test::home().file(QStringLiteral("reduced.db"))));
        QSignalSpy opened(&window_->studio(), &Studio::checkpointOpened);
        window_->studio().openCheckpoint(makeZebra());
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(window_->studio().quiet(), kPatience);
        QVERIFY(session().model());
        QVERIFY(session().whyNoForward().contains(QStringLiteral("'zebra'")));
    }

    void cleanupTestCase() { window_.reset(); }

    void treeAndHistogramsShowEverySite() {
        QVERIFY(window_->findChild<QTreeView*>(QStringLiteral("model.tree"))->isVisible());
        for (const Site& site : session().model()->sites()) QVERIFY2(session().siteFacts(QString::fromStdString(site.name)).known, site.name.c_str());
        const QString odd = QStringLiteral("model.layers.1.mlp.zz_proj");
        session().selectSite(odd);
        QTRY_VERIFY_WITH_TIMEOUT(session().weightView(odd), kPatience);
        QVERIFY(session().weightView(odd)->gridLevels.size() > 3);
    }

    void theMixPagePaints() {
        window_->showWorkspace(QStringLiteral("mix"));
        auto* page = window_->findChild<MixPage*>();
        const MixState& state = *page->model();
        QCOMPARE(state.sites().size(), qsizetype(session().model()->sites().size()));
        const MixSite& odd = state.sites()[state.indexOf(QStringLiteral("model.layers.1.mlp.zz_proj"))];
        QCOMPARE(odd.block, 1); // by the number in its name
        QVERIFY(!page->grid()->cellRect(odd.name).isEmpty());
        const quint64 before = state.totals().bytes;
        page->grid()->setBrush(QStringLiteral("q8_0"));
        QTest::mouseClick(page->grid()->viewport(), Qt::LeftButton, {}, page->grid()->cellRect(odd.name).center().toPoint());
        QCOMPARE(session().siteFormat(odd.name), QStringLiteral("q8_0"));
        QVERIFY(state.totals().bytes > before);
        page->grid()->setBrush({});
        QVERIFY(texts(page).contains(QStringLiteral("zebra"))); // why there is no map
        QVERIFY(!buttonWith(page, "Verify mix")->isEnabled());
        QVERIFY(buttonWith(page, "Verify mix")->toolTip().contains(QStringLiteral("zebra")));
        QVERIFY(!page->findChild<QPushButton*>(QStringLiteral("sweep.fisher"))->isVisible());
    }

    void whatNeedsAForwardPassIsDisabledAndSaysWhy() {
        for (const char* name : {"run.calibrate", "run.sweep", "run.evaluate", "run.mix"}) {
            const QAction* action = window_->findChild<QAction*>(QString::fromLatin1(name));
            QVERIFY2(action && !action->isEnabled(), name);
            QVERIFY2(action->toolTip().contains(QStringLiteral("zebra")), name);
        }
        QVERIFY(window_->findChild<QAction*>(QStringLiteral("run.quantize"))->isEnabled());
        auto* run = window_->findChild<QToolButton*>(QStringLiteral("bar.run"));
        window_->showWorkspace(QStringLiteral("model"));
        QVERIFY(run->isEnabled());
        window_->showWorkspace(QStringLiteral("calibrate"));
        QVERIFY(!run->isEnabled() && run->toolTip().contains(QStringLiteral("zebra")));
        QVERIFY(!window_->findChild<QPushButton*>(QStringLiteral("calibrate.run"))->isEnabled());
    }

    void quantizesAndWrites() {
        Recipe recipe = session().recipe();
        recipe.kind = "quantize";
        recipe.assignment.format = "q8_0";
        recipe.exporting.path = test::home().file(QStringLiteral("zebra-q8")).toStdString();
        QSignalSpy finished(&window_->studio().jobs(), &JobQueue::finished), failed(&window_->studio().jobs(), &JobQueue::failed);
        window_->studio().run(recipe);
        QTRY_COMPARE_WITH_TIMEOUT(finished.count() + failed.count(), 1, kPatience);
        QVERIFY2(failed.isEmpty(), failed.isEmpty() ? "" : qPrintable(failed.first().at(1).value<JobError>().message));
        QVERIFY(Checkpoint::open(recipe.exporting.path)->tensors().size() > 0);
    }

    void aKnownModelEnablesThemAgain() {
        QSignalSpy opened(&window_->studio(), &Studio::checkpointOpened);
        window_->studio().openCheckpoint(test::resource("demo"));
        QTRY_COMPARE_WITH_TIMEOUT(opened.count(), 1, kPatience);
        QVERIFY(session().whyNoForward().isEmpty());
        QVERIFY(window_->findChild<QAction*>(QStringLiteral("run.sweep"))->isEnabled());
    }

private:
    Session& session() { return window_->studio().session(); }
    static QString texts(const QWidget* page) {
        QString all;
        for (const QLabel* label : page->findChildren<QLabel*>())
            if (label->isVisible()) all += label->text() + QLatin1Char('\n');
        return all;
    }
    static QPushButton* buttonWith(const QWidget* page, const char* text) {
        for (QPushButton* button : page->findChildren<QPushButton*>())
            if (button->text() == QLatin1String(text)) return button;
        return nullptr;
    }
    std::unique_ptr<MainWindow> window_;
};

int main(int argc, char** argv) { return test::run<ReducedTest>(argc, argv); }
#include "reduced_test.moc"
