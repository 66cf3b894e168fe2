// SPDX-License-Identifier: GPL-3.0-or-later
// What jobs started in the window may use of the machine, and where they keep what can be made again.
#pragma once

#include <QString>

namespace bw {

struct ComputeSettings {
    QString device = QStringLiteral("cpu"); ///< as --device: "auto", "cpu", "vulkan:N"
    quint64 gpuMemory = 0;  ///< bytes taken of a GPU at most; 0: nine tenths of it
    int threads = 0;        ///< 0: one per core
    quint64 memory = 0;     ///< bytes of activations before they spill to disk; 0: the program's choice
    QString cacheFolder;    ///< holds a folder for each kind; empty: the user's
    quint64 cacheLimit = 0; ///< bytes of rounded tensors, and of Gram matrices; 0: the program's choice

    bool operator==(const ComputeSettings&) const = default;
};

/// What settings file or person left out of range becomes the default.
ComputeSettings checkedCompute(ComputeSettings settings);
/// The folder that holds the caches by these settings; empty when there is none.
QString cacheFolder(const ComputeSettings& settings);
/// For everything that starts from now on. Not while a job runs: its log tells the threads that it began with.
void applyCompute(const ComputeSettings& settings);

/// Files and bytes in all caches together. Walks the folders: call it on a background thread.
struct CacheUse {
    qint64 entries = 0;
    quint64 bytes = 0;
};
CacheUse cacheUse(const ComputeSettings& settings);
/// Removes what they hold, files of others stay. Call it on a background thread. @return the entries removed.
qint64 clearCaches(const ComputeSettings& settings);

} // namespace bw
