// SPDX-License-Identifier: GPL-3.0-or-later
// The Model workspace: the tree of blocks and sites, and the weight of the selected one.
#pragma once

#include <QWidget>

class QLineEdit;
class QSortFilterProxyModel;
class QTreeView;

namespace bw {

class Panel;
class Session;
class SiteTreeModel;

class ModelPage final : public QWidget {
    Q_OBJECT
public:
    explicit ModelPage(Session* session, QWidget* parent = nullptr);

private:
    void buildTree();
    void showSelection();
    void showCheckpoint();

    Session* session_;
    SiteTreeModel* tree_;
    QSortFilterProxyModel* sorted_;
    QTreeView* view_;
    QLineEdit* filter_;
    Panel* panel_;
};

} // namespace bw
