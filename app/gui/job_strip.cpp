// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/job_strip.h"

#include "app/gui/job_queue.h"
#include "app/gui/memory_use.h"
#include "core/base/parallel.h"
#include "core/base/text.h"
#include "core/compute/cpu_device.h"
#include "widgets/session/counted.h"
#include "widgets/session/engine_words.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/theme.h"

#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QProgressBar>
#include <QPushButton>
#include <QToolButton>

namespace bw {
namespace {

constexpr int kMessageMilliseconds = 8000;

QLabel* label(const char* role, QWidget* parent) {
    auto* made = new QLabel(parent);
    made->setProperty("role", QString::fromLatin1(role));
    made->setTextFormat(Qt::PlainText);
    return made;
}

QString shown(const std::string& text) { return QString::fromStdString(escapeForDisplay(text, 80)); }

} // namespace

JobStrip::JobStrip(JobQueue& jobs, QWidget* parent) : QWidget(parent), jobs_(jobs) {
    setProperty("role", QStringLiteral("bar"));
    setAttribute(Qt::WA_StyledBackground);
    setFixedHeight(32);
    stage_ = label("stage", this);
    figures_ = label("muted", this);
    message_ = new ElidedLabel(this);
    message_->setProperty("role", QStringLiteral("muted"));
    machine_ = new QPushButton(this);
    machine_->setProperty("role", QStringLiteral("quiet"));
    machine_->setObjectName(QStringLiteral("job.device"));
    machine_->setCursor(Qt::PointingHandCursor);
    connect(machine_, &QPushButton::clicked, this, &JobStrip::settingsRequested);
    memory_ = label("muted", this);
    log_ = label("muted", this);
    bar_ = new QProgressBar(this);
    bar_->setTextVisible(false);
    bar_->setFixedWidth(200);
    bar_->setAccessibleName(tr("Progress of the job"));
    bar_->setObjectName(QStringLiteral("job.bar"));
    stage_->setObjectName(QStringLiteral("job.stage"));
    const auto button = [this](const char* icon, const QString& text, const char* name) {
        auto* made = new QToolButton(this);
        made->setIcon(Theme::instance().icon(QString::fromLatin1(icon)));
        made->setIconSize({14, 14});
        made->setToolTip(text);
        made->setAccessibleName(text);
        made->setObjectName(QString::fromLatin1(name));
        return made;
    };
    pause_ = button("pause", tr("Pause"), "job.pause");
    cancel_ = button("cancel", tr("Cancel the job"), "job.cancel");

    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(16, 0, 16, 0);
    row->setSpacing(10);
    for (QWidget* w : {static_cast<QWidget*>(stage_), static_cast<QWidget*>(bar_), static_cast<QWidget*>(figures_),
                       static_cast<QWidget*>(pause_), static_cast<QWidget*>(cancel_)})
        row->addWidget(w);
    row->addWidget(message_, 1);
    row->addWidget(machine_);
    row->addSpacing(8);
    row->addWidget(memory_);
    row->addSpacing(8);
    row->addWidget(log_);

    connect(pause_, &QToolButton::clicked, this, [this] { jobs_.setPaused(!jobs_.paused()); });
    connect(cancel_, &QToolButton::clicked, &jobs_, &JobQueue::cancel);
    connect(&jobs_, &JobQueue::started, this, &JobStrip::refresh);
    connect(&jobs_, &JobQueue::progressed, this, &JobStrip::refresh);
    connect(&jobs_, &JobQueue::finished, this, &JobStrip::refresh);
    connect(&jobs_, &JobQueue::failed, this, &JobStrip::refresh);
    connect(&jobs_, &JobQueue::noted, this, &JobStrip::showMessage);
    messageTimer_.setSingleShot(true);
    connect(&messageTimer_, &QTimer::timeout, message_, &QLabel::clear);
    machineTimer_.setInterval(1000);
    connect(&machineTimer_, &QTimer::timeout, this, &JobStrip::refreshMachine);
    machineTimer_.start();
    setDevice({});
    refreshMachine();
    refresh();
}

void JobStrip::setLogPath(const QString& path) {
    log_->setText(tr("log: %1").arg(shown(QFileInfo(path).fileName().toStdString())));
    log_->setToolTip(shown(path.toStdString()));
}

void JobStrip::setDevice(const QString& text, const QString& why) {
    const QString threads = counted(threadCount(), tr("1 thread"), tr("%1 threads"));
    const QString cpu = tr("CPU · %1 · %2").arg(threads, QString::fromStdString(cpuInstructionSet()));
    machine_->setText(text.isEmpty() ? cpu : tr("%1 · %2").arg(shown(text.toStdString()), threads));
    const QString where = why.isEmpty() ? tr("Jobs compute on this device.") : QString::fromStdString(escapeForDisplay(why.toStdString(), 400));
    machine_->setToolTip(tr("%1 Click for the settings.").arg(where));
    machine_->setAccessibleName(tr("Device of jobs: %1").arg(machine_->text()));
}

void JobStrip::setOpening(bool opening) {
    opening_ = opening;
    refresh();
}

void JobStrip::showMessage(const QString& text) {
    message_->setText(text);
    messageTimer_.start(kMessageMilliseconds);
}

void JobStrip::refreshMachine() {
    const MemoryUse use = memoryUse();
    const double gib = 1024.0 * 1024.0 * 1024.0;
    memory_->setText(tr("memory %1 / %2 GiB")
                         .arg(static_cast<double>(use.resident) / gib, 0, 'f', 1)
                         .arg(static_cast<double>(use.machine) / gib, 0, 'f', 0));
}

void JobStrip::refresh() {
    const bool busy = jobs_.busy();
    for (QWidget* w : {static_cast<QWidget*>(figures_), static_cast<QWidget*>(pause_), static_cast<QWidget*>(cancel_)})
        w->setVisible(busy);
    bar_->setVisible(busy || opening_);
    if (!busy) {
        stage_->setText(opening_ ? tr("Opening…") : tr("Ready"));
        bar_->setRange(0, 0);
        return;
    }
    const Progress p = jobs_.progress();
    const QString stage = p.stage.empty() ? jobs_.currentJob()->title : engineText(p.stage);
    stage_->setText(jobs_.waiting() > 0 ? tr("%1 (+%2 waiting)").arg(stage).arg(jobs_.waiting()) : stage);
    stage_->setToolTip(jobs_.currentJob()->title);
    QStringList parts;
    if (p.total > 0) {
        bar_->setRange(0, 1000);
        const double share = static_cast<double>(p.done) / static_cast<double>(p.total);
        bar_->setValue(static_cast<int>(std::min(1.0, share) * 1000));
        parts << tr("%1 %").arg(static_cast<int>(std::min(1.0, share) * 100));
    } else {
        bar_->setRange(0, 0);
    }
    const bool paused = jobs_.paused();
    if (paused) parts << tr("paused");
    if (!paused && p.secondsLeft >= 0) parts << tr("%1 left").arg(shown(formatSeconds(p.secondsLeft)));
    if (!paused && p.rate > 0)
        parts << QStringLiteral("%1 %2/s").arg(p.rate, 0, 'f', p.rate < 10 ? 1 : 0).arg(engineText(p.unit));
    figures_->setText(parts.join(QStringLiteral("  ·  ")));
    pause_->setIcon(Theme::instance().icon(paused ? QStringLiteral("play") : QStringLiteral("pause")));
    pause_->setToolTip(paused ? tr("Go on") : tr("Pause"));
    pause_->setAccessibleName(pause_->toolTip());
}

} // namespace bw
