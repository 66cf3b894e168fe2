// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/calibrate_page.h"

#include "widgets/calibrate/activation_panel.h"
#include "widgets/calibrate/data_panel.h"
#include "widgets/calibrate/outlier_panel.h"
#include "widgets/session/session.h"
#include "widgets/session/shown_refresh.h"

#include <QHBoxLayout>
#include <QVBoxLayout>

namespace bw {

CalibratePage::CalibratePage(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    data_ = new DataPanel(session, this);
    activations_ = new ActivationPanel(session, this);
    outliers_ = new OutlierPanel(session, this);
    auto* upper = new QHBoxLayout;
    upper->setSpacing(12);
    data_->setMinimumWidth(264);
    data_->setMaximumWidth(320);
    upper->addWidget(data_, 2);
    upper->addWidget(activations_, 5);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 16, 16, 16);
    all->setSpacing(12);
    all->addLayout(upper, 6);
    all->addWidget(outliers_, 5);
    auto* refresh = new ShownRefresh(this, [this] { reload(); });
    connect(session_, &Session::statisticsChanged, refresh, &ShownRefresh::request);
    reload();
}

void CalibratePage::reload() {
    outliers_->setStatistics(session_->statistics());
    activations_->setStatistics(session_->statistics());
}

} // namespace bw
