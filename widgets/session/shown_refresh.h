// SPDX-License-Identifier: GPL-3.0-or-later
// Refreshes a page when there is something new: at once while it is on screen, otherwise when it is shown next. Keeps
// what nobody looks at from costing time while a job writes to the log.
#pragma once

#include <QObject>
#include <functional>

class QWidget;

namespace bw {

class ShownRefresh final : public QObject {
public:
    /// @param page owns this object. @param refresh may be called any time the page is visible.
    ShownRefresh(QWidget* page, std::function<void()> refresh);
    void request();

protected:
    bool eventFilter(QObject* object, QEvent* event) override;

private:
    QWidget* page_;
    std::function<void()> refresh_;
    bool wanted_ = false;
};

} // namespace bw
