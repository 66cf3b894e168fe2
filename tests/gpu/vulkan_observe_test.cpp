// SPDX-License-Identifier: GPL-3.0-or-later
// What calibration asks of activations, rows of weights, products of few rows, and how long a submit may be.
#include "core/calibrate/channel_histograms.h"
#include "core/format/format.h"
#include "gpu/mirrors.h"
#include "gpu/observe.h"
#include "gpu/operations.h"
#include "tests/gpu/support.h"

#include <cfloat>
#include <gmock/gmock.h>
#include <limits>

namespace bw {
namespace {

using test::Matrix;
using test::randomMatrix;

class VulkanObserve : public test::VulkanTest {
protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (!IsSkipped()) device_ = test::openDevice();
    }
    void TearDown() override {
        device_.reset();
        VulkanTest::TearDown();
    }
    Device::Counts count(const std::string& operation) const {
        const auto all = device_->operationCounts();
        const auto found = all.find(operation);
        return found == all.end() ? Device::Counts{} : found->second;
    }
    InputSums sumsOnDevice(Matrix& m, MatrixView<const float> part) {
        device_->lend(m.values);
        device_->hostWrote(m.view());
        InputSums made;
        device_->inputSums(part, made);
        device_->reclaim(m.values);
        return made;
    }
    std::unique_ptr<Device> device_;
    std::unique_ptr<Device> cpu_ = makeCpuDevice();

private:
};

/// Sums of f32 in runs of 16 and trees: a few units in the last place of what is summed, of the absolute values for sums with signs.
constexpr double kSums = 2e-6;

void expectSums(const InputSums& made, const InputSums& expected, std::int64_t rows) {
    ASSERT_EQ(made.channels.size(), expected.channels.size());
    for (std::size_t c = 0; c < made.channels.size(); ++c) {
        const InputSums::Channel &a = made.channels[c], &b = expected.channels[c];
        EXPECT_EQ(a.low, b.low) << c;
        EXPECT_EQ(a.high, b.high) << c;
        EXPECT_NEAR(a.first, b.first, kSums * b.absolute) << c;
        EXPECT_NEAR(a.absolute, b.absolute, kSums * b.absolute) << c;
        EXPECT_NEAR(a.second, b.second, kSums * b.second) << c;
        const double cubes = b.second * static_cast<double>(std::max(std::abs(b.low), std::abs(b.high)));
        EXPECT_NEAR(a.third, b.third, kSums * cubes) << c;
        EXPECT_NEAR(a.fourth, b.fourth, kSums * b.fourth) << c;
    }
    ASSERT_EQ(static_cast<std::int64_t>(made.rows.size()), rows);
    for (std::size_t t = 0; t < made.rows.size(); ++t) {
        EXPECT_NEAR(made.rows[t].power, expected.rows[t].power, kSums * expected.rows[t].power) << t;
        // A value beside the middle of two codes may go either way: at most a part in a hundred thousand of a step then.
        EXPECT_NEAR(made.rows[t].error, expected.rows[t].error, 1e-4 * expected.rows[t].error) << t;
    }
}

TEST_F(VulkanObserve, SumsOfChannelsAndRowsEqualTheCpus) {
    for (const auto& [rows, cols] : {std::pair{1, 1}, std::pair{7, 33}, std::pair{150, 64}, std::pair{300, 201}}) {
        Matrix x = randomMatrix(rows, cols, 1);
        // Channels of all sizes: no power of a value leaves f32 on the way.
        for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] *= std::ldexp(1.0f, static_cast<int>(i % static_cast<std::size_t>(cols)) * 7 % 60 - 40);
        InputSums expected;
        cpu_->inputSums(x.view(), expected);
        expectSums(sumsOnDevice(x, x.view()), expected, rows);
    }
    EXPECT_EQ(count("observe").onDevice, 4u);
    EXPECT_EQ(count("observe").onCpu, 0u);
    // Columns in the middle of a wider matrix, zeros, and what is not finite.
    Matrix x = randomMatrix(20, 50, 2);
    const MatrixView<const float> part = x.view().middleCols(9, 30);
    for (std::int64_t t = 0; t < 20; ++t) x.view()(t, 10) = 0;
    std::fill_n(x.view().row(3), 50, 0.0f);
    InputSums expected;
    cpu_->inputSums(part, expected);
    expectSums(sumsOnDevice(x, part), expected, 20);
    x.view()(4, 12) = std::numeric_limits<float>::quiet_NaN();
    x.view()(5, 13) = -std::numeric_limits<float>::infinity();
    const InputSums made = sumsOnDevice(x, part);
    EXPECT_EQ(made.channels[4].low, -std::numeric_limits<float>::infinity());
    EXPECT_LE(made.channels[3].high, FLT_MAX); // NaN is no extreme
    EXPECT_EQ(made.rows[5].power, 0);          // as on the CPU
}

TEST_F(VulkanObserve, ChannelHistogramsEqualTheCpuCountForCount) {
    for (const auto& [rows, cols] : {std::pair{1, 1}, std::pair{70, 21}, std::pair{33, 130}}) {
        Matrix x = randomMatrix(rows, cols, 3);
        for (std::size_t i = 0; i < x.values.size(); i += 5) x.values[i] = std::ldexp(x.values[i], -static_cast<int>(i % 40));
        x.values[0] = -0.0f;
        if (rows > 1) x.values[static_cast<std::size_t>(cols)] = 1e-41f;
        ChannelHistograms expected(cols), made(cols);
        expected.addRow(0, randomMatrix(1, cols, 4).values.data(), cols); // bins of before stay or move as those of now ask
        made = expected;
        for (std::int64_t t = 0; t < rows; ++t) expected.addRow(0, x.view().row(t), cols);
        InputSums sums;
        cpu_->inputSums(x.view(), sums);
        device_->lend(x.values);
        device_->hostWrote(x.view());
        made.add(made.counted(x.view(), sums.channels, *device_));
        device_->reclaim(x.values);
        EXPECT_EQ(made, expected) << rows << "×" << cols;
        ChannelHistograms host(cols);
        host.add(host.counted(x.view(), sums.channels, *cpu_));
        for (std::int64_t t = 0; t < rows; ++t) EXPECT_EQ(host.count(0), static_cast<std::uint64_t>(rows));
    }
    EXPECT_EQ(count("observe").onDevice, 3u);
}

struct Stored {
    const char* format;
    WeightStorage storage;
};
constexpr Stored kStored[] = {{"f16", WeightStorage::f16},   {"bf16", WeightStorage::bf16}, {"q4_0", WeightStorage::q4_0},
                              {"q8_0", WeightStorage::q8_0}, {"q4_k", WeightStorage::q4_k}, {"q6_k", WeightStorage::q6_k}};

/// Rows of a weight are its decoded values to the bit, from several bindings, too; products of one to eight rows are products.
TEST_F(VulkanObserve, RowsAndProductsOfFewRowsOfStoredWeights) {
    VulkanOptions options;
    options.bindingBytes = 96 * 1024; // rows lie in several parts for the wider types
    const auto narrow = test::openDevice(options);
    for (const Stored& stored : kStored) {
        Matrix w = randomMatrix(110, 512, 5);
        const FormatPtr format = parseFormat(stored.format);
        std::vector<std::byte> encoded(format->bytes(110, 512));
        format->encode(w.view(), {}, encoded);
        bw::Matrix decoded(110, 512);
        format->decodeRows(encoded, 110, 0, decoded.view());
        const std::vector<std::int32_t> ids{0, 109, 55, 55, 93, 1};
        for (Device* device : {device_.get(), narrow.get()}) {
            const DeviceWeightPtr weight = device->prepareStored({stored.storage, 110, 512, encoded}, [] { return bw::Matrix(); });
            Matrix y(6, 512);
            device->lend(y.values);
            device->rowsOf(*weight, ids, y.view());
            device->toHost(y.view());
            device->reclaim(y.values);
            for (std::size_t t = 0; t < ids.size(); ++t)
                for (std::int64_t c = 0; c < 512; ++c) ASSERT_EQ(y.view()(static_cast<std::int64_t>(t), c), std::as_const(decoded).view()(ids[t], c)) << stored.format << " " << t;
            for (const std::int64_t rows : {1, 3, 8})
                for (const bool add : {false, true}) {
                    Matrix x = randomMatrix(rows, 512, 6), made = randomMatrix(rows, 110, 7), expected = made;
                    device->multiply(x.view(), *weight, made.view(), add);
                    cpu_->multiply(x.view(), *cpu_->prepare(std::as_const(decoded).view()), expected.view(), add);
                    test::expectClose(x.view(), std::as_const(decoded).view(), made.view(), expected.view());
                }
        }
    }
    EXPECT_EQ(count("lookup").onDevice, 6u);
    EXPECT_EQ(count("multiply").onDevice, 36u);
    // Without its shader or room the look-up is the CPU's.
    Matrix w = randomMatrix(4, 3, 1), y(2, 3);
    const std::vector<std::int32_t> ids{3, 0};
    device_->rowsOf(*device_->prepare(w.view()), ids, y.view());
    EXPECT_EQ(y.values[0], w.view()(3, 0));
    EXPECT_EQ(y.values[5], w.view()(0, 2));
}

/// On a device of ten million operations a second, nothing that is submitted is estimated at more than a fifth of a second.
TEST(VulkanSubmits, NoneIsEstimatedAtMoreThanAFifthOfASecond) {
    if (const std::string why = test::whyNoVulkan(); !why.empty()) GTEST_SKIP() << why;
    VulkanOptions options;
    options.assumedRate = 1e7;
    const vk::Instance instance(options);
    vk::DeviceContext context(instance.candidates().at(0), instance.functions(), options);
    const auto submitsOf = [&](const char* what, const std::function<void(vk::Stream&, vk::Mirrors&)>& use) {
        vk::Stream work(context, vk::QueueUse::work);
        {
            vk::Mirrors mirrors(context, work);
            const int before = context.submits();
            use(work, mirrors);
            EXPECT_EQ(work.finish(), VK_SUCCESS) << what;
            EXPECT_GE(context.submits() - before, 2) << what;
            EXPECT_GT(work.longest(), 0.0) << what;
            EXPECT_LE(work.longest(), 0.2) << what;
        }
    };
    const auto lent = [](vk::Mirrors& mirrors, Matrix& m) {
        EXPECT_EQ(mirrors.lend(m.values), VK_SUCCESS);
        vk::Mirror* mirror = mirrors.find(m.values.data(), m.values.size());
        EXPECT_EQ(mirrors.hostWrote(*mirror, {0, m.values.size()}), VK_SUCCESS);
        EXPECT_EQ(mirrors.toDevice(*mirror, {0, m.values.size()}), VK_SUCCESS);
        return vk::Located{mirror->buffer.handle(), 0, m.rows, m.cols, m.cols};
    };
    using vk::Operations;
    const std::vector<float> weight(128, 1.0f), frequencies(16, 0.1f);
    using Use = std::function<VkResult(Operations&, const vk::Located&, const vk::Located&)>;
    const std::pair<const char*, Use> operations[] = {
        {"norm", [&](Operations& o, const auto& x, const auto& y) { return o.norm(x, weight, {}, false, 1e-5f, y); }},
        {"map", [&](Operations& o, const auto& x, const auto& y) { return o.map(vk::Map::silu, x, &y); }},
        {"addRow", [&](Operations& o, const auto& x, const auto&) { return o.addRow(x, weight); }},
        {"rope", [&](Operations& o, const auto& x, const auto&) { return o.rope(x, {32, frequencies}, 0); }},
        {"attention", [&](Operations& o, const auto& x, const auto& y) { return o.attention(x, x, x, {4, 4, 32}, y); }},
    };
    for (const auto& [name, use] : operations)
        submitsOf(name, [&, &use = use, attention = std::string(name) == "attention"](vk::Stream& work, vk::Mirrors& mirrors) {
            Matrix x = randomMatrix(2000, 128, 1), y = x; // two million operations and more
            Operations made(context, work);
            const vk::Located from = lent(mirrors, x), to = lent(mirrors, y);
            EXPECT_EQ(use(made, attention ? from.middleRows(0, 200) : from, attention ? to.middleRows(0, 200) : to), VK_SUCCESS);
            EXPECT_EQ(work.finish(), VK_SUCCESS);
        });
    submitsOf("gram", [&](vk::Stream& work, vk::Mirrors& mirrors) {
        Matrix x = randomMatrix(60, 200, 1), g(200, 200);
        Operations made(context, work);
        EXPECT_EQ(made.gram(lent(mirrors, x), lent(mirrors, g)), VK_SUCCESS);
        EXPECT_EQ(work.finish(), VK_SUCCESS);
    });
    submitsOf("observe", [&](vk::Stream& work, vk::Mirrors& mirrors) {
        Matrix x = randomMatrix(1000, 130, 1);
        vk::Observers observers(context, work);
        InputSums sums;
        EXPECT_EQ(observers.inputSums(lent(mirrors, x), sums), VK_SUCCESS);
    });
    submitsOf("multiply", [&](vk::Stream& work, vk::Mirrors& mirrors) {
        Matrix x = randomMatrix(70, 100, 1), w = randomMatrix(300, 100, 2), y(70, 300);
        vk::Gemm gemm(context, work, vk::Gemm::Shader::direct);
        std::vector<vk::WeightPart> parts;
        EXPECT_EQ(vk::Gemm::upload(context, work, w.view(), parts), VK_SUCCESS);
        const vk::Located from = lent(mirrors, x), to = lent(mirrors, y);
        EXPECT_EQ(gemm.multiply(from, parts, WeightStorage::f32, to, false), VK_SUCCESS);
        EXPECT_EQ(gemm.multiply(from.middleRows(0, 2), parts, WeightStorage::f32, to.middleRows(0, 2), false), VK_SUCCESS);
        EXPECT_EQ(work.finish(), VK_SUCCESS);
    });
}

} // namespace
} // namespace bw
