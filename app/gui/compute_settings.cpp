// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/compute_settings.h"

#include "app/common/devices.h"
#include "core/base/parallel.h"
#include "core/base/scratch.h"
#include "core/experiment/calibration_store.h"
#include "core/quantize/tensor_cache.h"

#include <QFileInfo>
#include <QRegularExpression>
#include <algorithm>
#include <tuple>

namespace bw {
namespace {

constexpr quint64 kUsualMemory = quint64{2} << 30;  ///< as `--memory` when it is left out
constexpr quint64 kMostBytes = quint64{1} << 50;    ///< more is a damaged settings file
constexpr quint64 kLeastMemory = quint64{64} << 20; ///< below, windows of a small model would not fit
constexpr int kMostThreads = 1024;

TensorCacheOptions options(const ComputeSettings& settings) {
    TensorCacheOptions made;
    made.folder = settings.cacheFolder.isEmpty() ? defaultTensorCache() : (settings.cacheFolder + QStringLiteral("/tensors")).toStdString();
    if (settings.cacheLimit > 0) made.limit = settings.cacheLimit;
    return made;
}

/// The four kinds, one after the other.
template <class Visit>
void eachCache(const ComputeSettings& settings, const Visit& visit) {
    const TensorCacheOptions tensors = options(settings);
    if (tensors.folder.empty()) return;
    TensorCache rounded(tensors, "", "");
    CalibrationStore calibrations({calibrationFolder(tensors.folder), {}, 0});
    InputStore grams({gramFolder(tensors.folder), tensors.limit, 0}, "", "");
    BaselineStore baselines({baselineFolder(tensors.folder), {}, 0});
    std::apply([&](auto&... each) { (visit(each), ...); }, std::tie(rounded, calibrations, grams, baselines));
}

} // namespace

ComputeSettings checkedCompute(ComputeSettings settings) {
    static const QRegularExpression known(QStringLiteral("^(auto|cpu|vulkan:[0-9]{1,2})$"));
    if (!known.match(settings.device).hasMatch()) settings.device = ComputeSettings().device;
    settings.threads = std::clamp(settings.threads, 0, kMostThreads);
    for (quint64* bytes : {&settings.gpuMemory, &settings.memory, &settings.cacheLimit})
        if (*bytes > kMostBytes) *bytes = 0;
    if (settings.memory > 0) settings.memory = std::max(settings.memory, kLeastMemory);
    if (!settings.cacheFolder.isEmpty() && !QFileInfo(settings.cacheFolder).isAbsolute()) settings.cacheFolder.clear();
    return settings;
}

QString cacheFolder(const ComputeSettings& settings) {
    const std::string tensors = options(settings).folder;
    return tensors.empty() ? QString() : QFileInfo(QString::fromStdString(tensors)).path();
}

void applyCompute(const ComputeSettings& settings) {
    setThreadCount(settings.threads);
    setScratchLimit(settings.memory > 0 ? settings.memory : kUsualMemory);
    setGpuMemory(settings.gpuMemory);
    setTensorCache(options(settings));
}

CacheUse cacheUse(const ComputeSettings& settings) {
    CacheUse all;
    eachCache(settings, [&all](auto& cache) {
        const auto size = cache.size();
        all.entries += size.entries;
        all.bytes += size.bytes;
    });
    return all;
}

qint64 clearCaches(const ComputeSettings& settings) {
    qint64 removed = 0;
    eachCache(settings, [&removed](auto& cache) { removed += cache.clear(); });
    return removed;
}

} // namespace bw
