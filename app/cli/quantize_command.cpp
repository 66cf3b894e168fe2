// SPDX-License-Identifier: GPL-3.0-or-later
// quantize: a recipe or a few options become an audited checkpoint.
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

struct QuantizeOptions {
    std::string path;
    std::optional<std::string> out, format, head, rounder, protocol;
    std::vector<std::string> set, texts, evalTexts;
    std::optional<std::int64_t> samples, length, tokens;
    bool replace = false, noClipSearch = false;
};

Recipe quantizeRecipe(Context& context, const QuantizeOptions& options) {
    Recipe recipe = context.baseRecipe("quantize");
    if (!options.path.empty())
        recipe.checkpoint = options.path;
    if (options.format) {
        recipe.assignment.format = *options.format;
        recipe.assignment.rules.clear(); // a uniform format asked for by hand replaces the recipe's mix
        recipe.assignment.head.clear();
    }
    recipe.assignment.head = options.head.value_or(recipe.assignment.head);
    for (const std::string& rule : options.set)
        recipe.assignment.rules.push_back(parseRule(rule));
    recipe.rounder = options.rounder.value_or(recipe.rounder);
    recipe.clipSearch = recipe.clipSearch && !options.noClipSearch;
    if (!options.texts.empty())
        recipe.calibration.files = options.texts;
    recipe.calibration.samples = options.samples.value_or(recipe.calibration.samples);
    recipe.calibration.length = options.length.value_or(recipe.calibration.length);
    if (!options.evalTexts.empty())
        recipe.evaluation.files = options.evalTexts;
    recipe.evaluation.protocol = options.protocol.value_or(recipe.evaluation.protocol);
    recipe.evaluation.tokens = options.tokens.value_or(recipe.evaluation.tokens);
    recipe.exporting.path = options.out.value_or(recipe.exporting.path);
    recipe.exporting.replace = recipe.exporting.replace || options.replace;
    if (!options.format && context.common.recipe.empty())
        throw Error(ErrorCode::usage, "no format is named", "add --format q4_0, or --recipe FILE");
    if (recipe.exporting.path.empty() && recipe.evaluation.files.empty())
        throw Error(ErrorCode::usage, "there is neither --out nor --eval-text: nothing would come of it",
                    "add --out NEW.gguf (or a folder), or --eval-text FILE to judge without writing");
    return Recipe::fromJson(recipe.toJson()); // values from options are checked like those of a file
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
    if (r.contains("audit")) {
        const Json& audit = r.at("audit");
        printLine(fmt::format("{:<14}{}", "written", r.at("path").get<std::string>()));
        printLine(fmt::format("{:<14}ok: {} tensors, {} rows decoded, {} tokens evaluated from the file", "audit", audit.at("tensors_checked").get<std::int64_t>(),
                              audit.at("rows_decoded").get<std::int64_t>(), audit.at("evaluated_tokens").get<std::int64_t>()));
    }
    if (r.contains("evaluation")) {
        const Json& e = r.at("evaluation");
        printLine(fmt::format("{:<14}{} (before {}), KL {} nats per token", "perplexity", number(e.at("perplexity"), 6),
                              number(e.at("base_perplexity"), 6), withError(e.at("kl_mean"), e.at("kl_se"), 5)));
    }
    printLine(fmt::format("{:<14}{}", "time", formatSeconds(r.at("seconds").get<double>())));
}

int runQuantizeCommand(Context& context, const QuantizeOptions& options) {
    const Recipe recipe = quantizeRecipe(context, options);
    return planOrRun(context, recipe, printQuantized);
}

} // namespace

void addQuantizeCommand(CLI::App& app, Context& context) {
    auto options = std::make_shared<QuantizeOptions>();
    CLI::App* command = app.add_subcommand("quantize", "Write a quantized checkpoint, planned before and audited after");
    command->add_option("PATH", options->path, "checkpoint");
    command->add_option("--out", options->out, "new .gguf file or folder (safetensors)")->type_name("OUT");
    command->add_option("--format", options->format, "format of every site ('formats' lists them)");
    command->add_option("--head", options->head, "format of token_embd and output")->type_name("FORMAT");
    command->add_option("--set", options->set, "format of matching sites; later ones win")->type_name("PATTERN=FORMAT");
    command->add_option("--rounder", options->rounder, "nearest, or weighted (needs --text)")->check(CLI::IsMember({"nearest", "weighted"}));
    command->add_flag("--no-clip-search", options->noClipSearch, "affine grids: keep the full range of every group");
    command->add_option("--text", options->texts, "calibration text for --rounder weighted")->type_name("FILE");
    command->add_option("--samples", options->samples, "calibration windows")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--length", options->length, "tokens in a calibration window")->check(CLI::PositiveNumber)->type_name("T");
    command->add_option("--eval-text", options->evalTexts, "also measure perplexity and KL on this text")->type_name("FILE");
    command->add_option("--protocol", options->protocol, "windows:N or llama.cpp:N");
    command->add_option("--tokens", options->tokens, "at most this many evaluation tokens")->check(CLI::PositiveNumber)->type_name("N");
    command->add_flag("--replace", options->replace, "replace an existing output");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli quantize model.gguf --format q4_0 --out small.gguf --dry-run\n"
                    "  bitwright-cli quantize model.gguf --format q4_0 --set 'blk.*.attn_v=q8_0' --out small.gguf --strict\n"
                    "  bitwright-cli quantize ./hf-folder --format int4:g64 --out ./small\n"
                    "  bitwright-cli quantize --recipe mix.json --out mix.gguf");
    command->callback([&context, options] { context.action = [&context, options] { return runQuantizeCommand(context, *options); }; });
}

} // namespace bw::cli
