// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/calibrate_page.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "widgets/calibrate/activation_panel.h"
#include "widgets/calibrate/data_panel.h"
#include "widgets/calibrate/outlier_panel.h"
#include "widgets/session/session.h"

#include <QHBoxLayout>
#include <QVBoxLayout>

namespace bw {

CalibratePage::CalibratePage(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    data_ = new DataPanel(session, this);
    activations_ = new ActivationPanel(session, this);
    outliers_ = new OutlierPanel(session, this);
    auto* upper = new QHBoxLayout;
    upper->setSpacing(12);
    data_->setFixedWidth(320);
    upper->addWidget(data_);
    upper->addWidget(activations_, 1);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 16, 16, 16);
    all->setSpacing(12);
    all->addLayout(upper, 6);
    all->addWidget(outliers_, 5);
    connect(session_, &Session::logChanged, this, &CalibratePage::reload);
    connect(session_, &Session::checkpointChanged, this, &CalibratePage::reload);
    reload();
}

void CalibratePage::reload() {
    const RunId run = session_->log() ? session_->calibrationRun() : RunId();
    // A finished calibration does not change: it is read once.
    if (run == read_ && run.value() != 0) return;
    read_ = run;
    std::vector<SiteStatisticsRow> rows;
    if (run.value() != 0) {
        try {
            rows = session_->log()->siteStatistics(run);
        } catch (const Error& e) {
            Q_EMIT session_->messageRequested(QString::fromStdString(escapeForDisplay(e.message())));
        }
    }
    outliers_->setStatistics(rows);
    activations_->setStatistics(std::move(rows));
}

} // namespace bw
