// SPDX-License-Identifier: GPL-3.0-or-later
// `--screenshot`: waits until the workspace shows its data, saves the window's picture and ends the program.
#pragma once

#include <QObject>
#include <QString>
#include <QTimer>

namespace bw {

class MainWindow;

class Screenshot final : public QObject {
    Q_OBJECT
public:
    /// Ends the program with 0, or 1 when the picture could not be written.
    Screenshot(MainWindow& window, QString path);

private:
    void look();
    MainWindow& window_;
    QString path_;
    QTimer timer_;
    int quietLooks_ = 0;
};

} // namespace bw
