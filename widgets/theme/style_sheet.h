// SPDX-License-Identifier: GPL-3.0-or-later
// The style sheet of the whole window, made from the theme's tokens. Widgets ask for a look with a dynamic property:
//   role = "panel" "title" "heading" "muted" "figures" "accent" "link" "flat" "rail" "badge"
// so that no page writes a colour itself.
#pragma once

#include "widgets/theme/theme.h"

#include <QString>

namespace bw {

QString styleSheetFor(const Tokens& tokens, const QString& figuresFamily);

} // namespace bw
