// SPDX-License-Identifier: GPL-3.0-or-later
// The method of the recipe, put together from its parts: how difficulty is moved before rounding, how weights are rounded,
// what else a runtime rounds. Every change is one undo step of the recipe.
#pragma once

#include <QVector>
#include <QWidget>
#include <string>

class QComboBox;
class QDoubleSpinBox;
class QGridLayout;
class QLabel;

namespace bw {

class Panel;
class Session;
struct Recipe;

class MethodPanel final : public QWidget {
    Q_OBJECT
public:
    explicit MethodPanel(Session* session, QWidget* parent = nullptr);

private:
    /// One of the parts: a box of choices, and a line that says what the chosen one does.
    struct Part {
        std::string Recipe::*field;
        QComboBox* box;
        QLabel* about;
    };
    struct Choice {
        QString text, about;
        std::string value;
    };
    void addPart(QGridLayout* grid, const QString& title, const QString& help, std::string Recipe::*field, const QVector<Choice>& choices);
    void take(const Part& part, int index);
    void takeStrength(double value);
    void show();

    Session* session_;
    Panel* panel_;
    QVector<Part> parts_;
    QDoubleSpinBox* strength_; ///< α of SmoothQuant or the threshold of an outlier split
    bool showing_ = false;
};

} // namespace bw
