// SPDX-License-Identifier: GPL-3.0-or-later
// The calibration set: files with their share, samples and length, and the warnings of a careful engineer.
#pragma once

#include "widgets/theme/panel.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QFormLayout;
class QFrame;
class QLabel;
class QPushButton;
class QSpinBox;
class QVBoxLayout;

namespace bw {

class Session;
struct Recipe;

/// What is doubtful about a calibration set, for people; empty = nothing.
QStringList calibrationSetWarnings(const Recipe& recipe);

class DataPanel final : public QWidget {
    Q_OBJECT
public:
    explicit DataPanel(Session* session, QWidget* parent = nullptr);

private:
    void show();
    void showFiles();
    void showFindings();
    void addFiles();
    void removeFile(const std::string& file);
    void change(const QString& text, qint64 samples, qint64 length);
    void buildChoices(QFormLayout* form);
    void changeChoices();
    void changeWeight(const std::string& file, double weight);

    struct Seen {
        std::vector<std::string> files, evaluation;
        std::map<std::string, double> weights;
        std::int64_t samples = 0, length = 0;
        bool ready = false;
        QString why;
        bool operator==(const Seen&) const = default;
    };

    Session* session_;
    std::optional<Seen> seen_; ///< what is shown
    Panel* panel_;
    QVBoxLayout* files_;
    QFrame* findings_;         ///< what the shown calibration found in its texts
    QVBoxLayout* findingLines_;
    QSpinBox *samples_, *length_, *least_, *floor_;
    QComboBox* sampling_;
    QCheckBox* deduplicate_, *grams_;
    QLabel* floorName_;
    QLabel *tokens_, *warnings_;
    QPushButton *run_, *copy_;
};

} // namespace bw
