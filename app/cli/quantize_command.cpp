// SPDX-License-Identifier: GPL-3.0-or-later
// quantize: a recipe or a few options become an audited checkpoint.
#include "app/cli/cache_command.h"
#include "app/cli/calibration_options.h"
#include "app/cli/method_options.h"
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/compute/cpu_device.h"
#include "core/experiment/replicates.h"
#include "core/quantize/presets.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

struct QuantizeOptions {
    CacheArguments cache;
    MethodArguments method;
    std::string path;
    std::optional<std::string> out, imatrix, format, head, protocol;
    std::optional<std::string> preset, outputType, embeddingType, search, clone;
    std::vector<std::string> set, tensorTypes, evalTexts;
    CalibrationArguments calibration;
    std::optional<std::int64_t> tokens;
    std::optional<std::string> splitMaxSize;
    std::int64_t replicates = 1;
    bool replace = false, noClipSearch = false, pure = false;
};

/// --format, --preset or --clone-recipe: one of them says what every site gets.
void chooseFormats(Context& context, const QuantizeOptions& options, Recipe& recipe) {
    const int ways = options.format.has_value() + options.preset.has_value() + options.clone.has_value();
    if (ways > 1)
        throw Error(ErrorCode::usage, "--format, --preset and --clone-recipe exclude each other", "keep one of them");
    if (options.pure && !options.preset)
        throw Error(ErrorCode::usage, "--pure needs --preset", "--format alone is pure already");
    if (ways == 1) {
        recipe.assignment.rules.clear(); // what is asked for by hand replaces the recipe's mix
        recipe.assignment.tensorTypes.clear();
        recipe.assignment.head = recipe.assignment.output = recipe.assignment.embedding = "";
    }
    if (options.format)
        recipe.assignment.format = *options.format;
    if (options.preset) {
        checkFormatOrMix("mix:" + *options.preset);
        const NamedMix& mix = *findMix(*options.preset);
        recipe.assignment.format = options.pure ? std::string(storageTypeInfo(mix.base).name) : "mix:" + std::string(mix.name);
    }
    if (options.clone) {
        const std::shared_ptr<const Model> model = Model::open(Checkpoint::open(recipe.checkpoint), std::shared_ptr<Device>(makeCpuDevice()));
        const ClonedRecipe cloned = cloneRecipe(*model, *Checkpoint::open(*options.clone));
        for (const std::string& note : cloned.notes)
            context.job.note(note);
        recipe.assignment.format = cloned.format;
        recipe.assignment.rules = cloned.rules;
    }
}

/// "attn_(k|v)=q8_0": the last = parts the pattern from the type.
FormatRule parseTensorType(const std::string& text) {
    const std::size_t at = text.rfind('=');
    if (at == std::string::npos || at == 0 || at + 1 == text.size())
        throw Error(ErrorCode::usage, "--tensor-type \"" + escapeForDisplay(text) + "\" is no PATTERN=FORMAT", "write it like 'attn_(k|v)=q8_0'");
    return {text.substr(0, at), text.substr(at + 1)};
}

/// "45G": as llama.cpp's gguf-split counts, M and G are powers of ten; longer units say what they are.
std::int64_t parsePartSize(const std::string& text) {
    const bool bare = !text.empty() && std::string_view("mMgG").find(text.back()) != std::string_view::npos;
    const std::uint64_t bytes = parseByteSize(bare ? text + "B" : text);
    if (bytes == 0 || bytes > static_cast<std::uint64_t>(INT64_MAX))
        throw Error(ErrorCode::usage, "--split-max-size " + escapeForDisplay(text) + " is no size of a file", "write it like 45G or 500M");
    return static_cast<std::int64_t>(bytes);
}

Recipe quantizeRecipe(Context& context, const QuantizeOptions& options) {
    Recipe recipe = context.baseRecipe("quantize");
    if (!options.path.empty())
        recipe.checkpoint = options.path;
    chooseFormats(context, options, recipe);
    recipe.assignment.head = options.head.value_or(recipe.assignment.head);
    recipe.assignment.output = options.outputType.value_or(recipe.assignment.output);
    recipe.assignment.embedding = options.embeddingType.value_or(recipe.assignment.embedding);
    for (const std::string& rule : options.tensorTypes)
        recipe.assignment.tensorTypes.push_back(parseTensorType(rule));
    for (const std::string& rule : options.set)
        recipe.assignment.rules.push_back(parseRule(rule));
    recipe.clipSearch = recipe.clipSearch && !options.noClipSearch;
    recipe.search = options.search.value_or(recipe.search);
    if (options.imatrix) {
        recipe.importance = *options.imatrix;
        recipe.rounder = "weighted"; // unless another is named
    }
    applyMethod(options.method, recipe);
    applyCalibration(options.calibration, recipe);
    if (!options.evalTexts.empty())
        recipe.evaluation.files = options.evalTexts;
    recipe.evaluation.protocol = options.protocol.value_or(recipe.evaluation.protocol);
    recipe.evaluation.tokens = options.tokens.value_or(recipe.evaluation.tokens);
    recipe.exporting.path = options.out.value_or(recipe.exporting.path);
    recipe.exporting.replace = recipe.exporting.replace || options.replace;
    if (options.splitMaxSize)
        recipe.exporting.partBytes = parsePartSize(*options.splitMaxSize);
    if (!options.format && !options.preset && !options.clone && context.common.recipe.empty())
        throw Error(ErrorCode::usage, "no format is named", "add --format q4_0, --preset q4_k_m, --clone-recipe FILE, or --recipe FILE");
    if (recipe.exporting.path.empty() && recipe.evaluation.files.empty())
        throw Error(ErrorCode::usage, "there is neither --out nor --eval-text: nothing would come of it",
                    "add --out NEW.gguf (or a folder), or --eval-text FILE to judge without writing");
    return Recipe::fromJson(recipe.toJson()); // values from options are checked like those of a file
}

std::string presetNames() {
    std::string names;
    for (const NamedMix& mix : namedMixes())
        if (storageTypeInfo(mix.base).encodes)
            names += (names.empty() ? "" : ", ") + std::string(mix.name);
    return names;
}

/// What GPTQ and a transform did, when there were any.
void printMethod(const Json& r) {
    if (r.contains("transform"))
        for (const Json& note : r.at("transform").at("notes"))
            printLine(fmt::format("{:<14}{}", "transform", note.get<std::string>()));
    if (r.contains("outliers")) {
        const Json& o = r.at("outliers");
        printLine(fmt::format("{:<14}{} input channels and {} single weights stay in 16 bits: {} bytes", "outliers", o.at("channels").get<std::int64_t>(), o.at("weights").get<std::int64_t>(),
                              groupDigits(o.at("bytes").get<double>())));
    }
    if (!r.contains("gptq"))
        return;
    const Json& g = r.at("gptq");
    printLine(fmt::format("{:<14}{} sites, output error {} of nearest's on average, damping up to {}", "GPTQ", g.at("sites").get<std::int64_t>(), number(g.at("error_ratio"), 3), number(g.at("damping_max"), 3)));
    for (const Json& fallback : g.at("fallbacks"))
        printLine(fmt::format("fallback: {}: {}", fallback.at("site").get<std::string>(), fallback.at("why").get<std::string>()));
}

void printQuantized(const Json& r) {
    std::map<std::string, std::pair<int, std::uint64_t>> byFormat;
    for (const Json& site : r.at("sites")) {
        auto& [count, bytes] = byFormat[site.at("format")];
        ++count;
        bytes += site.at("bytes").get<std::uint64_t>();
    }
    Table table({{"format", false}, {"sites"}, {"bytes"}});
    for (const auto& [format, use] : byFormat)
        table.add({format, std::to_string(use.first), groupDigits(static_cast<double>(use.second))});
    printLine(table.text());
    for (const Json& site : r.at("sites"))
        if (site.at("fallback_from").is_string())
            printLine(fmt::format("fallback: {} asked {}, used {}: {}", site.at("site").get<std::string>(), site.at("fallback_from").get<std::string>(),
                                  site.at("format").get<std::string>(), site.at("why").get<std::string>()));
    printLine(fmt::format("{:<14}{} bytes, {:.4f} bits/weight in the sites, {:.4f} with everything", "size", r.at("bytes").get<std::uint64_t>(),
                          r.at("bits_per_weight").get<double>(), r.at("file_bits_per_weight").get<double>()));
    printMethod(r);
    if (r.contains("audit")) {
        const Json& audit = r.at("audit");
        const auto parts = r.at("parts").get<std::int64_t>();
        printLine(fmt::format("{:<14}{}{}", "written", r.at("path").get<std::string>(), parts > 1 ? fmt::format(" and {} more parts", parts - 1) : ""));
        printLine(fmt::format("{:<14}ok: {} tensors, {} rows decoded, {} tokens evaluated from the file", "audit", audit.at("tensors_checked").get<std::int64_t>(),
                              audit.at("rows_decoded").get<std::int64_t>(), audit.at("evaluated_tokens").get<std::int64_t>()));
    }
    if (r.contains("evaluation")) {
        const Json& e = r.at("evaluation");
        printLine(fmt::format("{:<14}{} (before {}), KL {} nats per token", "perplexity", number(e.at("perplexity"), 6),
                              number(e.at("base_perplexity"), 6), withError(e.at("kl_mean"), e.at("kl_se"), 5)));
        printSchemes(e);
    }
    printLine(fmt::format("{:<14}{}", "time", formatSeconds(r.at("seconds").get<double>())));
}

/// The same recipe with the seeds that follow; the file, if one is asked for, is the first's.
int runReplicates(Context& context, Recipe recipe, std::int64_t count) {
    RunOutcome first;
    for (std::int64_t i = 0; i < count; ++i) {
        RunOutcome outcome = runRecipe(context, recipe);
        if (i == 0)
            first = std::move(outcome);
        ++recipe.seed;
        recipe.exporting.path.clear();
    }
    const Json noise = noiseJson(noiseBand(LogReader(context.logPath()), first.run));
    if (context.common.json) {
        first.result["noise"] = noise;
        printJson(first.result);
        return kExitOk;
    }
    printQuantized(first.result);
    for (const Json& figure : noise.is_null() ? Json::array() : noise.at("figures"))
        if ((figure.at("name") == "perplexity" || figure.at("name") == "kl_mean") && figure.at("deviation") == 0.0)
            printLine(fmt::format("{:<14}{} is the same for all {} seeds: nothing in this recipe is left to chance", "replicates", figure.at("name").get<std::string>(), noise.at("runs").size()));
        else if (figure.at("name") == "perplexity" || figure.at("name") == "kl_mean")
            printLine(fmt::format("{:<14}{} {} over {} seeds, deviation {}; differences up to {} are noise", "replicates", figure.at("name").get<std::string>(), number(figure.at("mean"), 6),
                                  noise.at("runs").size(), number(figure.at("deviation"), 3), number(figure.at("half_width"), 3)));
    printWhere(context, first.run);
    return kExitOk;
}

int runQuantizeCommand(Context& context, const QuantizeOptions& options) {
    useCache(options.cache);
    const Recipe recipe = quantizeRecipe(context, options);
    if (options.replicates == 1 || context.common.dryRun)
        return planOrRun(context, recipe, printQuantized);
    if (recipe.evaluation.files.empty())
        throw Error(ErrorCode::usage, "--replicates compares figures, and nothing is measured", "add --eval-text FILE");
    return runReplicates(context, recipe, options.replicates);
}

} // namespace

void addQuantizeCommand(CLI::App& app, Context& context) {
    auto options = std::make_shared<QuantizeOptions>();
    CLI::App* command = app.add_subcommand("quantize", "Write a quantized checkpoint, planned before and audited after");
    command->add_option("PATH", options->path, "checkpoint");
    command->add_option("--out", options->out, "new .gguf file or folder (safetensors)")->type_name("OUT");
    command->add_option("--format", options->format, "format of every site ('formats' lists them), or mix:NAME");
    command->add_option("--preset", options->preset, "llama.cpp's named mix: " + presetNames())->type_name("MIX");
    command->add_flag("--pure", options->pure, "the mix's main type everywhere");
    command->add_option("--clone-recipe", options->clone, "give every tensor the type it has in that checkpoint")->type_name("GGUF");
    command->add_option("--head", options->head, "format of token_embd and output")->type_name("FORMAT");
    command->add_option("--output-tensor-type", options->outputType, "format of the head, tied or not")->type_name("FORMAT");
    command->add_option("--token-embedding-type", options->embeddingType, "format of token_embd")->type_name("FORMAT");
    command->add_option("--tensor-type", options->tensorTypes, "format of tensors whose name holds the regular expression; the first one given wins")
        ->type_name("REGEX=FORMAT");
    command->add_option("--set", options->set, "format of matching sites; later ones win")->type_name("PATTERN=FORMAT");
    command->add_option("--search", options->search, "scales of GGML blocks: best (default), or reference (llama.cpp's own bytes)")
        ->check(CLI::IsMember({"best", "reference"}));
    addRoundingOptions(*command, options->method);
    addRuntimeOptions(*command, options->method);
    addRuntimeProfile(*command, options->method.runtime);
    command->add_option("--imatrix", options->imatrix, "importance matrix (.gguf or .dat) for weighted rounding instead of --text")->type_name("FILE");
    command->add_flag("--no-clip-search", options->noClipSearch, "affine grids: keep the full range of every group");
    addCalibrationOptions(*command, options->calibration);
    command->add_option("--eval-text", options->evalTexts, "also measure perplexity and KL on this text")->type_name("FILE");
    command->add_option("--protocol", options->protocol, "windows:N or llama.cpp:N");
    command->add_option("--tokens", options->tokens, "at most this many evaluation tokens")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--replicates", options->replicates, "round and measure with so many seeds, each a run of its own: what differs less than they do is noise")->check(CLI::Range(1, 64))->type_name("N");
    command->add_option("--split-max-size", options->splitMaxSize, "write parts of at most this size, like 45G or 500M (default: one GGUF, or 5 GiB in folders)")->type_name("SIZE");
    addLayoutOptions(*command, options->method);
    command->add_flag("--replace", options->replace, "replace an existing output");
    addCacheOptions(*command, options->cache);
    addNonFinite(*command, context.common);
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli quantize model.gguf --format q4_0 --out small.gguf --dry-run\n"
                    "  bitwright-cli quantize model.gguf --format q4_0 --set 'blk.*.attn_v=q8_0' --out small.gguf --strict\n"
                    "  bitwright-cli quantize model-f16.gguf --preset q4_k_m --imatrix model.imatrix.gguf --out model-q4_k_m.gguf\n"
                    "  bitwright-cli quantize model-f16.gguf --preset q3_k_l --tensor-type 'blk\\.[0-3]\\.=q6_k' --out small.gguf\n"
                    "  bitwright-cli quantize model-f16.gguf --clone-recipe other-q4_k_m.gguf --out mine.gguf\n"
                    "  bitwright-cli quantize ./hf-folder --format int4:g64 --out ./small\n"
                    "  bitwright-cli quantize ./hf-folder --format int4:g128:sym --rounder gptq --text calib.txt --layout gptq --out ./gptq\n"
                    "  bitwright-cli quantize model-f16.gguf --preset q4_k_m --transform awq --rounder gptq --text calib.txt --out mine.gguf\n"
                    "  bitwright-cli quantize ./hf-folder --format int4:g64 --transform smooth:search --head keep --text calib.txt --eval-text test.txt\n"
                    "  bitwright-cli quantize --recipe mix.json --out mix.gguf");
    command->callback([&context, options] { context.action = [&context, options] { return runQuantizeCommand(context, *options); }; });
}

} // namespace bw::cli
