// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU implementation of Device: spreads the kernels of this folder over threads, row by row.
#include "core/compute/cpu_device.h"

#include "core/base/parallel.h"
#include "core/compute/attention.h"
#include "core/compute/half_product.h"
#include "core/compute/kernels.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <fmt/format.h>
#include <mutex>
#include <vector>

namespace bw {
namespace {

/// Values per piece of an elementwise loop: 16k floats take a few µs, enough to pay for waking a thread.
constexpr std::int64_t kPieceValues = 16'384;

std::int64_t rowGrain(std::int64_t cols) {
    return std::max<std::int64_t>(1, kPieceValues / std::max<std::int64_t>(1, cols));
}

/// The caller's f32 weight, not copied.
class CpuWeight final : public DeviceWeight {
public:
    explicit CpuWeight(MatrixView<const float> w) {
        rows = w.rows;
        cols = w.cols;
        values = w;
    }
};

/// Cosines and sines of position·frequency for positions 0 … positions−1, one of each per frequency.
struct RopeTable {
    std::vector<float> frequencies;
    float scale = 1;
    std::int64_t positions = 0;
    std::vector<float> cosine, sine;

    std::int64_t half() const { return static_cast<std::int64_t>(frequencies.size()); }
    bool isFor(const RopeShape& shape) const {
        return scale == shape.scale && std::ranges::equal(frequencies, shape.frequencies);
    }
};

std::shared_ptr<const RopeTable> makeRopeTable(const RopeShape& shape, std::int64_t positions) {
    auto table = std::make_shared<RopeTable>();
    table->frequencies.assign(shape.frequencies.begin(), shape.frequencies.end());
    table->scale = shape.scale;
    table->positions = positions;
    const std::int64_t half = table->half();
    table->cosine.resize(static_cast<std::size_t>(half * positions));
    table->sine.resize(table->cosine.size());
    for (std::int64_t i = 0; i < half; ++i) {
        const float frequency = shape.frequencies[static_cast<std::size_t>(i)];
        for (std::int64_t p = 0; p < positions; ++p) {
            // The angle is rounded to f32 as the reference implementations do; its sine and cosine are exact to the
            // last bit or so.
            const double angle = static_cast<double>(static_cast<float>(p) * frequency);
            const auto at = static_cast<std::size_t>(p * half + i);
            table->cosine[at] = static_cast<float>(std::cos(angle)) * shape.scale;
            table->sine[at] = static_cast<float>(std::sin(angle)) * shape.scale;
        }
    }
    return table;
}

void activateRow(Activation f, float* x, const float* up, std::int64_t n) {
    switch (f) {
    case Activation::silu:
        return kernels::siluMultiply(x, up, n);
    case Activation::geluTanh:
        return kernels::geluTanhMultiply(x, up, n);
    case Activation::geluErf:
        return kernels::geluErfMultiply(x, up, n);
    }
}

class CpuDevice final : public Device {
public:
    std::string name() const override { return "cpu"; }
    std::string description() const override {
        const int threads = threadCount();
        return fmt::format("CPU, {} {}, {}", threads, threads == 1 ? "thread" : "threads", cpuInstructionSet());
    }

    DeviceWeightPtr prepare(MatrixView<const float> weight) override { return std::make_shared<CpuWeight>(weight); }

    void multiply(MatrixView<const float> x, const DeviceWeight& w, MatrixView<float> y, bool accumulate) override {
        if (const auto* own = dynamic_cast<const HostWeight*>(&w)) return own->multiply(x, y, accumulate);
        const auto* weight = dynamic_cast<const CpuWeight*>(&w);
        assert(weight != nullptr && "a weight that another device prepared");
        gemmTransposed(x, weight->values, y, accumulate);
    }

    void rmsNorm(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                 MatrixView<float> y) override {
        assert(static_cast<std::int64_t>(weight.size()) == x.cols && y.rows == x.rows && y.cols == x.cols);
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t)
                kernels::rmsNormRow(x.row(t), weight.data(), epsilon, y.row(t), x.cols);
        });
    }

    void layerNorm(MatrixView<const float> x, std::span<const float> weight, std::span<const float> bias, float epsilon,
                   MatrixView<float> y) override {
        assert(static_cast<std::int64_t>(weight.size()) == x.cols && y.rows == x.rows && y.cols == x.cols);
        assert(bias.empty() || bias.size() == weight.size());
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t)
                kernels::layerNormRow(x.row(t), weight.data(), bias.empty() ? nullptr : bias.data(), epsilon, y.row(t),
                                      x.cols);
        });
    }

    void rope(MatrixView<float> x, const RopeShape& shape, std::int64_t position0) override {
        assert(shape.headDim > 0 && x.cols % shape.headDim == 0);
        assert(2 * static_cast<std::int64_t>(shape.frequencies.size()) <= shape.headDim);
        const auto table = ropeTable(shape, position0 + x.rows);
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) {
                const std::int64_t at = (position0 + t) * table->half();
                kernels::ropeRow(x.row(t), x.cols / shape.headDim, shape.headDim, table->half(),
                                 table->cosine.data() + at, table->sine.data() + at);
            }
        });
    }

    void attention(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                   const AttentionShape& shape, MatrixView<float> out) override {
        attentionCpu(q, k, v, shape, out);
    }

    void activateMultiply(Activation f, MatrixView<float> gate, MatrixView<const float> up) override {
        assert(gate.rows == up.rows && gate.cols == up.cols);
        parallelFor(gate.rows, rowGrain(gate.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) activateRow(f, gate.row(t), up.row(t), gate.cols);
        });
    }

    void activate(Activation f, MatrixView<float> x) override {
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) activateRow(f, x.row(t), nullptr, x.cols);
        });
    }

    void add(MatrixView<float> x, MatrixView<const float> y) override {
        assert(x.rows == y.rows && x.cols == y.cols);
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) kernels::addInPlace(x.row(t), y.row(t), x.cols);
        });
    }

    void addBias(MatrixView<float> x, std::span<const float> bias) override {
        assert(static_cast<std::int64_t>(bias.size()) == x.cols);
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) kernels::addInPlace(x.row(t), bias.data(), x.cols);
        });
    }

    void softCap(MatrixView<float> x, float cap) override {
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) kernels::softCap(x.row(t), x.cols, 1.0f, cap);
        });
    }

    void histogram(std::span<const float> x, Histogram& into) override {
        const auto bins = static_cast<std::int64_t>(into.bins.size());
        if (bins == 0 || x.empty()) return;
        const float scale = static_cast<float>(bins) / (into.high - into.low);
        constexpr std::int64_t kPiece = 1 << 18; // far more values than bins to merge
        const auto n = static_cast<std::int64_t>(x.size());
        std::mutex merge;
        parallelFor(n, kPiece, [&](std::int64_t begin, std::int64_t end) {
            std::vector<std::uint64_t> counts(static_cast<std::size_t>(bins + 4), 0);
            kernels::histogram(x.data() + begin, end - begin, into.low, into.high, scale, bins, counts.data());
            const std::lock_guard lock(merge); // integer sums: the order of pieces does not matter
            for (std::size_t b = 0; b < into.bins.size(); ++b) into.bins[b] += counts[b];
            const std::uint64_t* rest = counts.data() + bins;
            into.below += rest[0];
            into.above += rest[1];
            into.nan += rest[2];
            into.infinite += rest[3];
        });
    }

private:
    std::shared_ptr<const RopeTable> ropeTable(const RopeShape& shape, std::int64_t positions) {
        constexpr std::size_t kKept = 8; // a model has at most two, and their reverses; comparisons mix models
        const std::lock_guard lock(ropeMutex_);
        const auto known = std::find_if(ropes_.begin(), ropes_.end(), [&](const auto& t) { return t->isFor(shape); });
        if (known != ropes_.end() && (*known)->positions >= positions) return *known;
        // Grown by doubling, so that a generation does not compute a table for every token.
        const std::int64_t wanted =
            known != ropes_.end() ? std::max(positions, 2 * (*known)->positions) : std::max<std::int64_t>(positions, 512);
        if (known != ropes_.end()) ropes_.erase(known);
        if (ropes_.size() == kKept) ropes_.erase(ropes_.begin());
        ropes_.push_back(makeRopeTable(shape, wanted));
        return ropes_.back();
    }

    std::mutex ropeMutex_;
    std::vector<std::shared_ptr<const RopeTable>> ropes_;
};

} // namespace

std::unique_ptr<Device> makeCpuDevice() {
    return std::make_unique<CpuDevice>();
}

double logSumExp(std::span<const float> x) {
    return kernels::logSumExp(x.data(), static_cast<std::int64_t>(x.size()));
}

void softmaxRows(MatrixView<const float> x, MatrixView<float> y) {
    assert(x.rows == y.rows && x.cols == y.cols);
    parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            std::copy_n(x.row(r), x.cols, y.row(r));
            kernels::softmaxRow(y.row(r), x.cols, x.cols, 1.0f);
        }
    });
}

double klDivergence(std::span<const float> base, std::span<const float> other) {
    assert(base.size() == other.size());
    return kernels::klDivergence(base.data(), other.data(), static_cast<std::int64_t>(base.size()));
}

double klDivergenceFast(std::span<const float> base, double baseNorm, std::span<const float> other) {
    assert(base.size() == other.size());
    return kernels::klDivergenceFast(base.data(), baseNorm, other.data(), static_cast<std::int64_t>(base.size()));
}

double squaredDistance(std::span<const float> a, std::span<const float> b) {
    assert(a.size() == b.size());
    return kernels::squaredDistance(a.data(), b.data(), static_cast<std::int64_t>(a.size()));
}

bool allFinite(std::span<const float> x) {
    return kernels::allFinite(x.data(), static_cast<std::int64_t>(x.size()));
}

} // namespace bw
