// SPDX-License-Identifier: GPL-3.0-or-later
// The Calibrate workspace: the texts, what enters the selected site, where outliers live, and what changing it would do.
#pragma once

#include "core/base/types.h"

#include <QWidget>

class QTabBar;

namespace bw {

class ActivationPanel;
class DataPanel;
class ExpertPanel;
class OutlierPanel;
class Session;
class WhatIfPanel;

class CalibratePage final : public QWidget {
    Q_OBJECT
public:
    explicit CalibratePage(Session* session, QWidget* parent = nullptr);

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    void reload();
    void arrange();

    Session* session_;
    DataPanel* data_;
    ActivationPanel* activations_;
    OutlierPanel* outliers_;
    ExpertPanel* experts_;
    WhatIfPanel* whatIf_;
    QTabBar* lower_; ///< which of the two panels below shows while the page is too low for both
};

} // namespace bw
