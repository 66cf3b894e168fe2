// SPDX-License-Identifier: GPL-3.0-or-later
// Seconds to the proven mix. Aims: gap ≤ 0.01 % in ≤ 1 s for 2,000 sites × 12 formats and ≤ 10 s for 20,000 × 12, a front
// of at least 64 budgets in ≤ 5 s. Every bench solves at 1/8, 1/3, 1/2 and 7/8 of the range in turn and reports the
// largest gap left in percent ("gap"). Medians: --benchmark_repetitions=5 --benchmark_report_aggregates_only=true.
#include "core/assign/solver.h"
#include "core/assign/uncertain.h"
#include "core/base/random.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <functional>
#include <string>

namespace {

constexpr int kFormats = 12;

/// Bits per weight that twelve real formats take, q2_k to bf16.
constexpr double kBits[kFormats] = {2.625, 3.4375, 4.25, 4.5, 5.0, 5.5, 6.0, 6.5625, 8.5, 9.0, 12.0, 16.0};
/// Sizes of a block's sites in units of the attention output, as in SmolLM2: q k v o gate up down.
constexpr std::uint64_t kSizes[7] = {331776, 110592, 110592, 331776, 884736, 884736, 884736};

enum class Table { model, random, equal, ties };

/// model: damage falls fourfold per bit (with a little luck per cell) from a site weight that is log-normal with a factor
/// e² of spread; random: no order at all; equal: every site alike; ties: few sizes, few costs.
bw::AssignProblem problem(Table table, int sites) {
    bw::Random random(11);
    bw::AssignProblem made;
    for (int i = 0; i < sites; ++i) {
        bw::AssignItem item{"blk." + std::to_string(i / 7) + ".site" + std::to_string(i % 7), {}, {}};
        const double weight = std::exp(2.0 * random.normal());
        const std::uint64_t size = kSizes[i % 7];
        for (int f = 0; f < kFormats; ++f) {
            bw::AssignOption option{"f" + std::to_string(f), static_cast<std::uint64_t>(kBits[f] * static_cast<double>(size) / 8), 0, 0};
            switch (table) {
            case Table::model: option.cost = weight * std::pow(4.0, -kBits[f]) * (0.8 + 0.4 * random.uniform()); break;
            case Table::random: option.bytes = 1 + random.below(10'000'000); option.cost = random.uniform(); break;
            case Table::equal: option.cost = std::pow(4.0, -kBits[f]); break;
            case Table::ties: option.bytes = 1000 * (1 + random.below(8)); option.cost = static_cast<double>(random.below(8)); break;
            }
            option.error = 0.05 * option.cost;
            item.options.push_back(std::move(option));
        }
        made.items.push_back(std::move(item));
    }
    return made;
}

/// Halves in two memories of their own, one of them short.
void addMemories(bw::AssignProblem& made) {
    const bw::BudgetRange range = bw::budgetRange(made);
    made.limits.resize(2);
    for (std::size_t i = 0; i < made.items.size(); ++i)
        made.limits[2 * i / made.items.size()].items.push_back(i);
    made.limits[0] = {"device", made.limits[0].items, range.floor / 2 + (range.ceiling - range.floor) / 8};
    made.limits[1] = {"host", made.limits[1].items, range.ceiling};
}

void solveAt(benchmark::State& state, const bw::AssignProblem& made) {
    const bw::BudgetRange range = bw::budgetRange(made);
    const double parts[] = {1.0 / 8, 1.0 / 3, 1.0 / 2, 7.0 / 8};
    std::size_t turn = 0;
    double gap = 0, nodes = 0;
    for (auto _ : state) {
        bw::JobContext job;
        const double part = parts[turn++ % 4];
        const bw::AssignSolution s = bw::solve(made, range.floor + static_cast<std::uint64_t>(part * static_cast<double>(range.ceiling - range.floor)), job);
        gap = std::max(gap, 100 * s.gap() / std::max(1e-300, std::abs(s.cost)));
        nodes = std::max(nodes, static_cast<double>(s.nodes));
    }
    state.counters["gap"] = gap;
    state.counters["nodes"] = nodes;
}

void front(benchmark::State& state, const bw::AssignProblem& made) {
    std::size_t points = 0;
    for (auto _ : state) {
        bw::JobContext job;
        points = bw::paretoFront(made, 64, job).size();
    }
    state.counters["points"] = static_cast<double>(points);
}

void add(const std::string& name, const std::function<void(benchmark::State&)>& run, int iterations) {
    benchmark::RegisterBenchmark(name.c_str(), run)->Unit(benchmark::kMillisecond)->Iterations(iterations);
}

} // namespace

int main(int argc, char** argv) {
    const std::pair<const char*, Table> tables[] = {{"model", Table::model}, {"random", Table::random}, {"equal", Table::equal}, {"ties", Table::ties}};
    for (const int sites : {200, 2000, 20000})
        for (const auto& [name, table] : tables) {
            const std::string label = std::string(name) + "/" + std::to_string(sites);
            add("solve/" + label, [table = table, sites](benchmark::State& s) { solveAt(s, problem(table, sites)); }, 4);
            add("front/" + label, [table = table, sites](benchmark::State& s) { front(s, problem(table, sites)); }, 1);
            add("memories/" + label, [table = table, sites](benchmark::State& s) {
                bw::AssignProblem made = problem(table, sites);
                addMemories(made);
                solveAt(s, made);
            }, 4);
        }
    add("damage/model/2000", [](benchmark::State& s) {
        const bw::AssignProblem made = problem(Table::model, 2000);
        bw::JobContext job;
        const double limit = bw::solve(made, bw::budgetRange(made).floor * 3 / 2, job).cost;
        for (auto _ : s)
            benchmark::DoNotOptimize(bw::solveForCost(made, limit, job));
    }, 2);
    add("uncertain/model/200", [](benchmark::State& s) {
        const bw::AssignProblem made = problem(Table::model, 200);
        bw::JobContext job;
        for (auto _ : s)
            benchmark::DoNotOptimize(bw::uncertainItems(made, bw::budgetRange(made).floor * 3 / 2, 1, job));
    }, 1);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
