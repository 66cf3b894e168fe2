// SPDX-License-Identifier: GPL-3.0-or-later
// verify: two checkpoints tensor by tensor. Exit code 0 when every tensor is the same (within --tolerance), else 1.
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "core/base/text.h"
#include "core/checkpoint/verify.h"

#include <cmath>
#include <fmt/format.h>

namespace bw::cli {
namespace {

struct VerifyOptions {
    std::string a, b;
    double tolerance = 0;
    bool all = false;
};

std::string shapeText(const std::vector<std::int64_t>& shape) {
    std::string text;
    for (const std::int64_t extent : shape)
        text += (text.empty() ? "" : "×") + std::to_string(extent);
    return text.empty() ? "scalar" : text;
}

Json finiteOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json tensorJson(const TensorDifference& t) {
    Json out{{"name", t.name}, {"verdict", verdictName(t.verdict)}, {"type_a", t.typeA}, {"type_b", t.typeB}, {"shape_a", t.shapeA}, {"shape_b", t.shapeB}};
    if (t.verdict != TensorVerdict::equal && t.verdict != TensorVerdict::close && t.verdict != TensorVerdict::different)
        return out;
    out.update({{"max_abs", t.maxAbs}, {"mean_abs", t.meanAbs}, {"relative_rms", finiteOrNull(t.relativeRms)}, {"cosine", t.cosine}, {"non_finite", t.nonFinite}});
    if (t.row >= 0)
        out["largest_at"] = {{"row", t.row}, {"column", t.col}, {"a", t.valueA}, {"b", t.valueB}};
    return out;
}

Json reportJson(const VerifyReport& report, double tolerance) {
    Json tensors = Json::array(), missing = Json::array(), shapes = Json::array();
    for (const TensorDifference& t : report.tensors) {
        tensors.push_back(tensorJson(t));
        if (t.verdict == TensorVerdict::missingInA || t.verdict == TensorVerdict::missingInB)
            missing.push_back({{"name", t.name}, {"in", t.verdict == TensorVerdict::missingInA ? "a" : "b"}});
        if (t.verdict == TensorVerdict::shapeMismatch)
            shapes.push_back(t.name);
    }
    const TensorDifference* worst = report.worst();
    return {{"same", report.same()},
            {"tolerance", tolerance},
            {"tensors", tensors},
            {"equal", report.count(TensorVerdict::equal)},
            {"close", report.count(TensorVerdict::close)},
            {"different", report.count(TensorVerdict::different)},
            {"missing", missing},
            {"shape_mismatch", shapes},
            {"left_out", report.leftOut},
            {"worst", worst ? tensorJson(*worst) : Json()}};
}

void printReport(const VerifyReport& report, bool all) {
    Table table({{"tensor", false}, {"verdict", false}, {"A", false}, {"B", false}, {"rel. RMS"}, {"max |a−b|"}, {"cosine"}, {"at", false}});
    for (const TensorDifference& t : report.tensors) {
        if (!all && t.verdict == TensorVerdict::equal)
            continue;
        const bool compared = t.verdict == TensorVerdict::equal || t.verdict == TensorVerdict::close || t.verdict == TensorVerdict::different;
        const bool shapes = t.verdict == TensorVerdict::shapeMismatch;
        const auto side = [&](const std::string& type, const std::vector<std::int64_t>& shape) { return shapes ? shapeText(shape) : type.empty() ? "–" : type; };
        table.add({escapeForDisplay(t.name), verdictName(t.verdict), escapeForDisplay(side(t.typeA, t.shapeA)), escapeForDisplay(side(t.typeB, t.shapeB)), compared ? fmt::format("{:.3g}", t.relativeRms) : "–",
                   compared ? fmt::format("{:.3g}", t.maxAbs) : "–", compared ? fmt::format("{:.6f}", t.cosine) : "–", t.row >= 0 ? fmt::format("[{}, {}]", t.row, t.col) : ""});
    }
    if (!table.empty())
        printLine(table.text());
    printLine(fmt::format("{} equal, {} close, {} different, {} missing in A, {} missing in B, {} of another shape, {} not decoded", report.count(TensorVerdict::equal),
                          report.count(TensorVerdict::close), report.count(TensorVerdict::different), report.count(TensorVerdict::missingInA), report.count(TensorVerdict::missingInB),
                          report.count(TensorVerdict::shapeMismatch), report.count(TensorVerdict::notDecoded)));
    if (!report.leftOut.empty())
        printLine(fmt::format("{} buffers that converters leave out are in one of them only, such as {}", report.leftOut.size(), escapeForDisplay(report.leftOut.front())));
    if (const TensorDifference* worst = report.worst(); worst && worst->row >= 0)
        printLine(fmt::format("largest relative difference: {} at [{}, {}]: {:.9g} against {:.9g}", escapeForDisplay(worst->name), worst->row, worst->col, worst->valueA, worst->valueB));
    printLine(report.same() ? "the same" : "they differ");
}

int runVerify(Context& context, const VerifyOptions& options) {
    const auto a = Checkpoint::open(options.a), b = Checkpoint::open(options.b);
    const VerifyReport report = withProgress(context, [&] { return verifyCheckpoints(*a, *b, options.tolerance, context.job); });
    if (context.common.json)
        printJson(reportJson(report, options.tolerance));
    else
        printReport(report, options.all);
    return report.same() ? kExitOk : kExitFailed;
}

} // namespace

void addVerifyCommand(CLI::App& app, Context& context) {
    auto options = std::make_shared<VerifyOptions>();
    CLI::App* command = app.add_subcommand("verify", "Compare two checkpoints tensor by tensor, also a folder with a .gguf");
    command->add_option("A", options->a, "checkpoint")->required();
    command->add_option("B", options->b, "checkpoint")->required();
    command->add_option("--tolerance", options->tolerance, "largest relative RMS difference of a tensor that still counts as the same")->check(CLI::NonNegativeNumber)->type_name("X");
    command->add_flag("--all", options->all, "list equal tensors too");
    addCommon(*command, context.common);
    command->footer("Exit code: 0 the same, 1 they differ.\nExamples:\n  bitwright-cli verify ./hf-folder model-f16.gguf --tolerance 1e-3\n"
                    "  bitwright-cli verify model-bf16.gguf model-Q4_K_M.gguf --json | jq .worst");
    command->callback([&context, options] { context.action = [&context, options] { return runVerify(context, *options); }; });
}

} // namespace bw::cli
