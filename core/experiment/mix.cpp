// SPDX-License-Identifier: GPL-3.0-or-later
// The main job: calibrate → map → solve → measure the mix and what it is held against → refit and solve again where the
// prediction was off → write the best. Every stage is a run of its own with its own recipe, so that each can be
// repeated alone, and a stopped job goes on behind the last one that finished.
#include "core/experiment/mix_job.h"
#include "core/experiment/plan_rows.h"
#include "core/experiment/stack.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr int kRounds = 3;        ///< of solving: the first and two with the correction refitted
constexpr double kOffBy = 0.1;    ///< a prediction this near is good enough whatever its error bars say
constexpr int kRivalRounds = 2;   ///< of mixes near a rival that measured better
constexpr int kDamageRounds = 10; ///< of aiming at a measured KL
constexpr double kAimLower = 0.85;
constexpr double kNearLimit = 0.97; ///< a mix that measures this near its limit can't be made much smaller

std::vector<std::pair<std::string, std::string>> choiceOf(const Recipe& recipe) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const FormatRule& rule : recipe.assignment.rules)
        out.emplace_back(rule.pattern, rule.format);
    return out;
}

/// Small-damage estimate of a mix, before damage levels off.
double estimateOf(const Prediction& p) { return p.sum + p.interaction; }

Json tableRow(const std::string& name, const Json& bytes, const Json& bits, const Json& e,
              const std::optional<Prediction>& predicted, bool isBase) {
    return {{"name", name},
            {"bytes", bytes},
            {"bits_per_weight", bits},
            {"predicted", predicted ? Json(predicted->kl) : Json()},
            {"predicted_se", predicted ? Json(predicted->klSe) : Json()},
            {"perplexity", isBase ? e.at("base_perplexity") : e.at("perplexity")},
            {"perplexity_se", isBase ? Json() : e.at("perplexity_se")},
            {"kl", isBase ? Json(0.0) : e.at("kl_mean")},
            {"kl_se", isBase ? Json() : e.at("kl_se")},
            {"same_top1", isBase ? Json(1.0) : e.at("same_top1")}};
}

} // namespace

Json MixCandidate::asJson() const {
    const Json& e = result.at("evaluation");
    Json row = tableRow(name, bytes, result.at("bits_per_weight"), e, predicted, false);
    row.update(Json{{"format", format}, {"rounder", rounder}, {"run", run.value()}});
    return row;
}

/// Fits the correction of large damage to what was measured; false: nothing changed.
bool MixJob::refit(const MixCandidate& mix) {
    std::vector<MeasuredPoint> points;
    const auto add = [&](const MixCandidate& c) {
        if (c.predicted && c.rounder == mapRounder())
            points.push_back({estimateOf(*c.predicted), c.kl, c.se});
    };
    add(mix);
    for (const MixCandidate& rival : rivals_)
        add(rival);
    const Saturation fitted = bw::refit(map_->saturation, points);
    if (fitted.limit == map_->saturation.limit && fitted.scale == map_->saturation.scale)
        return false;
    map_->saturation = fitted;
    predictors_.emplace(mixPredictors(*map_, *model_));
    assign_.assignment.refit = Recipe::Assignment::Refit{fitted.scale, fitted.limit};
    return true;
}

/// A rival that measured better than every mix tried knows something that the map does not: mixes near it, which leave
/// it only where the map is sure, until none measures better.
void MixJob::startFromRivals(std::uint64_t bytes) {
    const auto byKl = [](const MixCandidate& a, const MixCandidate& b) { return a.kl < b.kl; };
    for (int round = 1; round <= kRivalRounds && !rivals_.empty() && predictors_; ++round) {
        const MixCandidate& best = *std::min_element(mixes_.begin(), mixes_.end(), byKl);
        const MixCandidate* rival = nullptr;
        for (const MixCandidate& known : rivals_)
            if (known.bytes <= bytes && known.kl < best.kl && (!rival || known.kl < rival->kl))
                rival = &known;
        const RunId start = round == 1 ? (rival ? rival->run : RunId(0)) : mixes_.back().run;
        if (start.value() == 0 || (round > 1 && &best != &mixes_.back()))
            return; // nothing to start from, or the last step brought nothing
        const std::size_t number = mixes_.size() + 1;
        MixCandidate mix = solved(options_.budget, static_cast<int>(number), start);
        if (std::any_of(mixes_.begin(), mixes_.end(),
                        [&](const MixCandidate& m) { return choiceOf(m.recipe) == choiceOf(mix.recipe); }))
            return;
        measure(mix, fmt::format("measure_{}", number));
        rounds_.push_back({{"round", number},
                           {"start", start.value()},
                           {"predicted", mix.predicted ? Json(mix.predicted->kl) : Json()},
                           {"predicted_se", mix.predicted ? Json(mix.predicted->klSe) : Json()},
                           {"measured", mix.kl},
                           {"measured_se", mix.se},
                           {"bytes", mix.bytes},
                           {"refit", assign_.assignment.refit.has_value()}});
        mixes_.push_back(std::move(mix));
    }
}

/// The mix that measures best among those tried for a budget of bytes.
MixCandidate MixJob::bestWithinBytes() {
    std::uint64_t bytes = 0;
    for (int round = 1; round <= kRounds; ++round) {
        MixCandidate mix = solved(options_.budget, round);
        const bool known = std::any_of(mixes_.begin(), mixes_.end(), [&](const MixCandidate& m) {
            return choiceOf(m.recipe) == choiceOf(mix.recipe);
        });
        if (known)
            break; // the correction moves no decision
        measure(mix, round == 1 ? "measure" : fmt::format("measure_{}", round));
        mixes_.push_back(mix);
        rounds_.push_back({{"round", round},
                           {"predicted", mix.predicted ? Json(mix.predicted->kl) : Json()},
                           {"predicted_se", mix.predicted ? Json(mix.predicted->klSe) : Json()},
                           {"measured", mix.kl},
                           {"measured_se", mix.se},
                           {"bytes", mix.bytes},
                           {"refit", assign_.assignment.refit.has_value()}});
        bytes = std::max(mix.solved.at("budget_bytes").get<std::uint64_t>(), mix.bytes);
        measureRivals(mix, bytes);
        if (!mix.predicted)
            break;
        const double off = std::abs(mix.predicted->kl - mix.kl), bars = 2 * std::hypot(mix.predicted->klSe, mix.se);
        if (off <= bars || off <= kOffBy * mix.kl || !refit(mix))
            break;
    }
    startFromRivals(bytes);
    return *std::min_element(mixes_.begin(), mixes_.end(),
                             [](const MixCandidate& a, const MixCandidate& b) { return a.kl < b.kl; });
}

/// The smallest mix whose measured KL stays within the limit: the predicted limit is moved until the measured one is
/// met.
MixCandidate MixJob::smallestWithin(double limit) {
    double aim = limit, aimWithin = 0, klWithin = 0, aimBeyond = 0, klBeyond = 0;
    std::optional<MixCandidate> best;
    for (int round = 1; round <= kDamageRounds; ++round) {
        MixCandidate mix;
        try {
            mix = solved(fmt::format("kl={:.6g}", aim), round);
        } catch (const Error& e) {
            if (e.code() != ErrorCode::infeasibleBudget || round == 1)
                throw;
            break; // the aim went below the least damage there is
        }
        if (std::any_of(mixes_.begin(), mixes_.end(),
                        [&](const MixCandidate& m) { return choiceOf(m.recipe) == choiceOf(mix.recipe); })) {
            if (best)
                break;
            aim *= kAimLower; // too small a step to change a decision, and still beyond the limit
            continue;
        }
        if (options_.rounder == "gptq") // what counts is what will be written
            takeGptq(mix);
        measure(mix, round == 1 ? "measure" : fmt::format("measure_{}", round));
        mixes_.push_back(mix);
        rounds_.push_back({{"round", round},
                           {"aim", aim},
                           {"predicted", mix.predicted ? Json(mix.predicted->kl) : Json()},
                           {"measured", mix.kl},
                           {"measured_se", mix.se},
                           {"bytes", mix.bytes}});
        const bool within = mix.kl <= limit;
        if (within && (!best || mix.bytes < best->bytes))
            best = mix;
        if (within && mix.kl >= kNearLimit * limit)
            break;
        (within ? aimWithin : aimBeyond) = aim;
        (within ? klWithin : klBeyond) = mix.kl;
        if (aimWithin > 0 && aimBeyond > 0) { // between both, by the slope in logarithms, a little on the safe side
            const double slope = std::log(aimBeyond / aimWithin) / std::log(klBeyond / klWithin);
            aim = aimWithin * std::pow(0.99 * limit / klWithin, std::clamp(slope, 0.0, 2.0));
        } else {
            aim *= 0.99 * limit / mix.kl;
        }
    }
    const MixCandidate& nearest = best ? *best : mixes_.back();
    measureRivals(nearest, nearest.bytes);
    if (best)
        return *best;
    throw Error(ErrorCode::infeasibleBudget,
                fmt::format("no mix tried measured at most {:.4g} nats per token; the best measured {:.4g} ± {:.2g}",
                            limit, nearest.kl, nearest.se),
                "allow larger formats, or more damage");
}

RunOutcome MixJob::run() {
    if (options_.formats.empty())
        throw Error(ErrorCode::usage, "a mix needs formats to choose from", "add --formats q4_0,q5_0,q8_0");
    if (options_.evaluationFiles.empty())
        throw Error(ErrorCode::usage,
                    "a mix needs evaluation text, so that its damage is measured and not only predicted",
                    "add --eval-text FILE");
    const Budget budget = parseBudget(options_.budget);
    const bool byDamage = budget.kind == Budget::Kind::cost;
    if (byDamage && options_.metric == "output")
        throw Error(ErrorCode::usage, "a budget in KL needs a map in nats",
                    "use --metric fisher or kl, or give a budget in bytes or bpw");
    const JobScope scope(&job_);
    model_ = bench_.model(options_.checkpoint, options_.device);
    requireWritable();
    Recipe calibration = recipe("calibrate", "mix: calibrate");
    calibration.evaluation = {options_.evaluationFiles, options_.protocol, options_.evaluationTokens};
    calibration_ = stage("calibrate", "calibrate", calibration).result;
    buildMap();

    const MixCandidate mix = byDamage ? smallestWithin(budget.value) : bestWithinBytes();
    const MixCandidate* chosen = &mix;
    for (const MixCandidate& rival : rivals_) {
        const bool better = byDamage ? rival.kl <= budget.value && rival.bytes < chosen->bytes : rival.kl < chosen->kl;
        if (better)
            chosen = &rival;
    }
    if (chosen != &mix)
        notes_.push_back(fmt::format("{} measured better than the solved mix on the evaluation text (KL {:.4g} against "
                                     "{:.4g}) and is handed out",
                                     chosen->name, chosen->kl, mix.kl));
    const std::optional<MixCandidate> better = polished(mix, *chosen);
    if (better)
        chosen = &*better;
    for (const std::string& note : notes_)
        bench_.warn(job_, note);
    RunOutcome made{chosen->run, chosen->result};
    if (!options_.outPath.empty()) {
        Recipe written = chosen->recipe;
        written.name = "mix " + options_.budget + (chosen->name == mix.name ? "" : ": " + chosen->name);
        written.assignment.budget = options_.budget;
        written.assignment.tie = options_.tie;
        written.exporting = {options_.outPath, options_.replace};
        made = stage("quantize", "quantize, write, audit", written);
    } else {
        runs_["quantize"] = chosen->run.value();
    }
    const MixCandidate final = *chosen; // measuring for show adds to the rivals
    measureForShow(final.bytes);
    Json out = result(mix, final, made);
    if (options_.runtime != "ideal") {
        Recipe again = final.recipe;
        again.name = "measure: " + final.name + ", " + options_.runtime;
        again.evaluation.runtime = options_.runtime;
        out["runtime"] = stage("runtime", "evaluate as " + options_.runtime + " computes", again).result.at("evaluation");
        out["runs"] = runs_;
        out["stages"] = stages_;
    }
    return {made.run, out};
}

Json MixJob::result(const MixCandidate& mix, const MixCandidate& chosen, const RunOutcome& made) const {
    const Json& measured = made.result.at("evaluation");
    Json table = Json::array(), uniforms = Json::array(), lists = Json::array();
    table.push_back(tableRow("as it is", model_->checkpoint().totalBytes(), model_->checkpoint().bitsPerWeight(),
                             measured, std::nullopt, true));
    table.push_back(mix.asJson());
    for (const MixCandidate& better : polished_)
        table.push_back(better.asJson());
    for (const MixCandidate& rival : rivals_) {
        (rival.name.starts_with("list ") ? lists : uniforms).push_back(rival.asJson());
        table.push_back(rival.asJson());
    }
    Json out = mix.solved;
    out["gptq"] = polish_;
    if (chosen.name != mix.name)
        for (const SiteFormat& format : recipeFormats(*model_, chosen.recipe))
            out["formats"][model_->site(format.site).name] =
                format.used ? format.used->name() + (format.rounder.empty() ? "" : "@" + format.rounder) : "keep";
    out.update(Json{{"run", made.run.value()},
                    {"chosen", chosen.name},
                    {"bytes", made.result.at("bytes")},
                    {"bits_per_weight", made.result.at("bits_per_weight")},
                    {"file_bits_per_weight", made.result.at("file_bits_per_weight")},
                    {"predicted_kl", chosen.predicted ? Json(chosen.predicted->kl) : Json()},
                    {"predicted_se", chosen.predicted ? Json(chosen.predicted->klSe) : Json()},
                    {"measured_kl", measured.at("kl_mean")},
                    {"measured_se", measured.at("kl_se")},
                    {"perplexity", measured.at("perplexity")},
                    {"base_perplexity", measured.at("base_perplexity")},
                    {"evaluation", measured},
                    {"uniform", uniforms},
                    {"lists", lists},
                    {"rounds", rounds_},
                    {"refinement", refinement_},
                    {"refit", assign_.assignment.refit ? Json{{"scale", assign_.assignment.refit->scale},
                                                              {"limit", assign_.assignment.refit->limit}}
                                                       : Json()},
                    {"recipe", chosen.recipe.toJson()},
                    {"calibration_tokens", calibration_.at("tokens")},
                    {"warnings", calibration_.at("warnings")},
                    {"runs", runs_},
                    {"stages", stages_},
                    {"table", table},
                    {"peak_memory", peakMemoryBytes()}});
    for (const std::string& note : notes_)
        out["warnings"].push_back(note);
    if (made.result.contains("audit")) {
        out["audit"] = made.result.at("audit");
        out["path"] = made.result.at("path");
    }
    return out;
}

RunOutcome Runner::mix(const MixOptions& options, JobContext& job, const std::string& commandLine) {
    Workbench bench(log_, devices_);
    return MixJob(bench, options, job, commandLine).run();
}

} // namespace bw
