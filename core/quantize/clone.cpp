// SPDX-License-Identifier: GPL-3.0-or-later
// The recipe of another checkpoint: the type that each of its tensors has, written as few rules as say the same.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/quantize/assignment.h"
#include "core/quantize/presets.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace bw {

namespace {

double bitsOf(StorageType type) {
    const StorageTypeInfo& info = storageTypeInfo(type);
    return 8.0 * info.blockBytes / info.blockElements;
}

/// Types of signs or −1, 0, 1 times one scale: exact for models trained that way, ruinous for all others.
bool holdsAnyWeights(StorageType type) {
    using enum StorageType;
    return type != tq1_0 && type != tq2_0 && type != q1_0 && type != q2_0;
}

/// The smallest type with at least as many bits that is written here and holds any weights, f32 when there is none.
StorageType writtenInstead(StorageType type) {
    StorageType best = StorageType::f32;
    for (const StorageTypeInfo& info : allStorageTypes())
        if (info.encodes && info.ggmlId >= 0 && holdsAnyWeights(info.type) && bitsOf(info.type) >= bitsOf(type) && bitsOf(info.type) < bitsOf(best))
            best = info.type;
    return best;
}

/// "blk.*.attn_v", "blk.*.ffn_up.e*"; names outside of blocks stay.
std::string kindPattern(const Site& site) {
    if (site.block.value() < 0) return site.name;
    const std::string part = site.name.substr(site.name.find('.', 4));
    const std::size_t expert = part.find(".e");
    return "blk.*" + (expert == std::string::npos ? part : part.substr(0, expert) + ".e*");
}

using Counts = std::map<std::string, std::int64_t>;
const std::string& mostUsed(const Counts& counts) {
    return std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
}

class Cloner {
public:
    Cloner(const Model& model, const Checkpoint& from) : model_(model), from_(from) {}

    ClonedRecipe clone() {
        Counts all;
        std::map<std::string, Counts> ofKind;
        for (const Site& site : model_.sites()) {
            const std::string format = formatOf(site);
            formats_.push_back(format);
            if (format.empty()) continue;
            ++all[format];
            ++ofKind[kindPattern(site)][format];
        }
        if (all.empty())
            throw Error(ErrorCode::unsupportedModel, fmt::format("no tensor of {} belongs to a site of {}", escapeForDisplay(from_.displayName()),
                                                                 escapeForDisplay(model_.checkpoint().displayName())),
                        "clone the recipe of a checkpoint of the same family");
        out_.format = mostUsed(all);
        for (const auto& [pattern, counts] : ofKind)
            if (mostUsed(counts) != out_.format) out_.rules.push_back({pattern, mostUsed(counts)});
        for (std::size_t i = 0; i < formats_.size(); ++i) {
            const Site& site = model_.sites()[i];
            const auto kind = ofKind.find(kindPattern(site));
            if (!formats_[i].empty() && formats_[i] != mostUsed(kind->second)) out_.rules.push_back({site.name, formats_[i]});
        }
        noteMissing();
        noteLeftOver();
        return std::move(out_);
    }

private:
    const TensorInfo* find(const Site& site) const {
        if (const TensorInfo* tensor = from_.find(site.tensor)) return tensor;
        if (const TensorInfo* tensor = from_.find(site.name + ".weight")) return tensor; // stacked here, one each there
        const std::size_t expert = site.name.find(".e");
        return expert == std::string::npos ? nullptr : from_.find(site.name.substr(0, expert) + "_exps.weight");
    }

    std::string formatOf(const Site& site) {
        const TensorInfo* tensor = find(site);
        if (!tensor) {
            missing_.push_back(site.name);
            return {};
        }
        used_.insert(tensor->name);
        if (tensor->packed) return tensor->packed->name();
        if (tensor->type == StorageType::unknown) {
            out_.notes.push_back(fmt::format("{} is {} there, a type that is not known here: it gets the default", site.name, escapeForDisplay(tensor->typeName)));
            return {};
        }
        const StorageTypeInfo& info = storageTypeInfo(tensor->type);
        if (tensor->cols() != site.cols)
            out_.notes.push_back(fmt::format("{} has {} columns there and {} here", site.name, tensor->cols(), site.cols));
        if (info.encodes) return std::string(info.name);
        const StorageTypeInfo& instead = storageTypeInfo(writtenInstead(tensor->type));
        out_.notes.push_back(fmt::format("{} is {} there, which is not written here: {} instead ({:.4g} for {:.4g} bits)", site.name, info.name,
                                         instead.name, bitsOf(instead.type), bitsOf(info.type)));
        return std::string(instead.name);
    }

    void noteMissing() {
        if (missing_.empty()) return;
        std::string some;
        for (std::size_t i = 0; i < std::min<std::size_t>(missing_.size(), 5); ++i) some += (i ? ", " : "") + missing_[i];
        if (missing_.size() > 5) some += fmt::format(" and {} more", missing_.size() - 5);
        out_.notes.push_back(fmt::format("not in {}: {}; {} the default, {}", escapeForDisplay(from_.displayName()), some,
                                         missing_.size() == 1 ? "it gets" : "they get", out_.format));
    }

    void noteLeftOver() {
        for (const TensorInfo& tensor : from_.tensors()) {
            const std::string& name = tensor.canonical.empty() ? tensor.name : tensor.canonical;
            if (used_.contains(tensor.name) || !mixQuantizes(name, tensor.shape.size())) continue;
            out_.notes.push_back(fmt::format("{} of {} has no site here", escapeForDisplay(name), escapeForDisplay(from_.displayName())));
        }
    }

    const Model& model_;
    const Checkpoint& from_;
    std::vector<std::string> formats_; ///< per site; empty = the default
    std::vector<std::string> missing_;
    std::set<std::string> used_;
    ClonedRecipe out_;
};

} // namespace

ClonedRecipe cloneRecipe(const Model& model, const Checkpoint& from) { return Cloner(model, from).clone(); }

} // namespace bw
