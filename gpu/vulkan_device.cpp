// SPDX-License-Identifier: GPL-3.0-or-later
// The Device on Vulkan: what each operation is given and where it lies. What can't run on the device runs on the CPU device
// inside; when the device fails, all work goes on there, and stays there.
#include "gpu/vulkan_device.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "gpu/gemm.h"
#include "gpu/histogram.h"
#include "gpu/mirrors.h"
#include "gpu/observe.h"
#include "gpu/operations.h"
#include "gpu/rounding.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <mutex>
#include <optional>

namespace bw {
namespace {

/// Instance, device and its two streams; shared, because weights may outlive the Device that prepared them.
struct Session {
    std::unique_ptr<vk::Instance> instance;
    std::unique_ptr<vk::DeviceContext> context;
    std::mutex workMutex, copyMutex; ///< of the streams; never both at once but in that order
    std::unique_ptr<vk::Stream> work, copies;
    std::atomic<bool> lost{false};
    std::string lossReason; ///< under workMutex

    ~Session() {
        const bool abandoned = context && context->abandoned();
        copies.reset();
        work.reset();
        context.reset();
        // A hung device still uses the instance, so both are left to the end of the process.
        if (abandoned) static_cast<void>(instance.release());
    }
};

class VulkanWeight final : public DeviceWeight {
public:
    VulkanWeight(std::shared_ptr<Session> owner, DeviceWeightPtr exact) : session_(std::move(owner)), cpu_(std::move(exact)) {
        rows = cpu_->rows;
        cols = cpu_->cols;
        values = cpu_->values;
    }
    VulkanWeight(std::shared_ptr<Session> owner, const StoredWeight& stored, std::function<Matrix()> decode)
        : storage(stored.storage), session_(std::move(owner)), decode_(std::move(decode)) {
        rows = stored.rows;
        cols = stored.cols;
    }
    /// The device may still be copying or using the parts.
    ~VulkanWeight() override {
        if (parts.empty() || session_->lost) return;
        {
            const std::lock_guard lock(session_->copyMutex);
            if (!session_->copies->reached(copied)) static_cast<void>(session_->copies->waitFor(copied));
        }
        const std::lock_guard lock(session_->workMutex);
        if (!session_->work->reached(used)) static_cast<void>(session_->work->finish());
        parts.clear();
    }
    /// For the CPU; decodes at the first call.
    const DeviceWeight& onCpu(Device& cpu) const {
        const std::lock_guard lock(decodeMutex_);
        if (!cpu_) {
            decoded_ = decode_();
            cpu_ = cpu.prepare(std::as_const(decoded_).view());
        }
        return *cpu_;
    }
    WeightStorage storage = WeightStorage::f32;
    std::uint64_t copied = 0;       ///< when its copies are done, on the copies' clock
    mutable std::uint64_t used = 0; ///< its last use, on the work's clock; under workMutex

private:
    std::shared_ptr<Session> session_; ///< before the parts, so that it goes after them
    std::function<Matrix()> decode_;
    mutable std::mutex decodeMutex_;
    mutable Matrix decoded_;
    mutable DeviceWeightPtr cpu_;

public:
    std::vector<vk::WeightPart> parts; ///< empty: on the CPU only
};

bool isOutOfMemory(VkResult result) {
    return result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY ||
           result == VK_ERROR_TOO_MANY_OBJECTS || result == VK_ERROR_MEMORY_MAP_FAILED;
}

/// Small whole numbers, whose sums are exact in any order.
float knownValue(std::int64_t row, std::int64_t col, std::int64_t salt) {
    return static_cast<float>((row * 7 + col * 3 + salt) % 11 - 5);
}

enum Operation {
    kMultiply, kNorm, kRope, kAttention, kActivation, kAdd, kCopy, kSoftCap, kHistogram, kGram, kScore, kObserve, kLookUp, kRound, kReverse, kOperations
};
constexpr std::array<const char*, kOperations> kOperationNames{
    "multiply", "norm", "rope", "attention", "activation", "add", "copy", "softCap", "histogram", "gram", "score", "observe", "lookup", "round", "reverse"};

/// A matrix that an operation reads, writes or both.
struct Operand {
    float* data;
    std::int64_t rows, cols, stride;
    bool reads, writes;
    std::uint64_t floats() const { return static_cast<std::uint64_t>((rows - 1) * stride + cols); }
};
Operand reads(MatrixView<const float> m) { return {const_cast<float*>(m.data), m.rows, m.cols, m.stride, true, false}; }
Operand writes(MatrixView<float> m) { return {m.data, m.rows, m.cols, m.stride, false, true}; }
Operand changes(MatrixView<float> m) { return {m.data, m.rows, m.cols, m.stride, true, true}; }

class VulkanDevice final : public Device {
public:
    explicit VulkanDevice(std::shared_ptr<Session> session)
        : session_(std::move(session)), context_(*session_->context), cpu_(makeCpuDevice()), mirrors_(context_, *session_->work),
          gemm_(context_, *session_->work, gemmShader()), operations_(context_, *session_->work), observers_(context_, *session_->work), rounding_(context_, *session_->work), histogram_(context_, *session_->work) {
        checkStart();
    }
    ~VulkanDevice() override {
        const std::lock_guard lock(session_->workMutex);
        static_cast<void>(session_->work->finish()); // what is recorded uses this object's buffers
    }

    std::string name() const override { return fmt::format("vulkan:{}", context_.info().index); }
    std::string description() const override {
        const VulkanDeviceInfo& info = context_.info();
        std::string text = fmt::format("{} (Vulkan {})", info.name, info.apiVersion);
        if (!mistrust_.empty()) text += "; used although " + mistrust_;
        if (const std::string why = failure(); !why.empty()) text += "; " + why;
        return text;
    }
    std::string failure() const override {
        const std::lock_guard lock(session_->workMutex);
        return session_->lost ? fmt::format("failed with {}, since then on the CPU", session_->lossReason) : std::string();
    }
    std::map<std::string, Counts> operationCounts() const override {
        std::map<std::string, Counts> all;
        for (std::size_t i = 0; i < kOperations; ++i)
            if (onDevice_[i] + onCpu_[i] > 0) all[kOperationNames[i]] = {onDevice_[i], onCpu_[i]};
        return all;
    }

    bool keepsResults() const override { return !session_->lost; }
    std::uint64_t activationBytes() const override {
        // Half of the memory is for the weights of two blocks; of the rest, the pool keeps a second set of buffers.
        return std::clamp<std::uint64_t>(context_.budget() / 8, 1u << 20, 256ull << 20);
    }
    void lend(std::span<float> memory) override {
        if (memory.empty()) return;
        const std::lock_guard lock(session_->workMutex);
        if (!session_->lost) noteFailure(mirrors_.lend(memory));
    }
    void reclaim(std::span<float> memory) override {
        if (memory.empty()) return;
        const std::lock_guard lock(session_->workMutex);
        mirrors_.reclaim(memory.data());
    }
    void toHost(MatrixView<const float> values) override {
        if (values.empty()) return;
        const std::lock_guard lock(session_->workMutex);
        fetch(reads(values));
    }
    void hostWrote(MatrixView<const float> values) override {
        if (values.empty()) return;
        const std::lock_guard lock(session_->workMutex);
        hostHas(reads(values));
    }

    DeviceWeightPtr prepare(MatrixView<const float> weight) override {
        auto prepared = std::make_shared<VulkanWeight>(session_, cpu_->prepare(weight));
        load(*prepared, [&] { return vk::Gemm::upload(context_, *session_->copies, weight, prepared->parts); });
        return prepared;
    }
    DeviceWeightPtr prepareStored(const StoredWeight& weight, std::function<Matrix()> decode) override {
        auto prepared = std::make_shared<VulkanWeight>(session_, weight, std::move(decode));
        load(*prepared, [&] { return vk::Gemm::upload(context_, *session_->copies, weight, prepared->parts); });
        return prepared;
    }

    void multiply(MatrixView<const float> x, const DeviceWeight& w, MatrixView<float> y, bool accumulate) override {
        const auto& weight = dynamic_cast<const VulkanWeight&>(w);
        const Operand in = reads(x), out = accumulate ? changes(y) : writes(y);
        run(kMultiply, {in, out}, !weight.parts.empty(), [&](std::span<const vk::Located> at) {
            session_->work->after(*session_->copies, weight.copied);
            const VkResult result = gemm_.multiply(at[0], weight.parts, weight.storage, at[1], accumulate);
            weight.used = session_->work->end();
            return result;
        }, [&] { cpu_->multiply(x, weight.onCpu(*cpu_), y, accumulate); });
    }

    void histogram(std::span<const float> x, Histogram& into) override {
        if (x.empty()) return;
        const Operand in = reads({x.data(), 1, static_cast<std::int64_t>(x.size())});
        {
            const std::lock_guard lock(session_->workMutex);
            vk::Mirror* mirror = mirrors_.find(in.data, in.floats());
            if (!session_->lost && vk::HistogramKernel::takes(into)) {
                vk::Slice where;
                VkResult result = VK_SUCCESS;
                if (mirror) {
                    const vk::Interval range = intervalOf(*mirror, in);
                    where = {mirror->buffer.handle(), range.begin * sizeof(float), x.size_bytes()};
                    result = mirrors_.toDevice(*mirror, range);
                }
                if (result == VK_SUCCESS) result = build(kHistogram, [&] { return histogram_.count(x, where, into); });
                noteFailure(result);
                if (result == VK_SUCCESS) return static_cast<void>(++onDevice_[kHistogram]);
            }
            ++onCpu_[kHistogram];
            fetch(in);
        }
        cpu_->histogram(x, into);
    }

    void rmsNorm(MatrixView<const float> x, std::span<const float> weight, float epsilon, MatrixView<float> y) override {
        run(kNorm, {reads(x), writes(y)}, false,
            [&](std::span<const vk::Located> at) { return operations_.norm(at[0], weight, {}, false, epsilon, at[1]); },
            [&] { cpu_->rmsNorm(x, weight, epsilon, y); });
    }
    void layerNorm(MatrixView<const float> x, std::span<const float> weight, std::span<const float> bias, float epsilon,
                   MatrixView<float> y) override {
        run(kNorm, {reads(x), writes(y)}, false,
            [&](std::span<const vk::Located> at) { return operations_.norm(at[0], weight, bias, true, epsilon, at[1]); },
            [&] { cpu_->layerNorm(x, weight, bias, epsilon, y); });
    }
    void rope(MatrixView<float> x, const RopeShape& shape, std::int64_t position0) override {
        run(kRope, {changes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.rope(at[0], shape, position0); },
            [&] { cpu_->rope(x, shape, position0); });
    }
    void attention(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v, const AttentionShape& shape,
                   MatrixView<float> out) override {
        run(kAttention, {reads(q), reads(k), reads(v), writes(out)}, false,
            [&](std::span<const vk::Located> at) { return operations_.attention(at[0], at[1], at[2], shape, at[3]); },
            [&] { cpu_->attention(q, k, v, shape, out); });
    }
    void activateMultiply(Activation f, MatrixView<float> gate, MatrixView<const float> up) override {
        run(kActivation, {changes(gate), reads(up)}, false,
            [&](std::span<const vk::Located> at) { return operations_.map(vk::mapOf(f), at[0], &at[1]); },
            [&] { cpu_->activateMultiply(f, gate, up); });
    }
    void activate(Activation f, MatrixView<float> x) override {
        run(kActivation, {changes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::mapOf(f), at[0], nullptr); },
            [&] { cpu_->activate(f, x); });
    }
    void add(MatrixView<float> x, MatrixView<const float> y) override {
        run(kAdd, {changes(x), reads(y)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::Map::add, at[0], &at[1]); },
            [&] { cpu_->add(x, y); });
    }
    void addBias(MatrixView<float> x, std::span<const float> bias) override {
        run(kAdd, {changes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.addRow(at[0], bias); },
            [&] { cpu_->addBias(x, bias); });
    }
    void softCap(MatrixView<float> x, float cap) override {
        run(kSoftCap, {changes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::Map::softCap, at[0], nullptr, cap); },
            [&] { cpu_->softCap(x, cap); });
    }
    void copy(MatrixView<const float> x, MatrixView<float> y) override {
        run(kCopy, {writes(y), reads(x)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::Map::copy, at[0], &at[1]); },
            [&] { cpu_->copy(x, y); });
    }
    void fill(MatrixView<float> x, float value) override {
        run(kCopy, {writes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::Map::fill, at[0], nullptr, value); },
            [&] { cpu_->fill(x, value); });
    }

    void scoreRows(MatrixView<const float> logits, std::span<const std::int32_t> targets, std::span<RowScore> out) override {
        constexpr auto kWords = static_cast<std::size_t>(vk::Operations::kScoreWords);
        std::vector<std::uint32_t> words(targets.size() * kWords);
        bool made = false;
        run(kScore, {reads(logits)}, false, [&](std::span<const vk::Located> at) {
            VkResult result = atLeast(targets_, targets.size_bytes());
            if (result == VK_SUCCESS) result = atLeast(scores_, words.size() * sizeof(std::uint32_t));
            const vk::Slice ids{targets_.handle(), 0, targets.size_bytes()}, where{scores_.handle(), 0, words.size() * sizeof(std::uint32_t)};
            if (result == VK_SUCCESS) result = session_->work->upload(std::as_bytes(targets), ids);
            if (result == VK_SUCCESS) result = operations_.score(at[0], ids, where);
            bool touched = false;
            if (result == VK_SUCCESS) result = session_->work->download(where, std::as_writable_bytes(std::span(words)), touched);
            made = result == VK_SUCCESS;
            return result;
        }, [&] {
            made = false;
            cpu_->scoreRows(logits, targets, out);
        });
        for (std::size_t r = 0; made && r < targets.size(); ++r) {
            const std::span<const std::uint32_t> row(words.data() + r * kWords, kWords);
            out[r].top = std::bit_cast<float>(row[0]);
            out[r].logSumExp = static_cast<double>(out[r].top) + std::log(static_cast<double>(std::bit_cast<float>(row[1])));
            out[r].target = std::bit_cast<float>(row[2]);
            for (std::size_t i = 0; i < RowScore::kLargest; ++i) out[r].largest[i] = static_cast<std::int32_t>(row[3 + i]); // none: −1
        }
    }
    void divergeRows(MatrixView<const float> base, MatrixView<const float> other, std::span<double> out) override {
        constexpr auto kWords = static_cast<std::size_t>(vk::Operations::kDivergenceWords);
        std::vector<float> sums(out.size() * kWords);
        bool made = false;
        run(kScore, {reads(base), reads(other)}, false, [&](std::span<const vk::Located> at) {
            VkResult result = atLeast(scores_, sums.size() * sizeof(float));
            const vk::Slice where{scores_.handle(), 0, sums.size() * sizeof(float)};
            if (result == VK_SUCCESS) result = operations_.divergence(at[0], at[1], where);
            bool touched = false;
            if (result == VK_SUCCESS) result = session_->work->download(where, std::as_writable_bytes(std::span(sums)), touched);
            made = result == VK_SUCCESS;
            return result;
        }, [&] {
            made = false;
            cpu_->divergeRows(base, other, out);
        });
        if (made) std::copy(sums.begin(), sums.end(), out.begin());
    }

    void gram(MatrixView<const float> x, MatrixView<float> lower) override {
        bool made = false;
        Matrix product(lower.rows, lower.cols);
        run(kGram, {reads(x), writes(product.view())}, true,
            [&](std::span<const vk::Located> at) {
                const VkResult result = operations_.gram(at[0], at[1]);
                made = result == VK_SUCCESS;
                return result;
            },
            [&] {
                made = false;
                cpu_->gram(x, lower);
            });
        for (std::int64_t i = 0; made && i < lower.rows; ++i)
            for (std::int64_t j = 0; j <= i; ++j) lower(i, j) += product.view()(i, j);
    }

    void inputSums(MatrixView<const float> x, InputSums& out) override {
        run(kObserve, {reads(x)}, false, [&](std::span<const vk::Located> at) { return observers_.inputSums(at[0], out); },
            [&] { cpu_->inputSums(x, out); });
    }
    void logHistograms(MatrixView<const float> x, std::span<const std::int32_t> least, std::int32_t side, std::span<std::uint32_t> counts) override {
        run(kObserve, {reads(x)}, false, [&](std::span<const vk::Located> at) { return observers_.logHistograms(at[0], least, side, counts); },
            [&] { cpu_->logHistograms(x, least, side, counts); });
    }
    void rowsOf(const DeviceWeight& w, std::span<const std::int32_t> rows, MatrixView<float> y) override {
        const auto& weight = dynamic_cast<const VulkanWeight&>(w);
        run(kLookUp, {writes(y)}, false, [&](std::span<const vk::Located> at) {
            if (weight.parts.empty()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
            VkResult result = atLeast(ids_, rows.size_bytes());
            const vk::Slice ids{ids_.handle(), 0, rows.size_bytes()};
            if (result == VK_SUCCESS) result = session_->work->upload(std::as_bytes(rows), ids);
            session_->work->after(*session_->copies, weight.copied);
            if (result == VK_SUCCESS) result = gemm_.rows(weight.parts, weight.storage, ids, at[0]);
            weight.used = session_->work->end();
            return result;
        }, [&] { cpu_->rowsOf(weight.onCpu(*cpu_), rows, y); });
    }

    bool extremes(MatrixView<const float> w, std::int64_t group, std::span<Extremes> out) override {
        return roundHere([&] { return rounding_.extremes(w, group, out); });
    }
    bool roundToGrid(MatrixView<const float> w, const RoundingGrid& grid, std::span<std::uint8_t> codes, std::span<double> errors) override {
        return roundHere([&] { return rounding_.roundToGrid(w, grid, codes, errors); });
    }

    void multiplyBack(MatrixView<const float> dy, const DeviceWeight& w, MatrixView<float> dx, bool accumulate) override {
        ++onCpu_[kReverse];
        cpu_->multiplyBack(dy, dynamic_cast<const VulkanWeight&>(w).onCpu(*cpu_), dx, accumulate);
    }
    void rmsNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                     MatrixView<const float> dy, MatrixView<float> dx, bool accumulate) override {
        ++onCpu_[kReverse];
        cpu_->rmsNormBack(x, weight, epsilon, dy, dx, accumulate);
    }
    void layerNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                       MatrixView<const float> dy, MatrixView<float> dx, bool accumulate) override {
        ++onCpu_[kReverse];
        cpu_->layerNormBack(x, weight, epsilon, dy, dx, accumulate);
    }
    void attentionBack(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                       const AttentionShape& shape, std::int64_t windowLength, MatrixView<const float> dOut,
                       MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv) override {
        ++onCpu_[kReverse];
        cpu_->attentionBack(q, k, v, shape, windowLength, dOut, dq, dk, dv);
    }
    void activateMultiplyBack(Activation f, MatrixView<const float> gate, MatrixView<const float> up,
                              MatrixView<const float> dHidden, MatrixView<float> dGate,
                              MatrixView<float> dUp) override {
        ++onCpu_[kReverse];
        cpu_->activateMultiplyBack(f, gate, up, dHidden, dGate, dUp);
    }
    void activateBack(Activation f, MatrixView<const float> x, MatrixView<float> d) override {
        ++onCpu_[kReverse];
        cpu_->activateBack(f, x, d);
    }
    void softCapBack(MatrixView<const float> y, float cap, MatrixView<float> d) override {
        ++onCpu_[kReverse];
        cpu_->softCapBack(y, cap, d);
    }

private:
    vk::Gemm::Shader gemmShader() const {
        const bool software = context_.info().type == "cpu";
        return software && !context_.options().sharedMemoryGemm ? vk::Gemm::Shader::direct : vk::Gemm::Shader::shared;
    }
    static vk::Interval intervalOf(const vk::Mirror& mirror, const Operand& operand) {
        const auto begin = static_cast<std::uint64_t>(operand.data - mirror.host);
        return {begin, begin + operand.floats()};
    }

    /// Copies a weight to the device; without room it stays on the CPU.
    template <class Upload>
    void load(VulkanWeight& weight, Upload upload) {
        if (session_->lost) return;
        VkResult result = VK_SUCCESS;
        {
            const std::lock_guard lock(session_->copyMutex);
            result = upload();
            if (result == VK_SUCCESS || isOutOfMemory(result)) {
                const VkResult sent = session_->copies->submit(); // what is recorded uses the parts
                if (sent != VK_SUCCESS) result = sent;
            }
            weight.copied = session_->copies->end();
            if (isOutOfMemory(result) && session_->copies->finish() == VK_SUCCESS) weight.parts.clear();
        }
        if (result == VK_SUCCESS) return;
        const std::lock_guard lock(session_->workMutex);
        noteFailure(result);
        if (session_->lost) weight.parts.clear();
    }

    /// Running out of memory concerns one operation; any other failure ends the use of the device. Under workMutex.
    void noteFailure(VkResult result) {
        if (result == VK_SUCCESS || isOutOfMemory(result) || session_->lost) return;
        session_->lossReason = vk::resultName(result);
        session_->work->giveUp();
        session_->copies->giveUp();
        // What is under way uses buffers that are given up from now on.
        if (!context_.abandoned()) context_.functions().DeviceWaitIdle(context_.handle());
        context_.distrust();
        session_->lost = true;
    }

    /// Runs what may have to build a shader. A shader that can't be built is left to the CPU from then on.
    template <class Record>
    VkResult build(Operation operation, Record record) {
        if (unusable_[operation]) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
        try {
            if (context_.options().failShader == kOperationNames[operation])
                throw Error(ErrorCode::deviceUnavailable, "building a compute pipeline: refused for a test");
            return record();
        } catch (const Error&) {
            unusable_[operation] = true;
            return VK_ERROR_OUT_OF_DEVICE_MEMORY;
        }
    }

    /// The host gets what `operand` covers. Under workMutex. @throws DeviceLost.
    void fetch(const Operand& operand) {
        vk::Mirror* mirror = mirrors_.find(operand.data, operand.floats());
        if (!mirror) return;
        const vk::Interval range = intervalOf(*mirror, operand);
        if (!mirror->onlyDevice.overlaps(range)) return;
        bool touched = false;
        const VkResult result = session_->lost ? VK_ERROR_DEVICE_LOST : mirrors_.toHost(*mirror, range, touched);
        if (result == VK_SUCCESS) return;
        // Out of memory here is final, too: the values can't be had.
        if (isOutOfMemory(result)) noteFailure(VK_ERROR_DEVICE_LOST);
        noteFailure(result);
        const std::string what = fmt::format("{} failed with {}", context_.info().name, session_->lossReason);
        if (touched) throw Error(ErrorCode::deviceUnavailable, what, "start the work again with --device cpu");
        throw DeviceLost(ErrorCode::deviceUnavailable, what, "use --device cpu");
    }

    /// The host has written what `operand` covers. Under workMutex.
    void hostHas(const Operand& operand) {
        vk::Mirror* mirror = mirrors_.find(operand.data, operand.floats());
        if (!mirror) return;
        const vk::Interval range = intervalOf(*mirror, operand);
        if (session_->lost)
            mirror->onlyDevice = mirror->onlyDevice.without(range);
        else
            noteFailure(mirrors_.hostWrote(*mirror, range));
    }

    /// Runs an operation on the device when one of its operands lies there, or when `worthIt`; else, or when it does not fit,
    /// `onHost`. @throws DeviceLost.
    template <class Record, class OnHost>
    void run(Operation operation, std::initializer_list<Operand> operands, bool worthIt, Record record, OnHost onHost) {
        const bool empty = std::any_of(operands.begin(), operands.end(), [](const Operand& o) { return o.rows == 0 || o.cols == 0; });
        if (empty) return onHost();
        {
            const std::lock_guard lock(session_->workMutex);
            if (tryDevice(operation, operands, worthIt, record)) return static_cast<void>(++onDevice_[operation]);
            ++onCpu_[operation];
            for (const Operand& operand : operands) {
                const vk::Mirror* mirror = mirrors_.find(operand.data, operand.floats());
                const bool replaced = mirror && operand.stride == operand.cols && intervalOf(*mirror, operand).covers(mirror->onlyDevice);
                if (operand.reads || !replaced) fetch(operand);
            }
        }
        onHost();
        const std::lock_guard lock(session_->workMutex);
        for (const Operand& operand : operands)
            if (operand.writes) hostHas(operand);
    }

    template <class Record>
    bool tryDevice(Operation operation, std::initializer_list<Operand> operands, bool worthIt, Record record) {
        if (session_->lost || unusable_[operation]) return false;
        std::array<vk::Mirror*, 4> mirrors{};
        std::size_t n = 0;
        bool any = worthIt;
        for (const Operand& operand : operands) any |= (mirrors[n++] = mirrors_.find(operand.data, operand.floats())) != nullptr;
        if (!any) return false;
        // Memory that nobody lent is lent for this operation.
        std::vector<const float*> borrowed;
        VkResult result = VK_SUCCESS;
        const auto giveBack = [&] {
            for (const float* memory : borrowed) mirrors_.reclaim(memory);
        };
        n = 0;
        for (const Operand& operand : operands) {
            vk::Mirror*& mirror = mirrors[n++];
            if (mirror == nullptr) {
                mirror = mirrors_.find(operand.data, operand.floats()); // the same memory twice
                if (mirror == nullptr) {
                    result = mirrors_.lend({operand.data, operand.floats()});
                    if (result != VK_SUCCESS) break;
                    borrowed.push_back(operand.data);
                    mirror = mirrors_.find(operand.data, operand.floats());
                    result = mirrors_.hostWrote(*mirror, intervalOf(*mirror, operand));
                }
            }
            const vk::Interval range = intervalOf(*mirror, operand);
            // What is written whole need not be brought.
            if (!operand.reads && operand.stride == operand.cols && range.covers(mirror->onlyHost)) mirror->onlyHost = {};
            if (result = mirrors_.toDevice(*mirror, range); result != VK_SUCCESS) break;
        }
        std::array<vk::Located, 4> located{};
        n = 0;
        if (result == VK_SUCCESS) {
            for (const Operand& operand : operands) {
                const vk::Interval range = intervalOf(*mirrors[n], operand);
                located[n] = {mirrors[n]->buffer.handle(), range.begin, operand.rows, operand.cols, operand.stride};
                ++n;
            }
            const std::uint64_t before = session_->work->dispatches();
            result = build(operation, [&] { return record(std::span<const vk::Located>(located.data(), n)); });
            // Given up half-way: what it writes is neither what it was nor what it should be.
            if (isOutOfMemory(result) && session_->work->dispatches() != before) result = VK_ERROR_DEVICE_LOST;
        }
        if (result == VK_SUCCESS) {
            n = 0;
            for (const Operand& operand : operands) {
                if (operand.writes && result == VK_SUCCESS) result = mirrors_.written(*mirrors[n], intervalOf(*mirrors[n], operand));
                ++n;
            }
            bool touched = false;
            for (const float* memory : borrowed) {
                vk::Mirror* mirror = mirrors_.find(memory, 1);
                if (result == VK_SUCCESS) result = mirrors_.toHost(*mirror, mirror->onlyDevice, touched);
            }
            if (result != VK_SUCCESS && touched) {
                noteFailure(VK_ERROR_DEVICE_LOST);
                giveBack();
                throw Error(ErrorCode::deviceUnavailable, fmt::format("{} failed with {}", context_.info().name, vk::resultName(result)),
                            "start the work again with --device cpu");
            }
        }
        giveBack();
        noteFailure(result);
        return result == VK_SUCCESS;
    }

    /// Work on weights of the host, which it can do as well; what a failure leaves behind is written anew.
    template <class Record>
    bool roundHere(Record record) {
        const std::lock_guard lock(session_->workMutex);
        if (session_->lost) return false;
        const VkResult result = build(kRound, record);
        noteFailure(result);
        ++(result == VK_SUCCESS ? onDevice_ : onCpu_)[kRound];
        return result == VK_SUCCESS;
    }

    /// Under workMutex, as what an operation records.
    VkResult atLeast(vk::Buffer& buffer, std::uint64_t bytes) {
        if (buffer.bytes() >= bytes) return VK_SUCCESS;
        const VkResult result = session_->work->finish(); // the old one may be in use
        return result == VK_SUCCESS ? buffer.create(context_, bytes, vk::Placement::device) : result;
    }

    [[noreturn]] void wrong(const std::string& what) const {
        throw Error(ErrorCode::deviceUnavailable, fmt::format("{}: {}", context_.info().name, what),
                    session_->lost ? "update the driver or use --device cpu"
                                   : "update the driver, use --device cpu, or set BITWRIGHT_GPU_UNCHECKED=1 to use it all the same");
    }

    /// Small work of known results. @throws Error deviceUnavailable when it fails, or gives others and those are not to be trusted.
    void checkStart() {
        try {
            checkMultiply();
            checkHistogram();
        } catch (const Error& e) {
            if (!context_.options().trustWrongResults || session_->lost) throw;
            mistrust_ = e.message();
            for (auto* counts : {&onDevice_, &onCpu_})
                for (auto& count : *counts) count = 0;
        }
    }

    /// A ragged product of whole numbers, plain and accumulated, that must come out exactly.
    void checkMultiply() {
        constexpr std::int64_t T = 70, I = 37, O = 131;
        std::vector<float> x(T * I), w(O * I), y(T * O, 3.0f);
        for (std::int64_t t = 0; t < T; ++t)
            for (std::int64_t i = 0; i < I; ++i) x[static_cast<std::size_t>(t * I + i)] = knownValue(t, i, 0);
        for (std::int64_t o = 0; o < O; ++o)
            for (std::int64_t i = 0; i < I; ++i) w[static_cast<std::size_t>(o * I + i)] = knownValue(o, i, 4);
        const DeviceWeightPtr weight = prepare({w.data(), O, I});
        for (const bool accumulate : {false, true}) multiply({x.data(), T, I}, *weight, {y.data(), T, O}, accumulate);
        if (onDevice_[kMultiply] != 2)
            wrong(fmt::format("the test multiplication failed{}", session_->lost ? " with " + session_->lossReason : ""));
        onDevice_[kMultiply] = 0;
        if (context_.options().wrongResults) y[5] += 1;
        for (std::int64_t t = 0; t < T; ++t)
            for (std::int64_t o = 0; o < O; ++o) {
                float expected = 0;
                for (std::int64_t i = 0; i < I; ++i) expected += knownValue(t, i, 0) * knownValue(o, i, 4);
                const float got = y[static_cast<std::size_t>(t * O + o)];
                if (got != 2 * expected)
                    wrong(fmt::format("a test multiplication gave {} where {} is right", got, 2 * expected));
            }
    }

    /// Every bin, both ends and what has no bin must come out as on the CPU.
    void checkHistogram() {
        std::vector<float> x;
        for (int i = -40; i < 140; ++i) x.push_back(static_cast<float>(i) * 0.01f);
        for (const float special :
             {-0.0f, 1e-40f, -1e-40f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
            x.push_back(special);
        Histogram mine, right;
        mine.high = right.high = 1;
        mine.bins.resize(7);
        right.bins.resize(7);
        const VkResult result = histogram_.count(x, {}, mine);
        if (result != VK_SUCCESS) wrong("the test histogram failed with " + vk::resultName(result));
        cpu_->histogram(x, right);
        if (mine.bins != right.bins || mine.below != right.below || mine.above != right.above || mine.nan != right.nan ||
            mine.infinite != right.infinite)
            wrong("a test histogram came out wrong");
    }

    std::shared_ptr<Session> session_;
    vk::DeviceContext& context_;
    std::unique_ptr<Device> cpu_;
    vk::Mirrors mirrors_;
    vk::Gemm gemm_;
    vk::Operations operations_;
    vk::Observers observers_;
    vk::Rounding rounding_;
    vk::HistogramKernel histogram_;
    vk::Buffer targets_, scores_, ids_;
    std::string mistrust_; ///< which test it failed at start
    std::array<bool, kOperations> unusable_{}; ///< under workMutex, as all above
    std::array<std::atomic<std::uint64_t>, kOperations> onDevice_{}, onCpu_{};
};

} // namespace

std::vector<VulkanDeviceInfo> vulkanDevices(std::string* why, const std::string& library) {
    std::vector<VulkanDeviceInfo> all;
    try {
        VulkanOptions options;
        options.library = library;
        for (const vk::Candidate& candidate : vk::Instance(options).candidates()) all.push_back(candidate.info);
        if (all.empty() && why) *why = "no Vulkan device has a compute queue, Vulkan 1.2 and timeline semaphores";
    } catch (const Error& e) {
        if (why) *why = e.message();
    }
    return all;
}

std::unique_ptr<Device> makeVulkanDevice(int index, const VulkanOptions& options) {
    auto session = std::make_shared<Session>();
    session->instance = std::make_unique<vk::Instance>(options);
    const std::vector<vk::Candidate> candidates = session->instance->candidates();
    if (index < 0 || static_cast<std::size_t>(index) >= candidates.size())
        throw Error(ErrorCode::deviceUnavailable,
                    fmt::format("there is no device vulkan:{}; Vulkan devices found: {}", index, candidates.size()),
                    "use --device cpu or a number below that");
    const vk::Candidate& chosen = candidates[static_cast<std::size_t>(index)];
    if (chosen.properties.limits.maxComputeWorkGroupInvocations < 256)
        throw Error(ErrorCode::deviceUnavailable, chosen.info.name + " runs fewer than 256 threads a workgroup",
                    "use --device cpu");
    if (chosen.info.memoryBytes == 0)
        throw Error(ErrorCode::deviceUnavailable, chosen.info.name + " reports no memory of its own", "update the driver or use --device cpu");
    session->context = std::make_unique<vk::DeviceContext>(chosen, session->instance->functions(), options);
    session->work = std::make_unique<vk::Stream>(*session->context, vk::QueueUse::work);
    session->copies = std::make_unique<vk::Stream>(*session->context, vk::QueueUse::copies);
    return std::make_unique<VulkanDevice>(std::move(session));
}

} // namespace bw
