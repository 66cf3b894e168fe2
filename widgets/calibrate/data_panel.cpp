// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/data_panel.h"

#include "core/base/text.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/counted.h"
#include "widgets/session/engine_words.h"
#include "widgets/session/session.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/theme.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QFrame>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QSpinBox>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <tuple>

namespace bw {
namespace {

constexpr int kMergeSamples = 101, kMergeLength = 102, kMergeChoices = 103, kMergeWeight = 104;
constexpr std::int64_t kUsualFloor = 128; ///< what 0 of the recipe means
constexpr std::size_t kMostFiles = 8;     ///< listed by name; a folder may hold thousands
constexpr qsizetype kMostWarnings = 6;

QLabel* text(const QString& words, const char* role, QWidget* parent) {
    auto* made = new QLabel(words, parent);
    made->setTextFormat(Qt::PlainText);
    made->setProperty("role", QString::fromLatin1(role));
    return made;
}

QSpinBox* number(int low, int high, int step, const QString& name, QWidget* parent) {
    auto* box = new QSpinBox(parent);
    box->setRange(low, high);
    box->setSingleStep(step);
    box->setAlignment(Qt::AlignRight);
    box->setFont(Theme::instance().figures());
    box->setAccessibleName(name);
    box->setKeyboardTracking(false); // one undo step for a typed number
    return box;
}

} // namespace

QStringList calibrationSetWarnings(const Recipe& recipe) {
    QStringList out;
    const auto& c = recipe.calibration;
    if (c.files.empty()) return out;
    if (c.samples < 64)
        out << DataPanel::tr("Only %1 samples: ranges and importances will be noisy; 128 or more is usual.").arg(c.samples);
    else if (c.samples < 128)
        out << DataPanel::tr("%1 samples: 128 or more is usual.").arg(c.samples);
    if (c.length < 512)
        out << DataPanel::tr("Samples of %1 tokens see no long contexts; 512 or more is usual.").arg(c.length);
    for (const std::string& file : c.files) {
        const QFileInfo info(QString::fromStdString(file));
        if (!info.exists()) out << DataPanel::tr("%1 is not there any more.").arg(info.fileName());
        const auto same = [&](const std::string& other) {
            return QFileInfo(QString::fromStdString(other)).canonicalFilePath() == info.canonicalFilePath();
        };
        if (info.exists() && std::any_of(recipe.evaluation.files.begin(), recipe.evaluation.files.end(), same))
            out << DataPanel::tr("%1 is also the evaluation text: figures would flatter.").arg(info.fileName());
        if (out.size() >= kMostWarnings) break;
    }
    return out;
}

DataPanel::DataPanel(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    panel_ = new Panel(tr("Calibration set"), this);
    files_ = new QVBoxLayout;
    files_->setSpacing(2);
    samples_ = number(1, 4096, 16, tr("Samples"), this);
    length_ = number(16, 8192, 64, tr("Tokens per sample"), this);
    samples_->setObjectName(QStringLiteral("calibrate.samples"));
    length_->setObjectName(QStringLiteral("calibrate.length"));
    tokens_ = text({}, "figures", this);
    tokens_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    warnings_ = text({}, "warn", this);
    warnings_->setWordWrap(true);
    findings_ = new QFrame(this);
    findings_->setProperty("role", QStringLiteral("notice"));
    findings_->setObjectName(QStringLiteral("calibrate.findings"));
    findings_->setAccessibleName(tr("What the last calibration found in its texts"));
    findingLines_ = new QVBoxLayout(findings_);
    findingLines_->setContentsMargins(8, 6, 8, 6);
    findingLines_->setSpacing(4);
    auto* form = new QFormLayout;
    form->setHorizontalSpacing(12);
    form->setRowWrapPolicy(QFormLayout::WrapLongRows);
    form->addRow(text(tr("samples"), "muted", this), samples_);
    form->addRow(text(tr("tokens per sample"), "muted", this), length_);
    form->addRow(text(tr("tokens in all"), "muted", this), tokens_);
    buildChoices(form);
    auto* add = new QPushButton(tr("Add texts…"), this);
    run_ = new QPushButton(tr("Calibrate"), this);
    run_->setProperty("role", QStringLiteral("accent"));
    run_->setObjectName(QStringLiteral("calibrate.run"));
    copy_ = new QPushButton(tr("copy as command"), this);
    copy_->setProperty("role", QStringLiteral("link"));
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(run_, 1);
    buttons->addWidget(add, 1);
    auto* scroll = new QScrollArea(this); // texts and findings may be many, the window low
    scroll->setObjectName(QStringLiteral("calibrate.set"));
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setWidgetResizable(true);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setFocusPolicy(Qt::NoFocus);
    auto* set = new QWidget(scroll);
    set->setProperty("role", QStringLiteral("bar"));
    auto* lines = new QVBoxLayout(set);
    lines->setContentsMargins(0, 0, 0, 0);
    lines->setSpacing(8);
    lines->addLayout(files_);
    lines->addWidget(warnings_);
    lines->addLayout(form);
    lines->addWidget(findings_);
    lines->addStretch(1);
    scroll->setWidget(set);
    panel_->body()->addWidget(scroll, 1);
    panel_->body()->addWidget(copy_, 0, Qt::AlignRight);
    panel_->body()->addLayout(buttons);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);

    const auto recipe = [this] {
        Recipe r = session_->recipe();
        r.kind = "calibrate";
        return r;
    };
    connect(add, &QPushButton::clicked, this, &DataPanel::addFiles);
    connect(run_, &QPushButton::clicked, this, [this, recipe] { Q_EMIT session_->runRequested(recipe(), RunId()); });
    connect(copy_, &QPushButton::clicked, this, [this, recipe] { Q_EMIT session_->copyCommandRequested(recipe(), RunId()); });
    connect(samples_, &QSpinBox::valueChanged, this, [this] { change(tr("Samples"), samples_->value(), length_->value()); });
    connect(length_, &QSpinBox::valueChanged, this, [this] { change(tr("Tokens per sample"), samples_->value(), length_->value()); });
    connect(session_, &Session::recipeChanged, this, &DataPanel::show);
    connect(session_, &Session::checkpointChanged, this, &DataPanel::show);
    connect(session_, &Session::statisticsChanged, this, &DataPanel::showFindings);
    show();
    showFindings();
}

void DataPanel::change(const QString& words, qint64 samples, qint64 length) {
    Recipe r = session_->recipe();
    if (r.calibration.samples == samples && r.calibration.length == length) return;
    const int merge = r.calibration.samples != samples ? kMergeSamples : kMergeLength;
    r.calibration.samples = samples;
    r.calibration.length = length;
    session_->editRecipe(words, std::move(r), merge);
}

/// Which windows of the texts are taken.
void DataPanel::buildChoices(QFormLayout* form) {
    sampling_ = new QComboBox(this);
    sampling_->setObjectName(QStringLiteral("calibrate.sampling"));
    sampling_->setAccessibleName(tr("Sampling"));
    sampling_->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed); // where the longest choice has no room beside its name it goes below
    for (const auto& [name, words, tip] : {std::tuple("even", tr("even"), tr("windows at equal distances through the texts")),
                                           std::tuple("random", tr("at random"), tr("by the recipe's seed")),
                                           std::tuple("balanced", tr("balanced"), tr("more windows for experts that see little; random where there are none"))}) {
        sampling_->addItem(words, QString::fromLatin1(name));
        sampling_->setItemData(sampling_->count() - 1, tip, Qt::ToolTipRole);
    }
    floor_ = number(1, 65536, 64, tr("Tokens that every expert should see"), this);
    floor_->setObjectName(QStringLiteral("calibrate.floor"));
    least_ = number(0, 65536, 16, tr("Shortest document, in tokens"), this);
    least_->setObjectName(QStringLiteral("calibrate.least"));
    least_->setSpecialValueText(tr("any"));
    least_->setToolTip(tr("Documents with fewer tokens are left out."));
    deduplicate_ = new QCheckBox(tr("leave out repetitions"), this);
    deduplicate_->setObjectName(QStringLiteral("calibrate.deduplicate"));
    deduplicate_->setToolTip(tr("Repeated documents and windows count once."));
    grams_ = new QCheckBox(tr("keep Gram matrices"), this);
    grams_->setObjectName(QStringLiteral("calibrate.grams"));
    grams_->setToolTip(tr("Also sums xᵀx of every input and keeps it in the cache: searches of scales and clips (AWQ, SmoothQuant) then start at once. "
                          "It takes more time now, and disk: channels² × 4 bytes for each input."));
    for (QSpinBox* box : {samples_, length_, floor_, least_}) box->setMinimumWidth(64); // of figures that are usual, not of the largest
    floorName_ = text(tr("tokens per expert"), "muted", this);
    form->addRow(text(tr("windows"), "muted", this), sampling_);
    form->addRow(floorName_, floor_);
    form->addRow(text(tr("documents from"), "muted", this), least_);
    form->addRow(deduplicate_);
    form->addRow(grams_);
    connect(sampling_, &QComboBox::currentIndexChanged, this, &DataPanel::changeChoices);
    connect(floor_, &QSpinBox::valueChanged, this, &DataPanel::changeChoices);
    connect(least_, &QSpinBox::valueChanged, this, &DataPanel::changeChoices);
    connect(deduplicate_, &QCheckBox::toggled, this, &DataPanel::changeChoices);
    connect(grams_, &QCheckBox::toggled, this, &DataPanel::changeChoices);
}

void DataPanel::changeChoices() {
    Recipe r = session_->recipe();
    Recipe::CalibrationSet& set = r.calibrationSet;
    set.sampling = sampling_->currentData().toString().toStdString();
    const bool balanced = set.sampling == "balanced";
    set.expertFloor = !balanced || floor_->value() == kUsualFloor ? 0 : floor_->value();
    set.minLength = least_->value();
    set.deduplicate = deduplicate_->isChecked();
    set.grams = grams_->isChecked();
    if (!(r == session_->recipe())) session_->editRecipe(tr("Choice of calibration windows"), std::move(r), kMergeChoices);
}

/// 0: by length, as long as no text has a weight; beside weights such a text counts 1.
void DataPanel::changeWeight(const std::string& file, double weight) {
    Recipe r = session_->recipe();
    if (weight > 0) r.calibrationSet.weights[file] = weight;
    else r.calibrationSet.weights.erase(file);
    session_->editRecipe(tr("Weight of a text"), std::move(r), kMergeWeight);
}

void DataPanel::addFiles() {
    const QStringList paths = QFileDialog::getOpenFileNames(this, tr("Add calibration texts"), {},
                                                            tr("Text (*.txt *.md *.jsonl *.text);;All files (*)"));
    if (!paths.isEmpty()) Q_EMIT session_->openRequested(paths);
}

void DataPanel::removeFile(const std::string& file) {
    Recipe r = session_->recipe();
    std::erase(r.calibration.files, file);
    r.calibrationSet.weights.erase(file);
    session_->editRecipe(tr("Remove a text"), std::move(r));
}

void DataPanel::showFiles() {
    while (QLayoutItem* item = files_->takeAt(0)) {
        if (item->widget()) item->widget()->deleteLater();
        delete item;
    }
    const auto& files = session_->recipe().calibration.files;
    const auto& weights = session_->recipe().calibrationSet.weights;
    const auto weightOf = [&weights](const std::string& file) {
        const auto known = weights.find(file);
        return known == weights.end() ? 1.0 : known->second;
    };
    double total = 0, weighed = 0;
    for (const std::string& file : files) weighed += weightOf(file);
    for (const std::string& file : files) total += static_cast<double>(QFileInfo(QString::fromStdString(file)).size());
    const std::size_t shown = files.size() > kMostFiles + 1 ? kMostFiles : files.size();
    for (std::size_t i = 0; i < shown; ++i) {
        const std::string& file = files[i];
        const QFileInfo info(QString::fromStdString(file));
        const auto bytes = static_cast<double>(info.size());
        auto* line = new QWidget(this);
        auto* row = new QHBoxLayout(line);
        row->setContentsMargins(0, 0, 0, 0);
        row->setSpacing(8);
        auto* name = new ElidedLabel(line, Qt::ElideMiddle);
        name->setText(QString::fromStdString(escapeForDisplay(info.fileName().toStdString(), 200)));
        name->setToolTip(QStringLiteral("%1\n%2").arg(QString::fromStdString(escapeForDisplay(file, 400)), bytesText(bytes)));
        const double share = !weights.empty() ? (weighed > 0 ? weightOf(file) / weighed : 0) : total > 0 ? bytes / total : 0;
        auto* size = text(QStringLiteral("%1 %").arg(100 * share, 0, 'f', 0), "figures", line);
        size->setToolTip(weights.empty() ? tr("share of the windows, by length; %1").arg(bytesText(bytes)) : tr("share of the windows, by weight; %1").arg(bytesText(bytes)));
        auto* weight = new QDoubleSpinBox(line);
        weight->setObjectName(QStringLiteral("calibrate.weight"));
        weight->setRange(0, 100);
        weight->setDecimals(1);
        weight->setSingleStep(0.5);
        weight->setSpecialValueText(tr("auto"));
        weight->setPrefix(QStringLiteral("×"));
        weight->setFixedWidth(58);
        weight->setKeyboardTracking(false);
        weight->setFont(Theme::instance().figures());
        weight->setAccessibleName(tr("Weight of %1").arg(info.fileName()));
        weight->setToolTip(tr("How many of the windows come from this text, against the others. auto: by length, or 1 beside weights."));
        weight->setValue(weights.count(file) ? weightOf(file) : 0);
        weight->setVisible(files.size() > 1); // of a single text there is nothing to weigh
        connect(weight, &QDoubleSpinBox::valueChanged, this, [this, file](double value) { changeWeight(file, value); }, Qt::QueuedConnection);
        auto* remove = new QToolButton(line);
        remove->setIcon(Theme::instance().icon(QStringLiteral("cancel")));
        remove->setIconSize({10, 10});
        remove->setToolTip(tr("Remove"));
        remove->setAccessibleName(tr("Remove %1").arg(info.fileName()));
        connect(remove, &QToolButton::clicked, this, [this, file] { removeFile(file); }, Qt::QueuedConnection);
        row->addWidget(name, 1);
        row->addWidget(weight);
        row->addWidget(size);
        row->addWidget(remove);
        files_->addWidget(line);
    }
    if (shown < files.size())
        files_->addWidget(text(tr("and %1 more, %2 in all").arg(files.size() - shown).arg(bytesText(total)), "muted", this));
    if (files.empty()) {
        auto* none = text(tr("Drop .txt or .jsonl files anywhere on the window: a few hundred kilobytes of what the model "
                             "will be used for. Calibrate at the top offers the demo texts."),
                          "muted", this);
        none->setWordWrap(true);
        files_->addWidget(none);
    }
}

void DataPanel::showFindings() {
    while (QLayoutItem* item = findingLines_->takeAt(0)) {
        if (item->widget()) item->widget()->deleteLater();
        delete item;
    }
    int shown = 0;
    for (const DataWarning& warning : session_->dataWarnings()) {
        if (warning.kind == "few-samples" || warning.kind == "short-samples") continue; // said of the recipe already
        if (++shown > kMostWarnings) break;
        auto* line = text(engineText(warning.seen, 300), "warn", findings_);
        line->setWordWrap(true);
        QString tip = engineText(warning.why, 400) + QLatin1Char('\n') + engineText(warning.remedy, 400);
        for (const std::string& detail : warning.details) tip += QStringLiteral("\n· ") + QString::fromStdString(escapeForDisplay(detail, 120));
        line->setToolTip(tip);
        findingLines_->addWidget(line);
    }
    findings_->setVisible(shown > 0);
}

void DataPanel::show() {
    const Recipe& r = session_->recipe();
    const QSignalBlocker a(samples_), b(length_);
    samples_->setValue(static_cast<int>(r.calibration.samples));
    length_->setValue(static_cast<int>(r.calibration.length));
    const QSignalBlocker c(sampling_), d(floor_), e(least_), f(deduplicate_), g(grams_);
    const Recipe::CalibrationSet& set = r.calibrationSet;
    sampling_->setCurrentIndex(std::max(0, sampling_->findData(QString::fromStdString(set.sampling))));
    floor_->setValue(static_cast<int>(set.expertFloor > 0 ? set.expertFloor : kUsualFloor));
    floor_->setVisible(set.sampling == "balanced");
    floorName_->setVisible(set.sampling == "balanced");
    least_->setValue(static_cast<int>(set.minLength));
    deduplicate_->setChecked(set.deduplicate);
    grams_->setChecked(set.grams);
    // Everything below asks the disk; most changes of a recipe are formats of sites.
    const Seen now{r.calibration.files, r.evaluation.files, set.weights, r.calibration.samples, r.calibration.length,
                   session_->model() != nullptr, session_->whyNoForward()};
    if (seen_ == now) return;
    seen_ = now;
    tokens_->setText(groupedText(r.calibration.samples * r.calibration.length));
    showFiles();
    const QString why = session_->whyNoForward();
    QStringList warnings = calibrationSetWarnings(r);
    if (!why.isEmpty()) warnings.prepend(tr("Nothing can be calibrated: %1").arg(why));
    warnings_->setText(warnings.join(QLatin1Char('\n')));
    warnings_->setVisible(!warnings.isEmpty());
    panel_->setHint(r.calibration.files.empty() ? QString() : counted(static_cast<qint64>(r.calibration.files.size()), tr("1 text"), tr("%1 texts")));
    const bool ready = session_->model() != nullptr && why.isEmpty() && !r.calibration.files.empty();
    run_->setToolTip(why);
    run_->setEnabled(ready);
    copy_->setEnabled(ready);
}

} // namespace bw
