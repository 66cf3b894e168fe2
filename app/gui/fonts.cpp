// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/fonts.h"

#include <QApplication>
#include <QDir>
#include <QDirIterator>
#include <QFontDatabase>
#include <QHash>
#include <QRawFont>
#include <QStringList>

namespace bw {
namespace {

constexpr int kMostFiles = 5000; ///< looked at; a folder full of other things must not hold up the start

/// Families in order of preference; each is a list of files that belong together.
const QList<QStringList>& wanted() {
    static const QList<QStringList> families{
        {QStringLiteral("DejaVuSans.ttf"), QStringLiteral("DejaVuSans-Bold.ttf"), QStringLiteral("DejaVuSansMono.ttf"),
         QStringLiteral("DejaVuSansMono-Bold.ttf")},
        {QStringLiteral("NotoSans-Regular.ttf"), QStringLiteral("NotoSans-Bold.ttf"), QStringLiteral("NotoSansMono-Regular.ttf"),
         QStringLiteral("NotoSansMono-Bold.ttf")},
        {QStringLiteral("LiberationSans-Regular.ttf"), QStringLiteral("LiberationSans-Bold.ttf"), QStringLiteral("LiberationMono-Regular.ttf"),
         QStringLiteral("LiberationMono-Bold.ttf")}};
    return families;
}

/// Font files of this machine by name; the first of a name wins.
QHash<QString, QString> fontFiles() {
    QHash<QString, QString> files;
    int seen = 0;
    for (const QString& folder : {QDir::homePath() + QStringLiteral("/.local/share/fonts"), QDir::homePath() + QStringLiteral("/.fonts"),
                                  QStringLiteral("/usr/local/share/fonts"), QStringLiteral("/usr/share/fonts")}) {
        QDirIterator walk(folder, {QStringLiteral("*.ttf"), QStringLiteral("*.otf")}, QDir::Files, QDirIterator::Subdirectories);
        while (walk.hasNext() && seen++ < kMostFiles) {
            const QString path = walk.next();
            if (!files.contains(walk.fileName())) files.insert(walk.fileName(), path);
        }
    }
    return files;
}

} // namespace

QString ensureFonts() {
    // The list of families is never empty: Qt adds generic names, and draws boxes for them. A real font maps characters.
    if (!QRawFont::fromFont(QApplication::font()).fontTable("cmap").isEmpty()) return {};
    const QHash<QString, QString> files = fontFiles();
    QString first;
    for (const QStringList& family : wanted()) {
        for (const QString& name : family) {
            const QString path = files.value(name);
            if (!path.isEmpty() && QFontDatabase::addApplicationFont(path) >= 0 && first.isEmpty()) first = path;
        }
        if (!first.isEmpty()) break;
    }
    for (auto it = files.cbegin(); first.isEmpty() && it != files.cend(); ++it)
        if (QFontDatabase::addApplicationFont(it.value()) >= 0) first = it.value();
    if (first.isEmpty())
        return QApplication::translate("fonts", "There are no fonts on this machine, so no text can be shown. Install fonts-dejavu-core.");
    return QApplication::translate("fonts", "The system's fonts are not set up (fontconfig finds none); %1 is used. Install fontconfig-config "
                                            "or unset FONTCONFIG_FILE.")
        .arg(first);
}

} // namespace bw
