// SPDX-License-Identifier: GPL-3.0-or-later
// One forward pass and text continuation: logits, generate.
#include "app/cli/method_options.h"
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "app/common/devices.h"
#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "core/model/walk.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace bw::cli {
namespace {

struct LogitsOptions {
    std::string path, ids, out;
    std::int64_t last = 0, top = 10;
    bool replace = false;
};

Json topOf(std::span<const float> logits, std::int64_t count) {
    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto end = order.begin() + std::min<std::ptrdiff_t>(count, std::ssize(order));
    std::partial_sort(order.begin(), end, order.end(), [&](std::int32_t a, std::int32_t b) {
        const float left = logits[static_cast<std::size_t>(a)], right = logits[static_cast<std::size_t>(b)];
        return left != right ? left > right : a < b;
    });
    Json top = Json::array();
    for (auto id = order.begin(); id != end; ++id)
        top.push_back({{"id", *id}, {"logit", logits[static_cast<std::size_t>(*id)]}});
    return top;
}

/// NumPy's .npy, version 1.0: magic, header length, a Python dict padded to 64 bytes, little-endian f32 in C order.
void writeNpy(const std::string& path, MatrixView<const float> values, bool replace) {
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", values.rows, values.cols);
    constexpr std::size_t kPrefix = 10;
    header.resize((header.size() + kPrefix + 1 + 63) / 64 * 64 - kPrefix - 1, ' ');
    header += '\n';
    AtomicFile file(path, replace ? AtomicFile::Replace::yes : AtomicFile::Replace::no);
    const char prefix[kPrefix] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
    file.write(std::string_view(prefix, kPrefix));
    file.write(header);
    for (std::int64_t r = 0; r < values.rows; ++r)
        file.write(std::as_bytes(std::span<const float>(values.row(r), static_cast<std::size_t>(values.cols))));
    file.commit();
}

Matrix forward(Context& context, const Model& model, const std::vector<TokenId>& ids) {
    for (const TokenId id : ids)
        if (id >= model.config().vocabulary)
            throw Error(ErrorCode::usage, fmt::format("token id {} is past the vocabulary of {}", id, model.config().vocabulary));
    const Windows windows{1, std::ssize(ids), ids};
    Matrix out(windows.length, model.config().vocabulary);
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, nullptr, context.job);
    walkHead(model, windows, states.view(), nullptr, context.job, [&](std::int64_t, MatrixView<const float> logits) {
        for (std::int64_t t = 0; t < logits.rows; ++t)
            std::copy_n(logits.row(t), logits.cols, out.row(t));
    });
    return out;
}

/// Mean negative log-likelihood of ids 1…, nats; null for a single id.
Json meanNll(const Matrix& logits, const std::vector<TokenId>& ids) {
    if (ids.size() < 2)
        return {};
    double sum = 0;
    for (std::size_t t = 1; t < ids.size(); ++t) {
        const auto row = static_cast<std::int64_t>(t - 1);
        const std::span<const float> x(logits.row(row), static_cast<std::size_t>(logits.cols()));
        sum += logSumExp(x) - static_cast<double>(x[static_cast<std::size_t>(ids[t])]);
    }
    return sum / static_cast<double>(ids.size() - 1);
}

int runLogits(Context& context, const LogitsOptions& options) {
    const std::vector<TokenId> ids = parseIds(options.ids);
    const std::shared_ptr<const Model> model = Model::open(Checkpoint::open(options.path), makeDevice(context.common.device.value_or("cpu")));
    const Matrix logits = withProgress(context, [&] { return forward(context, *model, ids); });
    const std::int64_t rows = options.last > 0 ? std::min(options.last, logits.rows()) : logits.rows();
    const MatrixView<const float> shown = logits.view().middleRows(logits.rows() - rows, rows);
    if (!options.out.empty())
        writeNpy(options.out, shown, options.replace);
    Json top = Json::array();
    for (std::int64_t t = 0; t < shown.rows; ++t)
        top.push_back(topOf(shown.rowSpan(t), options.top));
    const Json nll = meanNll(logits, ids);
    if (context.common.json) {
        printJson({{"top", top}, {"nll", nll}, {"positions", rows}, {"vocabulary", logits.cols()}});
        return 0;
    }
    for (std::int64_t t = 0; t < shown.rows; ++t) {
        std::string line = fmt::format("{:>6}:", logits.rows() - rows + t);
        for (const Json& candidate : top[static_cast<std::size_t>(t)])
            line += fmt::format("  {} {:.4f}", candidate.at("id").get<int>(), candidate.at("logit").get<double>());
        printLine(clipToColumns(line, kReportColumns));
    }
    if (nll.is_number())
        printLine(fmt::format("mean negative log-likelihood {:.6f} nats per token", nll.get<double>()));
    return 0;
}

struct GenerateArguments {
    MethodArguments method;
    std::string path;
    std::optional<std::string> prompt;
    std::vector<std::string> calibrationTexts;
    std::optional<std::int64_t> max;
    std::optional<double> temperature, topP;
};

int runGenerate(Context& context, const GenerateArguments& given) {
    Recipe recipe = context.baseRecipe("generate");
    recipe.checkpoint = given.path.empty() ? recipe.checkpoint : given.path;
    recipe.generation.prompt = given.prompt.value_or(recipe.generation.prompt);
    recipe.generation.maxTokens = given.max.value_or(recipe.generation.maxTokens);
    recipe.generation.temperature = given.temperature.value_or(recipe.generation.temperature);
    recipe.generation.topP = given.topP.value_or(recipe.generation.topP);
    if (recipe.generation.maxTokens < 1)
        throw Error(ErrorCode::usage, "--max must be 1 or more");
    if (!given.calibrationTexts.empty())
        recipe.calibration.files = given.calibrationTexts;
    applyMethod(given.method, recipe);
    recipe = Recipe::fromJson(recipe.toJson()); // schemes are checked like those of a file
    if (context.common.dryRun)
        return printPlan(context, recipe);
    const RunOutcome outcome = runRecipe(context, recipe);
    if (context.common.json) {
        printJson(outcome.result);
        return 0;
    }
    printLine(recipe.generation.prompt + outcome.result.at("text").get<std::string>());
    if (!context.common.quiet)
        std::fprintf(stderr, "%.1f tokens/s, run %lld\n", outcome.result.at("tokens_per_second").get<double>(), static_cast<long long>(outcome.run.value()));
    return 0;
}

} // namespace

void addModelCommands(CLI::App& app, Context& context) {
    auto options = std::make_shared<LogitsOptions>();
    CLI::App* logits = app.add_subcommand("logits", "Print the logits of given token ids (nothing is prepended)");
    logits->add_option("PATH", options->path, "checkpoint")->required();
    logits->add_option("--ids", options->ids, "like 1,2,3")->required();
    logits->add_option("--last", options->last, "only the last N positions")->check(CLI::PositiveNumber)->type_name("N");
    logits->add_option("--top", options->top, "candidates per position")->check(CLI::PositiveNumber)->type_name("K");
    logits->add_option("--out", options->out, "also write f32 [positions, vocabulary] as .npy")->type_name("F.npy");
    logits->add_flag("--replace", options->replace, "overwrite the .npy");
    addCommon(*logits, context.common);
    logits->footer("Examples:\n  bitwright-cli logits model.gguf --ids 504,216,338 --last 1\n  bitwright-cli logits model.gguf --ids 1,2,3 --out logits.npy");
    logits->callback([&context, options] { context.action = [&context, options] { return runLogits(context, *options); }; });

    auto given = std::make_shared<GenerateArguments>();
    CLI::App* generate = app.add_subcommand("generate", "Continue a prompt");
    generate->add_option("PATH", given->path, "checkpoint");
    generate->add_option("--prompt", given->prompt, "text to continue");
    generate->add_option("--max", given->max, "new tokens at most")->type_name("N");
    generate->add_option("--temperature", given->temperature, "0 = always the likeliest token")->check(CLI::NonNegativeNumber);
    generate->add_option("--top-p", given->topP, "sample from the likeliest tokens that hold this share")->check(CLI::Range(0.0, 1.0));
    addRuntimeOptions(*generate, given->method);
    generate->add_option("--calib-text", given->calibrationTexts, "calibration text, for static scales")->type_name("FILE");
    addCommon(*generate, context.common);
    generate->footer("Examples:\n  bitwright-cli generate model.gguf --prompt 'The sea was' --max 40\n"
                     "  bitwright-cli generate model.gguf --prompt 'def main():' --temperature 0.8 --top-p 0.95 --seed 7");
    generate->callback([&context, given] { context.action = [&context, given] { return runGenerate(context, *given); }; });
}

} // namespace bw::cli
