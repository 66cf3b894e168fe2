// SPDX-License-Identifier: GPL-3.0-or-later
// Which runs answer which prompts: typed, or a prompt set from a file. Starts nothing.
#pragma once

#include "widgets/session/session.h"
#include "widgets/session/run_list.h"

#include <QDialog>

class QLabel;
class QListWidget;
class QPlainTextEdit;
class QPushButton;
class QSpinBox;

namespace bw {

class PromptsDialog final : public QDialog {
    Q_OBJECT
public:
    /// @param runs that can answer, A and B first; those two are ticked.
    PromptsDialog(const RunList& runs, RunId a, RunId b, QWidget* parent = nullptr);
    OutputsWish wish() const;
    /// Prompts are separated by empty lines.
    static QStringList promptsOf(const QString& text);

private:
    void chooseFile();
    void check();
    QPlainTextEdit* typed_;
    QLabel *file_, *problem_;
    QListWidget* runs_;
    QSpinBox* tokens_;
    QPushButton* start_;
    QString path_;
};

} // namespace bw
