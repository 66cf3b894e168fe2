// SPDX-License-Identifier: GPL-3.0-or-later
// What the tests of sweeps share: the demo model and its texts, short calls, and output errors by direct computation.
#pragma once

#include "core/compute/cpu_device.h"
#include "core/evaluate/evaluate.h"
#include "core/sensitivity/sensitivity.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw::test::sweeps {

inline std::shared_ptr<const Model> openModel(const std::string& path) {
    return Model::open(Checkpoint::open(path), std::shared_ptr<Device>(makeCpuDevice()));
}

inline const Model& demo() {
    static const auto model = openModel(BW_RESOURCES "/demo");
    return *model;
}

inline Windows demoWindows(std::int64_t count, std::int64_t length) {
    JobContext job;
    const auto tokenizer = Tokenizer::open(demo().checkpoint());
    Protocol protocol;
    protocol.length = length;
    return cutWindows(loadText(BW_RESOURCES "/texts/eval_prose.txt", *tokenizer, 0, job), protocol, *tokenizer,
                      count * length);
}

inline SweepOptions options(SensitivityMetric metric, std::vector<std::string> formats) {
    SweepOptions o;
    o.metric = metric;
    o.formats = std::move(formats);
    return o;
}

inline std::vector<SensitivityCell> run(const Model& model, const Windows& windows, const SweepOptions& o,
                                        const std::vector<SensitivityCell>& known = {},
                                        const std::function<void(const SensitivityCell&)>& onCell = {}) {
    JobContext job;
    return sweep(model, windows, o, {}, known, onCell, job);
}

inline const SensitivityCell& cell(const std::vector<SensitivityCell>& cells, const std::string& site,
                                   const std::string& format) {
    for (const SensitivityCell& c : cells)
        if (c.site_name == site && c.format == format)
            return c;
    ADD_FAILURE() << "no cell " << site << " " << format;
    return cells.front();
}

inline void expectSame(const std::vector<SensitivityCell>& a, const std::vector<SensitivityCell>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].site_name, b[i].site_name);
        EXPECT_EQ(a[i].format, b[i].format);
        EXPECT_EQ(a[i].used, b[i].used);
        EXPECT_EQ(a[i].bytes, b[i].bytes);
        EXPECT_EQ(a[i].value, b[i].value) << a[i].site_name << " " << a[i].format;
        EXPECT_EQ(a[i].standardError, b[i].standardError);
    }
}

/// One site in one format, everything else as stored.
class OneQuantized final : public WeightSource {
public:
    OneQuantized(std::string site, const std::string& format) : site_(std::move(site)), format_(parseFormat(format)) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.name != site_)
            return;
        const QuantizedTensor tensor = quantizeSite(site, weight, format_, {}, {});
        format_->decode(tensor.bytes, weight);
    }

private:
    std::string site_;
    FormatPtr format_;
};

/// ‖X(W−Ŵ)ᵀ‖² and ‖XWᵀ‖² in f64, straight from the inputs that pass by.
class DirectError final : public WalkVisitor, public ActivationObserver {
public:
    DirectError(const Model& model, const Site& site, const std::string& format)
        : group_(site.inputGroup), weight_(model.siteWeight(site)), quantized_(model.siteWeight(site)) {
        OneQuantized(site.name, format).apply(site, quantized_.view());
    }
    ActivationObserver* observer(BlockIndex) override { return this; }
    void onInput(int group, std::int64_t, MatrixView<const float> x) override {
        if (group != group_)
            return;
        for (std::int64_t t = 0; t < x.rows; ++t)
            for (std::int64_t r = 0; r < weight_.rows(); ++r) {
                double y = 0, d = 0;
                for (std::int64_t c = 0; c < x.cols; ++c) {
                    const auto w = static_cast<double>(weight_.row(r)[c]), v = static_cast<double>(x(t, c));
                    y += v * w;
                    d += v * (w - static_cast<double>(quantized_.row(r)[c]));
                }
                output += y * y;
                damage += d * d;
            }
    }
    double ratio() const { return damage / output; }
    double output = 0, damage = 0;

private:
    int group_;
    Matrix weight_, quantized_;
};

inline double directHead(const Model& model, const Windows& windows, const Site& site, const std::string& format) {
    JobContext job;
    DirectError direct(model, site, format);
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, nullptr, job);
    walkHead(model, windows, states.view(), nullptr, job, [](std::int64_t, MatrixView<const float>) {}, &direct);
    return direct.ratio();
}

inline double directLookUp(const Model& model, const Windows& windows, const std::string& format) {
    const Site& site = model.sites().front();
    const Matrix weight = model.siteWeight(site);
    const OneQuantized source(site.name, format);
    const Matrix quantized = model.siteWeight(site, &source);
    double damage = 0, whole = 0;
    for (const TokenId id : windows.ids)
        for (std::int64_t c = 0; c < weight.cols(); ++c) {
            whole += std::pow(static_cast<double>(weight.row(id)[c]), 2);
            damage += std::pow(static_cast<double>(weight.row(id)[c]) - static_cast<double>(quantized.row(id)[c]), 2);
        }
    return damage / whole;
}

// The Gram matrices are sums in f32, the direct way is in f64: relative 1e-6 per entry, and the damage is a sum of
// hundreds of thousands of terms.
inline constexpr double kGramTolerance = 2e-5;

} // namespace bw::test::sweeps
