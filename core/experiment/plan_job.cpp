// SPDX-License-Identifier: GPL-3.0-or-later
// What a recipe would do, without doing it: for a quantization the exporter's plan, for the rest windows, passes and time.
#include "core/evaluate/prompts.h"
#include "core/experiment/plan_rows.h"
#include "core/calibrate/input_walk.h"
#include "core/experiment/calibration_store.h"
#include "core/experiment/workbench.h"
#include "core/sensitivity/fisher.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <chrono>

namespace bw {
namespace {

/// Multiply-adds per second of this machine right now, from a small product: a few milliseconds.
double measuredMultiplyAdds(std::int64_t tokens, std::int64_t width) {
    Matrix x(tokens, width), w(width, width), y(tokens, width);
    x.fill(0.5f);
    w.fill(0.25f);
    gemmTransposed(x.view(), w.view(), y.view()); // warms threads and caches
    double best = 1e9;
    for (int round = 0; round < 3; ++round) {
        const auto begun = std::chrono::steady_clock::now();
        gemmTransposed(x.view(), w.view(), y.view());
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    }
    return static_cast<double>(tokens * width * width) / std::max(best, 1e-6);
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
/// (half a square each token), factorises them and rounds, and walks a block twice, once more for the original when it corrects drift; AWQ tries 20 exponents on those sums.
double methodSeconds(const Model& model, const Recipe& recipe, std::int64_t tokens, double rate) {
    constexpr double kTrials = 20, kSlowerThanProducts = 4; // factorising and rounding a column at a time reach a quarter of the rate
    const bool gptq = recipe.rounder == "gptq", awq = recipe.transform.find("awq") != std::string::npos;
    const bool corrects = gptq && recipe.gptq.correction > 0;
    // The start of the sweeps is as much as two of them, and few go on past the fourth.
    const double sweeps = recipe.gptq.sweeps > 0 ? 2 + std::min(4.0, static_cast<double>(recipe.gptq.sweeps)) : 0;
    double work = 0;
    for (const InputGroup& group : model.inputGroups()) {
        if (group.sites.empty())
            continue;
        const auto width = static_cast<double>(model.site(group.sites.front()).cols);
        double rows = 0;
        for (const SiteId site : group.sites)
            rows += static_cast<double>(model.site(site).rows);
        const double collect = 0.5 * width * width * static_cast<double>(tokens);
        work += gptq ? collect + kSlowerThanProducts * (width * width * width / 3 + rows * width * width / 2) + sweeps * rows * width * width : 0;
        // The original's inputs against the rounded model's, twice as much as one Gram matrix, and two solves with the factor.
        work += corrects ? 2 * collect + 3 * rows * width * width : 0;
        work += awq ? collect + kTrials * rows * width * width : 0;
    }
    const double passes = (gptq ? 2 : 0) + (corrects ? 1 : 0) + (recipe.transform != "none" && recipe.transform != "rotate" ? 1 : 0);
    return work / rate + passes * forwardSeconds(model, tokens, rate);
}

/// Does it leave Gram matrices of the inputs behind, where there is a store?
bool keepsGrams(const Recipe& recipe) {
    const TransformSpec spec = parseTransform(recipe.transform);
    const TransformSpec::Part* const smooth = spec.find("smooth");
    return recipe.calibrationSet.grams || spec.find("awq") || spec.find("clip") || (smooth && smooth->options.contains("search"));
}

/// What prompt sets ask for: a walk over everything that is scored, and generation token by token at most.
Json planPrompts(Workbench& bench, const Model& model, const Recipe& recipe, double rate, JobContext& job) {
    const std::shared_ptr<const Tokenizer> tokenizer = bench.tokenizer(model);
    const auto tokensOf = [&](const std::string& text) { return static_cast<std::int64_t>(tokenizer->encode(text, false).size()); };
    std::int64_t prompts = 0, scored = 0, read = 0, generations = 0;
    for (const std::string& file : recipe.tasks.prompts)
        for (const PromptItem& item : loadPrompts(file, job).items) {
            job.checkpoint();
            ++prompts;
            const std::int64_t asked = tokensOf(item.prompt);
            if (item.kind == TaskKind::choice)
                for (const std::string& choice : item.choices)
                    scored += asked + tokensOf(choice);
            else if (item.kind == TaskKind::cloze)
                scored += asked + tokensOf(item.target);
            const bool writes = item.kind == TaskKind::exact || item.kind == TaskKind::references || item.kind == TaskKind::syntax;
            const std::int64_t times = (writes ? 1 : 0) + (recipe.tasks.compare ? 2 : 0); // side by side: both models write
            generations += times;
            read += times * asked;
        }
    const std::int64_t most = generations * recipe.tasks.maxTokens;
    double seconds = forwardSeconds(model, scored + read, rate);
    if (most > 0) // a token at a time is bound by reading the weights: 16 MB of them, past most caches
        seconds += forwardSeconds(model, most, measuredMultiplyAdds(1, 2048));
    return {{"prompts", prompts}, {"tokens", scored + read}, {"generated_tokens_at_most", most}, {"seconds_estimate", seconds}};
}

} // namespace

Json Runner::plan(const Recipe& asked, JobContext& job) {
    const JobScope scope(&job);
    Workbench bench(log_, devices_);
    const Recipe recipe = withAbsolutePaths(asked);
    const std::shared_ptr<const Model> model = bench.model(recipe);
    const double rate = measuredMultiplyAdds(256, 512); // 67 M multiply-adds a round: large enough to fill every core
    Json out{{"kind", recipe.kind}, {"checkpoint", recipe.checkpoint}, {"device", model->device().description()}, {"threads", threadCount()}};
    double seconds = 0;
    if (!recipe.calibration.files.empty() && (recipe.kind != "quantize" || recipe.needsCalibration() || recipe.needsText())) {
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
        // GPTQ itself asks for no importance; an embedding that is rounded beside it does.
        const bool gptqAlone = recipe.kind == "quantize" && recipe.rounder == "gptq" && recipe.assignment.head == "keep";
        const bool walks = recipe.kind == "sweep" || recipe.kind == "quantize" ? recipe.needsCalibration() && !gptqAlone : true;
        if (walks)
            seconds += forwardSeconds(*model, texts.windows.tokens(), rate);
        seconds += methodSeconds(*model, recipe, texts.windows.tokens(), rate);
        if (keepsGrams(recipe)) {
            const InputStore::Size store = InputStore(inputStoreOptions(), "", "").size();
            out["gram_matrices"] = {{"bytes", inputBytes(*model, {}, {true, recipe.calibrationSet.grams})}, {"limit", inputStoreOptions().folder.empty() ? 0 : store.limit}};
        }
    }
    if (!recipe.evaluation.files.empty() && (recipe.kind == "quantize" || recipe.kind == "evaluate")) {
        const TextSet texts = bench.evaluationTexts(*model, recipe, job);
        const bool rounds = recipe.evaluation.runtime != "ideal"; // the same again in exact arithmetic
        const double passes = (recipe.kind == "quantize" || !recipe.base.empty() || rounds ? 2 : 1) + (rounds ? 1 : 0);
        out["evaluation"] = {{"windows", texts.windows.count}, {"tokens", texts.windows.tokens()}, {"protocol", recipe.evaluation.protocol}};
        seconds += passes * forwardSeconds(*model, texts.windows.tokens(), rate);
    }
    if (!recipe.tasks.prompts.empty() && recipe.kind == "evaluate") {
        out["prompts"] = planPrompts(bench, *model, recipe, rate, job);
        seconds += out["prompts"].at("seconds_estimate").get<double>();
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
