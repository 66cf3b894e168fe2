// SPDX-License-Identifier: GPL-3.0-or-later
// The plan before a quantization: for every tensor what will be written and why it differs from what was asked, with the
// exact size of the file. Nothing has been done yet when this is shown.
#pragma once

#include "core/base/json.h"

#include <QDialog>

class QTableWidget;

namespace bw {

class PlanDialog final : public QDialog {
    Q_OBJECT
public:
    /// @param plan Runner::plan's result. @param command the same as a command line.
    PlanDialog(const Json& plan, const QString& command, QWidget* parent = nullptr);

private:
    QWidget* makeSummary(const Json& plan);
    QTableWidget* makeTable(const Json& plan);
};

} // namespace bw
