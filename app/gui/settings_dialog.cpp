// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/settings_dialog.h"

#include "core/base/parallel.h"
#include "core/base/text.h"
#include "widgets/session/counted.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/panel.h"

#include <QAbstractItemView>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QSpinBox>
#include <QVBoxLayout>
#include <cmath>

namespace bw {
namespace {

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
constexpr double kMostGib = 4096;
constexpr int kFieldWidth = 300;

QLabel* text(const QString& words, const char* role, QWidget* parent) {
    auto* made = new QLabel(words, parent);
    made->setTextFormat(Qt::PlainText);
    made->setProperty("role", QString::fromLatin1(role));
    made->setWordWrap(true);
    return made;
}

/// A form whose names stand in one column across the dialog's panels.
QFormLayout* formIn(Panel* panel) {
    auto* form = new QFormLayout;
    form->setHorizontalSpacing(16);
    form->setVerticalSpacing(8);
    form->setLabelAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    panel->body()->addLayout(form);
    return form;
}

void addRow(QFormLayout* form, const QString& name, QWidget* field) {
    auto* label = new QLabel(name, field->parentWidget());
    label->setProperty("role", QStringLiteral("muted"));
    label->setMinimumWidth(176); // the longest in either language: panels stay in line
    label->setMinimumHeight(28);
    label->setBuddy(field);
    field->setAccessibleName(name);
    field->setMinimumWidth(kFieldWidth);
    form->addRow(label, field);
}

QString shown(const std::string& words, std::size_t limit = 200) { return QString::fromStdString(escapeForDisplay(words, limit)); }

} // namespace

SettingsDialog::SettingsDialog(const ComputeSettings& compute, Theme::Mode theme, Language language, QWidget* parent) : QDialog(parent), compute_(compute) {
    setWindowTitle(tr("Settings"));
    setObjectName(QStringLiteral("settings"));
    auto* title = new QLabel(tr("Settings"), this);
    title->setProperty("role", QStringLiteral("heading"));
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(20, 20, 20, 16);
    column->setSpacing(12);
    column->addWidget(title);
    column->addWidget(makeAppearance(theme, language));
    column->addWidget(makeComputing());
    column->addWidget(makeCaches());
    column->addStretch(1);
    auto* foot = new QHBoxLayout;
    foot->addWidget(text(tr("Changes hold from the next job on and are kept for the next start."), "muted", this), 1);
    auto* close = new QPushButton(tr("Close"), this);
    close->setDefault(true);
    connect(close, &QPushButton::clicked, this, &QDialog::accept);
    foot->addWidget(close);
    column->addLayout(foot);
    setMinimumWidth(600);
    lookForDevices();
    countCaches();
}

QWidget* SettingsDialog::makeAppearance(Theme::Mode theme, Language language) {
    auto* panel = new Panel(tr("Appearance"), this);
    auto* form = formIn(panel);
    form->setObjectName(QStringLiteral("settings.appearance"));
    auto* box = new QComboBox(panel);
    box->setObjectName(QStringLiteral("settings.theme"));
    for (const auto& [mode, name] : {std::pair(Theme::Mode::system, tr("as the system")), std::pair(Theme::Mode::light, tr("light")), std::pair(Theme::Mode::dark, tr("dark"))})
        box->addItem(name, static_cast<int>(mode));
    box->setCurrentIndex(box->findData(static_cast<int>(theme)));
    connect(box, &QComboBox::activated, this, [this, box](int index) { Q_EMIT themeChanged(static_cast<Theme::Mode>(box->itemData(index).toInt())); });
    addRow(form, tr("Theme"), box);
    auto* languages = new QComboBox(panel);
    languages->setObjectName(QStringLiteral("settings.language"));
    languages->addItem(tr("as the system"), static_cast<int>(Language::system));
    // In their own words: whoever can't read the rest finds it.
    languages->addItem(QStringLiteral("English"), static_cast<int>(Language::english));
    languages->addItem(QStringLiteral("Deutsch"), static_cast<int>(Language::german));
    languages->setCurrentIndex(languages->findData(static_cast<int>(language)));
    languages->setToolTip(tr("Of the window. Figures keep their decimal point, as on the command line and in tables."));
    connect(languages, &QComboBox::activated, this, [this, languages](int index) { Q_EMIT languageChanged(static_cast<Language>(languages->itemData(index).toInt())); });
    addRow(form, tr("Language"), languages);
    return panel;
}

QWidget* SettingsDialog::makeComputing() {
    auto* panel = new Panel(tr("Computing"), this);
    auto* form = formIn(panel);
    device_ = new QComboBox(panel);
    device_->setObjectName(QStringLiteral("settings.device"));
    device_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    device_->setToolTip(tr("Where jobs started in this window compute. Recipes and copied commands name it."));
    connect(device_, &QComboBox::activated, this, [this](int index) {
        ComputeSettings changed = compute_;
        changed.device = device_->itemData(index).toString();
        change(changed);
        describeDevice();
    });
    addRow(form, tr("Device"), device_);
    deviceFacts_ = text({}, "muted", panel);
    deviceFacts_->setObjectName(QStringLiteral("settings.device.facts"));
    deviceFacts_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    form->addRow(QString(), deviceFacts_);
    addRow(form, tr("Memory of the GPU"), bytesBox(QStringLiteral("settings.gpuMemory"), tr("nine tenths of what it has"),
                                                    tr("The most that is taken of a GPU's memory. What does not fit, the processor computes."), &ComputeSettings::gpuMemory));
    auto* threads = new QSpinBox(panel);
    threads->setObjectName(QStringLiteral("settings.threads"));
    threads->setRange(0, 1024);
    threads->setSpecialValueText(tr("one for each core"));
    threads->setKeyboardTracking(false);
    threads->setToolTip(tr("Results do not depend on it. Fewer leave more of the machine to other programs."));
    threads->setValue(compute_.threads);
    connect(threads, &QSpinBox::valueChanged, this, [this](int value) {
        ComputeSettings changed = compute_;
        changed.threads = value;
        change(changed);
    });
    addRow(form, tr("Threads"), threads);
    addRow(form, tr("Memory for activations"), bytesBox(QStringLiteral("settings.memory"), tr("2 GiB"),
                                                         tr("More of them go to a file in the temporary folder, which is slower."), &ComputeSettings::memory));
    return panel;
}

QWidget* SettingsDialog::makeCaches() {
    auto* panel = new Panel(tr("Caches"), this);
    panel->body()->addWidget(text(tr("Rounded tensors, calibrations and baselines are kept, so that what was computed once is not computed again."), "muted", panel));
    auto* form = formIn(panel);
    auto* line = new QWidget(panel);
    auto* row = new QHBoxLayout(line);
    row->setContentsMargins(0, 0, 0, 0);
    auto* folder = new ElidedLabel(line, Qt::ElideMiddle);
    folder->setProperty("role", QStringLiteral("figures"));
    folder->setObjectName(QStringLiteral("settings.cache.folder"));
    folder_ = folder;
    auto* choose = new QPushButton(tr("Choose…"), line);
    choose->setAccessibleName(tr("Choose the folder of the caches"));
    connect(choose, &QPushButton::clicked, this, &SettingsDialog::chooseFolder);
    row->addWidget(folder, 1);
    row->addWidget(choose);
    addRow(form, tr("Folder"), line);
    addRow(form, tr("Size of each"), bytesBox(QStringLiteral("settings.cacheLimit"), tr("4 GiB, or a tenth of the free disk"),
                                               tr("Of rounded tensors, and of Gram matrices. What was not used for longest goes first."), &ComputeSettings::cacheLimit));
    auto* holds = new QWidget(panel);
    auto* held = new QHBoxLayout(holds);
    held->setContentsMargins(0, 0, 0, 0);
    use_ = new QLabel(holds);
    use_->setTextFormat(Qt::PlainText);
    use_->setObjectName(QStringLiteral("settings.cache.use"));
    clear_ = new QPushButton(tr("Clear"), holds);
    clear_->setObjectName(QStringLiteral("settings.cache.clear"));
    clear_->setToolTip(tr("Nothing is lost but time: all of it can be computed again."));
    connect(clear_, &QPushButton::clicked, this, &SettingsDialog::clear);
    held->addWidget(use_, 1);
    held->addWidget(clear_);
    addRow(form, tr("They hold"), holds);
    return panel;
}

QDoubleSpinBox* SettingsDialog::bytesBox(const QString& name, const QString& usual, const QString& tip, quint64 ComputeSettings::*field) {
    auto* box = new QDoubleSpinBox(this);
    box->setObjectName(name);
    box->setRange(0, kMostGib);
    box->setDecimals(2);
    box->setSuffix(tr(" GiB"));
    box->setSpecialValueText(usual);
    box->setToolTip(tip);
    box->setKeyboardTracking(false);
    box->setValue(static_cast<double>(compute_.*field) / kGib);
    connect(box, &QDoubleSpinBox::valueChanged, this, [this, field](double gib) {
        ComputeSettings changed = compute_;
        changed.*field = static_cast<quint64>(std::llround(gib * kGib));
        change(changed);
    });
    return box;
}

void SettingsDialog::change(const ComputeSettings& changed) {
    const ComputeSettings checked = checkedCompute(changed);
    if (checked == compute_) return;
    const bool otherCaches = checked.cacheFolder != compute_.cacheFolder;
    compute_ = checked;
    if (otherCaches) countCaches();
    Q_EMIT computeChanged(compute_);
}

/// Loading the drivers takes up to a second: not on the window's thread.
void SettingsDialog::lookForDevices() {
    showDevices({});
    deviceFacts_->setText(tr("Looking for GPUs…"));
    background_.run<Found>(
        [] {
            Found found;
            found.rows = listDevices(&found.why);
            return found;
        },
        [this](Found found) { showDevices(found); });
}

void SettingsDialog::showDevices(const Found& found) {
    rows_ = found.rows;
    device_->clear();
    device_->addItem(tr("the processor"), QStringLiteral("cpu"));
    device_->addItem(tr("the first GPU that works, else the processor"), QStringLiteral("auto"));
    for (const DeviceRow& row : rows_)
        if (row.name != "cpu") device_->addItem(QStringLiteral("%1 · %2").arg(shown(row.name), shown(row.description, 80)), QString::fromStdString(row.name));
    if (device_->findData(compute_.device) < 0) device_->addItem(rows_.empty() ? compute_.device : tr("%1, which is not there").arg(compute_.device), compute_.device);
    device_->setCurrentIndex(device_->findData(compute_.device));
    if (rows_.empty()) return;
    device_->setProperty("why", shown(found.why, 400));
    describeDevice();
}

void SettingsDialog::describeDevice() {
    QStringList lines;
    bool known = compute_.device == QLatin1String("auto");
    for (const DeviceRow& row : rows_) {
        if (QString::fromStdString(row.name) != compute_.device) continue;
        known = true;
        if (row.detail.empty()) {
            lines << shown(row.description);
            continue;
        }
        lines << shown(row.detail);
        QStringList abilities;
        for (const std::string& ability : row.abilities) abilities << shown(ability, 60);
        if (!abilities.isEmpty()) lines << tr("It also offers %1.").arg(abilities.join(QStringLiteral(", ")));
    }
    if (!known && !rows_.empty()) lines << tr("This device is not there. Until it is, jobs run on the processor.");
    const QString why = device_->property("why").toString();
    if (!why.isEmpty()) lines << tr("No GPU can be used: %1").arg(why);
    deviceFacts_->setText(lines.join(QLatin1Char('\n')));
    deviceFacts_->setProperty("role", known ? QStringLiteral("muted") : QStringLiteral("warn"));
    deviceFacts_->style()->unpolish(deviceFacts_);
    deviceFacts_->style()->polish(deviceFacts_);
}

void SettingsDialog::countCaches() {
    const QString folder = cacheFolder(compute_);
    folder_->setText(folder.isEmpty() ? tr("none: there is no home folder") : shown(folder.toStdString(), 400));
    folder_->setToolTip(folder_->text());
    use_->setText(tr("Counting…"));
    clear_->setEnabled(false);
    background_.run<CacheUse>([settings = compute_] { return cacheUse(settings); },
                              [this](CacheUse use) {
                                  use_->setText(use.entries == 0 ? tr("nothing")
                                                                 : tr("%1 in %2").arg(QString::fromStdString(formatBytes(use.bytes)),
                                                                                      counted(use.entries, tr("1 file"), tr("%1 files"))));
                                  clear_->setEnabled(use.entries > 0);
                              });
}

void SettingsDialog::clear() {
    clear_->setEnabled(false);
    use_->setText(tr("Clearing…"));
    background_.run<qint64>([settings = compute_] { return clearCaches(settings); }, [this](qint64) { countCaches(); });
}

void SettingsDialog::chooseFolder() {
    const QString folder = QFileDialog::getExistingDirectory(this, tr("Folder of the caches"), cacheFolder(compute_));
    if (folder.isEmpty()) return;
    ComputeSettings changed = compute_;
    changed.cacheFolder = folder;
    change(changed);
}

} // namespace bw
