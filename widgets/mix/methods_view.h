// SPDX-License-Identifier: GPL-3.0-or-later
// The methods page of Mix: the recipe's method, what is worth trying for a target, and what was measured.
#pragma once

#include <QScrollArea>

namespace bw {

class MethodGuide;
class MethodPanel;
class MixState;
class Session;

class MethodsView final : public QScrollArea {
    Q_OBJECT
public:
    MethodsView(Session* session, MixState* model, QWidget* parent = nullptr);

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    MethodPanel* method_;
    MethodGuide* guide_;
};

} // namespace bw
