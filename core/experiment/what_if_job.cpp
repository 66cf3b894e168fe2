// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/what_if_job.h"

#include "core/base/error.h"
#include "core/experiment/calibration_store.h"

#include <cmath>
#include <fmt/format.h>
#include <map>

namespace bw {
namespace {

/// Where the run's statistics lie. @throws Error(usage), fileNotFound.
std::string storeIdOf(const LogReader& log, RunId run, const CalibrationStore& store) {
    const Json result = log.result(run);
    const auto found = result.is_object() ? result.find("statistics") : result.end();
    if (!result.is_object() || found == result.end() || !found->is_object())
        throw Error(ErrorCode::usage, fmt::format("run {} left no statistics: it is no finished calibration, or the cache was off", run.value()),
                    "calibrate with the cache on: bitwright-cli calibrate MODEL --text FILE");
    const std::string id = found->value("id", std::string());
    if (!store.has(id))
        throw Error(ErrorCode::fileNotFound, fmt::format("the statistics of run {} are not stored any more", run.value()),
                    fmt::format("make them again with: bitwright-cli rerun {}, or calibrate anew", run.value()));
    return id;
}

Json errorJson(const RoundingError& e) { return {{"clip", e.clip}, {"tensor", e.tensor}, {"token", e.token}, {"weight", e.weight}}; }

Json resultJson(const WhatIfResult& r) {
    return {{"absmax", r.absMax},           {"outlier_channels", r.outlierChannels}, {"kept_channels", r.keptChannels}, {"clipped_share", r.clippedShare},
            {"channel_max", r.channelMax}, {"int8", errorJson(r.bits8)},           {"int4", errorJson(r.bits4)}};
}

/// Geometric means of ratios.
class Ratios {
public:
    void add(const WhatIfResult& before, const WhatIfResult& after) {
        for (const auto& [name, a, b] : {std::tuple{"int8", before.bits8, after.bits8}, std::tuple{"int4", before.bits4, after.bits4}}) {
            add(std::string(name) + ":tensor", a.tensor, b.tensor);
            add(std::string(name) + ":token", a.token, b.token);
            add(std::string(name) + ":weight", a.weight, b.weight);
        }
    }
    Json json() const {
        Json out = Json::object();
        for (const auto& [name, sum] : sums_)
            out[name] = std::exp(sum.first / static_cast<double>(sum.second));
        return out;
    }

private:
    void add(const std::string& name, double before, double after) {
        if (before > 0 && after > 0) {
            auto& [sum, count] = sums_[name];
            sum += std::log(after / before);
            ++count;
        }
    }
    std::map<std::string, std::pair<double, int>> sums_;
};

} // namespace

WhatIfInput storedWhatIfInput(const LogReader& log, RunId run, const std::string& group, JobContext& job) {
    CalibrationStore store(calibrationStore());
    const std::optional<StoredInput> stored = store.group(storeIdOf(log, run, store), group, job);
    if (!stored)
        throw Error(ErrorCode::fileNotFound, fmt::format("run {} has no whole statistics of '{}'", run.value(), group), "calibrate anew");
    return whatIfInput(*stored);
}

Json whatIfTable(const LogReader& log, RunId run, const std::vector<std::string>& questions, JobContext& job) {
    std::vector<WhatIf> asked;
    Json texts = Json::array(), inputs = Json::array(), means = Json::array();
    for (const std::string& question : questions) {
        asked.push_back(parseWhatIf(question));
        texts.push_back(asked.back().text());
    }
    CalibrationStore store(calibrationStore());
    const std::string id = storeIdOf(log, run, store);
    std::vector<Ratios> ratios(asked.size());
    const bool whole = store.read(id, {}, job, [&](StoredInput&& stored) {
        job.checkpoint();
        const WhatIfInput input = whatIfInput(stored);
        const WhatIfResult before = input.ask({});
        Json after = Json::array();
        for (std::size_t q = 0; q < asked.size(); ++q) {
            const WhatIfResult answer = input.ask(asked[q]);
            ratios[q].add(before, answer);
            after.push_back(resultJson(answer));
        }
        inputs.push_back({{"input", input.group()}, {"sites", stored.sites}, {"before", resultJson(before)}, {"after", std::move(after)}});
    });
    if (!whole)
        throw Error(ErrorCode::fileNotFound, fmt::format("the statistics of run {} are damaged and were removed", run.value()), "calibrate anew");
    for (const Ratios& ratio : ratios)
        means.push_back(ratio.json());
    return {{"run", run.value()}, {"questions", std::move(texts)}, {"inputs", std::move(inputs)}, {"means", std::move(means)}};
}

} // namespace bw
