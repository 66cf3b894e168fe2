// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/shown_refresh.h"

#include <QEvent>
#include <QWidget>

namespace bw {

ShownRefresh::ShownRefresh(QWidget* page, std::function<void()> refresh)
    : QObject(page), page_(page), refresh_(std::move(refresh)) {
    page->installEventFilter(this);
}

void ShownRefresh::request() {
    wanted_ = true;
    if (!page_->isVisible()) return;
    wanted_ = false;
    refresh_();
}

bool ShownRefresh::eventFilter(QObject* object, QEvent* event) {
    if (object == page_ && event->type() == QEvent::Show && wanted_) {
        wanted_ = false;
        refresh_();
    }
    return QObject::eventFilter(object, event);
}

} // namespace bw
