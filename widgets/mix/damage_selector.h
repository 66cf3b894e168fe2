// SPDX-License-Identifier: GPL-3.0-or-later
// "damage by: Fisher estimate ▾": which column of the sensitivity table colours the grid, is predicted and solved on.
#pragma once

#include "widgets/mix/mix_state.h"

#include <QToolButton>

class QMenu;

namespace bw {

class DamageSelector final : public QToolButton {
    Q_OBJECT
public:
    DamageSelector(Session* session, MixState* model, QWidget* parent = nullptr);
    /// What a column is called: "best known", "Fisher estimate", "measured KL", "output error".
    static QString nameOf(DamageBy by);

private:
    void refresh();
    void fillMenu();
    Session* session_;
    MixState* model_;
    QMenu* menu_;
};

} // namespace bw
