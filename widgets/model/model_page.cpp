// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/model/model_page.h"

#include "widgets/model/site_tree_model.h"
#include "widgets/model/sparkline_delegate.h"
#include "widgets/model/weight_panel.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/panel.h"
#include "widgets/theme/theme.h"

#include <QAction>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLineEdit>
#include <QSortFilterProxyModel>
#include <QSplitter>
#include <QTreeView>

namespace bw {

ModelPage::ModelPage(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    tree_ = new SiteTreeModel(session, this);
    sorted_ = new QSortFilterProxyModel(this);
    sorted_->setSourceModel(tree_);
    sorted_->setSortRole(SiteTreeModel::kSortRole);
    sorted_->setRecursiveFilteringEnabled(true);
    sorted_->setAutoAcceptChildRows(true); // "blk.3" keeps the sites of block 3
    sorted_->setFilterCaseSensitivity(Qt::CaseInsensitive);
    panel_ = new Panel(tr("Blocks and sites"), this);
    buildTree();
    panel_->body()->addWidget(filter_);
    panel_->body()->addWidget(view_, 1);
    auto* splitter = new QSplitter(Qt::Horizontal, this);
    splitter->setHandleWidth(12);
    splitter->setChildrenCollapsible(false);
    splitter->addWidget(panel_);
    splitter->addWidget(new WeightPanel(session, this));
    splitter->setStretchFactor(0, 0);
    splitter->setStretchFactor(1, 1);
    splitter->setSizes({552, 472});
    auto* all = new QHBoxLayout(this);
    all->setContentsMargins(16, 16, 16, 16);
    all->addWidget(splitter);

    connect(session_, &Session::checkpointChanged, this, &ModelPage::showCheckpoint);
    connect(session_, &Session::siteSelected, this, &ModelPage::showSelection);
    connect(&Theme::instance(), &Theme::changed, view_->viewport(), qOverload<>(&QWidget::update));
    showCheckpoint();
}

void ModelPage::buildTree() {
    filter_ = new QLineEdit(this);
    filter_->setPlaceholderText(tr("Filter: blk.3, attn_v, ffn …"));
    filter_->setClearButtonEnabled(true);
    filter_->setAccessibleName(tr("Filter sites"));
    filter_->setObjectName(QStringLiteral("model.filter"));
    filter_->addAction(Theme::instance().icon(QStringLiteral("search")), QLineEdit::LeadingPosition)->setText(tr("Filter"));
    view_ = new QTreeView(this);
    view_->setObjectName(QStringLiteral("model.tree"));
    view_->setAccessibleName(tr("Blocks and sites"));
    view_->setModel(sorted_);
    view_->setUniformRowHeights(true);
    view_->setSortingEnabled(true);
    view_->sortByColumn(SiteTreeModel::kName, Qt::AscendingOrder);
    view_->setIndentation(16);
    view_->setItemDelegateForColumn(SiteTreeModel::kWeights, new SparklineDelegate(view_));
    view_->setAllColumnsShowFocus(true);
    QHeaderView* header = view_->header();
    header->setStretchLastSection(true);
    header->setMinimumSectionSize(40);
    const int widths[] = {132, 94, 46, 72, 50, 52, 56};
    for (int c = 0; c < SiteTreeModel::kColumns; ++c) header->resizeSection(c, widths[c]);
    connect(filter_, &QLineEdit::textChanged, this, [this](const QString& text) {
        sorted_->setFilterFixedString(text);
        if (!text.isEmpty()) view_->expandAll();
    });
    connect(view_->selectionModel(), &QItemSelectionModel::currentChanged, this, [this](const QModelIndex& now) {
        const QString site = now.siblingAtColumn(SiteTreeModel::kName).data(SiteTreeModel::kSiteRole).toString();
        if (!site.isEmpty()) session_->selectSite(site);
    });
}

void ModelPage::showCheckpoint() {
    tree_->rebuild();
    const auto checkpoint = session_->checkpoint();
    panel_->setHint(!checkpoint          ? QString()
                    : session_->model() ? counted(static_cast<qint64>(session_->model()->sites().size()), tr("1 site"), tr("%1 sites"))
                                        : tr("%1 tensors, no forward pass").arg(checkpoint->tensors().size()));
    // A small model is shown whole; of a large one the first block.
    constexpr int kMostOpened = 8;
    for (int row = 0; row < std::min(kMostOpened, sorted_->rowCount()); ++row) view_->expand(sorted_->index(row, 0));
    showSelection();
}

void ModelPage::showSelection() {
    const QModelIndex at = sorted_->mapFromSource(tree_->indexOf(session_->selectedSite()));
    if (!at.isValid() || at == view_->currentIndex().siblingAtColumn(0)) return;
    view_->setCurrentIndex(at);
    view_->scrollTo(at);
}

} // namespace bw
