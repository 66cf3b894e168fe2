// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/cells.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>

namespace bw::detail {

Sweep::Sweep(const Model& m, const Windows& w, const SweepOptions& options, const ImportanceLookup& importance,
             const std::vector<SensitivityCell>& known, const std::function<void(const SensitivityCell&)>& onCell, JobContext& j)
    : model(m), windows(w), job(j), options_(options), importance_(importance), onCell_(onCell) {
    if (options.formats.empty())
        throw Error(ErrorCode::usage, "a sweep needs at least one format", "name formats, such as q4_0,q8_0,int4:g64");
    if (windows.count < 1 || windows.length < 2)
        throw Error(ErrorCode::textTooShort, "a sweep needs at least one window of two tokens", "give more text");
    for (const SensitivityCell& cell : known)
        done_.emplace(std::pair(cell.site_name, cell.format), cell);
    std::vector<FormatPtr> parsed;
    for (const std::string& name : options.formats) {
        if (std::find(formats_.begin(), formats_.end(), name) != formats_.end())
            continue;
        formats_.push_back(name);
        parsed.push_back(parseFormat(name));
    }
    for (const Site& site : model.sites()) {
        const bool outer = site.block.value() < 0;
        if (outer && !options.includeHead)
            continue;
        SitePlan plan{&site, {}};
        for (std::size_t f = 0; f < formats_.size(); ++f)
            if (!done_.contains({site.name, formats_[f]}))
                plan.cells.push_back({formats_[f], fallbackFormat(parsed[f], site.rows, site.cols)});
        if (!plan.cells.empty())
            plans_.push_back(std::move(plan));
    }
}

std::vector<const SitePlan*> Sweep::blockPlans(BlockIndex block) const {
    std::vector<const SitePlan*> found;
    for (const SitePlan& plan : plans_)
        if (plan.site->block == block)
            found.push_back(&plan);
    return found;
}

std::vector<const SitePlan*> Sweep::outerPlans() const { return blockPlans(BlockIndex{-1}); }

std::int64_t Sweep::cellsLeft() const {
    std::size_t count = 0;
    for (const SitePlan& plan : plans_)
        count += plan.cells.size();
    return static_cast<std::int64_t>(count);
}

Matrix Sweep::quantized(const Site& site, MatrixView<const float> weight, const FormatPtr& format) const {
    const std::span<const float> importance = importance_ ? importance_(site) : std::span<const float>{};
    const QuantizedTensor tensor = quantizeSite(site, weight, format, importance, options_.rounder);
    Matrix decoded(site.rows, site.cols);
    format->decode(tensor.bytes, decoded.view());
    return decoded;
}

void Sweep::hand(const Site& site, const SitePlan::Cell& cell, const Measure& measure) {
    if (!std::isfinite(measure.value) || !std::isfinite(measure.error))
        throw Error(ErrorCode::nonFinite, "the damage of '" + cell.asked + "' at '" + site.name + "' is not a finite number",
                    "the model overflows with this format there: leave the format out, or check the site's weights");
    SensitivityCell done;
    done.site = site.id;
    done.site_name = site.name;
    done.format = cell.asked;
    done.used = cell.used->name();
    done.bytes = cell.used->bytes(site.rows, site.cols);
    done.value = measure.value;
    done.standardError = measure.error;
    done_[{site.name, cell.asked}] = done;
    ++handed_;
    if (onCell_)
        onCell_(done);
}

std::vector<SensitivityCell> Sweep::result() const {
    std::vector<SensitivityCell> cells;
    for (const Site& site : model.sites())
        for (const std::string& format : formats_)
            if (const auto it = done_.find({site.name, format}); it != done_.end())
                cells.push_back(it->second);
    return cells;
}

void handOut(Sweep& sweep, const SitePlan& plan, const std::function<Measure(const FormatPtr&)>& measure) {
    std::map<std::string, Measure> measured;
    for (const SitePlan::Cell& cell : plan.cells) {
        auto it = measured.find(cell.used->name());
        if (it == measured.end())
            it = measured.emplace(cell.used->name(), measure(cell.used)).first;
        sweep.hand(*plan.site, cell, it->second);
    }
}

} // namespace bw::detail
