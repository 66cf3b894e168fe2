// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/quantize/runtime_profile.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace bw {
namespace {

constexpr std::int64_t kRows = 16; ///< per piece: tens of µs

void roundRows(MatrixView<float> x, StorageType type) {
    parallelFor(x.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) roundAsKernelInput(x.rowSpan(r), type);
    });
}

/// Sites that share an input and the type it is turned into are rounded once, together; others each by itself.
class ByWeightType final : public RuntimeRounding {
public:
    ByWeightType(const Model& model, const std::vector<StorageType>& weights, std::shared_ptr<const CacheRounding> cache) : cache_(std::move(cache)) {
        sites_.assign(model.sites().size(), StorageType::f32);
        for (const InputGroup& group : model.inputGroups()) {
            const auto inputOf = [&](SiteId site) { return kernelInput(weights[static_cast<std::size_t>(site.value())]); };
            const StorageType first = group.sites.empty() ? StorageType::f32 : inputOf(group.sites.front());
            const bool same = std::all_of(group.sites.begin(), group.sites.end(), [&](SiteId site) { return inputOf(site) == first; });
            groups_.push_back(same ? first : StorageType::f32);
            for (const SiteId site : group.sites)
                sites_[static_cast<std::size_t>(site.value())] = same ? StorageType::f32 : inputOf(site);
        }
    }
    bool roundsInput(int inputGroup) const override { return group(inputGroup) != StorageType::f32; }
    void roundInput(int inputGroup, MatrixView<float> x) const override { roundRows(x, group(inputGroup)); }
    bool roundsSite(SiteId site) const override { return own(site) != StorageType::f32; }
    void roundSite(SiteId site, MatrixView<float> x) const override { roundRows(x, own(site)); }
    bool roundsCache(BlockIndex) const override { return true; }
    std::int64_t cacheRun(BlockIndex, std::int64_t seen, std::int64_t most) const override { return cache_->run(seen, most); }
    void roundCache(BlockIndex block, MatrixView<float> keys, MatrixView<float> values, std::int64_t seen) const override {
        cache_->round(block, keys, values, seen);
    }

private:
    static StorageType at(const std::vector<StorageType>& list, int index) {
        return index >= 0 && static_cast<std::size_t>(index) < list.size() ? list[static_cast<std::size_t>(index)] : StorageType::f32;
    }
    StorageType group(int inputGroup) const { return at(groups_, inputGroup); }
    StorageType own(SiteId site) const { return at(sites_, site.value()); }
    std::vector<StorageType> groups_, sites_; ///< f32: left alone
    std::shared_ptr<const CacheRounding> cache_;
};

} // namespace

const std::vector<std::string>& runtimeProfileNames() {
    static const std::vector<std::string> kNames{"ideal", "llama.cpp-cpu", "w8a8"};
    return kNames;
}

std::string_view runtimeProfileName(RuntimeProfile profile) { return runtimeProfileNames()[static_cast<std::size_t>(profile)]; }

RuntimeProfile parseRuntimeProfile(std::string_view name) {
    const auto& names = runtimeProfileNames();
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end())
        throw Error(ErrorCode::usage, fmt::format("'{}' is no runtime that evaluation can follow", escapeForDisplay(name, 40)), fmt::format("use {}", fmt::join(names, ", ")));
    return static_cast<RuntimeProfile>(found - names.begin());
}

StorageType kernelInput(StorageType weight) {
    using T = StorageType;
    switch (weight) {
    case T::f32: return T::f32;
    case T::f16: return T::f16;
    case T::bf16: return T::bf16;
    case T::q1_0: case T::q2_0: case T::q4_0: case T::q5_0: case T::q8_0: case T::iq4_nl: case T::mxfp4: case T::nvfp4: return T::q8_0;
    case T::q4_1: case T::q5_1: case T::q8_1: return T::q8_1;
    case T::q2_k: case T::q3_k: case T::q4_k: case T::q5_k: case T::q6_k:
    case T::iq2_xxs: case T::iq2_xs: case T::iq2_s: case T::iq3_xxs: case T::iq3_s: case T::iq1_s: case T::iq1_m: case T::iq4_xs:
    case T::tq1_0: case T::tq2_0: return T::q8_k;
    default: return T::unknown;
    }
}

void roundAsKernelInput(std::span<float> x, StorageType type) {
    switch (type) {
    case StorageType::f16: return roundToHalf(x);
    case StorageType::bf16:
        for (float& value : x) value = bf16ToFloat(floatToBf16(value));
        return;
    case StorageType::q8_0: case StorageType::q8_1: return roundBlocks(x, false);
    case StorageType::q8_k: return roundBlocks(x, true);
    default: return;
    }
}

std::vector<StorageType> weightTypes(const Model& model, const QuantizedModel* quantized) {
    std::vector<StorageType> types;
    for (const Site& site : model.sites()) {
        const QuantizedTensor* tensor = quantized ? quantized->find(site.id) : nullptr;
        if (tensor) {
            types.push_back(tensor->kept.empty() ? tensor->format->storage() : StorageType::unknown);
            continue;
        }
        const TensorInfo& info = model.checkpoint().require(site.tensor);
        types.push_back(info.packed ? StorageType::unknown : info.type == StorageType::f64 ? StorageType::f32 : info.type);
    }
    return types;
}

std::shared_ptr<const RuntimeRounding> llamaCppCpuRounding(const Model& model, const std::vector<StorageType>& weights, std::shared_ptr<const CacheRounding> cache) {
    for (const Site& site : model.sites()) {
        const StorageType type = weights.at(static_cast<std::size_t>(site.id.value()));
        if (site.inputGroup >= 0 && kernelInput(type) == StorageType::unknown)
            throw Error(ErrorCode::usage, fmt::format("'{}' is in {}, which llama.cpp has no product for", site.name, type == StorageType::unknown ? std::string_view("a format that no GGUF type holds") : storageTypeInfo(type).name),
                        "use GGUF types (q4_0, q4_k …), or --runtime ideal");
    }
    if (!cache)
        cache = std::make_shared<CacheRounding>(model.config(), parseCacheScheme("f16"));
    return std::make_shared<ByWeightType>(model, weights, std::move(cache));
}

} // namespace bw
