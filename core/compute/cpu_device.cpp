// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU implementation of Device: spreads the kernels of this folder over threads, row by row.
#include "core/compute/cpu_device.h"

#include "core/base/parallel.h"
#include "core/compute/attention.h"
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
    explicit CpuWeight(MatrixView<const float> w) : view(w) {
        rows = w.rows;
        cols = w.cols;
    }
    MatrixView<const float> view;
};

/// Cosines and sines of position·θ^(−2i/D) for positions 0 … positions−1, half = D/2 values each.
struct RopeTable {
    std::int64_t half = 0, positions = 0;
    double theta = 0;
    std::vector<float> cosine, sine;
};

std::shared_ptr<const RopeTable> makeRopeTable(std::int64_t half, double theta, std::int64_t positions) {
    auto table = std::make_shared<RopeTable>();
    table->half = half;
    table->positions = positions;
    table->theta = theta;
    table->cosine.resize(static_cast<std::size_t>(half * positions));
    table->sine.resize(table->cosine.size());
    for (std::int64_t i = 0; i < half; ++i) {
        // Frequencies and angles are rounded to f32 as the reference implementations do; sine and cosine of that angle
        // are exact to the last bit or so.
        const auto exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
        const float frequency = 1.0f / static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
        for (std::int64_t p = 0; p < positions; ++p) {
            const double angle = static_cast<double>(static_cast<float>(p) * frequency);
            const auto at = static_cast<std::size_t>(p * half + i);
            table->cosine[at] = static_cast<float>(std::cos(angle));
            table->sine[at] = static_cast<float>(std::sin(angle));
        }
    }
    return table;
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
        const auto* weight = dynamic_cast<const CpuWeight*>(&w);
        assert(weight != nullptr && "a weight that another device prepared");
        gemmTransposed(x, weight->view, y, accumulate);
    }

    void rmsNorm(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                 MatrixView<float> y) override {
        assert(static_cast<std::int64_t>(weight.size()) == x.cols && y.rows == x.rows && y.cols == x.cols);
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t)
                kernels::rmsNormRow(x.row(t), weight.data(), epsilon, y.row(t), x.cols);
        });
    }

    void rope(MatrixView<float> x, std::int64_t headDim, std::int64_t position0, double theta) override {
        assert(headDim > 0 && headDim % 2 == 0 && x.cols % headDim == 0);
        const auto table = ropeTable(headDim / 2, theta, position0 + x.rows);
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) {
                const std::int64_t at = (position0 + t) * table->half;
                kernels::ropeRow(x.row(t), x.cols / headDim, table->half, table->cosine.data() + at,
                                 table->sine.data() + at);
            }
        });
    }

    void attention(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                   const AttentionShape& shape, MatrixView<float> out) override {
        attentionCpu(q, k, v, shape, out);
    }

    void siluMultiply(MatrixView<float> gate, MatrixView<const float> up) override {
        assert(gate.rows == up.rows && gate.cols == up.cols);
        parallelFor(gate.rows, rowGrain(gate.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) kernels::siluMultiply(gate.row(t), up.row(t), gate.cols);
        });
    }

    void add(MatrixView<float> x, MatrixView<const float> y) override {
        assert(x.rows == y.rows && x.cols == y.cols);
        parallelFor(x.rows, rowGrain(x.cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) kernels::addInPlace(x.row(t), y.row(t), x.cols);
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
    std::shared_ptr<const RopeTable> ropeTable(std::int64_t half, double theta, std::int64_t positions) {
        const std::lock_guard lock(ropeMutex_);
        if (!rope_ || rope_->half != half || rope_->theta != theta || rope_->positions < positions) {
            // Grown by doubling, so that a generation does not compute a table for every token.
            const bool grows = rope_ && rope_->half == half && rope_->theta == theta;
            const std::int64_t wanted =
                grows ? std::max(positions, 2 * rope_->positions) : std::max<std::int64_t>(positions, 512);
            rope_ = makeRopeTable(half, theta, wanted);
        }
        return rope_;
    }

    std::mutex ropeMutex_;
    std::shared_ptr<const RopeTable> rope_;
};

} // namespace

std::unique_ptr<Device> makeCpuDevice() {
    return std::make_unique<CpuDevice>();
}

double logSumExp(std::span<const float> x) {
    return kernels::logSumExp(x.data(), static_cast<std::int64_t>(x.size()));
}

double klDivergence(std::span<const float> base, std::span<const float> other) {
    assert(base.size() == other.size());
    return kernels::klDivergence(base.data(), other.data(), static_cast<std::int64_t>(base.size()));
}

double squaredDistance(std::span<const float> a, std::span<const float> b) {
    assert(a.size() == b.size());
    return kernels::squaredDistance(a.data(), b.data(), static_cast<std::int64_t>(a.size()));
}

bool allFinite(std::span<const float> x) {
    return kernels::allFinite(x.data(), static_cast<std::int64_t>(x.size()));
}

} // namespace bw
