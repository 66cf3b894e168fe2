// SPDX-License-Identifier: GPL-3.0-or-later
// The predicting half of MixState: this mix as it is painted, the front as whole mixes, and what the next bytes buy.
#include "widgets/mix/mix_state.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace bw {

bool MixState::usesFisher() const { return map().run == session_->damageTable().column(DamageBy::fisher).run && map().run != RunId(0); }

/// The predictor holds the whole map; only another map, or another correction of large damage, makes it anew.
void MixState::rebuildPredictor() {
    const auto& refit = session_->recipe().assignment.refit;
    const QString key = QStringLiteral("%1|%2|%3|%4").arg(mapRevision_).arg(sites_.size()).arg(refit ? refit->scale : 1, 0, 'g', 17).arg(refit ? refit->limit : 0, 0, 'g', 17);
    if (key == predictorKey_) return;
    predictorKey_ = key;
    problemKey_.clear();
    state_.reset();
    predictor_.reset();
    predictorSite_.fill(-1, sites_.size());
    if (map().empty() || sites_.isEmpty()) return;
    windowDraws_ = predictsInteractions() ? session_->damageTable().fisher().draws : 1;
    Saturation saturation;
    if (usesFisher()) saturation.limit = session_->damageTable().fisher().saturation;
    if (comparable() && refit) saturation = {refit->limit, refit->scale};
    try {
        // As `assign` does it: what the solver counts is each cell shrunk by its own error, and what is predicted too.
        auto raw = std::make_shared<MixPredictor>(predictionSites(), windowDraws_, saturation);
        predictor_ = raw;
        if (comparable()) predictor_ = std::make_shared<MixPredictor>(shrunkSites(*raw), windowDraws_, saturation);
        state_.emplace(*predictor_, std::vector<int>(predictor_->sites().size(), -1));
    } catch (const Error& error) {
        predictor_.reset();
        problemError_ = QString::fromStdString(error.oneLine());
    }
    if (!predictor_) predictorSite_.fill(-1, sites_.size());
}

/// The map as the predictor takes it; fills predictorSite_.
std::vector<PredictionSite> MixState::predictionSites() {
    const FisherKnowledge& fisher = session_->damageTable().fisher();
    const bool signedToo = predictsInteractions();
    std::vector<PredictionSite> known;
    for (int i = 0; i < sites_.size(); ++i) {
        const auto options = map().sites.constFind(sites_[i].name);
        if (options == map().sites.constEnd()) continue;
        predictorSite_[i] = int(known.size());
        PredictionSite site{sites_[i].name.toStdString(), {}};
        const auto projections = fisher.projections.find(site.name);
        for (const DamageOption& option : *options) {
            PredictionOption to{option.format.toStdString(), option.damage, option.standardError, {}};
            if (signedToo && projections != fisher.projections.end())
                if (const auto found = projections->second.find(to.format); found != projections->second.end()) to.projections = found->second;
            const double corrected = map().corrections.value(option.format, 1);
            if (option.source == CellSource::fisher && corrected != 1)
                for (float& c : to.projections.edit()) c *= float(std::sqrt(corrected));
            site.options.push_back(std::move(to));
        }
        known.push_back(std::move(site));
    }
    return known;
}

/// Shrunk values. Projections of estimated cells shrink along, so that their errors stay those of the probes; those of
/// measured cells keep their size, by which the predictor knows that the value comes from elsewhere.
std::vector<PredictionSite> MixState::shrunkSites(const MixPredictor& raw) const {
    std::vector<PredictionSite> sites = raw.sites();
    const std::vector<std::vector<double>> costs = raw.shrunkCosts();
    for (std::size_t s = 0; s < sites.size(); ++s) {
        const auto options = map().sites.constFind(QString::fromStdString(sites[s].name));
        for (std::size_t o = 0; o < sites[s].options.size(); ++o) {
            PredictionOption& option = sites[s].options[o];
            const double before = std::exchange(option.value, costs[s][o]);
            if ((*options)[qsizetype(o)].source != CellSource::fisher || !(before > 0)) continue;
            const float scale = float(std::sqrt(option.value / before));
            for (float& c : option.projections.edit()) c *= scale;
        }
    }
    return sites;
}

int MixState::optionOf(int predictorSite, const QString& format) const {
    const auto& options = predictor_->sites()[std::size_t(predictorSite)].options;
    const std::string name = format.toStdString();
    const auto at = std::find_if(options.begin(), options.end(), [&](const PredictionOption& o) { return o.format == name; });
    return at == options.end() ? -1 : int(at - options.begin());
}

std::optional<Prediction> MixState::predict(const QHash<QString, QString>& formats) const {
    if (!predictor_) return std::nullopt;
    std::vector<int> choice(predictor_->sites().size(), -1);
    for (int i = 0; i < sites_.size(); ++i) {
        const QString format = formats.value(sites_[i].name);
        const int at = predictorSite_[i], option = at < 0 ? -1 : optionOf(at, format);
        if (option < 0 && formatBits(format) < 16) return std::nullopt;
        if (at >= 0) choice[std::size_t(at)] = option;
    }
    return predictor_->predict(choice);
}

/// Along the front few items change at a time, so each point costs little more than the one before.
void MixState::predictFront() {
    frontPredictions_.clear();
    if (!predictor_ || front_.empty()) return;
    MixPredictor::State walk(*predictor_, std::vector<int>(predictor_->sites().size(), -1));
    for (int i = 0; i < sites_.size(); ++i) { // what the solver does not decide stays as it is
        if (const int at = predictorSite_.value(i, -1); at >= 0) walk.set(std::size_t(at), state_->choice()[std::size_t(at)]);
    }
    std::vector<std::vector<int>> members;
    for (const AssignItem& item : problem_->items) {
        members.emplace_back();
        for (const std::string& member : item.members) members.back().push_back(predictorSite_.value(indexOf(QString::fromStdString(member)), -1));
    }
    const std::vector<int>* before = nullptr;
    for (const ParetoPoint& point : front_) {
        for (std::size_t i = 0; i < point.choice.size(); ++i) {
            if (before && (*before)[i] == point.choice[i]) continue;
            const QString format = QString::fromStdString(problem_->items[i].options[std::size_t(point.choice[i])].format);
            for (const int at : members[i])
                if (at >= 0) walk.set(std::size_t(at), optionOf(at, format));
        }
        before = &point.choice;
        frontPredictions_.push_back(walk.prediction());
    }
    // The solver adds costs up; sites acting together may make a point worse than a smaller one, and nobody wants that.
    std::size_t kept = 0;
    for (std::size_t i = 0; i < front_.size(); ++i) {
        if (i > 0 && frontPredictions_[i].kl >= frontPredictions_[kept - 1].kl) continue;
        if (kept != i) front_[kept] = std::move(front_[i]);
        frontPredictions_[kept++] = frontPredictions_[i];
    }
    front_.resize(kept);
    frontPredictions_.resize(kept);
}

/// Standard error of what a step changes: the same probes saw both formats, so their differences are what scatters.
double MixState::stepError(int predictorSite, int from, int to) const {
    const auto& options = predictor_->sites()[std::size_t(predictorSite)].options;
    const PredictionOption none;
    const PredictionOption &a = from < 0 ? none : options[std::size_t(from)], &b = to < 0 ? none : options[std::size_t(to)];
    const std::size_t draws = std::size_t(windowDraws_), windows = a.projections.size() / draws;
    if (windows < 2 || a.projections.size() != b.projections.size()) return std::hypot(a.standardError, b.standardError);
    double sum = 0, squares = 0;
    for (std::size_t w = 0; w < windows; ++w) {
        double change = 0;
        for (std::size_t k = w * draws; k < (w + 1) * draws; ++k)
            change += 0.5 * (double(a.projections[k]) * double(a.projections[k]) - double(b.projections[k]) * double(b.projections[k]));
        change /= double(draws);
        sum += change;
        squares += change * change;
    }
    const double mean = sum / double(windows);
    return std::sqrt(std::max(0.0, squares / double(windows) - mean * mean) / double(windows - 1));
}

/// @param members places of the item's sites in sites().
MixStep MixState::stepTo(const AssignItem& item, const AssignOption& option, const std::vector<int>& members) const {
    MixStep step;
    step.name = QString::fromStdString(item.name);
    step.to = QString::fromStdString(option.format);
    quint64 bytesNow = 0;
    std::optional<MixPredictor::State> together;
    if (members.size() > 1) together = *state_;
    for (const int member : members) {
        const MixSite& site = sites_[member];
        bytesNow += site.bytes;
        step.sites << site.name;
        step.from = step.from.isEmpty() || step.from == site.format ? site.format : tr("mixed");
        const int at = predictorSite_[member];
        if (together) together->set(std::size_t(at), optionOf(at, step.to));
        else step.damage = state_->klIf(std::size_t(at), optionOf(at, step.to)) - totals_.damage;
    }
    if (together) step.damage = together->prediction().kl - totals_.damage;
    step.bytes = qint64(option.bytes) - qint64(bytesNow);
    return step;
}

QVector<MixStep> MixState::nextSteps(int count) const {
    QVector<MixStep> steps;
    if (!problem_ || !state_) return steps;
    const auto better = [](const MixStep& a, const MixStep& b) { return a.damage * double(b.bytes) < b.damage * double(a.bytes); };
    for (const AssignItem& item : problem_->items) {
        std::vector<int> members;
        bool usable = true;
        for (const std::string& member : item.members) {
            const int i = indexOf(QString::fromStdString(member));
            usable = usable && i >= 0 && predictorSite_[i] >= 0 && !sites_[i].pinned && !std::isnan(sites_[i].damage);
            members.push_back(i);
        }
        if (!usable || members.empty()) continue;
        std::optional<MixStep> best;
        for (const AssignOption& option : item.options) {
            MixStep step = stepTo(item, option, members);
            if (step.bytes > 0 && step.damage < 0 && (!best || better(step, *best))) best = std::move(step);
        }
        if (best) steps << *best;
    }
    std::sort(steps.begin(), steps.end(), better);
    steps = steps.mid(0, count);
    for (MixStep& step : steps) {
        double variance = 0;
        for (const QString& site : std::as_const(step.sites)) {
            const int at = predictorSite_[indexOf(site)];
            variance += std::pow(stepError(at, state_->choice()[std::size_t(at)], optionOf(at, step.to)), 2);
        }
        step.standardError = std::sqrt(variance);
    }
    return steps;
}

} // namespace bw
