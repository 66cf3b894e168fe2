// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/data_panel.h"

#include "core/base/text.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/theme.h"

#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {
namespace {

constexpr int kMergeSamples = 101, kMergeLength = 102;
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
    auto* form = new QFormLayout;
    form->setHorizontalSpacing(12);
    form->addRow(text(tr("samples"), "muted", this), samples_);
    form->addRow(text(tr("tokens per sample"), "muted", this), length_);
    form->addRow(text(tr("tokens in all"), "muted", this), tokens_);
    auto* add = new QPushButton(tr("Add texts…"), this);
    run_ = new QPushButton(tr("Calibrate"), this);
    run_->setProperty("role", QStringLiteral("accent"));
    run_->setObjectName(QStringLiteral("calibrate.run"));
    copy_ = new QPushButton(tr("copy as command"), this);
    copy_->setProperty("role", QStringLiteral("link"));
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(run_, 1);
    buttons->addWidget(add, 1);
    panel_->body()->addLayout(files_);
    panel_->body()->addLayout(form);
    panel_->body()->addWidget(warnings_);
    panel_->body()->addStretch(1);
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
    show();
}

void DataPanel::change(const QString& words, qint64 samples, qint64 length) {
    Recipe r = session_->recipe();
    if (r.calibration.samples == samples && r.calibration.length == length) return;
    const int merge = r.calibration.samples != samples ? kMergeSamples : kMergeLength;
    r.calibration.samples = samples;
    r.calibration.length = length;
    session_->editRecipe(words, std::move(r), merge);
}

void DataPanel::addFiles() {
    const QStringList paths = QFileDialog::getOpenFileNames(this, tr("Add calibration texts"), {},
                                                            tr("Text (*.txt *.md *.jsonl *.text);;All files (*)"));
    if (!paths.isEmpty()) Q_EMIT session_->openRequested(paths);
}

void DataPanel::removeFile(const std::string& file) {
    Recipe r = session_->recipe();
    std::erase(r.calibration.files, file);
    session_->editRecipe(tr("Remove a text"), std::move(r));
}

void DataPanel::showFiles() {
    while (QLayoutItem* item = files_->takeAt(0)) {
        if (item->widget()) item->widget()->deleteLater();
        delete item;
    }
    const auto& files = session_->recipe().calibration.files;
    double total = 0;
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
        name->setToolTip(QString::fromStdString(escapeForDisplay(file, 400)));
        auto* size = text(QStringLiteral("%1  %2 %").arg(bytesText(bytes)).arg(total > 0 ? 100 * bytes / total : 0, 0, 'f', 0),
                          "figures", line);
        auto* remove = new QToolButton(line);
        remove->setIcon(Theme::instance().icon(QStringLiteral("cancel")));
        remove->setIconSize({10, 10});
        remove->setToolTip(tr("Remove"));
        remove->setAccessibleName(tr("Remove %1").arg(info.fileName()));
        connect(remove, &QToolButton::clicked, this, [this, file] { removeFile(file); }, Qt::QueuedConnection);
        row->addWidget(name, 1);
        row->addWidget(size);
        row->addWidget(remove);
        files_->addWidget(line);
    }
    if (shown < files.size())
        files_->addWidget(text(tr("and %1 more, %2 in all").arg(files.size() - shown).arg(bytesText(total)), "muted", this));
    if (files.empty()) {
        auto* none = text(tr("Drop .txt or .jsonl files anywhere on the window: a few hundred kilobytes of what the model "
                             "will be used for."),
                          "muted", this);
        none->setWordWrap(true);
        files_->addWidget(none);
    }
}

void DataPanel::show() {
    const Recipe& r = session_->recipe();
    const QSignalBlocker a(samples_), b(length_);
    samples_->setValue(static_cast<int>(r.calibration.samples));
    length_->setValue(static_cast<int>(r.calibration.length));
    // Everything below asks the disk; most changes of a recipe are formats of sites.
    const Seen now{r.calibration.files, r.evaluation.files, r.calibration.samples, r.calibration.length,
                   session_->model() != nullptr, session_->whyNoForward()};
    if (seen_ == now) return;
    seen_ = now;
    tokens_->setText(QLocale().toString(static_cast<qlonglong>(r.calibration.samples * r.calibration.length)));
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
