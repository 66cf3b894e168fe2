// SPDX-License-Identifier: GPL-3.0-or-later
// Warnings of logged runs: what was seen, why it matters, what to do.
#pragma once

#include "core/calibrate/data_warnings.h"

#include <QTableWidget>

namespace bw {

class WarningsTable final : public QTableWidget {
    Q_OBJECT
public:
    explicit WarningsTable(QWidget* parent = nullptr);
    /// @param of whose each is ("A", "B"); empty: one run's, and there is no such column.
    void setWarnings(const std::vector<DataWarning>& warnings, const QStringList& of = {});
    QString markdown() const;

protected:
    void resizeEvent(QResizeEvent* event) override;
};

} // namespace bw
