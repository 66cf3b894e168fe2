// SPDX-License-Identifier: GPL-3.0-or-later
// Blocks kept or loaded again, and blocks with one weight exchanged.
#include "core/sensitivity/block_store.h"

#include "core/compute/cpu_device.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>

#include <cstring>

namespace bw::detail {
namespace {

class Blocks : public ::testing::Test {
protected:
    void SetUp() override {
        test::RandomLlama().write(folder_.path());
        model = Model::open(Checkpoint::open(folder_.path().string()), std::shared_ptr<Device>(makeCpuDevice()));
    }
    /// What the block makes of a fixed input.
    std::vector<float> output(const BlockWeights& weights) const {
        Matrix x(5, model->config().width);
        for (std::int64_t i = 0; i < x.size(); ++i)
            x.data()[i] = static_cast<float>(i % 7) - 3.0f;
        model->runBlock(weights, x.view(), nullptr, nullptr, 0);
        return {x.data(), x.data() + x.size()};
    }
    std::shared_ptr<const Model> model;

private:
    test::TempFolder folder_;
};

TEST_F(Blocks, AreKeptWhenAllOfThemFit) {
    std::uint64_t bytes = 0;
    for (const Site& site : model->sites())
        bytes += site.block.value() >= 0 ? static_cast<std::uint64_t>(site.rows * site.cols) * 4 : 0;
    BlockStore roomy(*model, bytes), tight(*model, bytes - 1);
    EXPECT_TRUE(roomy.keepsAll());
    EXPECT_FALSE(tight.keepsAll());
    const BlockWeightsPtr first = roomy.block(BlockIndex{0});
    roomy.block(BlockIndex{1});
    EXPECT_EQ(roomy.block(BlockIndex{0}), first);
    const std::weak_ptr<const BlockWeights> gone = tight.block(BlockIndex{0});
    tight.block(BlockIndex{1});
    EXPECT_TRUE(gone.expired()) << "without room only the block in use stays";
    EXPECT_EQ(output(*tight.block(BlockIndex{0})), output(*first));
}

TEST_F(Blocks, DifferInTheExchangedSiteOnly) {
    for (const Site& site : model->sites()) {
        if (site.block != BlockIndex{1})
            continue;
        const BlockWeightsPtr base = model->loadBlock(BlockIndex{1});
        const PatchedBlock same(*model, base, site, model->siteWeight(site));
        EXPECT_EQ(output(same.weights()), output(*base)) << site.name;
        Matrix zero(site.rows, site.cols);
        zero.fill(0.0f);
        const PatchedBlock changed(*model, base, site, std::move(zero));
        EXPECT_NE(output(changed.weights()), output(*base)) << site.name;
        // The same exchange through a full load.
        class Zero final : public WeightSource {
        public:
            explicit Zero(SiteId id) : id_(id) {}
            void apply(const Site& s, MatrixView<float> w) const override {
                if (s.id == id_)
                    std::memset(w.data, 0, static_cast<std::size_t>(w.size()) * sizeof(float));
            }

        private:
            SiteId id_;
        } source(site.id);
        EXPECT_EQ(output(changed.weights()), output(*model->loadBlock(BlockIndex{1}, &source))) << site.name;
    }
}

TEST(AvailableMemory, IsPlausible) {
    EXPECT_GT(availableMemory(), 16ull << 20);
    EXPECT_LT(availableMemory(), 1ull << 50);
}

} // namespace
} // namespace bw::detail
