// SPDX-License-Identifier: GPL-3.0-or-later
// Observers on the demo model against a direct pass over the same activations, and weight statistics.
#include "core/calibrate/observers.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/calibrate/dataset.h"
#include "core/compute/cpu_device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace bw {
namespace {

struct Demo {
    std::shared_ptr<const Model> model;
    Windows windows;
};

const Demo& demo() {
    static const Demo instance = [] {
        Demo d;
        const auto checkpoint = Checkpoint::open(BW_RESOURCES "/demo");
        d.model = Model::open(checkpoint, std::shared_ptr<Device>(makeCpuDevice()));
        JobContext job;
        const auto tokenizer = Tokenizer::open(*checkpoint);
        d.windows = calibrationWindows({loadText(BW_RESOURCES "/texts/calib_prose.txt", *tokenizer, 0, job)}, 5, 64);
        return d;
    }();
    return instance;
}

/// Keeps everything, for one group.
class Recorder final : public WalkVisitor, public ActivationObserver {
public:
    explicit Recorder(int group) : group_(group) {}
    ActivationObserver* observer(BlockIndex) override { return this; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        if (group != group_)
            return;
        for (std::int64_t t = 0; t < x.rows; ++t)
            rows.emplace_back(window, std::vector<float>(x.row(t), x.row(t) + x.cols));
    }
    std::vector<std::pair<std::int64_t, std::vector<float>>> rows;

private:
    int group_;
};

TEST(Calibrate, EqualsADirectPassOverTheActivations) {
    JobContext job;
    const CalibrationResult result = calibrate(*demo().model, demo().windows, {}, job);
    const auto& groups = demo().model->inputGroups();
    ASSERT_EQ(result.inputs.size(), groups.size());
    EXPECT_EQ(result.tokens, 5 * 64);
    for (const int group : {0, 3, 14}) {
        Recorder recorder(group);
        walkBlocks(*demo().model, demo().windows, nullptr, &recorder, job);
        const InputStatistics& s = result.inputs[static_cast<std::size_t>(group)];
        EXPECT_EQ(s.group, groups[static_cast<std::size_t>(group)].name);
        EXPECT_EQ(s.sites, groups[static_cast<std::size_t>(group)].sites);
        ASSERT_EQ(static_cast<std::int64_t>(recorder.rows.size()), s.tokens);
        double total = 0, fourth = 0, mean = 0;
        std::uint64_t even = 0;
        const std::size_t width = s.channelMax.size();
        std::vector<float> largest(width, 0.0f);
        std::vector<double> squares(width, 0.0);
        for (const auto& [window, row] : recorder.rows) {
            even += window % 2 == 0 ? width : 0;
            for (std::size_t c = 0; c < width; ++c) {
                const auto v = static_cast<double>(row[c]);
                largest[c] = std::max(largest[c], std::abs(row[c]));
                squares[c] += v * v;
                total += v * v;
                mean += v;
            }
        }
        const double n = static_cast<double>(width * recorder.rows.size());
        mean /= n;
        const double rms = std::sqrt(total / n);
        double beyond = 0, variance = 0;
        for (const auto& [window, row] : recorder.rows)
            for (const float v : row) {
                beyond += std::abs(static_cast<double>(v)) > 6 * rms ? 1 : 0;
                variance += std::pow(static_cast<double>(v) - mean, 2) / n;
                fourth += std::pow(static_cast<double>(v) - mean, 4) / n;
            }
        EXPECT_EQ(s.channelMax, largest);
        for (std::size_t c = 0; c < width; ++c)
            EXPECT_NEAR(s.sumSquares[c], squares[c], 1e-9 * squares[c]);
        EXPECT_NEAR(s.importance()[7], squares[7] / static_cast<double>(s.tokens), 1e-6 * squares[7]);
        EXPECT_EQ(s.fit.count(), even);
        EXPECT_EQ(s.fit.count() + s.heldOut.count(), static_cast<std::uint64_t>(n));
        EXPECT_NEAR(s.kurtosis, fourth / (variance * variance) - 3, 1e-6 * std::abs(s.kurtosis) + 1e-6);
        // Values in the bin that the limit cuts are counted in proportion: a few of them.
        EXPECT_NEAR(s.outlierShare, beyond / n, 5.0 / n + 0.05 * beyond / n);
        EXPECT_EQ(rangeMinMax(s.fit).high, s.ranges.at("minmax").high);
        for (const char* name : {"minmax", "percentile", "kl", "mse"}) {
            EXPECT_GT(s.heldOutError.at(name), 0.0) << name;
            EXPECT_LT(s.heldOutError.at(name), 0.5) << name;
        }
    }
}

TEST(Calibrate, ObservesTheHeadAndFindsSites) {
    JobContext job;
    const Model& model = *demo().model;
    const CalibrationResult result = calibrate(model, demo().windows, {}, job);
    const InputStatistics& head = result.inputs.back();
    EXPECT_EQ(head.group, "output_in");
    class Sum final : public ActivationObserver {
    public:
        void onInput(int, std::int64_t, MatrixView<const float> x) override {
            for (std::int64_t t = 0; t < x.rows; ++t)
                for (const float v : x.rowSpan(t))
                    squares += static_cast<double>(v) * static_cast<double>(v);
        }
        double squares = 0;
    } sum;
    const ScratchMatrix states = walkBlocks(model, demo().windows, nullptr, nullptr, job);
    walkHead(model, demo().windows, states.view(), nullptr, job, [](std::int64_t, MatrixView<const float>) {}, &sum);
    double squares = 0;
    for (const double s : head.sumSquares)
        squares += s;
    EXPECT_NEAR(squares, sum.squares, 1e-9 * squares);
    EXPECT_EQ(result.forSite(model.findSite("blk.2.ffn_up")->id), result.forSite(model.findSite("blk.2.ffn_gate")->id));
    EXPECT_EQ(result.forSite(model.findSite("blk.2.ffn_up")->id)->group, "blk.2.ffn_in");
    EXPECT_EQ(result.forSite(SiteId(9999)), nullptr);
    CalibrateOptions withoutHead;
    withoutHead.includeHead = false;
    EXPECT_EQ(calibrate(model, demo().windows, withoutHead, job).inputs.back().group, "blk.5.ffn_down_in");
    EXPECT_FALSE(result.warnings.empty()) << "five samples of 64 tokens are too few and too short";
}

TEST(Calibrate, DoesNotDependOnThreads) {
    JobContext job;
    setThreadCount(1);
    const CalibrationResult one = calibrate(*demo().model, demo().windows, {}, job);
    setThreadCount(2);
    const CalibrationResult two = calibrate(*demo().model, demo().windows, {}, job);
    setThreadCount(0);
    for (std::size_t g = 0; g < one.inputs.size(); ++g) {
        EXPECT_EQ(one.inputs[g].channelMax, two.inputs[g].channelMax);
        EXPECT_EQ(one.inputs[g].sumSquares, two.inputs[g].sumSquares);
        EXPECT_EQ(one.inputs[g].fit.histogram().bins, two.inputs[g].fit.histogram().bins);
        EXPECT_EQ(one.inputs[g].ranges.at("mse").high, two.inputs[g].ranges.at("mse").high);
    }
}

TEST(Calibrate, OneWindowServesBothHalvesAndStopsWhenAsked) {
    Windows one = demo().windows;
    one.count = 1;
    one.ids.resize(64);
    JobContext job;
    const CalibrationResult result = calibrate(*demo().model, one, {}, job);
    EXPECT_EQ(result.inputs[0].fit.histogram().bins, result.inputs[0].heldOut.histogram().bins);
    job.requestStop();
    EXPECT_THROW(calibrate(*demo().model, one, {}, job), Error);
}

TEST(WeightStatisticsTest, DescribesANormalMatrix) {
    Matrix w(300, 500);
    Random random(31);
    for (std::int64_t i = 0; i < w.size(); ++i)
        w.data()[i] = static_cast<float>(0.5 + 2.0 * random.normal());
    w.row(4)[7] = 40.0f;
    const WeightStatistics s = weightStatistics(w.view());
    // Standard errors of 150,000 draws: mean 0.005, deviation 0.004, kurtosis 0.013; the outlier adds 1/9 of its 4th power.
    EXPECT_NEAR(s.mean, 0.5, 0.025);
    EXPECT_NEAR(s.deviation, 2.0, 0.025);
    EXPECT_NEAR(s.kurtosis, std::pow(39.5 / 2.0, 4) / 150'000.0, 0.2);
    EXPECT_EQ(s.maximum, 40.0);
    EXPECT_DOUBLE_EQ(s.outlierShare, 1.0 / 150'000.0);
    EXPECT_EQ(s.rowMax[4], 40.0f);
    std::uint64_t count = 0;
    for (const auto b : s.histogram.bins)
        count += b;
    EXPECT_EQ(count, 150'000u);
    EXPECT_EQ(s.histogram.bins.size(), 256u);
    EXPECT_EQ(s.histogram.bins.back(), 1u);
}

TEST(WeightStatisticsTest, CountsWhatIsNotFinite) {
    Matrix w(2, 3);
    w.fill(1.0f);
    w.row(0)[1] = std::nanf("");
    w.row(1)[2] = -std::numeric_limits<float>::infinity();
    const WeightStatistics s = weightStatistics(w.view());
    EXPECT_EQ(s.nan, 1);
    EXPECT_EQ(s.infinite, 1);
    EXPECT_DOUBLE_EQ(s.mean, 1.0);
    EXPECT_EQ(s.maximum, 1.0);
    Matrix zero(2, 2);
    zero.fill(0.0f);
    EXPECT_EQ(weightStatistics(zero.view()).kurtosis, 0.0);
}

} // namespace
} // namespace bw
