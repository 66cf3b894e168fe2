// SPDX-License-Identifier: GPL-3.0-or-later
// What the window shows while no checkpoint is open: where to drop one, recent ones, and the demo.
#pragma once

#include <QWidget>

class QLabel;
class QVBoxLayout;

namespace bw {

class StartPage final : public QWidget {
    Q_OBJECT
public:
    explicit StartPage(QWidget* parent = nullptr);
    /// Paths newest first; those that are gone are shown as missing.
    void setRecent(const QStringList& paths);
    void setDemoAvailable(bool available);
    void setOpening(bool opening);

Q_SIGNALS:
    void openFolderRequested();
    void openFileRequested();
    void demoRequested();
    void recentRequested(const QString& path);
    void forgetRequested(const QString& path);

private:
    QWidget* makeDropArea();
    QWidget* makeDemoCard();
    QLabel* headline_;
    QWidget *demo_, *recentPanel_;
    QVBoxLayout* recent_;
};

} // namespace bw
