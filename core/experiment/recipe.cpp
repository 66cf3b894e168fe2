// SPDX-License-Identifier: GPL-3.0-or-later
// Recipes to JSON and back. Reading is strict: whatever is not understood is refused by its path, so that a misspelt key
// can never be a silent default.
#include "core/experiment/recipe.h"

#include "core/calibrate/dataset.h"
#include "core/evaluate/tasks.h"
#include "core/experiment/recipe_section.h"
#include "core/quantize/export.h"
#include "core/quantize/rules.h"
#include "core/quantize/runtime_profile.h"

#include <charconv>
#include <string_view>

namespace bw {
namespace {

constexpr std::int64_t kManyTokens = std::int64_t{1} << 40; ///< more than any text set; keeps products in 64 bits

void checkFormat(const std::string& path, const std::string& format, bool emptyIsFine) {
    if ((emptyIsFine && format.empty()) || format == "keep")
        return;
    try {
        parseChoice(format);
    } catch (const Error& e) {
        refuseRecipe(path, "is \"" + escapeForDisplay(format) + "\": " + e.message(), e.hint());
    }
}

void readVersion(RecipeSection& top) {
    const Json* version = top.find("version");
    if (!version || !version->is_number_integer())
        refuseRecipe("version", "is missing or no whole number", "write \"version\": " + std::to_string(Recipe::kVersion));
    if (version->get<std::int64_t>() > Recipe::kVersion)
        refuseRecipe("version", "is " + version->dump() + "; this program reads up to " + std::to_string(Recipe::kVersion),
               "use the newer program that wrote it");
    if (version->get<std::int64_t>() < 1)
        refuseRecipe("version", "is " + version->dump() + "; the first is 1");
}

void readWeights(RecipeSection& section, const std::vector<std::string>& files, std::map<std::string, double>& out) {
    const Json* weights = section.find("weights");
    if (!weights)
        return;
    const std::string path = section.at("weights");
    if (!weights->is_object())
        refuseRecipe(path, "must be an object of file: weight");
    out.clear();
    for (const auto& entry : weights->items()) {
        const std::string name = path + "." + entry.key();
        if (!entry.value().is_number() || !std::isfinite(entry.value().get<double>()) || entry.value().get<double>() < 0 || entry.value().get<double>() > 1e9)
            refuseRecipe(name, "must be a number of 0 or more");
        if (std::find(files.begin(), files.end(), entry.key()) == files.end())
            refuseRecipe(name, "is a weight of a file that calibration.files does not name");
        out[entry.key()] = entry.value().get<double>();
    }
    const bool any = std::any_of(files.begin(), files.end(), [&](const std::string& file) { return !out.contains(file) || out.at(file) > 0; });
    if (!out.empty() && !any)
        refuseRecipe(path, "are all 0", "give at least one text a weight above 0");
}

void readSet(RecipeSection& section, const std::vector<std::string>& files, Recipe::CalibrationSet& out) {
    readWeights(section, files, out.weights);
    section.text("field", out.field);
    section.texts("include", out.include);
    section.integer("min_length", out.minLength, 0, kManyTokens);
    section.flag("deduplicate", out.deduplicate);
    section.choice("sampling", out.sampling, {"even", "random", "balanced"});
    section.integer("expert_floor", out.expertFloor, 0, kManyTokens);
    section.flag("grams", out.grams);
}

void readCalibration(RecipeSection& top, Recipe& recipe) {
    const Json* json = top.find("calibration");
    if (!json)
        return;
    Recipe::Calibration& out = recipe.calibration;
    Recipe::Chunks& chunks = recipe.chunks;
    RecipeSection section(*json, "calibration");
    section.texts("files", out.files);
    section.integer("samples", out.samples, 1, 1 << 24);
    section.integer("length", out.length, 2, 1 << 24);
    section.text("protocol", chunks.protocol);
    if (!chunks.protocol.empty())
        checkParses("calibration.protocol", chunks.protocol, [](const std::string& text) { parseProtocol(text); });
    section.integer("tokens", chunks.tokens, 0, kManyTokens);
    section.flag("output_matrix", chunks.outputMatrix);
    readSet(section, out.files, recipe.calibrationSet);
    if (!chunks.protocol.empty() && (!recipe.calibrationSet.weights.empty() || recipe.calibrationSet.deduplicate || recipe.calibrationSet.sampling != "even"))
        refuseRecipe("calibration.protocol", "takes all windows of every text: weights, deduplicate and sampling choose among them", "leave the protocol out");
    section.close();
}

void readEvaluation(RecipeSection& top, Recipe::Evaluation& out) {
    const Json* json = top.find("evaluation");
    if (!json)
        return;
    RecipeSection section(*json, "evaluation");
    section.texts("files", out.files);
    section.text("protocol", out.protocol);
    checkParses("evaluation.protocol", out.protocol, [](const std::string& text) { parseProtocol(text); });
    section.integer("tokens", out.tokens, 0, kManyTokens);
    section.choice("runtime", out.runtime, runtimeProfileNames());
    section.close();
}

void readFormats(RecipeSection& section, const char* key, std::vector<std::string>& out) {
    section.texts(key, out);
    for (std::size_t i = 0; i < out.size(); ++i)
        checkFormat(section.at(key) + "[" + std::to_string(i) + "]", out[i], false);
}

/// Formats of a token's row: a weight's row is its output channel, a token's its own.
void readRowFormats(RecipeSection& section, const char* key, std::vector<std::string>& out) {
    constexpr std::string_view kToken = ":token";
    section.texts(key, out);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const bool byToken = out[i].ends_with(kToken);
        if (out[i].find('@') != std::string::npos)
            refuseRecipe(section.at(key) + "[" + std::to_string(i) + "]", "is \"" + escapeForDisplay(out[i]) + "\": rounders are for weights", "name the format alone");
        checkFormat(section.at(key) + "[" + std::to_string(i) + "]", byToken ? out[i].substr(0, out[i].size() - kToken.size()) + ":channel" : out[i], false);
    }
}

void readSweep(RecipeSection& top, Recipe::Sweep& out) {
    const Json* json = top.find("sweep");
    if (!json)
        return;
    RecipeSection section(*json, "sweep");
    readFormats(section, "formats", out.formats);
    section.choice("metric", out.metric, {"output", "fisher", "kl"});
    section.integer("tokens", out.tokens, 0, kManyTokens);
    section.integer("probes", out.probes, 1, 1 << 20);
    section.choice("context", out.context, {"alone", "rest"});
    section.text("rest", out.rest);
    checkFormat("sweep.rest", out.rest, true);
    section.real("positions", out.positions, 1e-6, 1);
    section.text("shard", out.shard);
    checkParses("sweep.shard", out.shard, [](const std::string& text) { parseShard(text); });
    section.integer("order_run", out.orderRun, 0, INT64_MAX);
    section.texts("sites", out.sites);
    readRowFormats(section, "activations", out.activations);
    readRowFormats(section, "keys", out.keys);
    readRowFormats(section, "values", out.values);
    section.close();
}

/// @param key "rules" or "tensor_types".
void readRules(RecipeSection& section, const char* key, std::vector<FormatRule>& out) {
    const Json* rules = section.find(key);
    if (!rules)
        return;
    if (!rules->is_array())
        refuseRecipe(section.at(key), "must be a list of {pattern, format}");
    out.clear();
    for (std::size_t i = 0; i < rules->size(); ++i) {
        const std::string path = section.at(key) + "[" + std::to_string(i) + "]";
        RecipeSection rule((*rules)[i], path);
        FormatRule& made = out.emplace_back();
        rule.text("pattern", made.pattern);
        rule.text("format", made.format);
        rule.close();
        if (made.pattern.empty())
            refuseRecipe(path + ".pattern", "is missing or empty");
        checkFormat(path + ".format", made.format, false);
    }
}

void readPins(const RecipeSection& section, const Json& pins, std::map<std::string, std::string>& out) {
    if (!pins.is_object())
        refuseRecipe(section.at("pins"), "must be an object of site pattern: format");
    out.clear();
    for (const auto& pin : pins.items()) {
        const std::string path = section.at("pins." + pin.key());
        if (!pin.value().is_string())
            refuseRecipe(path, "must be a format's name");
        checkFormat(path, pin.value().get<std::string>(), false);
        out[pin.key()] = pin.value().get<std::string>();
    }
}

void readBudgets(RecipeSection& section, std::vector<Recipe::Assignment::PartBudget>& out) {
    const Json* budgets = section.find("budgets");
    if (!budgets)
        return;
    if (!budgets->is_array())
        refuseRecipe(section.at("budgets"), "must be a list of {sites, budget}");
    out.clear();
    for (std::size_t i = 0; i < budgets->size(); ++i) {
        const std::string path = section.at("budgets") + "[" + std::to_string(i) + "]";
        RecipeSection part((*budgets)[i], path);
        Recipe::Assignment::PartBudget& made = out.emplace_back();
        part.text("sites", made.sites);
        part.text("budget", made.budget);
        part.close();
        if (made.sites.empty())
            refuseRecipe(path + ".sites", "is missing or empty");
        checkParses(path + ".budget", made.budget, [](const std::string& text) {
            if (parseBudget(text).kind == Budget::Kind::cost)
                throw Error(ErrorCode::usage, "a part of the model has a budget of bytes, not of damage", "write 1.2GiB, 123456B or 4.5bpw");
        });
    }
}

void readRefit(RecipeSection& section, std::optional<Recipe::Assignment::Refit>& out) {
    const Json* refit = section.find("refit");
    if (!refit)
        return;
    out.reset();
    if (refit->is_null())
        return;
    RecipeSection part(*refit, section.at("refit"));
    Recipe::Assignment::Refit made;
    part.real("scale", made.scale, 1e-3, 1e3);
    part.real("limit", made.limit, 0, 1e6);
    part.close();
    out = made;
}

void readMeasuredRuns(RecipeSection& section, std::vector<std::int64_t>& out) {
    const Json* runs = section.find("measured_runs");
    if (!runs)
        return;
    if (!runs->is_array())
        refuseRecipe(section.at("measured_runs"), "must be a list of runs");
    out.clear();
    for (const Json& run : *runs) {
        if (!run.is_number_integer() || (run.is_number_unsigned() && run.get<std::uint64_t>() > INT64_MAX) || run.get<std::int64_t>() < 1)
            refuseRecipe(section.at("measured_runs"), "must be a list of runs' numbers");
        out.push_back(run.get<std::int64_t>());
    }
}

void readAssignment(RecipeSection& top, Recipe::Assignment& out) {
    const Json* json = top.find("assignment");
    if (!json)
        return;
    RecipeSection section(*json, "assignment");
    section.text("format", out.format);
    checkParses("assignment.format", out.format, [](const std::string& text) { checkFormatOrMix(text); });
    section.text("head", out.head);
    checkFormat("assignment.head", out.head, true);
    section.text("output", out.output);
    checkFormat("assignment.output", out.output, true);
    section.text("embedding", out.embedding);
    checkFormat("assignment.embedding", out.embedding, true);
    readRules(section, "tensor_types", out.tensorTypes);
    for (const FormatRule& rule : out.tensorTypes)
        checkParses("assignment.tensor_types", rule.pattern, [](const std::string& text) { NamePattern{text}; });
    readRules(section, "rules", out.rules);
    section.text("budget", out.budget);
    if (!out.budget.empty())
        checkParses("assignment.budget", out.budget, [](const std::string& text) { parseBudget(text); });
    section.text("tie", out.tie);
    if (!isTie(out.tie))
        refuseRecipe("assignment.tie", "is \"" + escapeForDisplay(out.tie) + "\"; it can be none, or fused, stacks, experts with + between them");
    if (const Json* pins = section.find("pins"))
        readPins(section, *pins, out.pins);
    section.integer("sweep_run", out.sweepRun, 0, INT64_MAX);
    section.integer("scale_run", out.scaleRun, 0, INT64_MAX);
    readMeasuredRuns(section, out.measuredRuns);
    section.texts("forbid", out.forbid);
    for (const std::string& entry : out.forbid) {
        const std::size_t equals = entry.find('=');
        checkFormat("assignment.forbid", equals == std::string::npos ? entry : entry.substr(equals + 1), false);
    }
    readBudgets(section, out.budgets);
    readRefit(section, out.refit);
    section.choice("starved", out.starved, {"nearest", "keep", "borrow"});
    section.integer("start_run", out.startRun, 0, INT64_MAX);
    section.flag("interactions", out.interactions);
    section.close();
}

void readExport(RecipeSection& top, Recipe::Export& out) {
    const Json* json = top.find("export");
    if (!json)
        return;
    RecipeSection section(*json, "export");
    section.text("path", out.path);
    section.flag("replace", out.replace);
    section.integer("part_bytes", out.partBytes, 0, INT64_MAX);
    std::vector<std::string> layouts = exportLayoutNames(), profiles = exportProfileNames();
    layouts.emplace_back(); // by the path
    profiles.emplace_back();
    section.choice("layout", out.layout, layouts);
    section.choice("profile", out.profile, profiles);
    section.close();
}

void readTasks(RecipeSection& top, Recipe::Tasks& out) {
    const Json* json = top.find("tasks");
    if (!json)
        return;
    RecipeSection section(*json, "tasks");
    section.texts("prompts", out.prompts);
    section.integer("max_tokens", out.maxTokens, 1, 1 << 20);
    section.flag("compare", out.compare);
    if (const Json* thresholds = section.find("thresholds")) {
        if (!thresholds->is_object())
            refuseRecipe(section.at("thresholds"), "must be an object of figure: limit");
        out.thresholds.clear();
        for (const auto& entry : thresholds->items()) {
            const std::string path = section.at("thresholds." + entry.key());
            if (!entry.value().is_string())
                refuseRecipe(path, "must be text like \">= 0.35\"");
            checkParses(path, entry.value().get<std::string>(), [](const std::string& text) { parseThreshold(text); });
            out.thresholds[entry.key()] = entry.value().get<std::string>();
        }
    }
    section.close();
}

void readDiagnosis(RecipeSection& top, Recipe::Diagnosis& out) {
    const Json* json = top.find("diagnosis");
    if (!json)
        return;
    RecipeSection section(*json, "diagnosis");
    section.integer("run", out.run, 0, INT64_MAX);
    section.integer("tokens", out.tokens, 2, kManyTokens);
    section.integer("probes", out.probes, 1, 1 << 20);
    section.real("share", out.share, 0.01, 0.99);
    section.integer("worst", out.worst, 0, 1000);
    section.texts("recalibrate", out.recalibrate);
    section.close();
}

void readGeneration(RecipeSection& top, Recipe::Generation& out) {
    const Json* json = top.find("generation");
    if (!json)
        return;
    RecipeSection section(*json, "generation");
    section.text("prompt", out.prompt);
    section.integer("max_tokens", out.maxTokens, 1, 1 << 20);
    section.real("temperature", out.temperature, 0, 100);
    section.real("top_p", out.topP, 0, 1);
    section.close();
}

} // namespace

Json Recipe::toJson() const {
    const auto list = [](const std::vector<FormatRule>& rules) {
        Json json = Json::array();
        for (const FormatRule& rule : rules)
            json.push_back({{"pattern", rule.pattern}, {"format", rule.format}});
        return json;
    };
    const auto weightsOfFiles = [this] { // of files that are still named
        Json weights = Json::object();
        for (const auto& [file, weight] : calibrationSet.weights)
            if (std::find(calibration.files.begin(), calibration.files.end(), file) != calibration.files.end())
                weights[file] = weight;
        return weights;
    };
    Json parts = Json::array();
    for (const Assignment::PartBudget& part : assignment.budgets)
        parts.push_back({{"sites", part.sites}, {"budget", part.budget}});
    return {
        {"version", kVersion},
        {"kind", kind},
        {"name", name},
        {"checkpoint", checkpoint},
        {"base", base},
        {"seed", seed},
        {"device", device},
        {"non_finite", nonFinite},
        {"calibration",
         {{"files", calibration.files},
          {"samples", calibration.samples},
          {"length", calibration.length},
          {"protocol", chunks.protocol},
          {"tokens", chunks.tokens},
          {"output_matrix", chunks.outputMatrix},
          {"weights", weightsOfFiles()},
          {"field", calibrationSet.field},
          {"include", calibrationSet.include},
          {"min_length", calibrationSet.minLength},
          {"deduplicate", calibrationSet.deduplicate},
          {"sampling", calibrationSet.sampling},
          {"expert_floor", calibrationSet.expertFloor},
          {"grams", calibrationSet.grams}}},
        {"importance", importance},
        {"evaluation", {{"files", evaluation.files}, {"protocol", evaluation.protocol}, {"tokens", evaluation.tokens}, {"runtime", evaluation.runtime}}},
        {"sweep",
         {{"formats", sweep.formats},
          {"metric", sweep.metric},
          {"tokens", sweep.tokens},
          {"probes", sweep.probes},
          {"context", sweep.context},
          {"rest", sweep.rest},
          {"positions", sweep.positions},
          {"shard", sweep.shard},
          {"order_run", sweep.orderRun},
          {"sites", sweep.sites},
          {"activations", sweep.activations},
          {"keys", sweep.keys},
          {"values", sweep.values}}},
        {"assignment",
         {{"format", assignment.format},
          {"head", assignment.head},
          {"output", assignment.output},
          {"embedding", assignment.embedding},
          {"tensor_types", list(assignment.tensorTypes)},
          {"rules", list(assignment.rules)},
          {"budget", assignment.budget},
          {"tie", assignment.tie},
          {"pins", assignment.pins},
          {"sweep_run", assignment.sweepRun},
          {"scale_run", assignment.scaleRun},
          {"measured_runs", assignment.measuredRuns},
          {"forbid", assignment.forbid},
          {"budgets", parts},
          {"refit", assignment.refit ? Json{{"scale", assignment.refit->scale}, {"limit", assignment.refit->limit}} : Json()},
          {"starved", assignment.starved},
          {"start_run", assignment.startRun},
          {"interactions", assignment.interactions}}},
        {"transform", transform},
        {"rounder", rounder},
        {"gptq", gptqJson(*this)},
        {"clip_search", clipSearch},
        {"search", search},
        {"activations", activations},
        {"kv_cache", kvCache},
        {"export", {{"path", exporting.path}, {"replace", exporting.replace}, {"part_bytes", exporting.partBytes}, {"layout", exporting.layout}, {"profile", exporting.profile}}},
        {"tasks", {{"prompts", tasks.prompts}, {"max_tokens", tasks.maxTokens}, {"compare", tasks.compare}, {"thresholds", tasks.thresholds}}},
        {"diagnosis", {{"run", diagnosis.run}, {"tokens", diagnosis.tokens}, {"probes", diagnosis.probes}, {"share", diagnosis.share}, {"worst", diagnosis.worst}, {"recalibrate", diagnosis.recalibrate}}},
        {"generation",
         {{"prompt", generation.prompt},
          {"max_tokens", generation.maxTokens},
          {"temperature", generation.temperature},
          {"top_p", generation.topP}}},
    };
}

Recipe Recipe::fromJson(const Json& json) {
    Recipe recipe;
    RecipeSection top(json, "");
    readVersion(top);
    top.choice("kind", recipe.kind, {"calibrate", "sweep", "assign", "quantize", "evaluate", "generate", "diagnose"});
    top.text("name", recipe.name);
    top.text("checkpoint", recipe.checkpoint);
    top.text("base", recipe.base);
    top.seed("seed", recipe.seed);
    top.text("device", recipe.device);
    top.choice("non_finite", recipe.nonFinite, {"refuse", "zero"});
    readCalibration(top, recipe);
    top.text("importance", recipe.importance);
    readEvaluation(top, recipe.evaluation);
    readSweep(top, recipe.sweep);
    readAssignment(top, recipe.assignment);
    readMethods(top, recipe);
    readExport(top, recipe.exporting);
    readGeneration(top, recipe.generation);
    readTasks(top, recipe.tasks);
    readDiagnosis(top, recipe.diagnosis);
    top.close();
    if (recipe.evaluation.runtime != "ideal" && recipe.activations != "none")
        refuseRecipe("evaluation.runtime", "is \"" + recipe.evaluation.runtime + "\", which rounds activations itself, and \"activations\" is \"" + escapeForDisplay(recipe.activations) + "\"",
                     "use one of the two");
    return recipe;
}

Shard parseShard(std::string_view text) {
    const std::size_t slash = text.find('/');
    Shard out;
    const auto number = [&](std::string_view digits, int& value) {
        const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return failure == std::errc{} && end == digits.data() + digits.size();
    };
    constexpr int kMostShards = 100000;
    if (slash == std::string_view::npos || !number(text.substr(0, slash), out.part) || !number(text.substr(slash + 1), out.of) || out.of < 1 || out.of > kMostShards ||
        out.part < 1 || out.part > out.of)
        throw Error(ErrorCode::usage, "'" + escapeForDisplay(text) + "' is no share of a sweep", "write 1/4 for the first of four");
    return out;
}

Recipe Recipe::load(const std::string& path) {
    try {
        return fromJson(readJsonFile(path));
    } catch (Error& e) {
        e.add("recipe", path);
        throw;
    }
}

} // namespace bw
