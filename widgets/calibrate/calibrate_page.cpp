// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/calibrate_page.h"

#include "widgets/calibrate/activation_panel.h"
#include "widgets/calibrate/data_panel.h"
#include "widgets/calibrate/expert_panel.h"
#include "widgets/calibrate/outlier_panel.h"
#include "widgets/calibrate/what_if_panel.h"
#include "widgets/session/session.h"
#include "widgets/session/shown_refresh.h"

#include <QHBoxLayout>
#include <QResizeEvent>
#include <QTabBar>
#include <QVBoxLayout>

namespace bw {
namespace {

constexpr int kBothFit = 680; ///< px of height from which both panels below have room one beside the other

} // namespace

CalibratePage::CalibratePage(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    data_ = new DataPanel(session, this);
    activations_ = new ActivationPanel(session, this);
    outliers_ = new OutlierPanel(session, this);
    experts_ = new ExpertPanel(session, this);
    whatIf_ = new WhatIfPanel(session, this);
    lower_ = new QTabBar(this);
    lower_->setObjectName(QStringLiteral("calibrate.lower"));
    lower_->setAccessibleName(tr("Panel below"));
    lower_->setDrawBase(false);
    lower_->setExpanding(false);
    lower_->addTab(tr("What if"));
    lower_->addTab(tr("Outlier map"));
    lower_->addTab(tr("Experts"));
    auto* upper = new QHBoxLayout;
    upper->setSpacing(12);
    data_->setMinimumWidth(264);
    data_->setMaximumWidth(320);
    upper->addWidget(data_, 2);
    upper->addWidget(activations_, 5);
    auto* lower = new QHBoxLayout;
    lower->setSpacing(12);
    lower->addWidget(outliers_, 4);
    lower->addWidget(experts_, 3);
    lower->addWidget(whatIf_, 5);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 12, 16, 12);
    all->setSpacing(12);
    all->addLayout(upper, 1);
    auto* below = new QVBoxLayout;
    below->setSpacing(4);
    below->addWidget(lower_);
    below->addLayout(lower, 1);
    all->addLayout(below, 1);
    connect(whatIf_, &WhatIfPanel::asked, outliers_, &OutlierPanel::setQuestion);
    outliers_->setQuestion(whatIf_->question());
    connect(lower_, &QTabBar::currentChanged, this, &CalibratePage::arrange);
    arrange();
    auto* refresh = new ShownRefresh(this, [this] { reload(); });
    connect(session_, &Session::statisticsChanged, refresh, &ShownRefresh::request);
    reload();
}

void CalibratePage::reload() {
    outliers_->setStatistics(session_->statistics());
    activations_->setStatistics(session_->statistics());
    experts_->setCoverage(session_->expertCoverage());
    arrange();
}

void CalibratePage::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    arrange();
}

/// Tall: map and question side by side. Low: one of them, over the whole width.
void CalibratePage::arrange() {
    const bool both = height() >= kBothFit;
    lower_->setVisible(!both);
    whatIf_->setWide(!both);
    whatIf_->setVisible(both || lower_->currentIndex() == 0);
    outliers_->setVisible(both || lower_->currentIndex() == 1);
    const bool experts = !session_->expertCoverage().empty();
    lower_->setTabVisible(2, experts);
    experts_->setVisible(experts && (both || lower_->currentIndex() == 2));
}

} // namespace bw
