// SPDX-License-Identifier: GPL-3.0-or-later
// Can a logged figure be trusted here and now? Questions about texts, files, tokenizers and machines, before any site is suspected.
#include "core/experiment/baseline_check.h"
#include "core/experiment/diagnose_job.h"
#include "core/experiment/stack.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>

namespace bw {
namespace {

/// KLs of single tokens on one stack differ by round-off alone; of another instruction set by up to a thousandth.
constexpr double kSameTokens = 1e-3;
/// Texts whose damage is this many times as large as that of all others together are worth a word.
constexpr double kOtherDamage = 1.5;

/// Are the logged KLs of the windows' own tokens? Not on another text, where a protocol leaves positions out, or against a third model.
bool sameTokens(const Recipe& asked, const DiagnosedRun& run) {
    const Recipe was = Recipe::fromJson(run.detail.recipe);
    return asked.evaluation.files == was.evaluation.files && asked.evaluation.protocol == was.evaluation.protocol &&
           asked.evaluation.tokens == was.evaluation.tokens && asked.evaluation.runtime == was.evaluation.runtime && parseProtocol(was.evaluation.protocol).kind == Protocol::Kind::windows &&
           (was.kind != "quantize" || was.base.empty());
}

std::string shortHash(const std::string& sha256) { return sha256.empty() ? "none" : sha256.substr(0, 12); }

} // namespace

Json findingsJson(std::vector<Finding> findings) {
    std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
        return a.rank != b.rank ? a.rank < b.rank : a.share > b.share;
    });
    Json out = Json::array();
    for (const Finding& f : findings)
        out.push_back({{"kind", f.kind}, {"title", f.title}, {"evidence", f.evidence}, {"advice", f.advice}, {"share", f.share > 0 ? Json(f.share) : Json()}});
    return out;
}

DiagnosisWindows diagnosisWindows(const TextSet& texts, const Protocol& protocol, std::int64_t tokens) {
    DiagnosisWindows out;
    const Windows& all = texts.windows;
    out.windows.length = all.length;
    out.windows.count = std::clamp<std::int64_t>(tokens / std::max<std::int64_t>(1, all.length), 1, all.count);
    std::vector<std::string> names; // of every window, in the order they were cut
    for (const TextData& text : texts.texts) {
        const auto count = static_cast<std::int64_t>(text.ids.size()) / protocol.length;
        for (std::int64_t w = 0; w < count && static_cast<std::int64_t>(names.size()) < all.count; ++w)
            names.push_back(text.name);
    }
    names.resize(static_cast<std::size_t>(all.count), texts.texts.empty() ? std::string() : texts.texts.back().name);
    for (std::int64_t i = 0; i < out.windows.count; ++i) {
        const std::int64_t w = i * all.count / out.windows.count;
        const std::span<const TokenId> ids = all.window(w);
        out.windows.ids.insert(out.windows.ids.end(), ids.begin(), ids.end());
        out.index.push_back(w);
        out.text.push_back(names[static_cast<std::size_t>(w)]);
    }
    return out;
}

std::vector<Finding> checkFairness(const Stage& stage, const DiagnosedRun& run, const TextSet& texts) {
    std::vector<Finding> out;
    std::vector<std::string> changed;
    std::map<std::string, std::string> logged;
    for (const DatasetRow& data : run.detail.datasets)
        if (data.role == "evaluation")
            logged[data.path] = data.sha256;
    for (const TextData& text : texts.texts)
        if (const auto found = logged.find(text.path); found != logged.end() && found->second != text.sha256)
            changed.push_back(fmt::format("'{}' was {} and is {}", text.name, shortHash(found->second), shortHash(text.sha256)));
    const LogReader reader(stage.log().path());
    const std::string was = reader.checkpointSha256(run.detail.summary.id), is = stage.bench.checkpointSha256(stage.model, stage.job);
    if (!was.empty() && was != is)
        changed.push_back(fmt::format("the checkpoint's weights were {} and are {}", shortHash(was), shortHash(is)));
    if (const std::string base = loggedBaseline(reader, run.detail.summary.id); !base.empty() && run.baseKept)
        if (const std::string now = stage.bench.checkpointSha256(*run.baseKept, stage.job); base != now)
            changed.push_back(fmt::format("the baseline's weights were {} and are {}", shortHash(base), shortHash(now)));
    if (!changed.empty())
        out.push_back({Finding::Rank::invalid, "unfair", "What the run's figures rest on has changed since", fmt::format("{}", fmt::join(changed, "; ")),
                       "Run it again on today's files before comparing it with anything."});
    if (run.model != run.base && !texts.texts.empty()) {
        const auto mine = stage.bench.tokenizer(*run.model), theirs = stage.bench.tokenizer(*run.base);
        const std::span<const TokenId> sample(texts.texts.front().ids.data(), std::min<std::size_t>(2000, texts.texts.front().ids.size()));
        const std::string text = mine->decode(std::vector<TokenId>(sample.begin(), sample.end()), false);
        if (mine->encode(text, false) != theirs->encode(text, false))
            out.push_back({Finding::Rank::invalid, "tokenizer", "The model and its baseline read the text as different tokens",
                           fmt::format("the first {} tokens of '{}' differ", sample.size(), texts.texts.front().name),
                           "Copy the baseline's tokenizer files beside the model, or export it again: a KL between different tokens means nothing."});
    }
    return out;
}

std::vector<Finding> checkStack(const Stage& stage, const DiagnosedRun& run, const DiagnosisWindows& windows, const std::vector<float>& tokens) {
    const LogReader reader(stage.log().path());
    const std::optional<TokenScoreRow> logged = sameTokens(stage.recipe, run) ? reader.tokenScores(run.detail.summary.id) : std::nullopt;
    const std::int64_t scored = windows.windows.length - 1;
    double was = 0, is = 0, apart = 0;
    std::int64_t count = 0;
    for (std::size_t i = 0; logged && i < windows.index.size(); ++i)
        for (std::int64_t p = 0; p < scored; ++p) {
            const auto at = static_cast<std::size_t>(windows.index[i] * scored + p);
            if (at >= logged->kl.size())
                continue;
            const double now = static_cast<double>(tokens[i * static_cast<std::size_t>(scored) + static_cast<std::size_t>(p)]), then = static_cast<double>(logged->kl[at]);
            was += then;
            is += now;
            apart += std::abs(now - then);
            ++count;
        }
    const std::vector<std::string> changes = stackChanges(run.detail.stack, describeStack(stage.model.device()));
    const bool same = count > 0 && apart <= kSameTokens * was + 1e-7 * static_cast<double>(count);
    const std::string figures = count == 0 ? std::string("no figures of the same tokens are logged")
                                           : fmt::format("KL of the same {} tokens: {:.5g} then, {:.5g} now", count, was / static_cast<double>(count), is / static_cast<double>(count));
    if (count > 0 && !same)
        return {{Finding::Rank::invalid, "stack", "The figures do not come out again here",
                 figures + (changes.empty() ? std::string("; program and machine are the same") : fmt::format("; changed since: {}", fmt::join(changes, "; "))),
                 "Revalidate the runs you rely on before drawing conclusions from their figures."}};
    if (!changes.empty())
        return {{Finding::Rank::context, "stack", "The stack has changed since, the figures have not", figures + fmt::format("; changed: {}", fmt::join(changes, "; ")), "Nothing to do."}};
    return {};
}

std::vector<Finding> checkDomains(const DiagnosisWindows& windows, const std::vector<float>& tokens, Json& byText) {
    struct Sum { double kl = 0; std::int64_t tokens = 0; };
    std::map<std::string, Sum> sums;
    Sum all;
    const auto scored = static_cast<std::size_t>(windows.windows.length - 1);
    for (std::size_t i = 0; i < windows.text.size(); ++i)
        for (std::size_t p = 0; p < scored; ++p)
            for (Sum* sum : {&sums[windows.text[i]], &all}) {
                sum->kl += static_cast<double>(tokens[i * scored + p]);
                ++sum->tokens;
            }
    byText = Json::array();
    std::vector<Finding> out;
    for (const auto& [name, sum] : sums) {
        byText.push_back({{"text", name}, {"tokens", sum.tokens}, {"kl", sum.kl / static_cast<double>(sum.tokens)}});
        const std::int64_t others = all.tokens - sum.tokens;
        const double mine = sum.kl / static_cast<double>(sum.tokens), rest = others > 0 ? (all.kl - sum.kl) / static_cast<double>(others) : 0;
        if (others > 0 && mine > kOtherDamage * rest)
            out.push_back({Finding::Rank::context, "domain", fmt::format("'{}' suffers {:.1f} times as much as the other texts", name, mine / rest),
                           fmt::format("KL {:.4g} on {} tokens of it, {:.4g} on the {} others", mine, sum.tokens, rest, others),
                           "Calibrate on text of that kind too: --recalibrate FILE here shows what that changes."});
    }
    return out;
}

} // namespace bw
