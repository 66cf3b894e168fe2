// SPDX-License-Identifier: GPL-3.0-or-later
// The method guide: for where the model will run, two or three recipes with the reason, each to be taken or all to be tried.
#pragma once

#include "core/experiment/method_trial.h"

#include <QWidget>

class QBoxLayout;
class QComboBox;
class QLabel;
class QPushButton;
class QVBoxLayout;

namespace bw {

class Panel;
class Session;

class MethodGuide final : public QWidget {
    Q_OBJECT
public:
    explicit MethodGuide(Session* session, QWidget* parent = nullptr);
    /// Two rows above the proposals in place of one, so that the boxes show their text.
    void setNarrow(bool narrow);
    const std::vector<MethodTrial>& proposals() const { return proposals_; }

private:
    void reload();
    void propose();
    void addCard(const MethodTrial& proposal);
    void tryAll();

    Session* session_;
    Panel* panel_;
    QComboBox *target_, *kind_;
    QPushButton* try_;
    QLabel* note_;
    QBoxLayout* head_;
    QWidget* cards_ = nullptr;
    QVBoxLayout* rows_;
    std::vector<MethodTrial> proposals_;
};

} // namespace bw
