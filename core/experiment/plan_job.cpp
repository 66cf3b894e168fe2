// SPDX-License-Identifier: GPL-3.0-or-later
// What a recipe would do, without doing it: for a quantization the exporter's plan, for the rest windows, passes and time.
#include "core/experiment/plan_rows.h"
#include "core/experiment/workbench.h"
#include "core/sensitivity/fisher.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <chrono>

namespace bw {
namespace {

/// Multiply-adds per second of this machine right now, from a small product: a few milliseconds.
double measuredMultiplyAdds() {
    constexpr std::int64_t kTokens = 256, kWidth = 512; // 67 M multiply-adds a round: large enough to fill every core
    Matrix x(kTokens, kWidth), w(kWidth, kWidth), y(kTokens, kWidth);
    x.fill(0.5f);
    w.fill(0.25f);
    gemmTransposed(x.view(), w.view(), y.view()); // warms threads and caches
    double best = 1e9;
    for (int round = 0; round < 3; ++round) {
        const auto begun = std::chrono::steady_clock::now();
        gemmTransposed(x.view(), w.view(), y.view());
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    }
    return static_cast<double>(kTokens * kWidth * kWidth) / std::max(best, 1e-6);
}

/// Norms, attention and loading beside the matrix products; between 1.2 and 1.5 on the models tried.
constexpr double kBesideProducts = 1.35;

double forwardSeconds(const Model& model, std::int64_t tokens, double multiplyAdds) {
    double weights = 0;
    for (const Site& site : model.sites())
        if (site.kind != SiteKind::tokenEmbedding || model.config().tiedHead)
            weights += static_cast<double>(site.rows * site.cols);
    return weights * static_cast<double>(tokens) / multiplyAdds * kBesideProducts;
}

/// Share of a forward pass behind a site, averaged: measured KL restarts at the site's block.
constexpr double kMeanRestart = 0.55;

Json planSweep(const Model& model, const Recipe& recipe, std::int64_t tokens, double rate) {
    const auto cells = static_cast<std::int64_t>(model.sites().size() * recipe.sweep.formats.size());
    const std::int64_t swept = recipe.sweep.tokens > 0 ? std::min(recipe.sweep.tokens, tokens) : tokens;
    const double pass = forwardSeconds(model, swept, rate);
    double seconds = 2.5 * pass;
    if (recipe.sweep.metric == "kl") {
        seconds = pass * (1 + kMeanRestart * static_cast<double>(cells) / parseShard(recipe.sweep.shard).of);
    } else if (recipe.sweep.metric == "fisher") { // two passes forward, then the way back for each draw of a window
        const std::int64_t length = std::max<std::int64_t>(1, recipe.calibration.length);
        const std::int64_t enough = windowsForProbes(recipe.sweep.probes, length);
        const std::int64_t windows = std::clamp<std::int64_t>(swept / length, 1, enough);
        const auto draws = static_cast<double>((enough + windows - 1) / windows), formats = static_cast<double>(recipe.sweep.formats.size());
        seconds = forwardSeconds(model, windows * length, rate) * (2 + draws * (2 + formats / 32));
    }
    return {{"cells", cells}, {"tokens", swept}, {"seconds_estimate", seconds}};
}

/// Seconds that methods take beside the pass that collects importance, by multiply-adds: GPTQ collects I×I sums of every input
/// (half a square each token), factorises them and rounds, and walks a block twice; AWQ tries 20 exponents on those sums.
double methodSeconds(const Model& model, const Recipe& recipe, std::int64_t tokens, double rate) {
    constexpr double kTrials = 20, kSlowerThanProducts = 4; // factorising and rounding a column at a time reach a quarter of the rate
    const bool gptq = recipe.rounder == "gptq", awq = recipe.transform.find("awq") != std::string::npos;
    double work = 0;
    for (const InputGroup& group : model.inputGroups()) {
        if (group.sites.empty())
            continue;
        const auto width = static_cast<double>(model.site(group.sites.front()).cols);
        double rows = 0;
        for (const SiteId site : group.sites)
            rows += static_cast<double>(model.site(site).rows);
        const double collect = 0.5 * width * width * static_cast<double>(tokens);
        work += gptq ? collect + kSlowerThanProducts * (width * width * width / 3 + rows * width * width / 2) : 0;
        work += awq ? collect + kTrials * rows * width * width : 0;
    }
    const double passes = (gptq ? 2 : 0) + (recipe.transform != "none" && recipe.transform != "rotate" ? 1 : 0);
    return work / rate + passes * forwardSeconds(model, tokens, rate);
}

} // namespace

Json Runner::plan(const Recipe& asked, JobContext& job) {
    const JobScope scope(&job);
    Workbench bench(log_, devices_);
    const Recipe recipe = withAbsolutePaths(asked);
    const std::shared_ptr<const Model> model = bench.model(recipe);
    const double rate = measuredMultiplyAdds();
    Json out{{"kind", recipe.kind}, {"checkpoint", recipe.checkpoint}, {"device", model->device().description()}, {"threads", threadCount()}};
    double seconds = 0;
    if (!recipe.calibration.files.empty() && (recipe.kind != "quantize" || recipe.needsCalibration())) {
        Recipe sampled = recipe;
        if (sampled.calibrationSet.sampling == "balanced") { // as many windows, without the walk that chooses them
            sampled.calibrationSet.sampling = "even";
            seconds += 4 * forwardSeconds(*model, recipe.calibration.samples * recipe.calibration.length, rate);
        }
        const TextSet texts = bench.calibrationTexts(*model, sampled, job);
        out["calibration"] = {{"windows", texts.windows.count}, {"tokens", texts.windows.tokens()}};
        if (recipe.kind == "sweep") {
            const Json sweep = planSweep(*model, recipe, texts.windows.tokens(), rate);
            seconds += sweep.at("seconds_estimate").get<double>();
            out["sweep"] = sweep;
        }
        if (recipe.kind != "sweep" || recipe.needsCalibration())
            seconds += forwardSeconds(*model, texts.windows.tokens(), rate);
        seconds += methodSeconds(*model, recipe, texts.windows.tokens(), rate);
    }
    if (!recipe.evaluation.files.empty() && (recipe.kind == "quantize" || recipe.kind == "evaluate")) {
        const TextSet texts = bench.evaluationTexts(*model, recipe, job);
        const double passes = recipe.kind == "quantize" || !recipe.base.empty() ? 2 : 1;
        out["evaluation"] = {{"windows", texts.windows.count}, {"tokens", texts.windows.tokens()}, {"protocol", recipe.evaluation.protocol}};
        seconds += passes * forwardSeconds(*model, texts.windows.tokens(), rate);
    }
    if (recipe.kind == "quantize") {
        const ExportPlan plan = planFor(*model, recipeFormats(*model, recipe), recipe);
        out.update(planJson(plan));
        out["site_bits_per_weight"] = siteBitsPerWeight(*model, plan);
        out["bytes"] = plan.fileBytes;
        seconds += plan.secondsEstimate;
    }
    out["seconds_estimate"] = seconds;
    return out;
}

} // namespace bw
