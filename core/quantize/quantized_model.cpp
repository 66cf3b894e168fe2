// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding of sites and the measure of what it cost.
#include "core/quantize/quantized_model.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/affine.h"
#include "core/format/float_format.h"
#include "core/quantize/device_rounding.h"
#include "core/quantize/stochastic.h"
#include "core/quantize/tensor_cache.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace bw {

namespace {

constexpr std::int64_t kPieceWeights = 1 << 16; ///< per task: about 0.1 ms of decoding

struct Sums {
    double error = 0, weight = 0; ///< Σ(w−ŵ)², Σw²
};

Sums measure(MatrixView<const float> weight, const Format& format, std::span<const std::byte> bytes) {
    const std::int64_t grain = std::max<std::int64_t>(1, kPieceWeights / weight.cols);
    std::vector<Sums> sums(static_cast<std::size_t>((weight.rows + grain - 1) / grain));
    parallelFor(weight.rows, grain, [&](std::int64_t begin, std::int64_t end) {
        Matrix decoded(end - begin, weight.cols);
        format.decodeRows(bytes, weight.rows, begin, decoded.view());
        Sums sum;
        for (std::int64_t r = begin; r < end; ++r) {
            const float* w = weight.row(r);
            const float* d = decoded.row(r - begin);
            for (std::int64_t c = 0; c < weight.cols; ++c) {
                const double x = static_cast<double>(w[c]), e = x - static_cast<double>(d[c]);
                sum.error += e * e;
                sum.weight += x * x;
            }
        }
        sums[static_cast<std::size_t>(begin / grain)] = sum;
    });
    Sums total; // pieces depend on the shape only, so the sum does not depend on the threads
    for (const Sums& s : sums) {
        total.error += s.error;
        total.weight += s.weight;
    }
    return total;
}

/// The same of what was decoded already.
Sums measureDecoded(MatrixView<const float> weight, MatrixView<const float> decoded) {
    Sums sum;
    for (std::int64_t r = 0; r < weight.rows; ++r)
        for (std::int64_t c = 0; c < weight.cols; ++c) {
            const double x = static_cast<double>(weight(r, c)), e = x - static_cast<double>(decoded(r, c));
            sum.error += e * e;
            sum.weight += x * x;
        }
    return sum;
}

/// Types whose codes stand one stored scale apart.
bool isEvenGrid(StorageType type) {
    switch (type) {
    case StorageType::q4_0:
    case StorageType::q4_1:
    case StorageType::q5_0:
    case StorageType::q5_1:
    case StorageType::q8_0: return true;
    default: return false;
    }
}

/// Mean of Δ² over the weights, Δ the step between neighbouring grid points; 0 for floats and uneven grids.
double meanSquaredStep(const Format& format, std::span<const std::byte> bytes, std::int64_t rows, std::int64_t cols) {
    double sum = 0;
    std::size_t count = 0;
    if (const auto* affine = dynamic_cast<const AffineFormat*>(&format)) {
        for (const std::uint16_t scale : affine->unpack(bytes, rows, cols).scales) {
            const double step = static_cast<double>(halfToFloat(scale));
            sum += step * step;
            ++count;
        }
    } else if (const StorageTypeInfo& info = storageTypeInfo(format.storage()); isEvenGrid(format.storage())) {
        for (std::size_t at = 0; at < bytes.size(); at += static_cast<std::size_t>(info.blockBytes), ++count) {
            std::uint16_t scale = 0; // first field of these blocks
            std::memcpy(&scale, bytes.data() + at, 2);
            const double step = static_cast<double>(halfToFloat(scale));
            sum += step * step;
        }
    }
    return count ? sum / static_cast<double>(count) : 0.0;
}

/// Σ w².
double powerOf(MatrixView<const float> weight) {
    std::vector<double> sums(static_cast<std::size_t>(weight.rows));
    parallelFor(weight.rows, std::max<std::int64_t>(1, kPieceWeights / std::max<std::int64_t>(1, weight.cols)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            for (const float w : weight.rowSpan(r)) sums[static_cast<std::size_t>(r)] += static_cast<double>(w) * static_cast<double>(w);
    });
    double total = 0;
    for (const double s : sums) total += s;
    return total;
}

void setError(QuantizedTensor& tensor, MatrixView<const float> weight, const Sums& sums) {
    if (!(sums.weight > 0)) return;
    tensor.relativeError = sums.error / sums.weight;
    tensor.uniformNoise = meanSquaredStep(*tensor.format, tensor.bytes, weight.rows, weight.cols) / 12.0 *
                          static_cast<double>(weight.size()) / sums.weight;
}

} // namespace

void measureRounding(QuantizedTensor& tensor, MatrixView<const float> weight) {
    Sums sums;
    if (tensor.kept.empty()) {
        sums = measure(weight, *tensor.format, tensor.bytes);
    } else {
        Matrix decoded(weight.rows, weight.cols);
        tensor.decode(decoded.view());
        sums = measureDecoded(weight, std::as_const(decoded).view());
    }
    setError(tensor, weight, sums);
}

QuantizedTensor quantizeSite(const Site& site, MatrixView<const float> weight, const FormatPtr& format,
                             std::span<const float> importance, const RounderOptions& options, Device* device) {
    try {
        QuantizedTensor tensor{site.id, format, {}, 0, 0};
        tensor.bytes.resize(format->bytes(weight.rows, weight.cols));
        EncodeOptions encode;
        if (options.weighted) encode.importance = importance;
        encode.clipSearch = options.clipSearch;
        encode.search = options.search;
        std::optional<double> error;
        if (device != nullptr && !options.stochastic) error = detail::roundOnDevice(*device, weight, *format, encode, tensor.bytes);
        if (error) {
            setError(tensor, weight, {*error, powerOf(weight)});
            return tensor;
        }
        if (options.stochastic) // sites draw from seeds far apart
            detail::encodeStochastic(*format, weight, encode, options.seed + (static_cast<std::uint64_t>(site.id.value()) << 32), tensor.bytes);
        else
            format->encode(weight, encode, tensor.bytes);
        measureRounding(tensor, weight);
        return tensor;
    } catch (Error& e) {
        e.add("site", site.name);
        throw;
    }
}

std::vector<SiteFormat> shareGlobalScales(const Model& model, std::vector<SiteFormat> formats) {
    std::map<int, std::vector<SiteFormat*>> groups;
    for (SiteFormat& f : formats) {
        const Site& site = model.site(f.site);
        const auto* small = dynamic_cast<const FloatFormat*>(f.used.get());
        if (small && small->grid().scope == FloatScope::nv && site.block.value() >= 0 && site.inputGroup >= 0) groups[site.inputGroup].push_back(&f);
    }
    for (const auto& [group, members] : groups) {
        if (members.size() < 2) continue;
        float peak = 0;
        for (const SiteFormat* member : members) {
            const Matrix weight = model.siteWeight(model.site(member->site));
            for (std::int64_t i = 0; i < weight.size(); ++i) peak = std::max(peak, std::abs(weight.data()[i]));
        }
        FloatGrid grid = dynamic_cast<const FloatFormat*>(members.front()->used.get())->grid();
        grid.globalScale = nvGlobalScale(peak);
        const FormatPtr shared = std::make_shared<FloatFormat>(grid);
        for (SiteFormat* member : members) member->used = shared;
    }
    return formats;
}

RounderOptions siteRounder(const RounderOptions& recipe, const std::string& rounder) {
    RounderOptions options = recipe;
    if (rounder.empty()) return options;
    options.weighted = rounder == "weighted";
    options.stochastic = rounder == "stochastic";
    return options;
}

namespace {

/// One site to be rounded.
struct Task {
    const Site& site;
    FormatPtr format;
    std::span<const float> importance;
    RounderOptions options;
    std::string key;                     ///< in the cache; empty without one
    std::optional<QuantizedTensor> done; ///< from the cache
};

/// Several at once, since each is one file to read and to check.
void takeFromCache(std::vector<Task>& tasks, TensorCache& cache, JobContext& job) {
    const JobScope scope(&job);
    parallelFor(static_cast<std::int64_t>(tasks.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            Task& task = tasks[static_cast<std::size_t>(i)];
            task.key = cache.key(task.site, task.format, task.importance, task.options);
            task.done = cache.find(task.key, task.site, task.format);
            if (task.done) job.advance(task.site.rows * task.site.cols);
        }
    });
}

} // namespace

std::shared_ptr<QuantizedModel> QuantizedModel::build(const Model& model, const std::vector<SiteFormat>& formats,
                                                      const ImportanceLookup& importance, const RounderOptions& options,
                                                      JobContext& job, TensorCache* cache) {
    auto result = std::make_shared<QuantizedModel>();
    result->formats_ = formats;
    std::vector<Task> tasks;
    std::int64_t total = 0;
    for (const SiteFormat& format : formats) {
        if (!format.used) continue;
        const Site& site = model.site(format.site);
        if (format.rounder == "gptq")
            throw Error(ErrorCode::usage, "'" + site.name + "' is to be rounded by GPTQ, which needs the inputs of a calibration text", "round it with gptqModel()");
        const RounderOptions own = siteRounder(options, format.rounder);
        tasks.push_back({site, format.used, importance ? importance(site) : std::span<const float>(), own, {}, {}});
        total += site.rows * site.cols;
    }
    job.beginStage("quantize", total, "weights");
    if (cache) takeFromCache(tasks, *cache, job);
    for (Task& task : tasks) {
        job.checkpoint();
        if (!task.done) {
            const Matrix weight = model.siteWeight(task.site);
            job.checkpoint();
            task.done = quantizeSite(task.site, weight.view(), task.format, task.importance, task.options, &model.device());
            if (cache) cache->keep(task.key, task.site, *task.done);
            job.advance(weight.size());
        }
        result->tensors_.insert_or_assign(task.site.id.value(), *std::move(task.done));
    }
    return result;
}

std::uint64_t KeptWeights::bytes(std::int64_t rows) const {
    const std::uint64_t whole = 4 * columns.size() + 2 * columnValues.size();
    return values.empty() ? whole : whole + 6 * values.size() + 4 * static_cast<std::uint64_t>(rows + 1);
}

void QuantizedTensor::decode(MatrixView<float> weight) const {
    format->decode(bytes, weight);
    const std::size_t n = kept.columns.size();
    for (std::int64_t r = 0; r < weight.rows && n > 0; ++r)
        for (std::size_t k = 0; k < n; ++k)
            weight(r, kept.columns[k]) = halfToFloat(kept.columnValues[static_cast<std::size_t>(r) * n + k]);
    for (std::size_t i = 0; i < kept.values.size(); ++i)
        weight(kept.rowOf[i], kept.columnOf[i]) = halfToFloat(kept.values[i]);
}

void QuantizedModel::apply(const Site& site, MatrixView<float> weight) const {
    if (const QuantizedTensor* tensor = find(site.id)) tensor->decode(weight);
}

std::optional<CodedRows> QuantizedModel::codedRows(const Site& site) const {
    const QuantizedTensor* tensor = find(site.id);
    const auto* format = tensor != nullptr && tensor->kept.empty() ? dynamic_cast<const AffineFormat*>(tensor->format.get()) : nullptr;
    if (format == nullptr) return std::nullopt;
    AffineCodes unpacked = format->unpack(tensor->bytes, site.rows, site.cols);
    const std::int64_t groups = std::max<std::int64_t>(1, unpacked.groupsPerRow);
    CodedRows out{format->grid().bits, site.rows, site.cols, site.cols / groups, std::move(unpacked.codes), {}, {}};
    const auto count = static_cast<std::size_t>(site.rows * groups);
    for (std::size_t i = 0; i < count; ++i) { // one of the whole tensor stands in every row
        const std::size_t from = unpacked.scales.size() == 1 ? 0 : i;
        out.scales.push_back(halfToFloat(unpacked.scales[from]));
        out.zeros.push_back(unpacked.zeros.empty() ? static_cast<float>(1 << (out.bits - 1)) : static_cast<float>(unpacked.zeros[from]));
    }
    return out;
}

const QuantizedTensor* QuantizedModel::find(SiteId site) const {
    const auto found = tensors_.find(site.value());
    return found == tensors_.end() ? nullptr : &found->second;
}

} // namespace bw
