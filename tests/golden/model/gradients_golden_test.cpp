// SPDX-License-Identifier: GPL-3.0-or-later
// Reverse mode of the demo checkpoint against torch's autograd: bf16 weights, several blocks of queries in a window.
// Origin of the numbers: golden/families/make_gradients.py.
#include "core/compute/cpu_device.h"
#include "tests/support/stored_gradients.h"

#include <cstdio>
#include <gtest/gtest.h>

namespace bw {
namespace {

/// f32 against f32 in another order of summation, as a share of the gradient's norm. A term left out moves these by 1e-2
/// and more.
constexpr double kTolerance = 5e-5;

TEST(DemoGradients, areThoseOfTorch) {
    const Json stored = readJsonFile(BW_TEST_DATA "/golden/demo-256/gradients.json");
    const auto model = Model::open(Checkpoint::open(BW_RESOURCES "/demo"), makeCpuDevice());
    Windows windows{1, 0, stored.at("ids").get<std::vector<TokenId>>()};
    windows.length = static_cast<std::int64_t>(windows.ids.size());
    test::LabelLoss loss({stored.at("labels").get<std::vector<TokenId>>()}, {1});
    test::CollectGradients collected(*model, false);
    JobContext job;
    walkBackwards(*model, windows, nullptr, loss, collected, job);
    EXPECT_NEAR(loss.loss(), stored.at("loss").get<double>(), 1e-5 * loss.loss());
    std::string where, whereCaches;
    const double sites = test::worstDifference(stored.at("sites"), collected.weights, 0, 1, where);
    const double caches = test::worstDifference(stored.at("caches"), collected.caches, 0, 1, whereCaches);
    const double embedded = test::gradientDifference(stored.at("embedded"), collected.inputs.at({"embedded", 0, 0}));
    EXPECT_LE(sites, kTolerance) << where;
    EXPECT_LE(caches, kTolerance) << whereCaches;
    EXPECT_LE(embedded, kTolerance);
    for (const Site& site : model->sites()) EXPECT_TRUE(stored.at("sites").contains(site.name)) << site.name;
    std::printf("demo: sites %.1e (%s), caches %.1e, embedded %.1e\n", sites, where.c_str(), caches, embedded);
}

} // namespace
} // namespace bw
