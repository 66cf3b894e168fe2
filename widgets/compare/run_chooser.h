// SPDX-License-Identifier: GPL-3.0-or-later
// One side of a comparison: name and figures of a run behind a coloured bar; opens a list of runs that can be filtered.
#pragma once

#include "widgets/session/session.h" // RunId as a signal argument

#include <QAbstractButton>

class QListWidget;

namespace bw {

class RunChooser final : public QAbstractButton {
    Q_OBJECT
public:
    enum class Side { a, b };
    RunChooser(Side side, QWidget* parent = nullptr);
    void setRuns(const RunList& runs);
    void setCurrent(RunId run);
    RunId current() const { return current_; }
    QSize sizeHint() const override { return {360, 48}; }
    QSize minimumSizeHint() const override { return {200, 48}; }

Q_SIGNALS:
    void chosen(bw::RunId run);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    void open();
    void fill(QListWidget* list, const QString& words) const;
    void describe();
    const RunSummary* run() const;
    Side side_;
    RunList runs_;
    RunId current_;
};

} // namespace bw
