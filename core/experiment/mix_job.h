// SPDX-License-Identifier: GPL-3.0-or-later
// The main job's parts: stages that the log may hold already, candidates and what they measured. Private to
// core/experiment; mix.cpp is the order of things, mix_stages.cpp runs them, mix_rivals.cpp knows what to hold a mix
// against.
#pragma once

#include "core/experiment/assign_map.h"
#include "core/experiment/workbench.h"

namespace bw {

/// A quantization that may be handed out, or is shown beside.
struct MixCandidate {
    std::string name;                    ///< "mix 4.5bpw", "uniform q4_0 (weighted)", "list q4_k_m"
    std::string format, rounder;         ///< uniform formats and lists
    Recipe recipe;                       ///< of kind quantize, without export
    std::uint64_t bytes = 0;
    std::optional<Prediction> predicted;
    double kl = 0, se = 0;               ///< measured on the evaluation text
    Json solved;                         ///< what its assign run gave; null for rivals
    Json result;                         ///< of its measuring run; null before
    RunId run{0};
    Json asJson() const;
    std::string key() const;             ///< of a rival's stage: "uniform_q4_0_weighted"
};

class MixJob {
public:
    MixJob(Workbench& bench, const Runner::MixOptions& options, JobContext& job, const std::string& commandLine)
        : bench_(bench), options_(options), job_(job), commandLine_(commandLine) {}
    RunOutcome run();

private:
    // mix_stages.cpp
    Recipe recipe(const std::string& kind, const std::string& name) const;
    RunOutcome stage(const std::string& key, const std::string& what, const Recipe& recipe);
    void requireWritable();
    Recipe measuring(Recipe r, const std::string& name) const;
    void buildMap();
    MixCandidate solved(const std::string& budget, int round, RunId start = {});
    void measure(MixCandidate& candidate, const std::string& key);
    std::string smallestFormat() const;
    std::uint64_t bytesOf(const Recipe& quantize) const;

    // mix_rivals.cpp
    std::optional<Prediction> predict(const Recipe& quantize) const;
    MixCandidate uniform(const std::string& format, const std::string& rounder) const;
    std::vector<MixCandidate> listsUpTo(std::uint64_t bytes) const;
    std::vector<MixCandidate> uniformsUpTo(std::uint64_t bytes) const;
    void measureRivals(const MixCandidate& mix, std::uint64_t bytes);
    void measureForShow(std::uint64_t mixBytes);
    bool isMeasured(const MixCandidate& candidate) const;

    // mix_polish.cpp
    std::string mapRounder() const;
    void takeGptq(MixCandidate& candidate) const;
    std::optional<MixCandidate> polished(const MixCandidate& mix, const MixCandidate& chosen);

    // mix.cpp
    MixCandidate bestWithinBytes();
    void startFromRivals(std::uint64_t bytes);
    MixCandidate smallestWithin(double kl);
    bool refit(const MixCandidate& mix);
    Json result(const MixCandidate& mix, const MixCandidate& chosen, const RunOutcome& made) const;

    Workbench& bench_;
    const Runner::MixOptions& options_;
    JobContext& job_;
    const std::string& commandLine_;
    std::shared_ptr<const Model> model_;
    Recipe assign_;                      ///< what is solved: map, measured runs, refit
    std::optional<AssignMap> map_;       ///< for predicting; none by output error
    std::optional<MixPredictors> predictors_;
    std::vector<MixCandidate> mixes_;    ///< tried, in order
    std::vector<MixCandidate> rivals_;   ///< measured uniform formats and lists
    std::vector<MixCandidate> polished_; ///< by GPTQ, measured
    Json calibration_, refinement_;
    Json polish_ = Json::array();        ///< candidates measured before and after GPTQ
    Json runs_ = Json::object(), stages_ = Json::array(), rounds_ = Json::array();
    std::vector<std::string> notes_;
};

} // namespace bw
