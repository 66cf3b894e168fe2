// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/device_desk.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"

#include <utility>

namespace bw {
namespace {

constexpr int kLookEvery = 500; // ms; a failure is no news that can't wait that long

struct Failure {
    std::string asked, name, why;
};

} // namespace

DeviceDesk::DeviceDesk(DeviceFactory factory, QObject* parent) : QObject(parent), factory_(std::move(factory)) {
    timer_.setInterval(kLookEvery);
    connect(&timer_, &QTimer::timeout, this, [this] { look(false); });
    connect(this, &DeviceDesk::used, this, [this] { timer_.start(); }); // in this object's thread, wherever it was made
}

void DeviceDesk::setFactory(DeviceFactory factory) {
    const std::scoped_lock lock(mutex_);
    factory_ = std::move(factory);
}

std::shared_ptr<Device> DeviceDesk::make(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    std::shared_ptr<Device> device;
    if (lost_.count(name) == 0) {
        try {
            device = factory_(name);
        } catch (const Error& e) {
            if (e.code() != ErrorCode::deviceUnavailable) throw;
            Q_EMIT missing(QString::fromStdString(name), QString::fromStdString(e.message()));
        }
    }
    if (!device) device = makeCpuDevice();
    if (device->name() != "cpu") held_.push_back({name, device});
    Q_EMIT used(QString::fromStdString(device->name()), QString::fromStdString(device->description()));
    return device;
}

void DeviceDesk::release() {
    timer_.stop();
    look(true);
}

void DeviceDesk::forgive() {
    const std::scoped_lock lock(mutex_);
    lost_.clear();
}

void DeviceDesk::look(bool last) {
    if (looking_ && !last) return;
    std::vector<Held> devices;
    {
        const std::scoped_lock lock(mutex_);
        devices = last ? std::exchange(held_, {}) : held_;
    }
    if (devices.empty()) return;
    looking_ = true;
    watch_.run<std::vector<Failure>>(
        [devices] {
            std::vector<Failure> found;
            for (const Held& held : devices)
                if (const std::string why = held.device->failure(); !why.empty()) found.push_back({held.asked, held.device->name(), why});
            return found;
        },
        [this](std::vector<Failure> found) {
            looking_ = false;
            for (const Failure& failure : found) {
                bool news = false;
                {
                    const std::scoped_lock lock(mutex_);
                    news = lost_.insert(failure.asked).second;
                }
                if (news) Q_EMIT failed(QString::fromStdString(failure.name), QString::fromStdString(failure.why));
            }
        },
        [this](const JobError&) { looking_ = false; });
}

} // namespace bw
