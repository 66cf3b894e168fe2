// SPDX-License-Identifier: GPL-3.0-or-later
// Hands devices to jobs and keeps an eye on them: what is not there, or fails while a job uses it, is told, and the CPU
// does the work. A device that failed is not used again until somebody asks for it.
#pragma once

#include "app/gui/background.h"
#include "core/experiment/runner.h"

#include <QTimer>
#include <mutex>
#include <set>

namespace bw {

class DeviceDesk final : public QObject {
    Q_OBJECT
public:
    explicit DeviceDesk(DeviceFactory factory, QObject* parent = nullptr);
    /// In place of the one that was given; not while a job runs.
    void setFactory(DeviceFactory factory);
    /// The device, or the CPU when it is not there or failed before. Thread safe. @throws Error usage for what names no device.
    std::shared_ptr<Device> make(const std::string& name);
    /// The job has ended: looks at its devices once more and lets go of them.
    void release();
    /// What failed may be tried again.
    void forgive();

Q_SIGNALS:
    void used(const QString& name, const QString& description); ///< a job works on it from now on
    void missing(const QString& asked, const QString& why);
    void failed(const QString& name, const QString& why); ///< once for each

private:
    void look(bool last);
    struct Held {
        std::string asked; ///< by this name the job wanted it
        std::shared_ptr<Device> device;
    };
    std::mutex mutex_; ///< of the next three
    DeviceFactory factory_;
    std::vector<Held> held_;
    std::set<std::string> lost_;
    QTimer timer_;
    bool looking_ = false;
    Background watch_; ///< a device answers when its work of the moment is done, which may take longer than a frame
};

} // namespace bw
