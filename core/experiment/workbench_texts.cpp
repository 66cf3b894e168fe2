// SPDX-License-Identifier: GPL-3.0-or-later
// Calibration texts of a recipe, read once per job, and the walk over them.
#include "core/experiment/workbench.h"

#include "core/calibrate/balance.h"
#include "core/calibrate/input_walk.h"
#include "core/compute/cpu_device.h"
#include "core/experiment/calibration_store.h"
#include "core/experiment/importance.h"
#include "core/experiment/stack.h"
#include "core/sensitivity/experts.h"

#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace {

/// Balanced sampling looks at this many times the windows that it takes: one more walk of four times the length, without which
/// there would be nothing to choose from.
constexpr std::int64_t kPool = 4;

std::string absolutePath(const std::string& path) {
    std::error_code failure;
    const std::filesystem::path made = std::filesystem::absolute(path, failure).lexically_normal();
    return failure ? path : made.string();
}

void append(Windows& windows, const Windows& more) {
    windows.length = more.length;
    windows.count += more.count;
    windows.ids.insert(windows.ids.end(), more.ids.begin(), more.ids.end());
}

/// One for each file, 1 where none is named; empty where no file has one.
std::vector<double> weightsOf(const Recipe& recipe) {
    std::vector<double> out;
    if (recipe.calibrationSet.weights.empty())
        return out;
    std::map<std::string, double> byPath;
    for (const auto& [file, weight] : recipe.calibrationSet.weights)
        byPath[absolutePath(file)] = weight;
    for (const std::string& file : recipe.calibration.files) {
        const auto found = byPath.find(absolutePath(file));
        out.push_back(found == byPath.end() ? 1.0 : found->second);
    }
    return out;
}

} // namespace

TextOptions textOptions(const Recipe& recipe) {
    const Recipe::CalibrationSet& set = recipe.calibrationSet;
    return {set.field, set.include, set.minLength, set.deduplicate};
}

const TextData& Workbench::text(const Model& model, const std::string& path, const TextOptions& options, JobContext& job) {
    const std::shared_ptr<const Tokenizer> words = tokenizer(model);
    const Json how{absolutePath(path), options.field, options.include, options.minTokens, options.deduplicate};
    const auto key = std::make_pair(words.get(), how.dump(-1, ' ', false, Json::error_handler_t::replace));
    const auto found = texts_.find(key);
    if (found != texts_.end())
        return found->second;
    return texts_.emplace(key, loadText(path, *words, 0, job, options)).first->second;
}

TextSet Workbench::calibrationTexts(const Model& model, const Recipe& recipe, JobContext& job) {
    if (recipe.calibration.files.empty())
        throw Error(ErrorCode::usage, "this needs calibration text, and none is named", "add --text FILE (.txt, .jsonl or a folder)");
    // Not by model: one with a transform folded in is calibrated on the windows that were chosen with the original.
    const std::string key = fmt::format("{}|{}|{}", static_cast<const void*>(tokenizer(model).get()), recipe.seed,
                                        withAbsolutePaths(recipe).toJson().at("calibration").dump(-1, ' ', false, Json::error_handler_t::replace));
    const auto found = calibrationSets_.find(key);
    if (found != calibrationSets_.end())
        return found->second;
    return calibrationSets_.emplace(key, makeCalibrationTexts(model, recipe, job)).first->second;
}

TextSet Workbench::makeCalibrationTexts(const Model& model, const Recipe& recipe, JobContext& job) {
    TextSet set;
    std::vector<const TextData*> texts;
    for (const std::string& file : recipe.calibration.files) {
        texts.push_back(&text(model, file, textOptions(recipe), job));
        set.texts.push_back(*texts.back());
    }
    if (recipe.chunks.protocol.empty()) {
        const Recipe::CalibrationSet& asked = recipe.calibrationSet;
        Sampling sampling{recipe.calibration.samples, recipe.calibration.length, weightsOf(recipe), asked.sampling == "random", recipe.seed, asked.deduplicate};
        SampledWindows sampled;
        if (asked.sampling == "balanced")
            balance(model, recipe, texts, std::move(sampling), sampled, job);
        else
            sampled = sampleWindows(texts, sampling, job);
        set.reading = checkReading(texts, sampled);
        set.windows = std::move(sampled.windows);
        return set;
    }
    const Protocol protocol = parseProtocol(recipe.chunks.protocol);
    for (const TextData& text : set.texts) {
        const std::int64_t left = recipe.chunks.tokens - set.windows.tokens();
        if (recipe.chunks.tokens > 0 && left < protocol.length && set.windows.count > 0)
            break;
        append(set.windows, cutWindows(text, protocol, *tokenizer(model), recipe.chunks.tokens > 0 ? left : 0));
    }
    return set;
}

void Workbench::balance(const Model& model, const Recipe& recipe, const std::vector<const TextData*>& texts, Sampling sampling, SampledWindows& out, JobContext& job) {
    const bool experts = std::any_of(model.sites().begin(), model.sites().end(), [](const Site& site) { return site.expert >= 0; });
    if (!experts)
        throw Error(ErrorCode::usage, "balanced sampling chooses windows for experts, and this model has none", "use --sampling even or random");
    const std::int64_t samples = sampling.samples;
    sampling.samples *= kPool;
    out = sampleWindows(texts, sampling, job);
    const std::int64_t floor = recipe.calibrationSet.expertFloor > 0 ? recipe.calibrationSet.expertFloor : kMinExpertTokens;
    const std::vector<std::int64_t> chosen = chooseBalanced(countRouting(model, out.windows, job), samples, floor, job);
    SampledWindows taken;
    taken.windows.length = out.windows.length;
    for (const std::int64_t w : chosen) {
        const auto ids = out.windows.window(w);
        taken.windows.ids.insert(taken.windows.ids.end(), ids.begin(), ids.end());
        taken.origins.push_back(out.origins[static_cast<std::size_t>(w)]);
        ++taken.windows.count;
    }
    out.windows = std::move(taken.windows);
    out.origins = std::move(taken.origins);
}

namespace {

/// What a walk collected, from the store: nothing where it is not there, or not of this model.
std::optional<CalibrationResult> restored(CalibrationStore& store, const Model& model, const std::string& key, const Windows& windows, const CalibrateOptions& options, JobContext& job) {
    std::map<std::string, const InputGroup*> groups;
    for (const InputGroup& group : model.inputGroups())
        groups[group.name] = &group;
    CalibrationResult out;
    bool fits = true;
    const bool whole = store.read(CalibrationStore::idOf(key), key, job, [&](StoredInput&& stored) {
        const auto found = groups.find(stored.pass.group());
        if (found == groups.end() || found->second->width != stored.pass.width()) {
            fits = false;
            return;
        }
        InputStatistics& input = out.inputs.emplace_back(stored.pass.finish(options));
        input.sites = found->second->sites;
        if (options.weightFacts) {
            input.weightMax = std::move(stored.weightMax);
            input.weightSquares = std::move(stored.weightSquares);
        }
    });
    if (!whole || !fits || out.inputs.empty())
        return std::nullopt;
    out.tokens = windows.tokens();
    out.warnings = calibrationWarnings(windows, {});
    return out;
}

} // namespace

namespace {

/// Two entries of one walk: of all windows, and of those that AWQ looks at where it does not look at all.
class GramRecorders {
public:
    GramRecorders(const Model& model, const Windows& windows, InputStore& store, JobContext& job) {
        const std::set<int> groups = allInputGroups(model);
        if (!isThere(store, windows, true, groups, job))
            all_.emplace(model, &store, windows, groups, GroupInput::Wanted{true, true});
        const std::vector<std::int64_t> some = searchedWindows(model, windows);
        const Windows fewer = pickWindows(windows, some);
        if (fewer.count < windows.count && !isThere(store, fewer, false, groups, job))
            fewer_.emplace(model, &store, fewer, groups, GroupInput::Wanted{}, some);
    }
    /// Those that have room.
    std::vector<InputRecorder*> list() {
        std::vector<InputRecorder*> out;
        for (std::optional<InputRecorder>* recorder : {&all_, &fewer_})
            if (*recorder && (*recorder)->writes())
                out.push_back(&**recorder);
            else if (*recorder)
                (*recorder)->commit(); // tells why not
        return out;
    }

private:
    static bool isThere(InputStore& store, const Windows& windows, bool samples, const std::set<int>& groups, JobContext& job) {
        const std::string key = store.key(windows, samples);
        return store.groups(key).size() >= groups.size() && store.read(key, job, [](const std::string&, GroupInput&&) {});
    }
    std::optional<InputRecorder> all_, fewer_;
};

} // namespace

InputStore* Workbench::inputStore(const Model& model, JobContext& job) {
    const InputStore::Options where = inputStoreOptions();
    if (where.folder.empty() || model.nonFinite() == NonFinite::zero) // damaged weights that count as zero are another model
        return nullptr;
    const std::string device = model.device().description(); // a CPU's holds the threads, which change nothing
    std::unique_ptr<InputStore>& store = inputStores_[&model.checkpoint()];
    if (!store)
        store = std::make_unique<InputStore>(where, checkpointSha256(model, job), buildIdentity() + ", " + cpuDescription() + (device.starts_with("CPU") ? "" : ", " + device));
    return store.get();
}

Json Workbench::inputStoreReport(JobContext& job) {
    InputStore::Counts sum;
    for (const auto& [checkpoint, store] : inputStores_) {
        sum.taken += store->counts().taken;
        sum.kept += store->counts().kept;
        sum.damaged += store->counts().damaged;
        if (!store->problem().empty())
            warn(job, store->problem());
    }
    if (sum.taken > 0)
        job.note(fmt::format("Gram matrices of inputs are taken from the store ({}): these texts were not walked again", inputStoreOptions().folder));
    return inputStores_.empty() ? Json() : Json{{"taken", sum.taken}, {"kept", sum.kept}, {"damaged", sum.damaged}};
}

CalibrationResult Workbench::statistics(const Model& model, const Windows& windows, bool whole, bool grams, Calibrated& made, JobContext& job) {
    CalibrateOptions options;
    options.perChannel = options.weightFacts = whole;
    const CalibrationStore::Options where = calibrationStore();
    if (where.folder.empty() || model.nonFinite() == NonFinite::zero) // damaged weights that count as zero are another model
        return calibrate(model, windows, options, job);
    std::optional<GramRecorders> recorders;
    if (grams)
        options.recorders = recorders.emplace(model, windows, *inputStore(model, job), job).list();
    CalibrationStore store(where);
    const std::string key = CalibrationStore::keyOf(checkpointSha256(model, job), windows, buildIdentity() + ", " + cpuDescription());
    made.storeId = CalibrationStore::idOf(key);
    std::optional<CalibrationResult> found;
    if (options.recorders.empty())
        found = restored(store, model, key, windows, options, job);
    if (found) {
        made.fromStore = true;
        return std::move(*found);
    }
    options.channelHistograms = options.weightFacts = true; // so that whoever comes later finds all there is
    CalibrationStore::Writer writer(store, key);
    options.onPass = [&](const GroupPass& pass, const InputStatistics& input) {
        std::vector<std::string> names;
        std::int64_t rows = 0;
        for (const SiteId site : input.sites) {
            names.push_back(model.site(site).name);
            rows += model.site(site).rows;
        }
        writer.add(pass, names, rows, input);
    };
    CalibrationResult result = calibrate(model, windows, options, job);
    writer.commit();
    if (!writer.problem().empty()) {
        made.storeId.clear();
        warn(job, writer.problem());
    }
    return result;
}

std::shared_ptr<const Calibrated> Workbench::calibrated(const Model& model, const Recipe& recipe, JobContext& job, bool whole) {
    const std::string key = fmt::format("{}|{}|{}|{}|{}", whole, static_cast<const void*>(&model), recipe.seed, recipe.importance,
                                        withAbsolutePaths(recipe).toJson().at("calibration").dump(-1, ' ', false, Json::error_handler_t::replace));
    auto& slot = calibrations_[key];
    if (slot)
        return slot;
    auto made = std::make_shared<Calibrated>();
    if (!recipe.importance.empty()) {
        SiteImportance read = siteImportance(model, ImportanceMatrix::read(recipe.importance));
        made->importance = std::move(read.values);
        made->result.warnings = std::move(read.warnings);
        for (const std::string& warning : made->result.warnings)
            warn(job, warning);
        slot = made;
        return slot;
    }
    made->set = calibrationTexts(model, recipe, job);
    made->result = statistics(model, made->set.windows, whole, whole && recipe.calibrationSet.grams, *made, job);
    for (const Site& site : model.sites())
        if (const InputStatistics* input = made->result.forSite(site.id))
            if (std::vector<float> importance = input->importance(); static_cast<std::int64_t>(importance.size()) == site.cols)
                made->importance[site.id.value()] = std::move(importance);
    slot = made;
    return slot;
}

} // namespace bw
