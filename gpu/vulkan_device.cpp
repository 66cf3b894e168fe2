// SPDX-License-Identifier: GPL-3.0-or-later
// The Device on Vulkan: multiplications and histograms go to the kernels, all else to the CPU device inside. When the
// device fails, the work goes on there from where it stopped, and stays there.
#include "gpu/vulkan_device.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "gpu/gemm.h"
#include "gpu/histogram.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <fmt/format.h>
#include <limits>
#include <mutex>

namespace bw {
namespace {

/// Instance and device; shared, because weights may outlive the Device that prepared them.
struct Session {
    std::unique_ptr<vk::Instance> instance;
    std::unique_ptr<vk::DeviceContext> context;

    ~Session() {
        const bool abandoned = context && context->abandoned();
        context.reset();
        // A hung device still uses the instance, so both are left to the end of the process.
        if (abandoned) static_cast<void>(instance.release());
    }
};

class VulkanWeight final : public DeviceWeight {
public:
    VulkanWeight(std::shared_ptr<Session> owner, DeviceWeightPtr fallback)
        : session(std::move(owner)), cpu(std::move(fallback)) {
        rows = cpu->rows;
        cols = cpu->cols;
        values = cpu->values;
    }
    std::shared_ptr<Session> session; ///< before the parts, so that it goes after them
    DeviceWeightPtr cpu;
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
    kMultiply, kNorm, kRope, kAttention, kActivation, kAdd, kSoftCap, kHistogram, kReverse, kOperations
};
constexpr std::array<const char*, kOperations> kOperationNames{
    "multiply", "norm", "rope", "attention", "activation", "add", "softCap", "histogram", "reverse"};

class VulkanDevice final : public Device {
public:
    VulkanDevice(std::shared_ptr<Session> session, const VulkanOptions& options)
        : session_(std::move(session)), cpu_(makeCpuDevice()), runner_(*session_->context, options.loseAfterSubmits),
          gemm_(*session_->context, runner_, bindingLimit(options), gemmShader(options)),
          histogram_(*session_->context, runner_, bindingLimit(options)) {
        checkMultiply();
        checkHistogram();
    }

    std::string name() const override { return fmt::format("vulkan:{}", session_->context->info().index); }
    std::string description() const override {
        const VulkanDeviceInfo& info = session_->context->info();
        std::string text = fmt::format("{} (Vulkan {})", info.name, info.apiVersion);
        const std::lock_guard lock(mutex_);
        if (lost_) text += fmt::format("; failed with {}, since then on the CPU", lossReason_);
        return text;
    }
    std::map<std::string, Counts> operationCounts() const override {
        std::map<std::string, Counts> all;
        for (std::size_t i = 0; i < kOperations; ++i)
            if (onDevice_[i] + onCpu_[i] > 0) all[kOperationNames[i]] = {onDevice_[i], onCpu_[i]};
        return all;
    }

    DeviceWeightPtr prepare(MatrixView<const float> weight) override {
        auto prepared = std::make_shared<VulkanWeight>(session_, cpu_->prepare(weight));
        const std::lock_guard lock(mutex_);
        if (lost_) return prepared;
        const VkResult result = gemm_.upload(weight, prepared->parts);
        if (result != VK_SUCCESS) prepared->parts.clear();
        noteFailure(result);
        return prepared;
    }

    void multiply(MatrixView<const float> x, const DeviceWeight& w, MatrixView<float> y, bool accumulate) override {
        const auto& weight = dynamic_cast<const VulkanWeight&>(w);
        if (x.empty() || y.empty()) return cpu_->multiply(x, *weight.cpu, y, accumulate);
        std::int64_t done = 0;
        if (!weight.parts.empty()) {
            const std::lock_guard lock(mutex_);
            if (!lost_) noteFailure(gemm_.multiply(x, weight.parts, y, accumulate, done));
        }
        count(kMultiply, done == x.rows);
        if (done < x.rows)
            cpu_->multiply(x.middleRows(done, x.rows - done), *weight.cpu, y.middleRows(done, x.rows - done),
                           accumulate);
    }

    void histogram(std::span<const float> x, Histogram& into) override {
        std::size_t done = 0;
        if (vk::HistogramKernel::takes(into)) {
            const std::lock_guard lock(mutex_);
            if (!lost_) noteFailure(histogram_.count(x, into, done));
        }
        count(kHistogram, done == x.size());
        if (done < x.size()) cpu_->histogram(x.subspan(done), into);
    }

    void rmsNorm(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                 MatrixView<float> y) override {
        count(kNorm, false);
        cpu_->rmsNorm(x, weight, epsilon, y);
    }
    void layerNorm(MatrixView<const float> x, std::span<const float> weight, std::span<const float> bias, float epsilon,
                   MatrixView<float> y) override {
        count(kNorm, false);
        cpu_->layerNorm(x, weight, bias, epsilon, y);
    }
    void rope(MatrixView<float> x, const RopeShape& shape, std::int64_t position0) override {
        count(kRope, false);
        cpu_->rope(x, shape, position0);
    }
    void attention(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                   const AttentionShape& shape, MatrixView<float> out) override {
        count(kAttention, false);
        cpu_->attention(q, k, v, shape, out);
    }
    void activateMultiply(Activation f, MatrixView<float> gate, MatrixView<const float> up) override {
        count(kActivation, false);
        cpu_->activateMultiply(f, gate, up);
    }
    void activate(Activation f, MatrixView<float> x) override {
        count(kActivation, false);
        cpu_->activate(f, x);
    }
    void add(MatrixView<float> x, MatrixView<const float> y) override {
        count(kAdd, false);
        cpu_->add(x, y);
    }
    void addBias(MatrixView<float> x, std::span<const float> bias) override {
        count(kAdd, false);
        cpu_->addBias(x, bias);
    }
    void softCap(MatrixView<float> x, float cap) override {
        count(kSoftCap, false);
        cpu_->softCap(x, cap);
    }

    void multiplyBack(MatrixView<const float> dy, const DeviceWeight& w, MatrixView<float> dx, bool accumulate) override {
        count(kReverse, false);
        cpu_->multiplyBack(dy, w, dx, accumulate);
    }
    void rmsNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                     MatrixView<const float> dy, MatrixView<float> dx, bool accumulate) override {
        count(kReverse, false);
        cpu_->rmsNormBack(x, weight, epsilon, dy, dx, accumulate);
    }
    void layerNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                       MatrixView<const float> dy, MatrixView<float> dx, bool accumulate) override {
        count(kReverse, false);
        cpu_->layerNormBack(x, weight, epsilon, dy, dx, accumulate);
    }
    void attentionBack(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                       const AttentionShape& shape, std::int64_t windowLength, MatrixView<const float> dOut,
                       MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv) override {
        count(kReverse, false);
        cpu_->attentionBack(q, k, v, shape, windowLength, dOut, dq, dk, dv);
    }
    void activateMultiplyBack(Activation f, MatrixView<const float> gate, MatrixView<const float> up,
                              MatrixView<const float> dHidden, MatrixView<float> dGate,
                              MatrixView<float> dUp) override {
        count(kReverse, false);
        cpu_->activateMultiplyBack(f, gate, up, dHidden, dGate, dUp);
    }
    void activateBack(Activation f, MatrixView<const float> x, MatrixView<float> d) override {
        count(kReverse, false);
        cpu_->activateBack(f, x, d);
    }
    void softCapBack(MatrixView<const float> y, float cap, MatrixView<float> d) override {
        count(kReverse, false);
        cpu_->softCapBack(y, cap, d);
    }

private:
    std::uint64_t bindingLimit(const VulkanOptions& options) const {
        const std::uint64_t limit = session_->context->limits().maxStorageBufferRange;
        return options.bindingBytes > 0 ? std::min(limit, options.bindingBytes) : limit;
    }
    vk::GemmKernel::Shader gemmShader(const VulkanOptions& options) const {
        const bool software = session_->context->info().type == "cpu";
        return software && !options.sharedMemoryGemm ? vk::GemmKernel::Shader::direct : vk::GemmKernel::Shader::shared;
    }
    void count(Operation operation, bool onDevice) { ++(onDevice ? onDevice_ : onCpu_)[operation]; }
    /// Running out of memory concerns one operation; any other failure ends the use of the device. Under mutex_.
    void noteFailure(VkResult result) {
        if (result == VK_SUCCESS || isOutOfMemory(result)) return;
        lost_ = true;
        lossReason_ = vk::resultName(result);
    }
    [[noreturn]] void wrong(const std::string& what) const {
        throw Error(ErrorCode::deviceUnavailable, fmt::format("{}: {}", session_->context->info().name, what),
                    "update the driver or use --device cpu");
    }

    /// A ragged product of whole numbers, plain and accumulated, that must come out exactly.
    void checkMultiply() {
        constexpr std::int64_t T = 70, I = 37, O = 131;
        std::vector<float> x(T * I), w(O * I), y(T * O, 3.0f);
        for (std::int64_t t = 0; t < T; ++t)
            for (std::int64_t i = 0; i < I; ++i) x[static_cast<std::size_t>(t * I + i)] = knownValue(t, i, 0);
        for (std::int64_t o = 0; o < O; ++o)
            for (std::int64_t i = 0; i < I; ++i) w[static_cast<std::size_t>(o * I + i)] = knownValue(o, i, 4);
        std::vector<vk::WeightPart> parts;
        VkResult result = gemm_.upload({w.data(), O, I}, parts);
        std::int64_t done = 0;
        for (const bool accumulate : {false, true})
            if (result == VK_SUCCESS)
                result = gemm_.multiply({x.data(), T, I}, parts, {y.data(), T, O}, accumulate, done);
        if (result != VK_SUCCESS) wrong("the test multiplication failed with " + vk::resultName(result));
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
        std::size_t done = 0;
        const VkResult result = histogram_.count(x, mine, done);
        if (result != VK_SUCCESS) wrong("the test histogram failed with " + vk::resultName(result));
        cpu_->histogram(x, right);
        if (mine.bins != right.bins || mine.below != right.below || mine.above != right.above ||
            mine.nan != right.nan || mine.infinite != right.infinite)
            wrong("a test histogram came out wrong");
    }

    std::shared_ptr<Session> session_;
    std::unique_ptr<Device> cpu_;
    mutable std::mutex mutex_; ///< for all below up to lossReason_
    vk::CommandRunner runner_;
    vk::GemmKernel gemm_;
    vk::HistogramKernel histogram_;
    bool lost_ = false;
    std::string lossReason_;
    std::array<std::atomic<std::uint64_t>, kOperations> onDevice_{}, onCpu_{};
};

} // namespace

std::vector<VulkanDeviceInfo> vulkanDevices(std::string* why, const std::string& library) {
    std::vector<VulkanDeviceInfo> all;
    try {
        VulkanOptions options;
        options.library = library;
        for (const vk::Candidate& candidate : vk::Instance(options).candidates()) all.push_back(candidate.info);
        if (all.empty() && why) *why = "no Vulkan device has a compute queue and Vulkan 1.1";
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
    session->context = std::make_unique<vk::DeviceContext>(chosen, session->instance->functions());
    return std::make_unique<VulkanDevice>(std::move(session), options);
}

} // namespace bw
