// SPDX-License-Identifier: GPL-3.0-or-later
// The Calibrate workspace: the texts, what enters the selected site, and where outliers live.
#pragma once

#include "core/base/types.h"

#include <QWidget>

namespace bw {

class ActivationPanel;
class DataPanel;
class OutlierPanel;
class Session;

class CalibratePage final : public QWidget {
    Q_OBJECT
public:
    explicit CalibratePage(Session* session, QWidget* parent = nullptr);

private:
    void reload();

    Session* session_;
    DataPanel* data_;
    ActivationPanel* activations_;
    OutlierPanel* outliers_;
};

} // namespace bw
