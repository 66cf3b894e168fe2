// SPDX-License-Identifier: GPL-3.0-or-later
// The Calibrate workspace with the real engine: a calibration of the demo, its findings, and what-if questions that are answered
// on screen from its statistics, without another run.
#include "app/gui/studio.h"
#include "core/quantize/tensor_cache.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/calibrate/calibrate_page.h"
#include "widgets/calibrate/expert_panel.h"
#include "widgets/calibrate/what_if_panel.h"
#include "widgets/calibrate/what_if_plot.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/number_text.h"

#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFile>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QSignalSpy>
#include <QSlider>
#include <QSpinBox>
#include <QTabBar>
#include <QUndoStack>

using namespace bw;

namespace {

constexpr int kPatience = 120000; // only bounds a hang on a loaded machine
enum Method { kNothing, kSmooth, kSplit, kRotate };

} // namespace

class CalibrateTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        setTensorCache({test::home().file(QStringLiteral("cache")).toStdString(), {}, 0}); // statistics are kept beside it
        studio_ = std::make_unique<Studio>();
        QVERIFY(studio_->openLog(test::home().file(QStringLiteral("calibrate.db"))));
        session().setCheckpoint(demo_.checkpoint, demo_.model);
        page_ = std::make_unique<CalibratePage>(&session());
        page_->resize(1040, 780);
        page_->show();
        QVERIFY(QTest::qWaitForWindowExposed(page_.get()));
        QVERIFY(!find<QPushButton>("calibrate.whatif.use")->isHidden());
        QCOMPARE(error(0), QStringLiteral("–")); // no statistics: no numbers
        Recipe recipe;
        recipe.kind = "calibrate";
        recipe.checkpoint = demo_.checkpoint->path();
        // The mistake that must be seen: a file of its own, but with passages of what is judged.
        const QString evaluation = test::resource("texts/eval_prose.txt"), copy = test::home().file(QStringLiteral("copy.txt"));
        QFile from(evaluation), to(copy);
        QVERIFY(from.open(QIODevice::ReadOnly) && to.open(QIODevice::WriteOnly) && to.write(from.read(6000)) == 6000);
        to.close();
        recipe.calibration = {{copy.toStdString()}, 4, 64};
        recipe.evaluation = {{evaluation.toStdString()}, "windows:64", 0};
        session().replaceRecipe(recipe);
        calibrate();
        session().selectSite(QStringLiteral("blk.2.ffn_gate"));
        QTRY_VERIFY_WITH_TIMEOUT(input() && input()->group() == "blk.2.ffn_in", kPatience);
    }
    void init() {
        test::noWarnings();
        slider("clip")->setValue(100);
        method()->setCurrentIndex(kSmooth);
    }
    void cleanupTestCase() {
        page_.reset();
        studio_.reset();
        setTensorCache({});
    }

    void findingsOfTheDataAreOnScreen() {
        const auto* strip = find<QFrame>("calibrate.findings");
        QVERIFY(strip && strip->isVisible());
        bool overlap = false;
        for (const QLabel* line : strip->findChildren<QLabel*>())
            overlap |= line->text().contains(QStringLiteral("share")) && line->toolTip().contains(QStringLiteral("flatter"));
        QVERIFY(overlap);
    }

    void slidersMoveHistogramAndErrors() {
        const std::size_t runs = session().runs().size();
        const QImage before = picture();
        QStringList seen;
        for (const int step : {0, 8, 14, 20}) { // α = 0, 0.4, 0.7, 1
            slider("strength")->setValue(step);
            WhatIf asked;
            asked.alpha = step / 20.0;
            const WhatIfResult answer = input()->ask(asked);
            QCOMPARE(error(0), figureText(answer.bits8.tensor));
            QCOMPARE(error(3), figureText(answer.bits8.weight));
            seen << error(0);
        }
        QCOMPARE(QSet<QString>(seen.begin(), seen.end()).size(), seen.size());
        QVERIFY(picture() != before);
        QVERIFY(plot()->csv().contains(QStringLiteral("share_of_range,before,after")));
        QCOMPARE(session().runs().size(), runs); // nothing was run
        QVERIFY(!studio_->jobs().busy());
    }

    void everyMethodAnswers() {
        const double plain = input()->ask({}).bits8.tensor;
        QStringList errors;
        for (const int way : {kSmooth, kRotate}) {
            method()->setCurrentIndex(way);
            errors << error(0);
            QVERIFY(error(0) != figureText(plain));
        }
        method()->setCurrentIndex(kSplit);
        slider("strength")->setValue(0); // |x| > 1: every channel of this input is beyond
        QVERIFY(facts().contains(QStringLiteral("channels in 16 bits")));
        method()->setCurrentIndex(kNothing);
        QVERIFY(!slider("strength")->isEnabled());
        QCOMPARE(error(0), QStringLiteral("–"));
        slider("clip")->setValue(50);
        WhatIf clipped;
        clipped.clip = WhatIf::Clip::share;
        clipped.clipValue = 0.5;
        QCOMPARE(error(0), figureText(input()->ask(clipped).bits8.tensor));
        QVERIFY(facts().contains(QStringLiteral("% clipped")));
        QVERIFY(errors.first() != errors.last());
    }

    void anAnswerBecomesTheRecipesTransformAndACommand() {
        slider("strength")->setValue(14);
        slider("clip")->setValue(90);
        find<QPushButton>("calibrate.whatif.use")->click();
        QCOMPARE(session().recipe().transform, std::string("smooth:alpha=0.7"));
        QCOMPARE(Recipe::fromJson(session().recipe().toJson()).transform, session().recipe().transform);
        session().undoStack()->undo();
        QCOMPARE(session().recipe().transform, std::string("none"));
        method()->setCurrentIndex(kSplit);
        QVERIFY(find<QPushButton>("calibrate.whatif.use")->isVisible());
        method()->setCurrentIndex(kRotate);
        for (QPushButton* button : page_->findChildren<QPushButton*>())
            if (button->text() == QStringLiteral("copy as command") && qobject_cast<WhatIfPanel*>(button->parentWidget()->parentWidget()->parentWidget())) button->click();
        QVERIFY2(QGuiApplication::clipboard()->text().contains(QStringLiteral("--what-if rotate+clip:share=0.9")), qPrintable(QGuiApplication::clipboard()->text()));
    }

    void anotherSiteIsAnotherQuestion() {
        const QString here = error(0);
        session().selectSite(QStringLiteral("blk.4.attn_q"));
        QTRY_VERIFY_WITH_TIMEOUT(input() && input()->group() == "blk.4.attn_in", kPatience);
        QVERIFY(error(0) != here);
        session().selectSite(QStringLiteral("token_embd")); // is looked up: nothing enters it
        QCOMPARE(error(0), QStringLiteral("–"));
        session().selectSite(QStringLiteral("blk.2.ffn_gate"));
        QTRY_COMPARE_WITH_TIMEOUT(error(0), here, kPatience);
    }

    void nothingIsSquashedInALowWindow() {
        page_->resize(760, 610); // of a window of 1100 × 700
        auto* tabs = find<QTabBar>("calibrate.lower");
        QVERIFY(tabs->isVisible());
        for (const int tab : {1, 0}) {
            tabs->setCurrentIndex(tab);
            QCOMPARE(plot()->isVisible(), tab == 0);
            QCoreApplication::processEvents();
            for (const QWidget* widget : page_->findChildren<QWidget*>()) {
                if (!widget->isVisible() || !(qobject_cast<const QSpinBox*>(widget) || qobject_cast<const QPushButton*>(widget) || qobject_cast<const QComboBox*>(widget))) continue;
                const int least = widget->minimumWidth() > 0 ? widget->minimumWidth() : widget->minimumSizeHint().width(); // one that was set is enough
                QVERIFY2(widget->height() >= widget->minimumSizeHint().height() && widget->width() >= least, qPrintable(widget->accessibleName() + widget->objectName()));
            }
        }
        QVERIFY(plot()->height() >= 150);
        const auto* set = find<QScrollArea>("calibrate.set");
        QVERIFY2(set->widget()->width() <= set->viewport()->width(), qPrintable(QStringLiteral("%1 of %2 px").arg(set->widget()->width()).arg(set->viewport()->width())));
        page_->resize(1040, 780);
        QVERIFY(!tabs->isVisible());
    }

    void windowsAreChosenInThePanel() {
        const Recipe::CalibrationSet& set = session().recipe().calibrationSet;
        auto* sampling = find<QComboBox>("calibrate.sampling");
        auto* floor = find<QSpinBox>("calibrate.floor");
        sampling->setCurrentIndex(2);
        QCOMPARE(set.sampling, std::string("balanced"));
        QCOMPARE(set.expertFloor, std::int64_t{0}); // the usual one
        floor->setValue(256);
        QCOMPARE(set.expertFloor, std::int64_t{256});
        find<QSpinBox>("calibrate.least")->setValue(40);
        find<QCheckBox>("calibrate.deduplicate")->setChecked(true);
        find<QCheckBox>("calibrate.grams")->setChecked(true);
        QVERIFY(set.minLength == 40 && set.deduplicate && set.grams);
        Recipe two = session().recipe();
        two.calibration.files = {test::resource("texts/calib_prose.txt").toStdString(), test::resource("texts/calib_code.txt").toStdString()};
        session().editRecipe(QStringLiteral("two texts"), two);
        auto weights = page_->findChildren<QDoubleSpinBox*>(QStringLiteral("calibrate.weight"));
        QTRY_COMPARE((weights = page_->findChildren<QDoubleSpinBox*>(QStringLiteral("calibrate.weight"))).size(), 2);
        weights[1]->setValue(3);
        QTRY_COMPARE(set.weights.size(), std::size_t{1});
        QCOMPARE(set.weights.begin()->second, 3.0);
        while (session().undoStack()->canUndo()) session().undoStack()->undo();
        QCOMPARE(sampling->currentIndex(), 0);
        QVERIFY(set.sampling == "even" && set.weights.empty() && !set.deduplicate && !set.grams && set.minLength == 0);
    }

    void theOutlierMapShowsTheWhatIfInTheSameColours() {
        auto* map = find<HeatmapPlot>("calibrate.map");
        auto* after = find<QCheckBox>("calibrate.map.after");
        auto* method = page_->findChild<WhatIfPanel*>()->findChild<QComboBox*>();
        method->setCurrentIndex(1); // smooth
        QVERIFY(map->rows() > 0 && after->isEnabled());
        const double was = map->value(1, 3);
        const auto channels = session().log()->channelStatistics(session().calibrationRun());
        const auto row = std::find_if(channels.begin(), channels.end(), [](const ChannelStatisticsRow& r) { return r.group == "blk.1.attn_in"; });
        QVERIFY(row != channels.end() && row->weightMax.size() > 3);
        const double alpha = page_->findChild<WhatIfPanel*>()->question().alpha.value();
        const double high = map->scale().high;
        after->setChecked(true);
        const double expected = was * std::pow(double(row->weightMax[3]), 1 - alpha) / std::pow(was, alpha);
        QVERIFY2(std::abs(map->value(1, 3) - expected) <= 1e-6 * expected, qPrintable(QString::number(map->value(1, 3))));
        QVERIFY(map->scale().high >= high); // before and after on one scale
        QVERIFY(map->cellText(1, 3).contains(QStringLiteral("as it is")));
        after->setChecked(false);
        QCOMPARE(map->value(1, 3), was);
    }

    void expertsThatSawLittleAreSeen() {
        ExpertPanel panel(&session());
        panel.resize(300, 200);
        panel.setCoverage({{0, 0, 100}, {0, 1, 0}, {1, 0, 40}, {1, 1, 60}, {-3, 7, 1}});
        QCOMPARE(panel.map()->rows(), 2);
        QCOMPARE(panel.map()->columns(), 2);
        QCOMPARE(panel.map()->value(1, 1), 60.0);
        QVERIFY(panel.map()->cellText(0, 0).contains(QStringLiteral("100")));
        QVERIFY(!find<QTabBar>("calibrate.lower")->isTabVisible(2)); // the demo has none
    }

    void statisticsThatAreGoneAreSaid() {
        setTensorCache({});
        Recipe other = session().recipe();
        other.calibration.samples = 3; // the same again would be taken from the log
        session().replaceRecipe(other);
        calibrate(); // keeps no statistics
        QTRY_VERIFY_WITH_TIMEOUT(!session().whyNoWhatIf().isEmpty(), kPatience);
        QCOMPARE(error(0), QStringLiteral("–"));
    }

private:
    Session& session() { return studio_->session(); }
    void calibrate() {
        QSignalSpy done(&studio_->jobs(), &JobQueue::finished), failed(&studio_->jobs(), &JobQueue::failed);
        Q_EMIT session().runRequested(session().recipe(), RunId());
        QTRY_COMPARE_WITH_TIMEOUT(done.count() + failed.count(), 1, kPatience);
        QVERIFY2(failed.isEmpty(), failed.isEmpty() ? "" : qPrintable(failed.first().last().value<JobError>().message));
        session().refreshLog();
    }
    template <class Widget>
    Widget* find(const char* name) { return page_->findChild<Widget*>(QString::fromLatin1(name)); }
    std::shared_ptr<const WhatIfInput> input() { return session().whatIfInput(); }
    WhatIfPlot* plot() { return find<WhatIfPlot>("calibrate.whatif"); }
    QComboBox* method() { return find<QComboBox>("calibrate.whatif.method"); }
    QSlider* slider(const char* name) { return page_->findChild<QSlider*>(QStringLiteral("calibrate.whatif.") + QString::fromLatin1(name)); }
    QString error(int row) { return page_->findChild<QLabel*>(QStringLiteral("calibrate.whatif.error%1").arg(row))->text(); }
    QImage picture() {
        plot()->replot(); // a queued one may wait
        return plot()->grab().toImage();
    }
    QString facts() { return find<QLabel>("calibrate.whatif.facts")->text(); }

    test::Demo demo_;
    std::unique_ptr<Studio> studio_;
    std::unique_ptr<CalibratePage> page_;
};

int main(int argc, char** argv) { return test::run<CalibrateTest>(argc, argv); }
#include "calibrate_test.moc"
