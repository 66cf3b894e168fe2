// SPDX-License-Identifier: GPL-3.0-or-later
// The formats that menus offer: every storage type and the usual groups of the affine grids, by canonical name.
#pragma once

#include <QString>
#include <QVector>

namespace bw {

struct OfferedFormat { QString name; double bitsPerWeight = 0; int codeBits = 0; }; ///< at rows of 4096

/// From many bits to few.
const QVector<OfferedFormat>& offeredFormats();

} // namespace bw
