// SPDX-License-Identifier: GPL-3.0-or-later
// A titled panel with rounded corners, the building block of every page: title at the left, a muted hint at the right.
#pragma once

#include <QFrame>

class QLabel;
class QVBoxLayout;

namespace bw {

class Panel final : public QFrame {
    Q_OBJECT
public:
    explicit Panel(const QString& title, QWidget* parent = nullptr);
    void setTitle(const QString& title);
    void setHint(const QString& hint);
    QVBoxLayout* body() const { return body_; } ///< put contents here

private:
    QLabel* title_;
    QLabel* hint_;
    QVBoxLayout* body_;
};

} // namespace bw
