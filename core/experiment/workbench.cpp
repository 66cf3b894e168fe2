// SPDX-License-Identifier: GPL-3.0-or-later
// Opening models and texts once per job.
#include "core/experiment/workbench.h"

#include "core/checkpoint/digest.h"
#include "core/compute/cpu_device.h"
#include "core/experiment/calibration_store.h"
#include "core/experiment/importance.h"
#include "core/experiment/stack.h"
#include "core/sensitivity/experts.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace {

std::string absolutePath(const std::string& path) {
    if (path.empty())
        return path;
    std::error_code failure;
    const std::filesystem::path made = std::filesystem::absolute(path, failure).lexically_normal();
    return failure ? path : made.string();
}

void append(Windows& windows, const Windows& more) {
    windows.length = more.length;
    windows.count += more.count;
    windows.ids.insert(windows.ids.end(), more.ids.begin(), more.ids.end());
}

} // namespace

std::vector<TokenId> TextSet::ids() const {
    std::vector<TokenId> out;
    for (const TextData& text : texts)
        out.insert(out.end(), text.ids.begin(), text.ids.end());
    return out;
}

ImportanceLookup Calibrated::lookup() const {
    return [this](const Site& site) -> std::span<const float> {
        const auto found = importance.find(site.id.value());
        return found == importance.end() ? std::span<const float>() : std::span<const float>(found->second);
    };
}

std::shared_ptr<const Model> Workbench::model(const std::string& path, const std::string& device, NonFinite nonFinite) {
    if (path.empty())
        throw Error(ErrorCode::usage, "no checkpoint is named", "give a folder, a .safetensors or a .gguf file");
    auto& slot = models_[{absolutePath(path), device, nonFinite}];
    if (!slot)
        slot = Model::openWeights(Checkpoint::open(path), devices_(device), nonFinite);
    return slot;
}

std::shared_ptr<const Tokenizer> Workbench::tokenizer(const Model& model) {
    auto& slot = tokenizers_[&model.checkpoint()];
    if (!slot)
        slot = Tokenizer::open(model.checkpoint());
    return slot;
}

const std::string& Workbench::checkpointSha256(const Model& model, JobContext& job) {
    std::string& digest = digests_[&model.checkpoint()];
    if (digest.empty())
        digest = digestCheckpoint(model.checkpoint(), defaultDigestCache(), job).sha256;
    return digest;
}

TextSet Workbench::evaluationTexts(const Model& model, const Recipe& recipe, JobContext& job) {
    if (recipe.evaluation.files.empty())
        throw Error(ErrorCode::usage, "this needs evaluation text, and none is named", "add --text FILE (.txt or .jsonl)");
    const Protocol protocol = parseProtocol(recipe.evaluation.protocol);
    TextSet set;
    std::int64_t left = recipe.evaluation.tokens; // 0 = all of every file
    for (const std::string& file : recipe.evaluation.files) {
        if (recipe.evaluation.tokens > 0 && left < protocol.length && set.windows.count > 0)
            break;
        set.texts.push_back(text(model, file, {}, job));
        const std::int64_t before = set.windows.count;
        append(set.windows, cutWindows(set.texts.back(), protocol, *tokenizer(model), recipe.evaluation.tokens > 0 ? left : 0));
        set.counts.push_back(set.windows.count - before);
        left = recipe.evaluation.tokens - set.windows.tokens();
    }
    return set;
}

ScratchMatrix Workbench::baseStates(const Model& model, const Windows& windows, JobContext& job) {
    const auto walk = [&] { return walkBlocks(model, windows, nullptr, nullptr, job, "baseline"); };
    BaselineStore store(baselineStore());
    const auto isOwn = [&](const auto& entry) { return entry.second.get() == &model; };
    if (store.off() || std::none_of(models_.begin(), models_.end(), isOwn)) // a derived checkpoint has no files to tell it by
        return walk();
    const std::string how = fmt::format("{}, {}, {}, {}", buildIdentity(), cpuDescription(), model.device().description(), model.nonFinite() == NonFinite::zero ? "non-finite as zero" : "as stored");
    const std::string key = BaselineStore::keyOf(checkpointSha256(model, job), windows, how);
    if (auto states = store.read(key, windows.tokens(), model.config().width, job))
        return std::move(*states);
    ScratchMatrix states = walk();
    if (const std::string problem = store.write(key, states.view(), job); !problem.empty())
        warn(job, problem);
    return states;
}

std::vector<ScoredText> Workbench::scoredParts(const Model& model, const Recipe& recipe, const TextSet& evaluation) {
    return scoredTexts(evaluation.texts, evaluation.counts, evaluation.windows, parseProtocol(recipe.evaluation.protocol), *tokenizer(model));
}

void Workbench::warn(JobContext& job, const std::string& warning) {
    if (warned_.insert(warning).second)
        job.note("warning: " + warning);
}

ImportanceLookup roundingImportance(const Model& model, const Recipe& recipe, const Calibrated& calibrated) {
    if (calibrated.result.inputs.empty()) // importance from a file counts no tokens
        return calibrated.lookup();
    const auto tokens = [&calibrated](const Site& site) -> std::int64_t {
        const InputStatistics* input = calibrated.result.forSite(site.id);
        return input ? input->tokens : 0;
    };
    const StarvedPolicy policy = parseStarvedPolicy(recipe.assignment.starved);
    const std::vector<StarvedExpert> starved = starvedExperts(model.sites(), tokens, {policy, kMinExpertTokens});
    return starved.empty() ? calibrated.lookup() : expertImportance(model.sites(), starved, policy, tokens, calibrated.lookup());
}

Json warningsJson(const std::vector<DataWarning>& warnings) {
    Json out = Json::array();
    for (const DataWarning& w : warnings)
        out.push_back({{"kind", w.kind}, {"seen", w.seen}, {"why", w.why}, {"remedy", w.remedy}, {"details", w.details}});
    return out;
}

std::vector<DataWarning> checkTexts(const Stage& stage, const TextSet& calibration, const TextSet* evaluation) {
    std::vector<TokenId> evaluationIds;
    if (evaluation) {
        for (const TextData& fitted : calibration.texts)
            for (const TextData& judged : evaluation->texts)
                if (fitted.sha256 == judged.sha256)
                    throw Error(ErrorCode::usage,
                                fmt::format("'{}' is both calibration and evaluation text: figures on it would flatter the result", judged.path),
                                "evaluate on a text that was not used to calibrate");
        evaluationIds = evaluation->ids();
        stage.log().addMetrics(stage.run, {{"calibration_overlap", overlapShare(calibration.windows, evaluationIds), std::nullopt, "share of 13-grams"}});
    }
    const std::shared_ptr<const Tokenizer> tokenizer = stage.bench.tokenizer(stage.model);
    std::vector<DataWarning> warnings = checkCalibration(calibration.windows, evaluationIds, tokenizer.get());
    warnings.insert(warnings.end(), calibration.reading.begin(), calibration.reading.end());
    for (const DataWarning& warning : warnings)
        stage.bench.warn(stage.job, warning.text());
    stage.log().setWarnings(stage.run, warnings);
    return warnings;
}

Recipe withAbsolutePaths(Recipe recipe) {
    recipe.checkpoint = absolutePath(recipe.checkpoint);
    recipe.base = absolutePath(recipe.base);
    for (std::string& file : recipe.calibration.files)
        file = absolutePath(file);
    for (std::string& file : recipe.evaluation.files)
        file = absolutePath(file);
    std::map<std::string, double> weights;
    for (const auto& [file, weight] : recipe.calibrationSet.weights)
        weights[absolutePath(file)] = weight;
    recipe.calibrationSet.weights = std::move(weights);
    for (std::string& file : recipe.tasks.prompts)
        file = absolutePath(file);
    for (std::string& file : recipe.diagnosis.recalibrate)
        file = absolutePath(file);
    recipe.importance = absolutePath(recipe.importance);
    recipe.exporting.path = absolutePath(recipe.exporting.path);
    return recipe;
}

} // namespace bw
