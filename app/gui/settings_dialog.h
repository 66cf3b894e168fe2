// SPDX-License-Identifier: GPL-3.0-or-later
// What a person sets once: look, device, threads, memory, caches. Every change holds at once; nothing to confirm.
#pragma once

#include "app/common/devices.h"
#include "app/gui/background.h"
#include "app/gui/compute_settings.h"
#include "app/gui/language.h"
#include "widgets/theme/theme.h"

#include <QDialog>

class QComboBox;
class QDoubleSpinBox;
class QFormLayout;
class QLabel;
class QPushButton;
class QSpinBox;

namespace bw {

class SettingsDialog final : public QDialog {
    Q_OBJECT
public:
    SettingsDialog(const ComputeSettings& compute, Theme::Mode theme, Language language, QWidget* parent);
    const ComputeSettings& compute() const { return compute_; }
    /// Nothing is being looked up.
    bool quiet() const { return background_.pending() == 0; }

Q_SIGNALS:
    void computeChanged(const bw::ComputeSettings& settings);
    void themeChanged(bw::Theme::Mode mode);
    void languageChanged(bw::Language language);

private:
    struct Found {
        std::vector<DeviceRow> rows;
        std::string why;
    };
    QWidget* makeAppearance(Theme::Mode theme, Language language);
    QWidget* makeComputing();
    QWidget* makeCaches();
    QDoubleSpinBox* bytesBox(const QString& name, const QString& usual, const QString& tip, quint64 ComputeSettings::*field);
    void lookForDevices();
    void showDevices(const Found& found);
    void describeDevice();
    void countCaches();
    void clear();
    void chooseFolder();
    void change(const ComputeSettings& changed);

    ComputeSettings compute_;
    std::vector<DeviceRow> rows_;
    QComboBox* device_;
    QLabel *deviceFacts_, *folder_, *use_;
    QPushButton* clear_;
    Background background_;
};

} // namespace bw

Q_DECLARE_METATYPE(bw::ComputeSettings)
