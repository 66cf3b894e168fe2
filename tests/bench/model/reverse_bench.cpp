// SPDX-License-Identifier: GPL-3.0-or-later
// The way back against the way forward, in windows of 256 tokens: of one block, and of the whole model with the head.
// "draw/forward" is the processor time of one draw's gradients over that of a forward pass of the same tokens in the
// same run, the recomputed activations included in neither; "all/forward" is everything over a forward pass. Longest
// without a look: how long a stop may have to wait, in processor time of one thread. The argument is the number of draws.
#include "core/base/matrix.h"
#include "core/base/parallel.h"
#include "core/model/reverse.h"
#include "tests/bench/model/bench_model.h"

#include <algorithm>
#include <benchmark/benchmark.h>

namespace {

using namespace bw;
using test::processSeconds;

constexpr std::int64_t kLength = 256;

Matrix randomStates(std::int64_t rows, std::int64_t cols) {
    Matrix x(rows, cols);
    Random random(3);
    for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(random.uniform()) - 0.5f;
    return x;
}

class Nothing final : public GradientObserver {};

/// Processor seconds of one block's way back for `draws` draws, the recomputation among them.
double backSeconds(const Model& model, const BlockWeights& weights, int draws, std::int64_t rows) {
    const Matrix x = randomStates(rows, model.config().width);
    std::vector<Matrix> gradients;
    std::vector<MatrixView<float>> views;
    for (int k = 0; k < draws; ++k) views.push_back(gradients.emplace_back(randomStates(rows, x.cols())).view());
    Nothing nothing;
    const double start = processSeconds();
    runBlockBackwards(model, weights, x.view(), kLength, 0, views, nothing);
    return processSeconds() - start;
}

void blockBackwards(benchmark::State& state) {
    setThreadCount(1);
    const auto model = test::benchModel();
    const auto weights = model->loadBlock(BlockIndex{0});
    const int draws = static_cast<int>(state.range(0));
    constexpr std::int64_t kRows = 2 * kLength;
    double one = 0, many = 0, forward = 0;
    Matrix x = randomStates(kRows, model->config().width);
    for (auto _ : state) {
        one += backSeconds(*model, *weights, 1, kRows);
        many += backSeconds(*model, *weights, draws, kRows);
        const double start = processSeconds();
        model->runBlockWindows(*weights, x.view(), kLength, nullptr, 0);
        forward += processSeconds() - start;
    }
    state.counters["draw/forward"] = draws > 1 ? (many - one) / (draws - 1) / forward : 0;
    state.counters["all/forward"] = many / forward;
    state.counters["tokens/cpu-s"] = static_cast<double>(kRows * state.iterations()) / many;
    setThreadCount(0);
}
BENCHMARK(blockBackwards)->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond);

/// p − onehot of a fixed label: what the losses of the sketch cost at least.
class FixedLoss final : public LogitLoss {
public:
    explicit FixedLoss(int draws) : draws_(draws) {}
    int draws() const override { return draws_; }
    void gradient(std::int64_t, int draw, MatrixView<const float> logits, MatrixView<float> gradient) override {
        for (std::int64_t t = 0; t < logits.rows; ++t) {
            std::fill_n(gradient.row(t), gradient.cols, 1.0f / static_cast<float>(gradient.cols));
            gradient(t, draw) -= 1;
        }
    }

private:
    int draws_;
};

void walkOfAllBlocks(benchmark::State& state) {
    setThreadCount(1);
    const auto model = test::benchModel();
    const Windows windows = test::randomWindows(*model, 4, kLength);
    double forward = 0, all = 0, looked = 0, longest = 0;
    for (auto _ : state) {
        JobContext job;
        looked = processSeconds();
        job.setProbe([&] {
            const double now = processSeconds();
            longest = std::max(longest, now - looked);
            looked = now;
        });
        Nothing nothing;
        FixedLoss loss(static_cast<int>(state.range(0)));
        const double start = processSeconds();
        walkBackwards(*model, windows, nullptr, loss, nothing, job);
        const double middle = processSeconds();
        const ScratchMatrix states = walkBlocks(*model, windows, nullptr, nullptr, job);
        walkHead(*model, windows, states.view(), nullptr, job, [](std::int64_t, MatrixView<const float>) {});
        all += middle - start;
        forward += processSeconds() - middle;
    }
    state.counters["all/forward"] = all / forward;
    state.counters["tokens/cpu-s"] = static_cast<double>(windows.tokens() * state.iterations()) / all;
    state.counters["longest without a look, ms"] = 1e3 * longest;
    state.counters["forward tokens/cpu-s"] = static_cast<double>(windows.tokens() * state.iterations()) / forward;
    setThreadCount(0);
}
BENCHMARK(walkOfAllBlocks)->Arg(4)->Unit(benchmark::kSecond)->Iterations(1);

} // namespace
