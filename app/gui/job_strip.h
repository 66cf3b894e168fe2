// SPDX-License-Identifier: GPL-3.0-or-later
// The strip along the bottom: the running job with progress, time left, pause and cancel; and what it runs on.
#pragma once

#include <QTimer>
#include <QWidget>

class QLabel;
class QProgressBar;
class QPushButton;
class QToolButton;

namespace bw {

class JobQueue;

class JobStrip final : public QWidget {
    Q_OBJECT
public:
    explicit JobStrip(JobQueue& jobs, QWidget* parent = nullptr);
    void setLogPath(const QString& path);
    /// What jobs compute on. @param why they do not on what was asked for; empty: they do.
    void setDevice(const QString& text, const QString& why = {});
    void setOpening(bool opening); ///< a checkpoint is being read
    /// A quiet line that goes after some seconds.
    void showMessage(const QString& text);

Q_SIGNALS:
    void settingsRequested();

private:
    void refresh();
    void refreshMachine();

    JobQueue& jobs_;
    QLabel *stage_, *figures_, *message_, *memory_, *log_;
    QPushButton* machine_;
    QProgressBar* bar_;
    QToolButton *pause_, *cancel_;
    QTimer messageTimer_, machineTimer_;
    bool opening_ = false;
};

} // namespace bw
