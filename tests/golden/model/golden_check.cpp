// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/golden/model/golden_check.h"

#include "core/base/matrix.h"
#include "core/compute/cpu_device.h"
#include "tests/support/npy.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace bw::test {
namespace {

double norm(std::span<const float> x) {
    double sum = 0;
    for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
    return std::sqrt(sum);
}

/// Collects the states between blocks and compares them.
class HiddenStates final : public WalkVisitor, public ActivationObserver {
public:
    HiddenStates(const Json& norms, Npy<float> last, GoldenReport& report)
        : norms_(norms), last_(std::move(last)), report_(report) {}
    void beforeBlock(BlockIndex block, MatrixView<const float> states) override { compare(block.value(), states); }
    /// The input of the head is the output of the final norm.
    void onInput(int, std::int64_t, MatrixView<const float> x) override { compare(last_.shape[0] - 1, x); }

private:
    void compare(std::int64_t index, MatrixView<const float> states) {
        const Json& stored = norms_.at(static_cast<std::size_t>(index)).at("per_position");
        if (static_cast<std::int64_t>(stored.size()) != states.rows) throw std::runtime_error("golden: another length");
        for (std::int64_t t = 0; t < states.rows; ++t) {
            const double reference = stored[static_cast<std::size_t>(t)].get<double>();
            report_.hiddenNorm =
                std::max(report_.hiddenNorm, std::abs(norm(states.rowSpan(t)) - reference) / reference);
        }
        const std::span<const float> mine = states.rowSpan(states.rows - 1);
        const std::span<const float> reference(last_.row(index), mine.size());
        double worst = 0;
        for (std::size_t c = 0; c < mine.size(); ++c)
            worst = std::max(worst, std::abs(static_cast<double>(mine[c]) - static_cast<double>(reference[c])));
        report_.hiddenLast = std::max(report_.hiddenLast, worst / norm(reference));
    }

    const Json& norms_;
    Npy<float> last_;
    GoldenReport& report_;
};

/// Stored ids in falling order of probability: each must have a logit no lower than its successors and all others.
void compareTopTen(std::span<const float> logits, const Json& ids, GoldenReport& report) {
    std::vector<float> rest(logits.begin(), logits.end());
    double gap = 0;
    for (const auto& id : ids) {
        const auto at = id.get<std::size_t>();
        gap = std::max(gap, static_cast<double>(*std::max_element(rest.begin(), rest.end())) -
                                static_cast<double>(rest.at(at)));
        rest[at] = -INFINITY;
    }
    if (gap > 0) ++report.topTenMoved;
    report.topTenGap = std::max(report.topTenGap, gap);
}

} // namespace

GoldenReport checkPrompt(const Model& model, const Json& prompt, const std::string& root) {
    GoldenReport report;
    Windows windows{1, 0, prompt.at("ids").get<std::vector<TokenId>>()};
    windows.length = static_cast<std::int64_t>(windows.ids.size());
    HiddenStates hidden(prompt.at("hidden_l2"),
                        readNpy<float>(root + "/" + prompt.at("hidden_lastpos").get<std::string>()), report);
    const auto last = readNpy<float>(root + "/" + prompt.at("logits_last8").get<std::string>());
    const Json& nextLogProbability = prompt.at("next_token_logprob");
    const Json& topTen = prompt.at("top10_ids");
    JobContext job;
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, &hidden, job);
    walkHead(
        model, windows, states.view(), nullptr, job,
        [&](std::int64_t, MatrixView<const float> logits) {
            for (std::int64_t r = 0; r < 8; ++r) {
                for (std::int64_t v = 0; v < logits.cols; ++v)
                    report.logits =
                        std::max(report.logits, std::abs(static_cast<double>(logits(logits.rows - 8 + r, v)) -
                                                         static_cast<double>(last.row(r)[v])));
            }
            for (std::int64_t t = 0; t < logits.rows; ++t) {
                compareTopTen(logits.rowSpan(t), topTen.at(static_cast<std::size_t>(t)), report);
                if (t + 1 == logits.rows) continue;
                const TokenId next = windows.ids[static_cast<std::size_t>(t + 1)];
                const double mine = static_cast<double>(logits(t, next)) - logSumExp(logits.rowSpan(t));
                const double stored = nextLogProbability.at(static_cast<std::size_t>(t)).get<double>();
                report.logProbability = std::max(report.logProbability, std::abs(mine - stored));
            }
        },
        &hidden);
    return report;
}

std::vector<double> windowNll(const Model& model, const Windows& windows, const WeightSource* source) {
    JobContext job;
    std::vector<double> sums;
    const ScratchMatrix states = walkBlocks(model, windows, source, nullptr, job);
    walkHead(model, windows, states.view(), source, job, [&](std::int64_t w, MatrixView<const float> logits) {
        double sum = 0;
        for (std::int64_t t = 0; t + 1 < logits.rows; ++t)
            sum += logSumExp(logits.rowSpan(t)) -
                   static_cast<double>(logits(t, windows.window(w)[static_cast<std::size_t>(t + 1)]));
        sums.push_back(sum);
    });
    return sums;
}

Windows cutWindows(const std::vector<TokenId>& ids, std::int64_t count, std::int64_t length, std::int64_t bos) {
    Windows windows{count, length, {}};
    const std::int64_t fresh = bos >= 0 ? length - 1 : length;
    if (static_cast<std::int64_t>(ids.size()) < count * fresh) throw std::runtime_error("golden: text too short");
    for (std::int64_t w = 0; w < count; ++w) {
        if (bos >= 0) windows.ids.push_back(static_cast<TokenId>(bos));
        windows.ids.insert(windows.ids.end(), ids.begin() + w * fresh, ids.begin() + (w + 1) * fresh);
    }
    return windows;
}

} // namespace bw::test
