// SPDX-License-Identifier: GPL-3.0-or-later
// Pairing the cells of two maps and correlating them.
#include "core/experiment/agreement.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>

namespace bw {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kLeastPairs = 3; ///< two points always lie on a line

/// 1-based ranks; equal values share the mean of theirs.
std::vector<double> ranks(const std::vector<double>& values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
    std::vector<double> out(values.size());
    for (std::size_t begin = 0; begin < order.size();) {
        std::size_t end = begin;
        while (end < order.size() && !(values[order[begin]] < values[order[end]]))
            ++end;
        for (std::size_t i = begin; i < end; ++i)
            out[order[i]] = (static_cast<double>(begin) + static_cast<double>(end) + 1) / 2;
        begin = end;
    }
    return out;
}

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
    if (a.size() < kLeastPairs)
        return kUndefined;
    const auto n = static_cast<double>(a.size());
    const double meanA = std::accumulate(a.begin(), a.end(), 0.0) / n, meanB = std::accumulate(b.begin(), b.end(), 0.0) / n;
    double both = 0, onlyA = 0, onlyB = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        both += (a[i] - meanA) * (b[i] - meanB);
        onlyA += (a[i] - meanA) * (a[i] - meanA);
        onlyB += (b[i] - meanB) * (b[i] - meanB);
    }
    return onlyA > 0 && onlyB > 0 ? both / std::sqrt(onlyA * onlyB) : kUndefined;
}

double median(std::vector<double> values) {
    if (values.size() < kLeastPairs)
        return kUndefined;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

struct Map {
    std::string metric, checkpoint;
    std::vector<std::string> formats;
    std::map<std::pair<std::string, std::string>, SensitivityRow> cells;
};

Map readMap(const LogReader& log, RunId id) {
    const RunDetail run = log.run(id);
    if (run.summary.kind != "sweep")
        throw Error(ErrorCode::usage, fmt::format("run {} is of kind '{}', not a sweep", id.value(), run.summary.kind), "name two sweeps: 'bitwright-cli runs list'");
    const Recipe recipe = Recipe::fromJson(run.recipe);
    Map map{recipe.sweep.metric, log.checkpointSha256(id), recipe.sweep.formats, {}};
    if (map.checkpoint.empty())
        map.checkpoint = run.checkpoint.path; // unfinished: its digest is not known yet
    for (const SensitivityRow& row : log.sensitivities(id))
        if (row.metric == map.metric)
            map.cells[{row.site, row.format}] = row;
    return map;
}

bool sameCheckpoint(const LogReader& log, RunId a, RunId b, const Map& mapA, const Map& mapB) {
    return mapA.checkpoint == mapB.checkpoint || log.run(a).checkpoint.path == log.run(b).checkpoint.path;
}

} // namespace

AgreementScore agreementScore(std::string format, std::span<const AgreementPair> pairs, bool sameUnit) {
    std::vector<double> a, b, logA, logB, ratios;
    for (const AgreementPair& pair : pairs) {
        a.push_back(pair.a);
        b.push_back(pair.b);
        if (pair.b > 0)
            ratios.push_back(pair.a / pair.b);
        if (pair.a > 0 && pair.b > 0) {
            logA.push_back(std::log(pair.a));
            logB.push_back(std::log(pair.b));
        }
    }
    return {std::move(format), static_cast<std::int64_t>(pairs.size()), pearson(ranks(a), ranks(b)), sameUnit ? median(ratios) : kUndefined, pearson(logA, logB)};
}

Agreement agreement(const LogReader& log, RunId a, RunId b) {
    const Map mapA = readMap(log, a), mapB = readMap(log, b);
    if (!sameCheckpoint(log, a, b, mapA, mapB))
        throw Error(ErrorCode::usage, fmt::format("sweeps {} and {} measured different checkpoints", a.value(), b.value()), "compare two maps of one checkpoint");
    Agreement out{a, b, mapA.metric, mapB.metric, {}, {}};
    for (const auto& [key, cell] : mapA.cells)
        if (const auto other = mapB.cells.find(key); other != mapB.cells.end())
            out.pairs.push_back({key.first, key.second, cell.value, other->second.value, cell.standardError, other->second.standardError});
    if (out.pairs.empty())
        throw Error(ErrorCode::usage, fmt::format("sweeps {} and {} have no site and format in common", a.value(), b.value()), "sweep the same formats by both measures");
    const bool sameUnit = (mapA.metric == "output") == (mapB.metric == "output");
    out.scores.push_back(agreementScore("", out.pairs, sameUnit));
    for (const std::string& format : mapA.formats) {
        std::vector<AgreementPair> some;
        std::copy_if(out.pairs.begin(), out.pairs.end(), std::back_inserter(some), [&](const AgreementPair& pair) { return pair.format == format; });
        if (!some.empty())
            out.scores.push_back(agreementScore(format, some, sameUnit));
    }
    return out;
}

} // namespace bw
