// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/background.h"

namespace bw {

Background::Background(QObject* parent) : QObject(parent) { pool_.setMaxThreadCount(1); }

Background::~Background() {
    pool_.clear();
    pool_.waitForDone();
}

void Background::start(std::function<void()> work, int priority) {
    ++pending_;
    pool_.start(std::move(work), priority);
}

void Background::deliver(std::function<void()> result) {
    QMetaObject::invokeMethod(
        this,
        [this, result = std::move(result)] {
            --pending_;
            result();
            if (pending_ == 0) Q_EMIT idle();
        },
        Qt::QueuedConnection);
}

} // namespace bw
