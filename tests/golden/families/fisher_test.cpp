// SPDX-License-Identifier: GPL-3.0-or-later
// Projections of the Fisher sketch in every architecture family against gradients gathered in f64 and multiplied out:
// sites, experts with the tokens routed to them, inputs, keys and values, tied and untied heads.
#include "core/sensitivity/fisher_cells.h"
#include "core/sensitivity/label_loss.h"
#include "tests/golden/families/family_model.h"
#include "tests/support/collect_gradients.h"

#include <gtest/gtest.h>

namespace bw::test {
namespace {

constexpr int kDraws = 2;
constexpr std::int64_t kLength = 12, kWindows = 2;
/// f32 sums of some hundred products, as a share of the norms' product. A part left out moves these by 1e-2 and more.
constexpr double kTolerance = 1e-5;

/// Keeps what went in too.
class Gathered final : public CollectGradients {
public:
    using CollectGradients::CollectGradients;
    void onSite(const SiteGradients& g) override {
        CollectGradients::onSite(g);
        tokens[g.site.name] += g.input.rows;
    }
    void onInput(const InputGradients& g) override {
        CollectGradients::onInput(g);
        const std::string& name = groups.at(static_cast<std::size_t>(g.group)).name;
        for (std::int64_t b = 0; b < g.windows.count(); ++b)
            values[{name, g.windows.first + b, 0}] = windowRows(g.windows, b, g.input);
    }
    void onCache(const CacheGradients& g) override {
        CollectGradients::onCache(g);
        const std::string prefix = "blk." + std::to_string(g.block.value());
        for (std::int64_t b = 0; b < g.windows.count(); ++b) {
            values[{prefix + ".k", g.windows.first + b, 0}] = windowRows(g.windows, b, g.keys);
            values[{prefix + ".v", g.windows.first + b, 0}] = windowRows(g.windows, b, g.values);
        }
    }
    std::vector<InputGroup> groups;
    std::map<Key, Doubles> values;
    std::map<std::string, std::int64_t> tokens;
};

struct Product {
    double value = 0, norms = 0;
};

/// ⟨gradient, x − round(x)⟩ and the product of their norms. Rows are rounded together.
Product project(const Doubles& gradient, const Doubles& x, const FormatPtr& format) {
    Product out;
    if (gradient.values.empty() || x.rows == 0) return out;
    Matrix given(x.rows, x.cols), rounded(x.rows, x.cols);
    for (std::int64_t i = 0; i < x.rows * x.cols; ++i)
        given.data()[i] = static_cast<float>(x.values[static_cast<std::size_t>(i)]);
    EncodeOptions options;
    options.search = BlockSearch::reference;
    format->roundTrip(given.view(), options, rounded.view());
    double squares = 0;
    for (std::int64_t i = 0; i < x.rows * x.cols; ++i) {
        const double change = static_cast<double>(given.data()[i] - rounded.data()[i]);
        out.value += gradient.values[static_cast<std::size_t>(i)] * change;
        squares += change * change;
    }
    out.norms = gradient.norm() * std::sqrt(squares);
    return out;
}

Doubles doublesOf(const Matrix& m) {
    Doubles out;
    out.shape(m.rows(), m.cols());
    for (std::int64_t i = 0; i < m.size(); ++i)
        out.values[static_cast<std::size_t>(i)] = static_cast<double>(m.data()[i]);
    return out;
}

class FamilyFisher : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, FamilyFisher, testing::ValuesIn(familyNames()),
                         [](const auto& name) { return name.param; });

TEST_P(FamilyFisher, ProjectionsAreTheGradientsMultipliedOut) {
    const FamilyFolder folder(GetParam());
    const auto model = openModel(folder.model());
    const std::vector<TokenId> ids = readReference(GetParam()).ids;
    Windows windows{kWindows, kLength, {}};
    for (std::int64_t i = 0; i < kWindows * kLength; ++i)
        windows.ids.push_back(ids[static_cast<std::size_t>(i) % ids.size()]);
    FisherOptions options;
    options.formats = {"int3:channel:sym"};
    options.rounder.clipSearch = false;
    options.activations = {"int8:token", "q8_0"};
    options.keys = {"int4:token"};
    options.values = {"int2:token:asym"};
    options.probes = kDraws * static_cast<int>(kWindows);
    options.halfGradients = false; // held against gradients in f32
    JobContext job;
    std::vector<FisherRow> rows;
    const FisherFacts facts = fisherSketch(
        *model, windows, options, {}, {}, [&](const FisherRow& row) { rows.push_back(row); }, job);
    EXPECT_EQ(facts.draws, kDraws);
    Gathered gathered(*model);
    gathered.groups = model->inputGroups();
    detail::LabelLoss loss(model->config().vocabulary, kDraws, options.seed);
    walkBackwards(*model, windows, nullptr, loss, gathered, job);

    const double root = std::sqrt(static_cast<double>(kLength));
    for (const FisherRow& row : rows) {
        const std::string& name = row.cell.site_name;
        ASSERT_EQ(row.projections.size(), static_cast<std::size_t>(kWindows * kDraws));
        const bool cache = name.ends_with("_cache");
        const std::string kept = cache ? name.substr(0, name.size() - std::string("_cache").size()) : name;
        const Site* site = model->findSite(name);
        const Doubles weight = site != nullptr ? doublesOf(model->siteWeight(*site)) : Doubles{};
        for (std::int64_t w = 0; w < kWindows; ++w)
            for (int d = 0; d < kDraws; ++d) {
                const auto& gradients = site != nullptr ? gathered.weights : cache ? gathered.caches : gathered.inputs;
                const auto found = gradients.find({kept, w, d});
                const Product expected =
                    project(found == gradients.end() ? Doubles{} : found->second,
                            site != nullptr ? weight : gathered.values[{kept, w, 0}], parseFormat(row.cell.used));
                EXPECT_NEAR(static_cast<double>(row.projections[static_cast<std::size_t>(w * kDraws + d)]),
                            expected.value / root, kTolerance * (expected.norms / root + 1e-6))
                    << name << " " << row.cell.format << " window " << w << " draw " << d;
            }
        if (site != nullptr && site->kind != SiteKind::tokenEmbedding) {
            EXPECT_EQ(row.cell.tokens, gathered.tokens[name]) << name;
        }
    }
    // Everything that can be rounded has its cells, a site without a token too.
    std::size_t groups = 0;
    for (const InputGroup& group : model->inputGroups()) groups += group.sites.empty() ? 0u : 1u;
    EXPECT_EQ(rows.size(), model->sites().size() + groups * options.activations.size() +
                               2 * static_cast<std::size_t>(model->config().blocks));
}

} // namespace
} // namespace bw::test
