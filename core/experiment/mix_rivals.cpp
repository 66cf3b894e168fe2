// SPDX-License-Identifier: GPL-3.0-or-later
// What a mix is held against: uniform formats and llama.cpp's rule lists.
#include "core/experiment/mix_job.h"
#include "core/experiment/plan_rows.h"

#include "core/quantize/presets.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

/// Rivals that are predicted worse than this times the mix's own figure are not worth measuring: predictions of uniform
/// mixes were within a third of what was measured wherever damage was below 2 nats.
constexpr double kWorthMeasuring = 1.4;
constexpr std::size_t kMostRivals = 3; ///< of each kind

/// The option that means `format` at this site; none: −1.
int optionFor(const PredictionSite& known, const Site& site, const SiteFormat& format) {
    for (std::size_t i = 0; i < known.options.size(); ++i) {
        const SiteChoice choice = parseChoice(known.options[i].format);
        if (choice.rounder == format.rounder &&
            (choice.format->name() == format.asked ||
             fallbackFormat(choice.format, site.rows, site.cols)->name() == format.used->name()))
            return static_cast<int>(i);
    }
    return -1;
}

/// The candidates most likely to beat the mix: the largest, whatever a map says of it, and by prediction the best and
/// those not much worse than the mix.
std::vector<MixCandidate> likely(std::vector<MixCandidate> candidates, double mixKl) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const MixCandidate& a, const MixCandidate& b) { return a.bytes > b.bytes; });
    std::vector<MixCandidate> out;
    if (candidates.empty())
        return out;
    out.push_back(candidates.front());
    std::erase_if(candidates, [&](const MixCandidate& c) { return c.name == out.front().name || !c.predicted; });
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const MixCandidate& a, const MixCandidate& b) { return a.predicted->kl < b.predicted->kl; });
    for (MixCandidate& candidate : candidates)
        if (out.size() < kMostRivals && candidate.predicted->kl <= kWorthMeasuring * mixKl)
            out.push_back(std::move(candidate));
    return out;
}

} // namespace

std::string MixCandidate::key() const {
    return (name.starts_with("list ") ? "list_" : "uniform_") + format + (rounder == "nearest" ? "" : "_" + rounder);
}

/// None where the map lacks a site or format of it.
std::optional<Prediction> MixJob::predict(const Recipe& quantize) const {
    if (!predictors_)
        return std::nullopt;
    const std::vector<PredictionSite>& sites = predictors_->solving.sites();
    std::vector<int> choice(sites.size(), -1);
    for (const SiteFormat& format : recipeFormats(*model_, quantize)) {
        if (!format.used)
            continue;
        const Site& site = model_->site(format.site);
        const auto known =
            std::find_if(sites.begin(), sites.end(), [&](const PredictionSite& s) { return s.name == site.name; });
        const int option = known == sites.end() ? -1 : optionFor(*known, site, format);
        if (option < 0)
            return std::nullopt;
        choice[static_cast<std::size_t>(known - sites.begin())] = option;
    }
    return predictors_->predict(choice);
}

MixCandidate MixJob::uniform(const std::string& format, const std::string& rounder) const {
    MixCandidate made;
    made.name = fmt::format("uniform {} ({})", format, rounder);
    made.format = format;
    made.rounder = rounder;
    Recipe r = recipe("quantize", "");
    r.rounder = rounder;
    r.assignment.format = format;
    r.assignment.pins = options_.pins;
    made.recipe = measuring(r, "uniform " + format + (rounder == "nearest" ? "" : ", " + rounder));
    made.recipe.assignment.budget.clear(); // the same run whatever it is held against
    made.recipe.assignment.tie = "none";
    made.bytes = bytesOf(made.recipe);
    if (rounder == mapRounder())
        made.predicted = predict(made.recipe);
    return made;
}

std::vector<MixCandidate> MixJob::uniformsUpTo(std::uint64_t bytes) const {
    std::vector<MixCandidate> out;
    for (const std::string& format : options_.formats) {
        if (std::find(options_.forbid.begin(), options_.forbid.end(), format) != options_.forbid.end())
            continue;
        MixCandidate made = uniform(format, mapRounder());
        if (made.bytes <= bytes)
            out.push_back(std::move(made));
    }
    return out;
}

/// llama.cpp's lists, where they may be handed out: all their types are among the formats asked for, in a container
/// that has them, and nothing is tied.
std::vector<MixCandidate> MixJob::listsUpTo(std::uint64_t bytes) const {
    std::vector<MixCandidate> out;
    const bool blocks = std::all_of(options_.formats.begin(), options_.formats.end(), [](const std::string& f) {
        return parseChoice(f).format->storage() != StorageType::unknown;
    });
    if (!blocks || options_.tie != "none" || (!options_.outPath.empty() && !options_.outPath.ends_with(".gguf")))
        return out;
    std::vector<std::string> allowed;
    for (const std::string& format : options_.formats)
        allowed.push_back(parseChoice(format).format->name());
    for (const NamedMix& list : namedMixes()) {
        MixCandidate made;
        made.format = std::string(list.name);
        made.name = "list " + made.format;
        made.rounder = mapRounder();
        Recipe r = recipe("quantize", "");
        r.assignment.format = "mix:" + made.format;
        r.assignment.pins = options_.pins;
        made.recipe = measuring(r, made.name);
        made.recipe.assignment.budget.clear();
        const std::vector<SiteFormat> formats = recipeFormats(*model_, made.recipe);
        const bool known = std::all_of(formats.begin(), formats.end(), [&](const SiteFormat& f) {
            return !f.used || std::find(allowed.begin(), allowed.end(), f.used->name()) != allowed.end();
        });
        made.bytes = known ? bytesOf(made.recipe) : 0;
        if (!known || made.bytes > bytes)
            continue;
        made.predicted = predict(made.recipe);
        out.push_back(std::move(made));
    }
    return out;
}

bool MixJob::isMeasured(const MixCandidate& candidate) const {
    return std::any_of(rivals_.begin(), rivals_.end(),
                       [&](const MixCandidate& known) { return known.name == candidate.name; });
}

/// Measures those that could be better at `bytes` or less.
void MixJob::measureRivals(const MixCandidate& mix, std::uint64_t bytes) {
    for (const std::vector<MixCandidate>& candidates : {uniformsUpTo(bytes), listsUpTo(bytes)}) {
        for (MixCandidate rival : likely(candidates, mix.kl)) {
            if (isMeasured(rival))
                continue;
            measure(rival, rival.key());
            rivals_.push_back(rival);
        }
    }
}

/// What people want to see beside the mix though it is no rival: formats that were asked for and the uniform formats
/// just above its size, rounded as plainly as possible and with the mix's own rounder, so that the mixing alone shows.
void MixJob::measureForShow(std::uint64_t mixBytes) {
    std::vector<MixCandidate> shown;
    for (const std::string& format : options_.uniformFormats)
        shown.push_back(uniform(format, "nearest"));
    if (!options_.uniformFormat.empty())
        shown.push_back(uniform(options_.uniformFormat, "nearest"));
    std::uint64_t above = 0;
    for (const std::string& format : options_.formats)
        if (const std::uint64_t bytes = uniform(format, mapRounder()).bytes;
            bytes >= mixBytes && (above == 0 || bytes < above))
            above = bytes;
    for (const std::string& format : options_.formats) {
        if (above == 0 || uniform(format, mapRounder()).bytes != above)
            continue; // rivals of one size are all heard
        shown.push_back(uniform(format, mapRounder()));
        shown.push_back(uniform(format, "nearest"));
    }
    for (MixCandidate& one : shown) {
        if (isMeasured(one))
            continue;
        measure(one, one.key());
        rivals_.push_back(one);
    }
}

} // namespace bw
