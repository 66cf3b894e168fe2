// SPDX-License-Identifier: GPL-3.0-or-later
// The five workspaces at the left edge, and the window's menu beneath them.
#pragma once

#include <QWidget>

class QButtonGroup;
class QMenu;
class QToolButton;

namespace bw {

/// Name for the command line and settings, icon and the text a person sees.
struct WorkspaceInfo { QString name, icon, label; };
/// model, calibrate, mix, runs, compare: the order of Ctrl+1 … Ctrl+5.
QList<WorkspaceInfo> workspaces();

class Rail final : public QWidget {
    Q_OBJECT
public:
    explicit Rail(QMenu* menu, QWidget* parent = nullptr);
    void setCurrent(int index);

Q_SIGNALS:
    void chosen(int index);

private:
    QButtonGroup* buttons_;
};

} // namespace bw
