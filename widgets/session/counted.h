// SPDX-License-Identifier: GPL-3.0-or-later
// "1 run", "5 runs": a number with the right form of its word, also where no translation file is loaded.
#pragma once

#include <QString>

namespace bw {

/// @param many holds %1.
inline QString counted(qint64 n, const QString& one, const QString& many) { return n == 1 ? one : many.arg(n); }

} // namespace bw
