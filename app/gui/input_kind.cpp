// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/input_kind.h"

#include "core/base/text.h"

#include <QCoreApplication>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QSet>

namespace bw {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("bw", text); }

QString shown(const QString& text) { return QString::fromStdString(escapeForDisplay(text.toStdString())); }

bool holdsCheckpoint(const QString& folder) {
    const QStringList wanted{QStringLiteral("config.json"), QStringLiteral("*.safetensors"),
                             QStringLiteral("*.safetensors.index.json"), QStringLiteral("pytorch_model*.bin")};
    return !QDir(folder).entryList(wanted, QDir::Files).isEmpty();
}

InputKind kindOfFile(const QFileInfo& info) {
    const QString name = info.fileName().toLower();
    const auto ends = [&name](const char* suffix) { return name.endsWith(QLatin1String(suffix)); };
    // Pickle files go to the checkpoint reader, whose refusal says why.
    for (const char* suffix : {".gguf", ".safetensors", ".safetensors.index.json", ".bin", ".pt", ".pth", ".ckpt"})
        if (ends(suffix)) return InputKind::checkpoint;
    for (const char* suffix : {".txt", ".text", ".md", ".jsonl", ".raw"})
        if (ends(suffix)) return InputKind::text;
    if (name == QLatin1String("config.json") && holdsCheckpoint(info.path())) return InputKind::checkpoint;
    if (ends(".json")) return InputKind::recipe;
    QFile file(info.filePath());
    const QByteArray head = file.open(QIODevice::ReadOnly) ? file.read(16) : QByteArray();
    if (head.startsWith("GGUF")) return InputKind::checkpoint;
    if (head.startsWith("SQLite format 3")) return InputKind::log;
    if (ends(".db") || ends(".sqlite")) return InputKind::log;
    return InputKind::unknown;
}

} // namespace

InputPath classifyInput(const QString& path) {
    const QFileInfo info(path);
    InputPath input{info.absoluteFilePath(), InputKind::unknown, {}};
    if (!info.exists()) {
        input.whyNot = tr("does not exist");
    } else if (info.isDir()) {
        if (holdsCheckpoint(path))
            input.kind = InputKind::checkpoint;
        else
            input.whyNot = tr("a folder without config.json or .safetensors");
    } else if (!info.isFile()) {
        input.whyNot = tr("not a regular file");
    } else {
        input.kind = kindOfFile(info);
        if (input.kind == InputKind::unknown) input.whyNot = tr("not a file that is read here");
    }
    return input;
}

InputSet sortInputs(const QStringList& paths) {
    InputSet set;
    QSet<QString> seen;
    int ignored = 0;
    const auto ignore = [&](const QString& path, const QString& why) {
        if (++ignored <= InputSet::kMostIgnored)
            set.ignored << QStringLiteral("%1: %2").arg(shown(QFileInfo(path).fileName()), why);
    };
    const auto takeOne = [&](QString& slot, const InputPath& input, const QString& why) {
        if (slot.isEmpty())
            slot = input.path;
        else
            ignore(input.path, why);
    };
    for (const QString& path : paths) {
        const InputPath input = classifyInput(path);
        const QString canonical = QFileInfo(input.path).canonicalFilePath();
        if (!canonical.isEmpty() && seen.contains(canonical)) continue;
        seen.insert(canonical);
        switch (input.kind) {
        case InputKind::checkpoint: takeOne(set.checkpoint, input, tr("one checkpoint at a time")); break;
        case InputKind::recipe: takeOne(set.recipe, input, tr("one recipe at a time")); break;
        case InputKind::log: takeOne(set.log, input, tr("one log at a time")); break;
        case InputKind::text: set.texts << input.path; break;
        case InputKind::unknown: ignore(input.path, input.whyNot); break;
        }
    }
    if (ignored > InputSet::kMostIgnored) set.ignored << tr("and %1 more").arg(ignored - InputSet::kMostIgnored);
    return set;
}

InputSet sortInputs(const QList<QUrl>& urls) {
    QStringList paths, foreign;
    for (const QUrl& url : urls) {
        if (url.isLocalFile())
            paths << url.toLocalFile();
        else
            foreign << tr("%1: not on this computer").arg(shown(url.toDisplayString().left(120)));
    }
    InputSet set = sortInputs(paths);
    for (const QString& line : foreign)
        if (set.ignored.size() <= InputSet::kMostIgnored) set.ignored << line;
    return set;
}

} // namespace bw
