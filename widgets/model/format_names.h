// SPDX-License-Identifier: GPL-3.0-or-later
// The formats that menus offer, in families: every storage type, small float and the usual groups of the affine grids, by
// canonical name.
#pragma once

#include <QString>
#include <QVector>

namespace bw {

struct OfferedFormat { QString name; double bitsPerWeight = 0; int codeBits = 0; }; ///< at rows of 4096

/// Formats of one make, which the same programs read.
struct FormatFamily {
    QString title;                  ///< "GGUF blocks", "integers" …
    QVector<OfferedFormat> formats; ///< from many bits to few
};
/// Never empty ones. Titles are of the language at the call.
QVector<FormatFamily> formatFamilies();

} // namespace bw
