// SPDX-License-Identifier: GPL-3.0-or-later
// Reverse mode of every architecture family against torch's autograd. Origin of the numbers: make_gradients.py.
#include "core/base/json.h"
#include "tests/golden/families/family_model.h"
#include "tests/support/collect_gradients.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

namespace bw::test {
namespace {

/// f32 against f32 in another order of summation, as a share of the gradient's norm. A term left out moves these by 1e-2
/// and more.
constexpr double kTolerance = 5e-5;

Json storedGradients(const std::string& name) {
    return readJsonFile(std::string(BW_TEST_DATA) + "/families/" + name + "/gradients.json");
}

/// Largest difference between a gradient and what is stored of it, over its norm; projections on cosines of as many
/// values as it has are of the size of the norm.
double difference(const Json& stored, const Doubles& gradient) {
    const double norm = stored.at("norm").get<double>();
    double sum = 0, worst = std::abs(gradient.norm() - norm);
    for (const double v : gradient.values) sum += v;
    const double values = std::sqrt(static_cast<double>(gradient.values.size()));
    worst = std::max(worst, std::abs(sum - stored.at("sum").get<double>()) / values);
    for (int j = 0; j < 3; ++j) {
        double dot = 0;
        for (std::int64_t r = 0; r < gradient.rows; ++r)
            for (std::int64_t c = 0; c < gradient.cols; ++c)
                dot += gradient.at(r, c) * std::cos(12.9898 * static_cast<double>(r) + 78.233 * static_cast<double>(c) + 4.1 * j);
        worst = std::max(worst, std::abs(dot - stored.at("dots").at(static_cast<std::size_t>(j)).get<double>()));
    }
    return norm > 0 ? worst / norm : worst;
}

/// The same with `scale` times the stored values, of every entry of `stored`.
double worstOf(const Json& stored, const std::map<CollectGradients::Key, Doubles>& found, int draw, double scale,
               std::string& where) {
    double worst = 0;
    for (const auto& [name, values] : stored.items()) {
        const auto at = found.find({name, 0, draw});
        Doubles gradient = at == found.end() ? Doubles{} : at->second;
        for (double& v : gradient.values) v /= scale;
        // An expert that no token chooses has a gradient of zero, which isn't handed out.
        const double gap = difference(values, gradient);
        if (gap <= worst) continue;
        worst = gap;
        where = name;
    }
    return worst;
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
    const double sites = worstOf(stored.at("sites"), collected.weights, 0, 1, where);
    const double second = worstOf(stored.at("sites"), collected.weights, 1, -2, whereSecond);
    const double caches = worstOf(stored.at("caches"), collected.caches, 0, 1, whereCaches);
    const double embedded = difference(stored.at("embedded"), collected.inputs.at({"embedded", 0, 0}));
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
