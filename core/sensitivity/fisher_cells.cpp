// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/fisher_cells.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw::detail {
namespace {

std::vector<std::string> withoutRepetitions(const std::vector<std::string>& names) {
    std::vector<std::string> once;
    for (const std::string& name : names)
        if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(name);
    return once;
}

template <class Parse>
std::vector<SiteChoice> parsedAll(const std::vector<std::string>& names, const Parse& parse) {
    std::vector<SiteChoice> parsed;
    for (const std::string& name : names) parsed.push_back(parse(name));
    return parsed;
}

void checkPatterns(const Model& model, const std::vector<std::string>& patterns) {
    for (const std::string& pattern : patterns)
        if (std::none_of(model.sites().begin(), model.sites().end(),
                         [&](const Site& site) { return globMatches(pattern, site.name); }))
            throw Error(ErrorCode::usage, "no site matches '" + escapeForDisplay(pattern) + "'",
                        "sites are named like blk.3.ffn_down; * and ? stand for anything");
}

} // namespace

std::vector<SiteChoice> FisherPlace::choices() const {
    std::vector<SiteChoice> out;
    for (const FisherFormat& format : formats) out.push_back(format.choice);
    return out;
}

FormatPtr parseRowFormat(const std::string& text) {
    const std::size_t at = text.find(":token");
    if (!text.starts_with("int") || at == std::string::npos) return parseFormat(text);
    const std::string rest = text.substr(at + std::string_view(":token").size());
    return parseFormat(text.substr(0, at) + ":channel" + (rest.empty() ? ":sym" : rest));
}

FisherCells::FisherCells(const Model& model, const FisherOptions& options, const std::vector<SensitivityCell>& known)
    : bySite_(model.sites().size(), -1), byGroup_(model.inputGroups().size(), -1),
      byBlock_(static_cast<std::size_t>(model.config().blocks), {-1, -1}),
      blocks_(static_cast<std::size_t>(model.config().blocks) + 1) {
    if (options.formats.empty() && options.activations.empty() && options.keys.empty() && options.values.empty())
        throw Error(ErrorCode::usage, "a Fisher sketch needs at least one format",
                    "name formats, such as q4_0,q8_0,int4:g64");
    if (options.probes < 1)
        throw Error(ErrorCode::usage, fmt::format("{} probes can't estimate anything", options.probes),
                    "give at least one; 256 are a good many");
    checkPatterns(model, options.sites);
    Known done;
    for (const SensitivityCell& cell : known) done.emplace(cell.site_name, cell.format);
    addSites(model, options, done);
    addActivations(model, options, done);
}

int FisherCells::add(std::string name, const Site* site, BlockIndex block, const std::vector<std::string>& formats,
                     const std::vector<SiteChoice>& parsed, std::int64_t rows, std::int64_t cols, const Known& known) {
    FisherPlace place{std::move(name), site, {}, 0};
    for (std::size_t f = 0; f < formats.size(); ++f) {
        if (known.contains({place.name, formats[f]})) continue;
        const SiteChoice used{fallbackFormat(parsed[f].format, rows, cols), parsed[f].rounder};
        const auto same = std::find_if(place.formats.begin(), place.formats.end(), [&](const FisherFormat& other) {
            return other.choice.name() == used.name();
        });
        if (same != place.formats.end())
            same->asked.push_back(formats[f]);
        else
            place.formats.push_back({used, {formats[f]}, {}});
    }
    if (place.formats.empty()) return -1;
    const auto index = static_cast<int>(places_.size());
    places_.push_back(std::move(place));
    blocks_[static_cast<std::size_t>(block.value() + 1)].push_back(index);
    return index;
}

void FisherCells::addSites(const Model& model, const FisherOptions& options, const Known& known) {
    const std::vector<std::string> formats = withoutRepetitions(options.formats);
    const std::vector<SiteChoice> parsed = parsedAll(formats, parseChoice);
    for (const Site& site : model.sites()) {
        if (site.block.value() < 0 && !options.includeHead) continue;
        if (!options.sites.empty() && std::none_of(options.sites.begin(), options.sites.end(),
                                                   [&](const std::string& p) { return globMatches(p, site.name); }))
            continue;
        bySite_[static_cast<std::size_t>(site.id.value())] =
            add(site.name, &site, site.block, formats, parsed, site.rows, site.cols, known);
    }
}

void FisherCells::addActivations(const Model& model, const FisherOptions& options, const Known& known) {
    const std::vector<std::string> inputs = withoutRepetitions(options.activations),
                                   keys = withoutRepetitions(options.keys), values = withoutRepetitions(options.values);
    const auto parse = [](const std::string& name) { return SiteChoice{parseRowFormat(name)}; };
    const std::vector<SiteChoice> inputFormats = parsedAll(inputs, parse), keyFormats = parsedAll(keys, parse),
                                  valueFormats = parsedAll(values, parse);
    for (std::size_t g = 0; g < model.inputGroups().size(); ++g) {
        const InputGroup& group = model.inputGroups()[g];
        if (group.sites.empty() || (group.block.value() < 0 && !options.includeHead)) continue;
        byGroup_[g] = add(group.name, nullptr, group.block, inputs, inputFormats, 1, group.width, known);
        wantsInputs_ = wantsInputs_ || byGroup_[g] >= 0;
    }
    for (int b = 0; b < model.config().blocks; ++b) {
        const BlockIndex block{b};
        const std::int64_t width = model.config().kvWidth();
        auto& [k, v] = byBlock_[static_cast<std::size_t>(b)];
        k = add(fmt::format("blk.{}.k_cache", b), nullptr, block, keys, keyFormats, 1, width, known);
        v = add(fmt::format("blk.{}.v_cache", b), nullptr, block, values, valueFormats, 1, width, known);
        wantsCache_ = wantsCache_ || k >= 0 || v >= 0;
    }
}

void setDamage(SensitivityCell& cell, std::span<const float> projections, int draws) {
    const std::size_t cluster =
        projections.size() > static_cast<std::size_t>(draws) ? static_cast<std::size_t>(draws) : 1;
    const std::size_t count = projections.size() / cluster;
    std::vector<double> means(count, 0.0);
    double value = 0;
    for (std::size_t i = 0; i < count * cluster; ++i)
        means[i / cluster] += 0.5 * static_cast<double>(projections[i]) * static_cast<double>(projections[i]) /
                              static_cast<double>(cluster);
    for (const double mean : means) value += mean / static_cast<double>(count);
    double squares = 0;
    for (const double mean : means) squares += (mean - value) * (mean - value);
    cell.value = value;
    cell.standardError = count > 1 ? std::sqrt(squares / static_cast<double>(count - 1) / static_cast<double>(count))
                                   : std::sqrt(2.0) * value;
}

namespace {

/// ½·mean over the draws of each window: of the sum over segments, and of the segments' squares.
struct WindowMeans {
    std::vector<double> whole, parts;
};

WindowMeans windowMeans(const std::vector<double>& sums, const FisherLayout& layout) {
    WindowMeans means;
    const auto draws = static_cast<std::size_t>(layout.draws), segments = static_cast<std::size_t>(layout.segments);
    for (std::size_t at = 0; at < sums.size();) {
        double whole = 0, parts = 0;
        for (std::size_t d = 0; d < draws; ++d) {
            double sum = 0;
            for (std::size_t s = 0; s < segments; ++s, ++at) {
                sum += sums[at];
                parts += 0.5 * sums[at] * sums[at] / static_cast<double>(draws);
            }
            whole += 0.5 * sum * sum / static_cast<double>(draws);
        }
        means.whole.push_back(whole);
        means.parts.push_back(parts);
    }
    return means;
}

/// What the squares of the segments must be multiplied by: 1 where the whole agrees with them within its noise.
double correction(const WindowMeans& means) {
    const auto n = static_cast<double>(means.whole.size());
    double parts = 0, more = 0, squares = 0;
    for (std::size_t w = 0; w < means.whole.size(); ++w) {
        const double difference = means.whole[w] - means.parts[w];
        parts += means.parts[w] / n;
        more += difference / n;
        squares += difference * difference / n;
    }
    if (n < 2 || !(parts > 0)) return 1;
    constexpr double kErrors = 2;
    const double noise = std::max(0.0, squares - more * more) / (n - 1);
    const double believed = more * more > 0 ? std::max(0.0, 1 - kErrors * kErrors * noise / (more * more)) : 0;
    return std::max(0.0, 1 + believed * more / parts);
}

/// The sums as projections whose ½·mean c² is the damage.
std::vector<float> projectionsOf(const std::vector<double>& sums, const FisherLayout& layout, bool whole,
                                 std::int64_t tokens) {
    std::vector<float> out(layout.size(), 0.0f);
    const auto segments = static_cast<std::size_t>(layout.segments);
    const double root = 1 / std::sqrt(static_cast<double>(tokens));
    const double scale = whole || segments == 1
                             ? root
                             : root * std::sqrt(static_cast<double>(segments) * correction(windowMeans(sums, layout)));
    for (std::size_t at = 0; at < sums.size(); at += segments) {
        double sum = 0;
        for (std::size_t s = 0; s < segments; ++s) sum += sums[at + s];
        for (std::size_t s = 0; s < segments; ++s)
            out[at + s] = static_cast<float>(scale * (whole ? sum : sums[at + s]));
    }
    return out;
}

} // namespace

FisherLayout fisherLayout(std::int64_t windows, std::int64_t length, int probes, std::size_t cells) {
    constexpr std::int64_t kMostNumbers = std::int64_t{1} << 23;
    const auto numbers = static_cast<std::int64_t>(std::max<std::size_t>(1, cells)) * windows;
    const std::int64_t segments = std::clamp<std::int64_t>(kMostNumbers / numbers, 1, segmentsOf(length));
    return {windows, static_cast<int>((probes + windows * segments - 1) / (windows * segments)),
            static_cast<int>(segments)};
}

std::int64_t segmentsOf(std::int64_t length) {
    constexpr std::int64_t kShortest = 32, kMostSegments = 16;
    return std::clamp<std::int64_t>(length / kShortest, 1, kMostSegments);
}

std::size_t FisherCells::count() const {
    std::size_t count = 0;
    for (const FisherPlace& place : places_) count += place.formats.size();
    return count;
}

SiteRounder::Wanted FisherCells::wanted() const {
    SiteRounder::Wanted out;
    for (const FisherPlace& place : places_)
        for (const FisherFormat& format : place.formats)
            if (place.site != nullptr) out.emplace_back(place.site, format.choice);
    return out;
}

std::vector<FisherRow> fisherRows(const FisherPlace& place, const FisherLayout& layout, std::int64_t tokens) {
    std::vector<FisherRow> rows;
    const bool whole = place.site != nullptr && place.site->kind == SiteKind::attnK;
    for (const FisherFormat& format : place.formats) {
        FisherRow row;
        row.projections = projectionsOf(format.sums, layout, whole, tokens);
        row.cell.site_name = place.name;
        row.cell.site = place.site != nullptr ? place.site->id : SiteId(-1);
        row.cell.used = format.choice.name();
        row.cell.bytes = place.site != nullptr ? format.choice.format->bytes(place.site->rows, place.site->cols) : 0;
        row.cell.tokens = place.tokens;
        setDamage(row.cell, row.projections, layout.perWindow());
        if (!std::isfinite(row.cell.value) || !std::isfinite(row.cell.standardError))
            throw Error(ErrorCode::nonFinite,
                        "the damage of '" + format.asked.front() + "' at '" + place.name + "' is not a finite number",
                        "the gradients overflow there: leave the format out, or measure the site by KL");
        for (const std::string& asked : format.asked) {
            row.cell.format = asked;
            rows.push_back(row);
        }
    }
    return rows;
}

} // namespace bw::detail
