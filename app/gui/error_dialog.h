// SPDX-License-Identifier: GPL-3.0-or-later
// What happened, to which file and tensor, and what to do; the details can be copied.
#pragma once

#include "app/gui/job_error.h"

#include <QDialog>

namespace bw {

class ErrorDialog final : public QDialog {
    Q_OBJECT
public:
    ErrorDialog(const QString& title, const JobError& error, QWidget* parent = nullptr);
};

} // namespace bw
