// SPDX-License-Identifier: GPL-3.0-or-later
// The window in German: the translation is whole, every text that the window asks for is in it, nothing shown is cut where the
// window is smallest, and switching while the program runs keeps what is open.
// BW_SHOTS=FOLDER saves a picture of every workspace, to be looked at.
#include "app/gui/error_dialog.h"
#include "app/gui/launcher.h"
#include "app/gui/main_window.h"
#include "app/gui/notice_bar.h"
#include "app/gui/plan_dialog.h"
#include "app/gui/settings_dialog.h"
#include "core/experiment/guide.h"
#include "tests/gui/gui_fixture.h"
#include "widgets/compare/prompts_dialog.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/engine_words.h"
#include "widgets/theme/elided_label.h"

#include <QAbstractScrollArea>
#include <QCheckBox>
#include <QComboBox>
#include <QDirIterator>
#include <QDoubleSpinBox>
#include <QFile>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QSignalSpy>
#include <QStyle>
#include <QStyleOptionComboBox>
#include <QTabBar>
#include <QToolButton>
#include <QTranslator>
#include <QXmlStreamReader>

using namespace bw;
using test::home;

namespace {

constexpr int kPatience = 60000; // only bounds a hang on a loaded machine
constexpr const char* kWorkspaces[] = {"model", "calibrate", "mix", "runs", "compare"};

struct Entry {
    QString context, source, comment;
    QStringList translations; ///< one, or one for each form of the number
    bool unfinished = false, numerus = false;
};

QVector<Entry> readTranslation() {
    QVector<Entry> entries;
    QFile file(test::resource("translations/bitwright_de.ts"));
    if (!file.open(QIODevice::ReadOnly)) return entries;
    QXmlStreamReader xml(&file);
    QString context;
    while (!xml.atEnd()) {
        if (xml.readNext() != QXmlStreamReader::StartElement) continue;
        const auto name = xml.name();
        if (name == QLatin1String("name")) context = xml.readElementText();
        if (name == QLatin1String("message")) {
            entries << Entry{context, {}, {}, {}, false, false};
            entries.last().numerus = xml.attributes().value(QLatin1String("numerus")) == QLatin1String("yes");
        }
        if (name == QLatin1String("source")) entries.last().source = xml.readElementText();
        if (name == QLatin1String("comment")) entries.last().comment = xml.readElementText();
        if (name == QLatin1String("translation")) {
            entries.last().unfinished = xml.attributes().hasAttribute(QLatin1String("type"));
            if (!entries.last().numerus) entries.last().translations << xml.readElementText();
        }
        if (name == QLatin1String("numerusform")) entries.last().translations << xml.readElementText();
    }
    return entries;
}

/// "%1", "%2" … without repetitions, sorted; %n may be left out of a form.
QStringList placesOf(const QString& text) {
    static const QRegularExpression place(QStringLiteral("%[1-9]"));
    QStringList all;
    for (auto it = place.globalMatch(text); it.hasNext();) all << it.next().captured();
    all.removeDuplicates();
    all.sort();
    return all;
}

QString edgeOf(const QString& text) {
    const auto blank = [](QChar c) { return c.isSpace() ? QString(c) : QStringLiteral("."); };
    return text.isEmpty() ? QString() : blank(text.front()) + blank(text.back());
}

/// Asked first by tr(), answers nothing, and keeps what the window's own classes asked for.
class Recorder final : public QTranslator {
public:
    QString translate(const char* context, const char* source, const char*, int) const override {
        const QString from = QString::fromUtf8(context);
        if (*source != 0 && (from == QLatin1String("bw") || from.startsWith(QLatin1String("bw::")))) asked.insert({from, QString::fromUtf8(source)});
        return {};
    }
    bool isEmpty() const override { return false; }
    mutable QSet<QPair<QString, QString>> asked;
};

/// What the text of a widget takes beyond the widget; 0 when it fits.
int missingWidth(const QWidget* widget) {
    constexpr int kSlack = 1; // rounding of fractional advances
    const auto beyond = [&](const QString& text, int besides) {
        int widest = 0;
        for (const QString& line : text.split(QLatin1Char('\n'))) widest = std::max(widest, widget->fontMetrics().size(Qt::TextShowMnemonic, line).width());
        return std::max(0, widest + besides - widget->contentsRect().width() - kSlack);
    };
    if (const auto* label = qobject_cast<const QLabel*>(widget)) {
        if (label->text().isEmpty() || Qt::mightBeRichText(label->text()) || qobject_cast<const ElidedLabel*>(widget)) return 0;
        if (!label->wordWrap()) return beyond(label->text(), 0);
        return label->heightForWidth(label->width()) > label->height() + kSlack ? label->heightForWidth(label->width()) - label->height() : 0;
    }
    if (const auto* combo = qobject_cast<const QComboBox*>(widget)) {
        QStyleOptionComboBox option;
        option.initFrom(combo);
        const int room = combo->style()->subControlRect(QStyle::CC_ComboBox, &option, QStyle::SC_ComboBoxEditField, combo).width();
        return std::max(0, combo->fontMetrics().size(0, combo->currentText()).width() - room - kSlack);
    }
    if (const auto* box = qobject_cast<const QCheckBox*>(widget))
        return box->text().isEmpty() ? 0 : beyond(box->text(), box->style()->pixelMetric(QStyle::PM_IndicatorWidth, nullptr, box) + 4);
    if (const auto* tool = qobject_cast<const QToolButton*>(widget)) {
        if (tool->toolButtonStyle() == Qt::ToolButtonIconOnly || (tool->toolButtonStyle() != Qt::ToolButtonTextUnderIcon && !tool->icon().isNull() && tool->text().isEmpty())) return 0;
        return beyond(tool->text(), tool->toolButtonStyle() == Qt::ToolButtonTextBesideIcon ? tool->iconSize().width() + 4 : 0);
    }
    if (const auto* push = qobject_cast<const QPushButton*>(widget)) return push->text().isEmpty() ? 0 : beyond(push->text(), push->icon().isNull() ? 0 : push->iconSize().width() + 4);
    return 0;
}

/// Whether a neighbour or the edge of the window hides a part; what scrolls may be out of sight.
bool coveredInPart(const QWidget* widget) {
    for (const QWidget* above = widget->parentWidget(); above; above = above->parentWidget())
        if (qobject_cast<const QAbstractScrollArea*>(above)) return false;
    return widget->visibleRegion().boundingRect().size() != widget->size();
}

QString describe(const QWidget* widget, const QString& text) {
    QStringList path;
    for (const QObject* at = widget; at && path.size() < 4; at = at->parent())
        path << (at->objectName().isEmpty() ? QString::fromLatin1(at->metaObject()->className()) : at->objectName());
    return QStringLiteral("“%1” in %2").arg(text, path.join(QStringLiteral(" < ")));
}

QString textOf(const QWidget* widget) {
    if (const auto* label = qobject_cast<const QLabel*>(widget)) return label->text();
    if (const auto* button = qobject_cast<const QAbstractButton*>(widget)) return button->text();
    if (const auto* combo = qobject_cast<const QComboBox*>(widget)) return combo->currentText();
    return {};
}

/// One line for everything shown whose text is cut or covered.
QStringList cutTexts(QWidget* window) {
    QStringList cut;
    for (QWidget* widget : window->findChildren<QWidget*>()) {
        const QString text = textOf(widget);
        if (!widget->isVisible() || text.isEmpty()) continue;
        if (const int missing = missingWidth(widget); missing > 0) cut << describe(widget, text) + QStringLiteral(" misses %1 px").arg(missing);
        else if (coveredInPart(widget)) cut << describe(widget, text) + QStringLiteral(" is covered in part");
    }
    for (const auto* area : window->findChildren<QScrollArea*>()) {
        if (!area->isVisible() || !area->widget() || area->horizontalScrollBarPolicy() != Qt::ScrollBarAlwaysOff) continue;
        if (const int beyond = area->widget()->width() - area->viewport()->width(); beyond > 0) cut << describe(area, QStringLiteral("the contents")) + QStringLiteral(" miss %1 px").arg(beyond);
    }
    return cut;
}

void settle() {
    for (int i = 0; i < 5; ++i) QCoreApplication::processEvents();
}

} // namespace

class LanguageTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        test::noWarnings();
        QFile::remove(home().settingsFile());
    }
    void cleanup() { speak(Language::english); }

    void theTranslationIsWhole() {
        const QVector<Entry> entries = readTranslation();
        QVERIFY(entries.size() > 1000);
        QSet<QString> seen;
        for (const Entry& entry : entries) {
            const QByteArray words = (entry.context + QStringLiteral(": ") + entry.source).toUtf8();
            QVERIFY2(!entry.unfinished && !entry.translations.isEmpty(), words.constData());
            QVERIFY2(entry.translations.size() == (entry.numerus ? 2 : 1), words.constData());
            for (const QString& translation : entry.translations) {
                QVERIFY2(!translation.trimmed().isEmpty(), words.constData());
                QVERIFY2(placesOf(translation) == placesOf(entry.source), words.constData());
                QVERIFY2(edgeOf(translation) == edgeOf(entry.source), words.constData());
            }
            const QString key = entry.context + entry.comment + entry.source;
            QVERIFY2(!seen.contains(key), words.constData());
            seen.insert(key);
        }
    }

    void namesAndTheSystemsChoice() {
        for (const Language language : {Language::system, Language::english, Language::german}) QCOMPARE(languageFrom(languageName(language), Language::english), language);
        QCOMPARE(languageFrom(QStringLiteral("tlh"), Language::german), Language::german);
        QVERIFY(spoken(Language::system) != Language::system);
        AppSettings().setLanguage(Language::german);
        QCOMPARE(AppSettings().language(), Language::german);
    }

    void figuresKeepTheirPoint() {
        speak(Language::german);
        QDoubleSpinBox box;
        box.setValue(0.5);
        QCOMPARE(box.text(), QStringLiteral("0.50"));
        QString typed = QStringLiteral("0,5");
        int at = 3;
        QCOMPARE(box.validate(typed, at), QValidator::Invalid); // never 5
        QCOMPARE(groupedText(-1234567), QStringLiteral("\u22121\u202f234\u202f567"));
        QCOMPARE(groupedText(-123), QStringLiteral("\u2212123"));
        QCOMPARE(dateLocale().monthName(3), QStringLiteral("M\u00e4rz"));
        speak(Language::english);
        QCOMPARE(dateLocale().monthName(3), QStringLiteral("March"));
    }

    void whatTheGuideSaysIsTranslated() {
        const test::Demo demo;
        Recipe from;
        from.checkpoint = demo.checkpoint->path();
        from.calibration.files = {test::resource("texts/calib_prose.txt").toStdString()};
        speak(Language::german);
        for (const char* target : {"cpu", "nvidia", "apple"})
            for (const char* kind : {"weight-only", "w8a8"})
                for (const MethodTrial& trial : proposeMethods(*demo.model, {target, kind, {}}, from))
                    QVERIFY2(engineText(trial.why) != QString::fromStdString(trial.why), trial.why.c_str());
        QCOMPARE(engineText("quantize"), QStringLiteral("quantisieren"));
        QCOMPARE(engineText("no word of ours"), QStringLiteral("no word of ours"));
        QCOMPARE(engineText("3 of 7 files were left out"), QStringLiteral("3 von 7 Dateien wurden weggelassen"));
        QCOMPARE(engineText("not both are finished: done and failed"), QStringLiteral("nicht beide sind fertig: fertig und gescheitert"));
        QCOMPARE(engineText("The budget has 1.20 MB left; the smallest upgrade, blk.0.attn_q to q5_0, takes 2.00 MB. One more megabyte would buy about −0.01 nats. No other mix within it costs less."),
                 QStringLiteral("Das Budget lässt 1.20 MB frei; die kleinste Aufwertung, blk.0.attn_q auf q5_0, braucht 2.00 MB. Ein Megabyte mehr brächte etwa −0.01 Nats. Keine andere Mischung darin kostet weniger."));
        QCOMPARE(engineText("read 100 %1 of it.txt"), QStringLiteral("100 %1 of it.txt lesen")); // what is put in is no place
    }

    /// A sentence that the engine words anew is found here, not by a person who reads it in English.
    void theEngineStillSaysIt() {
        QString sources;
        QDirIterator walk(test::resource("../core"), {QStringLiteral("*.cpp"), QStringLiteral("*.h")}, QDir::Files, QDirIterator::Subdirectories);
        while (walk.hasNext()) {
            QFile file(walk.next());
            QVERIFY(file.open(QIODevice::ReadOnly));
            sources += QString::fromUtf8(file.readAll());
        }
        sources.remove(QRegularExpression(QStringLiteral("\"\\s*\n\\s*\""))); // literals over several lines
        const QStringList told = engineWords();
        QVERIFY(told.size() > 80);
        QCOMPARE(QSet<QString>(told.begin(), told.end()).size(), told.size());
        for (const QString& words : told)
            for (QString part : words.split(QRegularExpression(QStringLiteral("%[1-9]|\\. |; |\\)")))) {
                part = part.trimmed();
                if (part.endsWith(QLatin1Char(':')) || part.endsWith(QLatin1Char('.'))) part.chop(1);
                if (part.size() > 3) QVERIFY2(sources.contains(part), qPrintable(words));
            }
        const QSet<QString> known = [] {
            QSet<QString> all;
            for (const Entry& entry : readTranslation())
                if (entry.context == QLatin1String("bw::Engine")) all.insert(entry.source);
            return all;
        }();
        for (const QString& words : told) QVERIFY2(known.contains(words), qPrintable(words));
    }

    /// Every workspace and tab of the demo where the window is smallest: nothing is cut, and nothing is asked for that the
    /// translation does not have.
    void everyWorkspaceFitsInGerman() {
        Recorder recorder;
        LaunchOptions options = withDemo();
        options.language = Language::german;
        Launcher launcher(options);
        launcher.start();
        QVERIFY(QCoreApplication::installTranslator(&recorder));
        QVERIFY(opened(launcher));
        MainWindow& window = *launcher.window();
        fill(window);
        const QString shots = qEnvironmentVariable("BW_SHOTS");
        QStringList cut;
        for (const char* workspace : kWorkspaces) {
            window.showWorkspace(QString::fromLatin1(workspace));
            settle();
            QStringList tabs{QString()};
            for (const QTabBar* bar : window.findChildren<QTabBar*>())
                if (bar->isVisible() && !bar->objectName().isEmpty())
                    for (int tab = 0; tab < bar->count(); ++tab)
                        if (bar->isTabVisible(tab)) tabs << bar->objectName() + QLatin1Char('|') + QString::number(tab);
            for (const QString& tab : tabs) {
                if (!tab.isEmpty()) window.findChild<QTabBar*>(tab.section(QLatin1Char('|'), 0, 0))->setCurrentIndex(tab.section(QLatin1Char('|'), 1).toInt());
                QTRY_VERIFY_WITH_TIMEOUT(window.studio().quiet(), kPatience);
                for (const QSize& size : {QSize(1440, 900), QSize(1100, 900), QSize(1100, 700)}) {
                    window.resize(size);
                    settle();
                    QCOMPARE(window.size(), size); // nothing in it asks for more
                    for (const QString& line : cutTexts(&window))
                        cut << QStringLiteral("%1 %2 %3x%4: %5").arg(QString::fromLatin1(workspace), tab).arg(size.width()).arg(size.height()).arg(line);
                }
                if (!shots.isEmpty()) window.grab().save(QStringLiteral("%1/%2-%3.png").arg(shots, QString::fromLatin1(workspace), QString(tab).replace(QLatin1Char('|'), QLatin1Char('-'))));
            }
        }
        Recipe recipe = window.studio().session().recipe();
        recipe.kind = "quantize";
        recipe.assignment.format = "q4_k"; // rows of the demo that are too short for it fall back, and the plan says so
        recipe.exporting.path = home().file(QStringLiteral("planned.gguf")).toStdString();
        const Session& session = window.studio().session();
        std::vector<std::unique_ptr<QDialog>> dialogs;
        dialogs.push_back(std::make_unique<SettingsDialog>(ComputeSettings(), Theme::Mode::dark, Language::german, nullptr));
        dialogs.push_back(std::make_unique<PlanDialog>(window.studio().plan(recipe), QStringLiteral("bitwright-cli")));
        dialogs.push_back(std::make_unique<PromptsDialog>(session.runs(), RunId(4), RunId(5)));
        dialogs.push_back(std::make_unique<ErrorDialog>(QStringLiteral("Fehler"), JobError{QStringLiteral("x"), QStringLiteral("message"), QStringLiteral("hint"), QStringLiteral("details"), false}, nullptr));
        for (const auto& dialog : dialogs) {
            dialog->show();
            settle();
            const QString name = QString::fromLatin1(dialog->metaObject()->className()).section(QStringLiteral("::"), 1);
            for (const QString& line : cutTexts(dialog.get())) cut << name + QStringLiteral(": ") + line;
            if (!shots.isEmpty()) dialog->grab().save(QStringLiteral("%1/%2.png").arg(shots, name));
            dialog->close();
        }
        QCoreApplication::removeTranslator(&recorder);
        cut.removeDuplicates();
        QVERIFY2(cut.isEmpty(), qPrintable(cut.join(QLatin1Char('\n'))));
        QSet<QPair<QString, QString>> known;
        for (const Entry& entry : readTranslation()) known.insert({entry.context, entry.source});
        QVERIFY(recorder.asked.size() > 200);
        QStringList unknown;
        for (const auto& asked : std::as_const(recorder.asked))
            if (!known.contains(asked) && asked.first != QLatin1String("bw::Engine")) unknown << asked.first + QStringLiteral(": ") + asked.second;
        QVERIFY2(unknown.isEmpty(), qPrintable(unknown.join(QLatin1Char('\n'))));
    }

    void wordsOfTheFrameAreGerman() {
        LaunchOptions options;
        options.log = home().file(QStringLiteral("frame.db"));
        options.language = Language::german;
        Launcher launcher(options);
        launcher.start();
        for (const auto& [name, words] : {std::pair("rail.model", "Modell"), std::pair("rail.calibrate", "Kalibrieren"), std::pair("rail.mix", "Mischen"),
                                          std::pair("rail.runs", "Läufe"), std::pair("rail.compare", "Vergleichen"), std::pair("rail.menu", "Menü")})
            QCOMPARE(launcher.window()->findChild<QToolButton*>(QLatin1String(name))->text(), QString::fromUtf8(words));
        QCOMPARE(launcher.window()->findChild<QAction*>(QStringLiteral("settings"))->shortcut().toString(QKeySequence::NativeText), QStringLiteral("Strg+,"));
    }

    void switchingKeepsWhatIsOpen() {
        Launcher launcher(withDemo());
        launcher.start();
        QVERIFY(opened(launcher));
        QTRY_VERIFY_WITH_TIMEOUT(launcher.window()->studio().quiet(), kPatience);
        {
            Session& session = launcher.window()->studio().session();
            session.selectSite(QStringLiteral("blk.1.ffn_down"));
            Recipe recipe = session.recipe();
            recipe.assignment.format = "q8_0";
            session.editRecipe(QStringLiteral("eight bits"), std::move(recipe));
            launcher.window()->showWorkspace(QStringLiteral("mix"));
            QTRY_VERIFY_WITH_TIMEOUT(launcher.window()->studio().quiet(), kPatience);
        }
        const QString log = launcher.window()->studio().session().logPath();
        QSignalSpy changed(&launcher, &Launcher::windowChanged);
        launcher.window()->findChild<QAction*>(QStringLiteral("settings"))->trigger();
        auto* box = launcher.window()->findChild<QComboBox*>(QStringLiteral("settings.language"));
        QVERIFY(box);
        box->setCurrentIndex(box->findText(QStringLiteral("Deutsch")));
        Q_EMIT box->activated(box->currentIndex());
        QTRY_COMPARE_WITH_TIMEOUT(changed.count(), 1, kPatience);
        MainWindow& window = *launcher.window();
        QVERIFY(window.isVisible());
        QTRY_COMPARE_WITH_TIMEOUT(window.studio().session().selectedSite(), QStringLiteral("blk.1.ffn_down"), kPatience);
        QCOMPARE(AppSettings().language(), Language::german);
        QCOMPARE(window.findChild<QToolButton*>(QStringLiteral("rail.model"))->text(), QStringLiteral("Modell"));
        QCOMPARE(window.studio().session().logPath(), log);
        QVERIFY(window.studio().session().log() && window.studio().jobs().unfinished().isEmpty());
        QCOMPARE(window.workspace(), QStringLiteral("mix"));
        QCOMPARE(window.studio().session().recipe().assignment.format, std::string("q8_0"));
        window.studio().session().undoStack()->undo();
        QVERIFY(window.studio().session().recipe().assignment.format != "q8_0");
        const QString notices = window.findChild<NoticeBar*>()->texts().join(QLatin1Char('|'));
        QVERIFY2(!notices.contains(QStringLiteral("Prozess")), qPrintable(notices)); // the log's lock was handed over
    }

    void whileSomethingRunsItWaits() {
        Launcher launcher(withDemo());
        launcher.start();
        QVERIFY(opened(launcher));
        MainWindow* before = launcher.window();
        Recipe recipe;
        recipe.kind = "calibrate";
        recipe.calibration = {{test::resource("texts/calib_prose.txt").toStdString()}, 2, 64};
        QSignalSpy changed(&launcher, &Launcher::windowChanged);
        before->studio().run(recipe);
        QVERIFY(before->studio().jobs().busy());
        Q_EMIT before->languageChosen(Language::german);
        QTRY_VERIFY_WITH_TIMEOUT(!before->findChild<NoticeBar*>()->texts().isEmpty(), kPatience);
        auto* question = new QDialog(before); // one that waits for its answer is not taken away
        question->open();
        QTRY_VERIFY_WITH_TIMEOUT(before->studio().quiet(), kPatience);
        settle();
        QCOMPARE(changed.count(), 0);
        question->reject();
        QTRY_COMPARE_WITH_TIMEOUT(changed.count(), 1, kPatience);
        Session& session = launcher.window()->studio().session();
        QTRY_VERIFY_WITH_TIMEOUT(session.checkpoint() && launcher.window()->studio().quiet(), kPatience);
        QCOMPARE(session.runs().size(), std::size_t{1}); // the job had its end
        QCOMPARE(session.runs().front().status, std::string("done"));
    }

private:
    /// The demo checkpoint on a log of its own.
    static LaunchOptions withDemo() {
        static int number = 0;
        LaunchOptions options;
        options.log = home().file(QStringLiteral("language-%1.db").arg(++number));
        options.language = Language::english;
        options.paths = {test::resource("demo")};
        return options;
    }
    /// Something to show in every workspace, as quickly as can be: statistics, a map, two mixes and their comparison.
    static void fill(MainWindow& window) {
        Studio& studio = window.studio();
        QTRY_VERIFY_WITH_TIMEOUT(studio.quiet(), kPatience);
        Recipe recipe = studio.session().recipe();
        recipe.calibration = {{test::resource("texts/calib_prose.txt").toStdString()}, 2, 32};
        recipe.evaluation.files = {test::resource("texts/eval_prose.txt").toStdString(), test::resource("texts/eval_code.txt").toStdString()};
        recipe.evaluation.tokens = 512;
        recipe.sweep.formats = {"q4_0", "q8_0"};
        recipe.sweep.metric = "fisher";
        recipe.sweep.probes = 4;
        studio.session().replaceRecipe(recipe);
        for (const char* kind : {"calibrate", "sweep", "sweep", "quantize", "quantize"}) {
            if (recipe.kind == "sweep") recipe.sweep.metric = "output"; // the second: a map to hold the first against
            recipe.assignment.format = recipe.kind == "quantize" ? "q8_0" : "q4_0";
            recipe.kind = kind;
            studio.run(recipe);
        }
        QTRY_VERIFY_WITH_TIMEOUT(studio.quiet(), kPatience);
        QCOMPARE(studio.session().runs().size(), std::size_t{5});
        studio.session().selectSite(QStringLiteral("blk.1.ffn_down"));
        studio.session().selectRuns(RunId(4), RunId(5));
    }
    static bool opened(Launcher& launcher) {
        return QTest::qWaitFor([&] { return launcher.window()->studio().session().checkpoint() != nullptr; }, kPatience);
    }
};

int main(int argc, char** argv) { return test::run<LanguageTest>(argc, argv); }
#include "language_test.moc"
