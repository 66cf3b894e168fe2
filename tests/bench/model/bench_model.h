// SPDX-License-Identifier: GPL-3.0-or-later
// A checkpoint of SmolLM2-135M's shape with random weights (or the one that BITWRIGHT_BENCH_MODEL names), text for it,
// and the processor's clock: what the benchmarks of the model share.
#pragma once

#include "core/base/random.h"
#include "core/compute/cpu_device.h"
#include "core/model/walk.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"

#include <cstdlib>
#include <ctime>

namespace bw::test {

/// Of all threads.
inline double processSeconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

inline std::shared_ptr<const Model> benchModel() {
    static const std::shared_ptr<const Model> model = [] {
        std::shared_ptr<Device> device = makeCpuDevice();
        if (const char* path = std::getenv("BITWRIGHT_BENCH_MODEL")) return Model::open(Checkpoint::open(path), device);
        static const TempFolder folder; // mapped until the program ends
        RandomLlama shape;
        shape.blocks = 30;
        shape.width = 576;
        shape.feedForward = 1536;
        shape.heads = 9;
        shape.kvHeads = 3;
        shape.headDim = 64;
        shape.vocabulary = 49152;
        shape.context = 8192;
        shape.bf16 = true;
        shape.write(folder.path());
        return Model::open(Checkpoint::open(folder.path().string()), device);
    }();
    return model;
}

inline Windows randomWindows(const Model& model, std::int64_t count, std::int64_t length) {
    Windows windows{count, length, {}};
    Random random(7);
    for (std::int64_t i = 0; i < count * length; ++i)
        windows.ids.push_back(
            static_cast<TokenId>(random.below(static_cast<std::uint64_t>(model.config().vocabulary))));
    return windows;
}

} // namespace bw::test
