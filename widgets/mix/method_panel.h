// SPDX-License-Identifier: GPL-3.0-or-later
// The method of the recipe, put together from its parts: how difficulty is moved before rounding, how weights are rounded,
// what else a runtime rounds. Every change is one undo step of the recipe.
#pragma once

#include <QVector>
#include <QWidget>
#include <optional>
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
    /// What a choice means below its box in place of beside it.
    void setNarrow(bool narrow);

private:
    using Field = std::string& (*)(Recipe&);
    /// One of the parts: a box of choices, and a sentence that says what the chosen one does.
    struct Part {
        Field field;
        QComboBox* box;
        QLabel* about;
    };
    struct Choice {
        QString text, about;
        std::string value;
    };
    void addPart(QGridLayout* grid, const QString& title, const QString& help, Field field, const QVector<Choice>& choices);
    void take(const Part& part, int index);
    void takeStrength(double value);
    void show();

    Session* session_;
    Panel* panel_;
    QGridLayout* grid_;
    std::optional<bool> narrow_;
    QVector<Part> parts_;
    QComboBox* runtime_ = nullptr;
    QDoubleSpinBox* strength_; ///< α of SmoothQuant or the threshold of an outlier split
    bool showing_ = false;
};

} // namespace bw
