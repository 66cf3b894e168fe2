// SPDX-License-Identifier: GPL-3.0-or-later
// The Methods tab of Mix as a person uses it, with the real engine on the demo checkpoint: proposals for a target, taking one,
// trying all, stopping and going on, taking a measured row.
#include "app/gui/studio.h"
#include "core/experiment/guide.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/mix/method_guide.h"
#include "widgets/mix/methods_table.h"
#include "widgets/mix/methods_view.h"
#include "widgets/mix/mix_page.h"
#include "widgets/mix/mix_state.h"

#include <QComboBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QPushButton>
#include <QSignalSpy>
#include <QTabBar>
#include <QTableWidget>

using namespace bw;

namespace {

constexpr int kPatience = 120000; // only bounds a hang on a loaded machine

} // namespace

class MethodsTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        test::noWarnings();
        studio_ = std::make_unique<Studio>();
        QVERIFY(studio_->openLog(test::home().file(QStringLiteral("methods.db"))));
        session().setCheckpoint(demo_.checkpoint, demo_.model);
        Recipe recipe;
        recipe.checkpoint = demo_.checkpoint->path();
        recipe.calibration = {{test::resource("texts/calib_prose.txt").toStdString()}, 4, 64};
        recipe.evaluation = {{test::resource("texts/eval_prose.txt").toStdString()}, "windows:64", 256};
        session().replaceRecipe(recipe);
        page_ = std::make_unique<MixPage>(&session());
        page_->resize(1100, 800);
        page_->show();
        QVERIFY(QTest::qWaitForWindowExposed(page_.get()));
        page_->findChild<QTabBar*>(QStringLiteral("mix.views"))->setCurrentIndex(2);
        QVERIFY(guide() && guide()->isVisible());
    }
    void cleanup() {
        page_.reset();
        studio_.reset();
    }

    void theTargetDecidesWhatIsProposed() {
        const auto cpu = names();
        QVERIFY(cpu.size() >= 2 && cpu.size() <= 3);
        QVERIFY(cpu.first().startsWith(QStringLiteral("Q4_K_M")));
        choose("guide.target", "nvidia");
        QVERIFY(names() != cpu && names().size() >= 2);
        for (const MethodTrial& trial : guide()->proposals()) {
            bool named = false, explained = false;
            for (const QLabel* label : guide()->findChildren<QLabel*>()) {
                named |= label->isVisible() && label->text() == QString::fromStdString(trial.name);
                explained |= label->isVisible() && label->text() == QString::fromStdString(trial.why);
            }
            QVERIFY2(named && explained, trial.name.c_str());
        }
        // A size that nothing reaches is told in place of proposals, with the way out.
        Recipe small = session().recipe();
        small.assignment.budget = "0.5bpw";
        session().editRecipe(QStringLiteral("size"), small);
        QVERIFY(guide()->proposals().empty());
        QVERIFY(!tryButton()->isEnabled());
        session().undoStack()->undo();
        QVERIFY(tryButton()->isEnabled());
    }

    void nothingIsCutInANarrowWindow() {
        page_->resize(762, 618); // of a window of 1100 × 700
        QCoreApplication::processEvents();
        const auto* view = page_->findChild<MethodsView*>();
        QVERIFY2(view->widget()->width() <= view->viewport()->width(), qPrintable(QString::number(view->widget()->width() - view->viewport()->width())));
        for (const QComboBox* box : view->findChildren<QComboBox*>())
            if (box->objectName().startsWith(QStringLiteral("guide."))) QVERIFY(box->width() >= box->sizeHint().width());
        page_->resize(1100, 800);
    }

    void whatIsMissingIsSaid() {
        Recipe bare = session().recipe();
        bare.evaluation.files.clear();
        session().editRecipe(QStringLiteral("x"), bare);
        QVERIFY(!tryButton()->isEnabled() && says(QStringLiteral("evaluation text")));
        session().undoStack()->undo();
        bare = session().recipe();
        bare.calibration.files.clear();
        session().editRecipe(QStringLiteral("x"), bare);
        QVERIFY(!tryButton()->isEnabled() && says(QStringLiteral("calibration text")));
    }

    void aProposalIsTakenAsOneStep() {
        const Recipe before = session().recipe();
        const MethodTrial first = guide()->proposals().front();
        for (QPushButton* use : guide()->findChildren<QPushButton*>())
            if (use->isVisible() && use->accessibleName() == QStringLiteral("Use ") + QString::fromStdString(first.name)) {
                use->click();
                break;
            }
        QCOMPARE(session().recipe().rounder, first.recipe.rounder);
        QCOMPARE(session().recipe().assignment.format, first.recipe.assignment.format);
        QCOMPARE(page_->findChild<QComboBox*>(QStringLiteral("method.2"))->currentText(), QStringLiteral("GPTQ"));
        session().undoStack()->undo();
        QVERIFY(session().recipe() == before);
    }

    void partsOfTheMethodAreOffered() {
        auto* transform = page_->findChild<QComboBox*>(QStringLiteral("method.1"));
        for (int i = 0; i < transform->count(); ++i) { // all that is offered can be run
            transform->setCurrentIndex(i);
            Q_EMIT transform->activated(i);
            QCOMPARE(Recipe::fromJson(session().recipe().toJson()).transform, session().recipe().transform);
        }
        const int smooth = transform->findText(QStringLiteral("SmoothQuant, α fixed"));
        Q_EMIT transform->activated(smooth);
        auto* strength = page_->findChild<QDoubleSpinBox*>(QStringLiteral("method.strength"));
        QVERIFY(strength->isVisible());
        strength->setValue(0.8);
        QCOMPARE(session().recipe().transform, std::string("smooth:alpha=0.80"));
        // Inputs are rounded once: by the recipe's activations or by the runtime that it is judged as.
        auto *activations = page_->findChild<QComboBox*>(QStringLiteral("method.3")), *runtime = page_->findChild<QComboBox*>(QStringLiteral("method.5"));
        for (int i = 0; i < runtime->count(); ++i) {
            Q_EMIT runtime->activated(i);
            QCOMPARE(Recipe::fromJson(session().recipe().toJson()).evaluation.runtime, runtime->itemData(i, Qt::UserRole).toString().toStdString());
        }
        Q_EMIT activations->activated(1);
        QVERIFY(session().recipe().evaluation.runtime == "ideal" && !runtime->isEnabled());
        Recipe::fromJson(session().recipe().toJson());
    }

    void tryAllRanksAndStopsAndGoesOn() {
        QSignalSpy stopped(&studio_->jobs(), &JobQueue::stopped), done(&studio_->jobs(), &JobQueue::finished);
        tryButton()->click();
        QVERIFY(studio_->jobs().busy());
        studio_->jobs().cancel();
        QTRY_COMPARE_WITH_TIMEOUT(stopped.count(), 1, kPatience);
        studio_->goOn(stopped.first().at(1).toString());
        QTRY_COMPARE_WITH_TIMEOUT(done.count(), 1, kPatience);
        const std::size_t tried = guide()->proposals().size();
        QTRY_COMPARE_WITH_TIMEOUT(table()->rowCount(), int(tried), kPatience);
        double last = 0;
        for (int row = 0; row < table()->rowCount(); ++row) { // the best first
            const MeasuredMix* mix = runOf(row);
            QVERIFY(mix && mix->damage > last && mix->bitsPerWeight > 4 && mix->bitsPerWeight < 6);
            QVERIFY(!std::isnan(mix->perplexity) && !std::isnan(mix->sameTop1));
            last = mix->damage;
        }
        // Once more costs nothing: the log holds them all.
        const std::size_t runs = session().runs().size();
        tryButton()->click();
        QTRY_COMPARE_WITH_TIMEOUT(done.count(), 2, kPatience);
        session().refreshLog();
        QCOMPARE(session().runs().size(), runs);
        // A row gives its recipe.
        const MeasuredMix best = *runOf(0);
        Q_EMIT table()->cellActivated(0, 0);
        QVERIFY(sameMethod(best.recipe, session().recipe()));
        QCOMPARE(session().recipe().assignment.format, best.recipe.assignment.format);
        QVERIFY(page_->model()->measuredNow());
    }

private:
    Session& session() { return studio_->session(); }
    MethodGuide* guide() { return page_->findChild<MethodGuide*>(); }
    QPushButton* tryButton() { return page_->findChild<QPushButton*>(QStringLiteral("guide.try")); }
    QTableWidget* table() { return page_->findChild<QTableWidget*>(QStringLiteral("methods.table")); }
    QStringList names() {
        QStringList all;
        for (const MethodTrial& trial : guide()->proposals()) all << QString::fromStdString(trial.name);
        return all;
    }
    void choose(const char* box, const char* value) {
        auto* combo = page_->findChild<QComboBox*>(QString::fromLatin1(box));
        combo->setCurrentIndex(combo->findData(QString::fromLatin1(value)));
    }
    bool says(const QString& words) {
        const auto labels = guide()->findChildren<QLabel*>();
        return std::any_of(labels.begin(), labels.end(), [&](const QLabel* label) { return label->isVisible() && label->text().contains(words); });
    }
    const MeasuredMix* runOf(int row) {
        const qlonglong run = table()->item(row, 0)->data(Qt::UserRole).toLongLong();
        for (const MeasuredMix& mix : page_->model()->measured())
            if (mix.run.value() == run) return &mix;
        return nullptr;
    }

    test::Demo demo_;
    std::unique_ptr<Studio> studio_;
    std::unique_ptr<MixPage> page_;
};

int main(int argc, char** argv) { return test::run<MethodsTest>(argc, argv); }
#include "methods_test.moc"
