// SPDX-License-Identifier: GPL-3.0-or-later
// Reverse mode of every architecture family against torch's autograd. Origin of the numbers: make_gradients.py.
#include "tests/golden/families/family_model.h"
#include "tests/support/stored_gradients.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace bw::test {
namespace {

/// f32 against f32 in another order of summation, as a share of the gradient's norm. A term left out moves these by 1e-2
/// and more.
constexpr double kTolerance = 5e-5;

Json storedGradients(const std::string& name) {
    return readJsonFile(std::string(BW_TEST_DATA) + "/families/" + name + "/gradients.json");
}

class FamilyGradients : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, FamilyGradients, testing::ValuesIn(familyNames()), [](const auto& name) { return name.param; });

TEST_P(FamilyGradients, areThoseOfTorch) {
    const Reference reference = readReference(GetParam());
    const Json stored = storedGradients(GetParam());
    const auto labels = stored.at("labels").get<std::vector<TokenId>>();
    const FamilyFolder folder(GetParam());
    const auto model = openModel(folder.model());
    // A second window with other tokens: windows of one batch must not touch each other.
    Windows windows{2, static_cast<std::int64_t>(reference.ids.size()), reference.ids};
    windows.ids.insert(windows.ids.end(), reference.ids.rbegin(), reference.ids.rend());
    LabelLoss loss({labels, labels}, {1.0f, -2.0f});
    CollectGradients collected(*model);
    JobContext job;
    walkBackwards(*model, windows, nullptr, loss, collected, job);

    std::string where, whereCaches, whereSecond;
    const double sites = worstDifference(stored.at("sites"), collected.weights, 0, 1, where);
    const double second = worstDifference(stored.at("sites"), collected.weights, 1, -2, whereSecond);
    const double caches = worstDifference(stored.at("caches"), collected.caches, 0, 1, whereCaches);
    const double embedded = gradientDifference(stored.at("embedded"), collected.inputs.at({"embedded", 0, 0}));
    EXPECT_LE(sites, kTolerance) << where;
    EXPECT_LE(second, kTolerance) << whereSecond;
    EXPECT_LE(caches, kTolerance) << whereCaches;
    EXPECT_LE(embedded, kTolerance);
    for (const Site& site : model->sites()) EXPECT_TRUE(stored.at("sites").contains(site.name)) << site.name;
    std::printf("| %-18s | %.1e %-18s | %.1e | %.1e | %.1e |\n", GetParam().c_str(), sites, where.c_str(), second, caches, embedded);
}

/// What enters a group of sites has the gradient that their outputs' gradients and weights give it, and no other part of
/// the block (a router, a residual) has a share in it.
TEST_P(FamilyGradients, ofInputsComeFromTheSitesOfTheGroup) {
    const Reference reference = readReference(GetParam());
    const FamilyFolder folder(GetParam());
    const auto model = openModel(folder.model());
    const Windows windows{1, static_cast<std::int64_t>(reference.ids.size()), reference.ids};
    LabelLoss loss({reference.ids}, {1.0f});
    CollectGradients collected(*model);
    JobContext job;
    walkBackwards(*model, windows, nullptr, loss, collected, job);
    for (const auto& [key, expected] : collected.summed) {
        ASSERT_TRUE(collected.inputs.contains(key)) << key.name;
        const Doubles& got = collected.inputs.at(key);
        ASSERT_EQ(got.values.size(), expected.values.size()) << key.name;
        double gap = 0;
        for (std::size_t i = 0; i < got.values.size(); ++i) gap = std::max(gap, std::abs(got.values[i] - expected.values[i]));
        EXPECT_LE(gap, 1e-5 * (1 + expected.norm())) << key.name;
    }
    for (const InputGroup& group : model->inputGroups())
        EXPECT_TRUE(collected.inputs.contains({group.name, 0, 0})) << group.name;
}

} // namespace
} // namespace bw::test
