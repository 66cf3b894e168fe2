// SPDX-License-Identifier: GPL-3.0-or-later
// What a dropped or named path is: decided from its name and first bytes only, so that a drop of a thousand files costs
// nothing. The readers of core/ check the rest.
#pragma once

#include <QList>
#include <QString>
#include <QStringList>
#include <QUrl>

namespace bw {

enum class InputKind { checkpoint, text, recipe, log, unknown };

struct InputPath {
    QString path;
    InputKind kind = InputKind::unknown;
    QString whyNot; ///< reason when unknown
};

InputPath classifyInput(const QString& path);

/// A whole drop, sorted out: at most one checkpoint, one recipe and one log; duplicates once.
struct InputSet {
    QString checkpoint, recipe, log;
    QStringList texts;
    QStringList ignored; ///< "photo.png: not a file that is read here", at most kMostIgnored and a line "and N more"
    bool isEmpty() const { return checkpoint.isEmpty() && recipe.isEmpty() && log.isEmpty() && texts.isEmpty(); }
    static constexpr int kMostIgnored = 20;
};

InputSet sortInputs(const QStringList& paths);
/// The same from a drop: only local files; other URLs are listed as ignored.
InputSet sortInputs(const QList<QUrl>& urls);

} // namespace bw
