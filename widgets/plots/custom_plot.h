// SPDX-License-Identifier: GPL-3.0-or-later
// The plotting library's header uses Qt's keyword macros, which are switched off here (QT_NO_KEYWORDS) because they
// clash with TBB's names. Include this instead of <qcustomplot.h>: the keywords exist while it is read and no longer.
#pragma once

#define signals Q_SIGNALS
#define slots Q_SLOTS
#define foreach Q_FOREACH
#include <qcustomplot.h>
#undef signals
#undef slots
#undef foreach
