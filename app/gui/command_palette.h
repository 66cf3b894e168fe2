// SPDX-License-Identifier: GPL-3.0-or-later
// Ctrl+K: every action, site and run by a few letters of its name.
#pragma once

#include <QDialog>
#include <QList>
#include <functional>

class QLineEdit;
class QListWidget;

namespace bw {

struct PaletteEntry {
    QString text, detail; ///< detail: muted, at the right ("Ctrl+2", "site", "run")
    std::function<void()> choose;
};

/// Letters of `query` in order within `text`; higher is better, −1 = no match. Empty query matches everything.
int paletteScore(const QString& query, const QString& text);

class CommandPalette final : public QDialog {
    Q_OBJECT
public:
    CommandPalette(QList<PaletteEntry> entries, QWidget* parent);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void filter();
    void accept() override;
    QList<PaletteEntry> entries_;
    QLineEdit* query_;
    QListWidget* list_;
};

} // namespace bw
