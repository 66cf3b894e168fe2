// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/screenshot.h"

#include "app/gui/main_window.h"

#include <QCoreApplication>
#include <QPixmap>
#include <cstdio>

namespace bw {

// Quiet for this many looks in a row: plots redraw and layouts settle within one turn of the event loop each.
static constexpr int kQuietLooks = 8;

Screenshot::Screenshot(MainWindow& window, QString path) : QObject(&window), window_(window), path_(std::move(path)) {
    timer_.setInterval(50);
    connect(&timer_, &QTimer::timeout, this, &Screenshot::look);
    timer_.start();
}

void Screenshot::look() {
    quietLooks_ = window_.studio().quiet() ? quietLooks_ + 1 : 0;
    if (quietLooks_ < kQuietLooks) return;
    timer_.stop();
    const bool saved = window_.grab().save(path_);
    if (!saved) std::fprintf(stderr, "bitwright: %s could not be written\n", qPrintable(path_));
    QCoreApplication::exit(saved ? 0 : 1);
}

} // namespace bw
