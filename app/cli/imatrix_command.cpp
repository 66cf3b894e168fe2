// SPDX-License-Identifier: GPL-3.0-or-later
// imatrix: collects an importance matrix the way llama.cpp's tool does, or joins and converts such files.
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/imatrix.h"

#include <filesystem>
#include <fmt/format.h>

namespace bw::cli {
namespace {

struct ImatrixOptions {
    std::string path, out, format;
    std::vector<std::string> texts, inputs;
    std::optional<std::int64_t> tokens, context;
    bool outputMatrix = false, replace = false;
};

/// --format decides where the ending does not: ".dat" is the older form, everything else GGUF.
void checkEnding(const ImatrixOptions& options) {
    const bool dat = options.out.ends_with(".dat");
    if (!options.format.empty() && (options.format == "dat") != dat)
        throw Error(ErrorCode::usage, "'" + escapeForDisplay(options.out) + "' would be a " + (dat ? "dat" : "gguf") + " file, but --format says " + options.format,
                    options.format == "dat" ? "name the output NAME.dat" : "name the output NAME.gguf");
}

Json summary(const ImportanceMatrix& matrix, const std::string& path) {
    double most = 0, least = 0;
    std::int64_t matrices = 0, unseen = 0;
    for (const auto& [name, entry] : matrix.entries)
        for (const double count : entry.counts) {
            ++matrices;
            unseen += count <= 0 ? 1 : 0;
            most = std::max(most, count);
            least = matrices == 1 ? count : std::min(least, count);
        }
    return {{"path", path},         {"entries", matrix.entries.size()}, {"matrices", matrices}, {"without_data", unseen}, {"least_rows", least}, {"most_rows", most},
            {"chunks", matrix.chunks}, {"chunk_size", matrix.chunkSize}, {"datasets", matrix.datasets}};
}

void printSummary(const Json& s) {
    printLine(fmt::format("{}: {} tensors, {} chunks of {} tokens, rows seen {} to {}", escapeForDisplay(s.at("path").get<std::string>()), s.at("entries").get<std::int64_t>(),
                          s.at("chunks").get<std::int64_t>(), s.at("chunk_size").get<std::int64_t>(), groupDigits(s.at("least_rows").get<double>()), groupDigits(s.at("most_rows").get<double>())));
    if (const auto unseen = s.at("without_data").get<std::int64_t>(); unseen > 0)
        printLine(fmt::format("warning: {} of {} matrices saw no activations (experts that no token chose): give more text", unseen, s.at("matrices").get<std::int64_t>()));
}

/// Without a checkpoint: joins files, and writes them in either form.
int joinFiles(Context& context, const ImatrixOptions& options) {
    ImportanceMatrix joined = ImportanceMatrix::read(options.inputs.front());
    for (std::size_t i = 1; i < options.inputs.size(); ++i)
        joined.merge(ImportanceMatrix::read(options.inputs[i]));
    if (!options.out.empty())
        joined.write(options.out, options.replace ? AtomicFile::Replace::yes : AtomicFile::Replace::no);
    const Json result = summary(joined, options.out.empty() ? options.inputs.front() : options.out);
    if (context.common.json)
        printJson(result);
    else
        printSummary(result);
    return kExitOk;
}

int runImatrix(Context& context, const ImatrixOptions& options) {
    checkEnding(options);
    if (options.path.empty()) {
        if (options.inputs.empty())
            throw Error(ErrorCode::usage, "there is neither a checkpoint nor --in-file", "bitwright-cli imatrix MODEL --text FILE --out FILE.gguf");
        return joinFiles(context, options);
    }
    Recipe recipe = context.baseRecipe("calibrate");
    recipe.checkpoint = options.path;
    if (!options.texts.empty())
        recipe.calibration.files = options.texts;
    recipe.chunks.protocol = "llama.cpp:" + std::to_string(options.context.value_or(ImportanceMatrix::kUsualChunk));
    recipe.chunks.tokens = options.tokens.value_or(0);
    recipe.chunks.outputMatrix = options.outputMatrix;
    if (!options.out.empty())
        recipe.exporting.path = options.out;
    recipe.exporting.replace = recipe.exporting.replace || options.replace;
    if (recipe.exporting.path.empty())
        throw Error(ErrorCode::usage, "there is no --out for the matrix", "add --out NAME.gguf (or NAME.dat)");
    if (!recipe.exporting.replace && std::filesystem::exists(recipe.exporting.path))
        throw Error(ErrorCode::targetExists, escapeForDisplay(recipe.exporting.path) + " is there already", "choose another name or add --replace");
    recipe = Recipe::fromJson(recipe.toJson());
    if (context.common.dryRun)
        return printPlan(context, recipe);
    const RunOutcome outcome = runRecipe(context, recipe);
    if (!options.inputs.empty()) {
        ImportanceMatrix joined = ImportanceMatrix::read(recipe.exporting.path);
        for (const std::string& file : options.inputs)
            joined.merge(ImportanceMatrix::read(file));
        joined.write(recipe.exporting.path, AtomicFile::Replace::yes);
    }
    Json result = summary(ImportanceMatrix::read(recipe.exporting.path), recipe.exporting.path);
    result["run"] = outcome.run.value();
    result["tokens"] = outcome.result.at("tokens");
    result["warnings"] = outcome.result.at("warnings");
    if (context.common.json) {
        printJson(result);
        return kExitOk;
    }
    printSummary(result);
    printWhere(context, outcome.run);
    printLine("next: bitwright-cli quantize " + options.path + " --format q4_k --imatrix " + recipe.exporting.path + " --out small.gguf");
    return kExitOk;
}

} // namespace

void addImatrixCommand(CLI::App& app, Context& context) {
    auto options = std::make_shared<ImatrixOptions>();
    CLI::App* command = app.add_subcommand("imatrix", "Collect an importance matrix, or join and convert such files");
    command->add_option("PATH", options->path, "checkpoint; leave it out to only join or convert --in-file");
    command->add_option("--text", options->texts, "calibration text (.txt or .jsonl), several are fine")->type_name("FILE");
    command->add_option("--out", options->out, "new .gguf (sums and counts) or .dat (the older form)")->type_name("OUT");
    command->add_option("--format", options->format, "gguf or dat, when you want the ending checked")->check(CLI::IsMember({"gguf", "dat"}));
    command->add_option("--in-file", options->inputs, "matrix to add, several are fine")->type_name("FILE");
    command->add_option("--context", options->context, "tokens in a chunk (default 512); the BOS is set as llama-imatrix does")->check(CLI::Range(4, 1 << 20))->type_name("N");
    command->add_option("--tokens", options->tokens, "at most this many tokens of text")->check(CLI::PositiveNumber)->type_name("N");
    command->add_flag("--process-output", options->outputMatrix, "also the output matrix");
    command->add_flag("--replace", options->replace, "replace an existing file");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli imatrix model.gguf --text calib.txt --out model.imatrix.gguf\n"
                    "  bitwright-cli imatrix model.gguf --text calib.txt --context 256 --tokens 16384 --out model.dat\n"
                    "  bitwright-cli imatrix --in-file a.gguf b.dat --out both.gguf");
    command->callback([&context, options] { context.action = [&context, options] { return runImatrix(context, *options); }; });
}

} // namespace bw::cli
