// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/language.h"

#include <QCoreApplication>
#include <QLibraryInfo>
#include <QLocale>
#include <QPointer>
#include <QTranslator>

static void loadTranslations() { Q_INIT_RESOURCE(translations); }

namespace bw {
namespace {

// Words of Qt that the window shows, translated with ours: its own translations are a package that few install.
struct Words { const char* text; const char* comment; };
[[maybe_unused]] constexpr Words kOfQt[] = {
    QT_TRANSLATE_NOOP3("QUndoStack", "Undo %1", ""), QT_TRANSLATE_NOOP3("QUndoStack", "Undo", "Default text for undo action"),
    QT_TRANSLATE_NOOP3("QUndoStack", "Redo %1", ""), QT_TRANSLATE_NOOP3("QUndoStack", "Redo", "Default text for redo action")};
[[maybe_unused]] constexpr const char* kButtonsOfQt[] = {
    QT_TRANSLATE_NOOP("QPlatformTheme", "OK"),      QT_TRANSLATE_NOOP("QPlatformTheme", "Cancel"), QT_TRANSLATE_NOOP("QPlatformTheme", "Close"),
    QT_TRANSLATE_NOOP("QPlatformTheme", "Save"),    QT_TRANSLATE_NOOP("QPlatformTheme", "Open"),   QT_TRANSLATE_NOOP("QPlatformTheme", "&Yes"),
    QT_TRANSLATE_NOOP("QPlatformTheme", "&No"),     QT_TRANSLATE_NOOP("QDockWidget", "Close"),     QT_TRANSLATE_NOOP("QDockWidget", "Float"),
    QT_TRANSLATE_NOOP("QDockWidget", "Closes the dock widget"), QT_TRANSLATE_NOOP("QDockWidget", "Undocks and re-attaches the dock widget")};
[[maybe_unused]] constexpr const char* kEditingOfQt[] = {
    QT_TRANSLATE_NOOP("QLineEdit", "&Undo"),            QT_TRANSLATE_NOOP("QLineEdit", "&Redo"),            QT_TRANSLATE_NOOP("QLineEdit", "Cu&t"),
    QT_TRANSLATE_NOOP("QLineEdit", "&Copy"),            QT_TRANSLATE_NOOP("QLineEdit", "&Paste"),           QT_TRANSLATE_NOOP("QLineEdit", "Delete"),
    QT_TRANSLATE_NOOP("QLineEdit", "Select All"),       QT_TRANSLATE_NOOP("QWidgetTextControl", "&Undo"),   QT_TRANSLATE_NOOP("QWidgetTextControl", "&Redo"),
    QT_TRANSLATE_NOOP("QWidgetTextControl", "Cu&t"),    QT_TRANSLATE_NOOP("QWidgetTextControl", "&Copy"),   QT_TRANSLATE_NOOP("QWidgetTextControl", "&Paste"),
    QT_TRANSLATE_NOOP("QWidgetTextControl", "Delete"),  QT_TRANSLATE_NOOP("QWidgetTextControl", "Select All"),
    QT_TRANSLATE_NOOP("QWidgetTextControl", "Copy &Link Location"), QT_TRANSLATE_NOOP("QAbstractSpinBox", "&Select All"),
    QT_TRANSLATE_NOOP("QAbstractSpinBox", "&Step up"),  QT_TRANSLATE_NOOP("QAbstractSpinBox", "Step &down")};
[[maybe_unused]] constexpr const char* kHelpOfQt[] = {
    QT_TRANSLATE_NOOP("QCommandLineParser", "Displays help on commandline options."), QT_TRANSLATE_NOOP("QCommandLineParser", "Displays help including Qt specific options."),
    QT_TRANSLATE_NOOP("QCommandLineParser", "Displays version information."), QT_TRANSLATE_NOOP("QCommandLineParser", "Usage: %1"),
    QT_TRANSLATE_NOOP("QCommandLineParser", "Options:"), QT_TRANSLATE_NOOP("QCommandLineParser", "Arguments:"), QT_TRANSLATE_NOOP("QCommandLineParser", "[options]")};
[[maybe_unused]] constexpr const char* kKeysOfQt[] = {
    QT_TRANSLATE_NOOP("QShortcut", "Ctrl"),  QT_TRANSLATE_NOOP("QShortcut", "Shift"), QT_TRANSLATE_NOOP("QShortcut", "Alt"),
    QT_TRANSLATE_NOOP("QShortcut", "Return"), QT_TRANSLATE_NOOP("QShortcut", "Space"), QT_TRANSLATE_NOOP("QShortcut", "Del"),
    QT_TRANSLATE_NOOP("QShortcut", "Left"),  QT_TRANSLATE_NOOP("QShortcut", "Right"), QT_TRANSLATE_NOOP("QShortcut", "Up"),
    QT_TRANSLATE_NOOP("QShortcut", "Down")};

struct Name { Language language; const char* name; };
constexpr Name kNames[] = {{Language::system, "system"}, {Language::english, "en"}, {Language::german, "de"}};

} // namespace

Language languageFrom(const QString& name, Language otherwise) {
    for (const Name& known : kNames)
        if (name == QLatin1String(known.name)) return known.language;
    return otherwise;
}

QString languageName(Language language) {
    for (const Name& known : kNames)
        if (known.language == language) return QString::fromLatin1(known.name);
    return {};
}

Language spoken(Language language) {
    if (language != Language::system) return language;
    const QStringList wanted = QLocale::system().uiLanguages();
    return !wanted.isEmpty() && QLocale(wanted.first()).language() == QLocale::German ? Language::german : Language::english;
}

void speak(Language language) {
    static const bool ready = [] {
        loadTranslations();
        return true;
    }();
    // A typed "0,5" is refused rather than read as 5.
    QLocale figures = QLocale::c();
    figures.setNumberOptions(QLocale::OmitGroupSeparator | QLocale::RejectGroupSeparator);
    QLocale::setDefault(figures);
    static QPointer<QTranslator> ofQt, ours; // the application's
    for (QTranslator* former : {ofQt.data(), ours.data()}) {
        if (former) QCoreApplication::removeTranslator(former);
        delete former;
    }
    if (!ready || spoken(language) == Language::english) return;
    const QString code = languageName(spoken(language));
    ofQt = new QTranslator(QCoreApplication::instance());
    if (ofQt->load(QStringLiteral("qtbase_") + code, QLibraryInfo::path(QLibraryInfo::TranslationsPath))) QCoreApplication::installTranslator(ofQt);
    ours = new QTranslator(QCoreApplication::instance());
    if (ours->load(QStringLiteral(":/translations/bitwright_%1.qm").arg(code))) QCoreApplication::installTranslator(ours); // asked first
}

} // namespace bw
