// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/display.h"

#include <QByteArray>
#include <QString>
#include <QtGlobal>
#include <cstdio>
#include <cstdlib>

namespace bw {
namespace {

/// Qt has no application yet, so nothing is translated here.
void tell(QtMsgType type, const QMessageLogContext&, const QString&) {
    if (type != QtFatalMsg) return;
    const auto shown = [](const char* name) {
        const QByteArray value = qgetenv(name);
        return value.isEmpty() ? QByteArray("not set") : '"' + value.left(80) + '"';
    };
    std::fprintf(stderr,
                 "bitwright: no display could be opened (DISPLAY is %s, WAYLAND_DISPLAY is %s, QT_QPA_PLATFORM is %s).\n"
                 "Start it in a desktop session or with ssh -X; bitwright-cli does the same work without a window.\n",
                 shown("DISPLAY").constData(), shown("WAYLAND_DISPLAY").constData(), shown("QT_QPA_PLATFORM").constData());
    std::_Exit(1); // Qt would abort next
}

} // namespace

DisplayWatch::DisplayWatch() { qInstallMessageHandler(&tell); }
DisplayWatch::~DisplayWatch() { qInstallMessageHandler(nullptr); }

} // namespace bw
