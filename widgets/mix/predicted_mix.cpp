// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/predicted_mix.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace bw {

PredictedMix::PredictedMix(std::shared_ptr<const MixPredictor> predictor, const AssignProblem& problem, const std::vector<int>& siteChoice)
    : predictor_(std::move(predictor)), state_(*predictor_, siteChoice) {
    std::unordered_map<std::string_view, std::size_t> places;
    for (std::size_t i = 0; i < predictor_->sites().size(); ++i) places.emplace(predictor_->sites()[i].name, i);
    for (const AssignItem& item : problem.items) {
        std::vector<Link>& links = links_.emplace_back();
        for (const std::string& member : item.members) {
            const auto place = places.find(member);
            if (place == places.end()) continue;
            Link link{place->second, {}};
            const auto& known = predictor_->sites()[place->second].options;
            for (const AssignOption& option : item.options) {
                const auto at = std::find_if(known.begin(), known.end(), [&](const PredictionOption& o) { return o.format == option.format; });
                link.options.push_back(at == known.end() ? -1 : int(at - known.begin()));
            }
            links.push_back(std::move(link));
        }
    }
}

void PredictedMix::apply(MixPredictor::State& state, std::size_t item, int option) const {
    for (const Link& link : links_[item]) {
        const int to = link.options[std::size_t(option)];
        if (state.choice()[link.site] != to) state.set(link.site, to);
    }
}

double PredictedMix::costIf(std::size_t item, int option) const {
    const auto& links = links_[item];
    if (links.size() == 1) return state_.klIf(links.front().site, links.front().options[std::size_t(option)]);
    MixPredictor::State tried = state_;
    apply(tried, item, option);
    return tried.prediction().kl;
}

} // namespace bw
