// SPDX-License-Identifier: GPL-3.0-or-later
// The diagnose stage: can the figures be trusted → where do the models part → which sites cost it → what would mend it.
#include "core/diagnose/culprits.h"
#include "core/diagnose/divergence.h"
#include "core/experiment/baseline_check.h"
#include "core/experiment/diagnose_job.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace bw {
namespace {

/// Past this relative error of a block's output the hidden states are no longer those of the model (METHODS, Evaluation).
constexpr double kBlockError = 0.1;
/// What is raised: to 8 bits, as close to the original as makes no difference.
constexpr const char* kRaisedBlock = "q8_0";
constexpr const char* kRaisedGrid = "int8:channel";

std::vector<SiteFormat> loggedFormats(const Model& model, const Recipe& recipe, const RunDetail& detail) {
    std::vector<SiteFormat> formats = recipeFormats(model, recipe);
    for (SiteFormat& format : formats)
        for (const AssignmentRow& row : detail.assignments)
            if (format.used && row.site == model.site(format.site).name)
                format.used = parseFormat(row.used);
    return formats;
}

/// Culprits in 8 bits, everything else as it was changed.
class Raised final : public WeightSource {
public:
    Raised(const ChangedModel& changed, const std::vector<SiteSuspicion>& culprits, const std::vector<SiteFormat>& formats)
        : all_(changed, std::vector<bool>(changed.base.sites().size(), true), false) {
        for (const SiteSuspicion& culprit : culprits) {
            const Site& site = changed.base.site(culprit.site);
            const auto was = std::find_if(formats.begin(), formats.end(), [&](const SiteFormat& f) { return f.site == culprit.site; });
            const bool block = was == formats.end() || !was->used || !was->used->name().starts_with("int");
            const FormatPtr format = fallbackFormat(parseFormat(block ? kRaisedBlock : kRaisedGrid), site.rows, site.cols);
            const std::uint64_t before = was == formats.end() || !was->used ? 0 : was->used->bytes(site.rows, site.cols);
            bytes_ += static_cast<std::int64_t>(format->bytes(site.rows, site.cols)) - static_cast<std::int64_t>(before);
            tensors_.emplace(site.id.value(), quantizeSite(site, changed.base.siteWeight(site).view(), format, {}, {}));
            formatName_ = format->name();
        }
    }
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (const auto found = tensors_.find(site.id.value()); found != tensors_.end())
            found->second.decode(weight);
        else
            all_.apply(site, weight);
    }
    std::int64_t bytes() const { return bytes_; }
    const std::string& formatName() const { return formatName_; }

private:
    SwappedSites all_;
    std::map<int, QuantizedTensor> tensors_;
    std::int64_t bytes_ = 0;
    std::string formatName_;
};

Json traceJson(const std::vector<BlockDivergence>& trace) {
    Json out = Json::array();
    for (const BlockDivergence& block : trace)
        out.push_back({{"block", block.block.value()}, {"relative", block.relative}, {"own", block.own}, {"cosine", block.cosine}});
    return out;
}

std::vector<Finding> blockFindings(const std::vector<BlockDivergence>& trace) {
    std::vector<Finding> out;
    const auto first = std::find_if(trace.begin(), trace.end(), [](const BlockDivergence& b) { return b.relative > kBlockError; });
    if (first == trace.end())
        return out;
    const auto worst = std::max_element(trace.begin(), trace.end(), [](const auto& a, const auto& b) { return a.own < b.own; });
    out.push_back({Finding::Rank::context, "block", fmt::format("From block {} on the hidden states are more than 10 % off", first->block.value()),
                   fmt::format("relative error {:.3g} after it; block {} adds most by itself ({:.3g})", first->relative, worst->block.value(), worst->own),
                   "Look at the sites of the block that adds most."});
    return out;
}

Json culpritsJson(const CulpritReport& report) {
    Json out = Json::array();
    for (std::size_t i = 0; i < report.culprits.size(); ++i)
        out.push_back({{"site", report.culprits[i].name},
                       {"share", std::isfinite(report.alone[i]) ? Json(report.alone[i]) : Json()},
                       {"predicted", report.culprits[i].predicted},
                       {"relative_error", report.culprits[i].relative}});
    return out;
}

Json suspectsJson(const CulpritReport& report) {
    Json out = Json::array();
    for (std::size_t i = 0; i < std::min<std::size_t>(20, report.suspects.size()); ++i)
        out.push_back({{"site", report.suspects[i].name}, {"predicted", report.suspects[i].predicted}, {"relative_error", report.suspects[i].relative}});
    return out;
}

std::string names(const std::vector<SiteSuspicion>& sites, std::size_t most) {
    std::string out;
    for (std::size_t i = 0; i < std::min(most, sites.size()); ++i)
        out += (i ? ", " : "") + sites[i].name;
    return sites.size() > most ? out + fmt::format(" and {} more", sites.size() - most) : out;
}

/// What the search found, and what putting the culprits into 8 bits would bring and cost.
Finding culpritFinding(const DiagnosedRun& run, const KlMeter& meter, const CulpritReport& report, CulpritReport& counted, Json& out, JobContext& job) {
    const std::size_t sites = report.suspects.size();
    if (report.culprits.empty() || report.culprits.size() > std::max<std::size_t>(8, sites / 8))
        return {Finding::Rank::cause, "spread", "The damage is spread over the whole model",
                report.culprits.empty() ? fmt::format("no set of its {} changed sites explains the loss", sites)
                                        : fmt::format("it takes {} of {} sites to explain {:.0f} % of a KL of {:.4g}; the largest, '{}', is expected to cost {:.4g}", report.culprits.size(), sites,
                                                      100 * report.explained, report.whole, report.suspects.front().name, report.suspects.front().predicted),
                "There is no culprit to raise: choose a larger format, a better rounder (GPTQ), or let the solver mix formats.", report.explained};
    const Raised raised(run.changed(), report.culprits, run.formats);
    const double after = meter.measure(raised, job).mean;
    ++counted.evaluations;
    const std::string cost = run.formats.empty() ? std::string() : fmt::format(" for {} {}", std::abs(raised.bytes()) >= 10'000 ? fmt::format("{:.2f} MB", static_cast<double>(raised.bytes()) / 1e6) : fmt::format("{} bytes", raised.bytes()), raised.bytes() >= 0 ? "more" : "");
    out["raise"] = {{"format", raised.formatName()}, {"bytes", run.formats.empty() ? Json() : Json(raised.bytes())}, {"kl_before", report.whole}, {"kl_after", after}};
    return {Finding::Rank::cause, "culprits",
            report.culprits.size() == 1 ? fmt::format("'{}' costs {:.0f} % of the loss", report.culprits.front().name, 100 * report.explained)
                                        : fmt::format("{} of {} sites cost {:.0f} % of the loss: {}", report.culprits.size(), sites, 100 * report.explained, names(report.culprits, 4)),
            fmt::format("KL {:.4g}; {:.4g} with the original weights of {} put back; {} measurements", report.whole, report.whole * (1 - report.explained),
                        report.culprits.size() == 1 ? "it" : "them", counted.evaluations),
            fmt::format("In {} instead the KL is {:.4g}{}: --set \"{}={}\"", raised.formatName(), after, cost, report.culprits.front().name, raised.formatName()), report.explained};
}

/// Rounded anew with more calibration text, measured on the same windows.
Finding recalibrated(const Stage& stage, const DiagnosedRun& run, const KlMeter& meter, double whole, Json& out) {
    Recipe recipe = Recipe::fromJson(run.detail.recipe);
    recipe.exporting = {};
    recipe.calibration.files.insert(recipe.calibration.files.end(), stage.recipe.diagnosis.recalibrate.begin(), stage.recipe.diagnosis.recalibrate.end());
    const Stage again{stage.bench, stage.run, recipe, stage.model, stage.job};
    const QuantizeTexts texts = prepareTexts(again);
    const DiagnosedRun better = reopenRun(again, run.detail, texts);
    const double kl = meter.measure(*better.model, better.source.get(), stage.job).mean;
    out["recalibrated"] = {{"files", stage.recipe.diagnosis.recalibrate}, {"kl_before", whole}, {"kl_after", kl}};
    const bool helps = kl < 0.95 * whole;
    return {helps ? Finding::Rank::cause : Finding::Rank::context, "calibration",
            helps ? fmt::format("It is the calibration: {:.0f} % of the loss goes with more of the right text", 100 * (1 - kl / whole)) : std::string("It is not the calibration"),
            fmt::format("KL {:.4g} as calibrated, {:.4g} with {} more file(s) of calibration text", whole, kl, stage.recipe.diagnosis.recalibrate.size()),
            helps ? "Quantize again with that text among the calibration texts." : "More text of that kind does not help; look at the sites.", helps ? 1 - kl / whole : 0};
}

/// The worst tokens, and which sites' weights win most back at each.
Json worstTokens(const Stage& stage, const DiagnosedRun& run, const KlMeter& meter, const CulpritReport& report, const std::vector<float>& tokens, std::int64_t count) {
    constexpr std::size_t kSites = 4, kContext = 12; // measured for each token; tokens shown before it
    std::vector<std::size_t> order(tokens.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return tokens[a] > tokens[b]; });
    order.resize(std::min<std::size_t>(order.size(), static_cast<std::size_t>(count)));
    const auto tokenizer = stage.bench.tokenizer(stage.model);
    const auto scored = static_cast<std::size_t>(meter.windows().length - 1);
    Json out = Json::array();
    for (const std::size_t at : order) {
        const std::span<const TokenId> ids = meter.windows().window(static_cast<std::int64_t>(at / scored));
        const std::size_t position = at % scored + 1; // the token that was predicted
        const std::size_t begin = position > kContext ? position - kContext : 0;
        Json sites = Json::array();
        for (const TokenShare& share : whoDamaged(run.changed(), meter, report.suspects, {at}, kSites, stage.job))
            sites.push_back({{"site", share.site.name}, {"won_back", share.won}});
        out.push_back({{"window", at / scored}, {"position", position}, {"kl", tokens[at]}, {"token", tokenizer->decode(std::vector<TokenId>{ids[position]}, true)},
                       {"before", tokenizer->decode(std::vector<TokenId>(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(position)), true)}, {"sites", sites},
                       {"ids", std::vector<TokenId>(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(position) + 1)}});
    }
    return out;
}

/// A part of the loss that is not in the weights: what inputs and caches lose while it runs.
void addActivations(const DiagnosedRun& run, const KlMeter& meter, const std::string& runtime, double all, std::vector<Finding>& findings, Json& out, JobContext& job) {
    if (!run.source || !run.source->rounding())
        return;
    const SwappedSites none(run.changed(), {}, true);
    const double kl = meter.measure(none, job).mean;
    out["activations_kl"] = kl;
    findings.push_back({kl > 0.5 * all ? Finding::Rank::cause : Finding::Rank::context, "activations",
                        fmt::format("Rounding inputs and caches alone costs {:.0f} % of the loss", 100 * kl / all), fmt::format("KL {:.4g} with full weights, {:.4g} with everything", kl, all),
                        runtime == "ideal" ? "Try scales per token, SmoothQuant or an outlier split; see the Activations page."
                                           : "That is what the runtime " + runtime + " does to them, whatever the file; --runtime ideal shows the file alone.", std::min(1.0, kl / all)});
}

} // namespace

DiagnosedRun reopenRun(const Stage& stage, const RunDetail& detail, const QuantizeTexts& texts) {
    DiagnosedRun out;
    out.detail = detail;
    if (detail.summary.kind == "evaluate") {
        const RuntimeSchemes schemes = runtimeSchemes(stage, stage.model);
        if (const auto rounding = evaluationRounding(stage, stage.model, schemes, nullptr))
            out.source = std::make_shared<RoundedAtRunTime>(rounding);
        out.model = out.base = &stage.model;
        if (!stage.recipe.base.empty()) {
            out.baseKept = stage.bench.model(stage.recipe.base, stage.recipe.device, stage.model.nonFinite());
            out.base = out.baseKept.get();
        }
        return out;
    }
    const WorkedModel worked = workedModel(stage, loggedFormats(stage.model, stage.recipe, detail));
    out.formats = loggedFormats(worked.model, stage.recipe, detail);
    const RuntimeSchemes schemes = runtimeSchemes(stage, worked.model);
    const ExportPlan plan = planFor(worked.model, out.formats, stage.recipe);
    const RoundedModel rounded = roundModel(stage, worked, plan, texts, schemes, shareGlobalScales(worked.model, out.formats));
    rounded.model->setRounding(evaluationRounding(stage, worked.model, schemes, rounded.model.get()));
    out.source = rounded.model;
    out.base = out.model = &worked.model;
    return out;
}

void requireDiagnosable(const LogReader& log, const Recipe& recipe) {
    const RunSummary was = log.run(RunId(recipe.diagnosis.run)).summary;
    const std::int64_t run = recipe.diagnosis.run;
    if (was.status != "done" || (was.kind != "quantize" && was.kind != "evaluate"))
        throw Error(ErrorCode::usage, fmt::format("run {} is of kind '{}', {}: only finished runs of kind quantize or evaluate can be diagnosed", run, was.kind, was.status),
                    "'bitwright-cli runs list' shows all runs");
    if (recipe.evaluation.files.empty())
        throw Error(ErrorCode::usage, fmt::format("run {} was not evaluated on any text", run), "name one: --text FILE");
    const bool rounds = recipe.activations != "none" || recipe.kvCache != "none" || recipe.evaluation.runtime != "ideal";
    if (was.kind == "evaluate" && recipe.base.empty() && !rounds)
        throw Error(ErrorCode::usage, fmt::format("run {} measured a model against nothing", run), "evaluate it with --base CHECKPOINT first");
    requireBaselineThere(RunId(run), recipe);
}

Json runDiagnose(const Stage& stage) {
    const StageClock::time_point begun = StageClock::now();
    const Recipe::Diagnosis& asked = stage.recipe.diagnosis;
    const LogReader reader(stage.log().path());
    const RunDetail detail = reader.run(RunId(asked.run));
    const QuantizeTexts texts = prepareTexts(stage);
    const DiagnosedRun run = reopenRun(stage, detail, texts);
    const DiagnosisWindows windows = diagnosisWindows(*texts.evaluation, parseProtocol(stage.recipe.evaluation.protocol), asked.tokens);
    const KlMeter meter(*run.base, windows.windows, stage.bench.baseStates(*run.base, windows.windows, stage.job));
    const KlMeter::Measured now = meter.measure(*run.model, run.source.get(), stage.job);

    Json out{{"of", asked.run}, {"tokens", windows.windows.tokens()}, {"kl", now.mean}, {"kl_se", now.standardError}};
    std::vector<Finding> findings = checkFairness(stage, run, *texts.evaluation);
    const auto add = [&](std::vector<Finding> more) { findings.insert(findings.end(), more.begin(), more.end()); };
    add(checkStack(stage, run, windows, now.tokens));
    add(checkDomains(windows, now.tokens, out["by_text"]));
    for (const DataWarning& warning : reader.warnings(RunId(asked.run))) {
        if (warning.kind == "block-error" || warning.kind == "stack" || warning.kind == "tokenizer")
            continue; // measured anew here
        findings.push_back({warning.kind == "overlap" ? Finding::Rank::invalid : Finding::Rank::context, warning.kind, warning.seen, warning.why, warning.remedy});
    }
    const std::vector<BlockDivergence> trace = divergenceTrace(run.changed(), windows.windows, stage.job);
    out["trace"] = traceJson(trace);
    add(blockFindings(trace));
    addActivations(run, meter, stage.recipe.evaluation.runtime, now.mean, findings, out, stage.job);
    out["culprits"] = out["suspects"] = Json::array();
    CulpritReport report;
    report.evaluations = 1;
    if (run.model != run.base || detail.summary.kind == "quantize") {
        report = findCulprits(run.changed(), meter, {.search = {.share = asked.share}, .probes = static_cast<int>(asked.probes), .seed = stage.recipe.seed}, stage.job);
        findings.push_back(culpritFinding(run, meter, report, report, out, stage.job));
        out["culprits"] = culpritsJson(report);
        out["suspects"] = suspectsJson(report);
        out["explained"] = report.explained;
        out["kl_of_weights"] = report.whole;
        if (asked.worst > 0)
            out["worst_tokens"] = worstTokens(stage, run, meter, report, now.tokens, asked.worst);
    }
    if (!asked.recalibrate.empty())
        findings.push_back(recalibrated(stage, run, meter, now.mean, out));
    out["sites_changed"] = report.suspects.size();
    out["evaluations"] = report.evaluations;
    out["findings"] = findingsJson(findings);
    out["seconds"] = secondsSince(begun);
    stage.log().addMetrics(stage.run, {{"kl_mean", now.mean, now.standardError, "nats per token"},
                                       {"culprits", static_cast<double>(report.culprits.size()), std::nullopt, "sites"},
                                       {"explained", report.explained, std::nullopt, "of the loss"},
                                       {"evaluations", static_cast<double>(report.evaluations), std::nullopt, "measured models"}});
    return out;
}

} // namespace bw
