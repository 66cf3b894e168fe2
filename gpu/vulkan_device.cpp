// SPDX-License-Identifier: GPL-3.0-or-later
// The Device on Vulkan: what each operation is given. What can't run on the device runs on the CPU device
// inside; when the device fails, all work goes on there, and stays there.
#include "gpu/vulkan_device.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "gpu/byte_product.h"
#include "gpu/histogram.h"
#include "gpu/observe.h"
#include "gpu/operations.h"
#include "gpu/rounding.h"
#include "gpu/runner.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <mutex>

namespace bw {
namespace {

/// Small whole numbers, whose sums are exact in any order.
float knownValue(std::int64_t row, std::int64_t col, std::int64_t salt) {
    return static_cast<float>((row * 7 + col * 3 + salt) % 11 - 5);
}

class VulkanDevice final : public Device {
public:
    explicit VulkanDevice(std::shared_ptr<vk::Session> session)
        : session_(std::move(session)), context_(*session_->context), cpu_(makeCpuDevice()), runner_(session_),
          gemm_(context_, *session_->work, gemmShader()), bytes_(context_, *session_->work), operations_(context_, *session_->work),
          observers_(context_, *session_->work), rounding_(context_, *session_->work), histogram_(context_, *session_->work) {
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
        if (bytesWrong_) text += "; without products of bytes, which came out wrong";
        if (const std::string why = failure(); !why.empty()) text += "; " + why;
        return text;
    }
    std::string failure() const override {
        const std::lock_guard lock(session_->workMutex);
        return session_->lost ? fmt::format("failed with {}, since then on the CPU", session_->lossReason) : std::string();
    }
    std::map<std::string, Counts> operationCounts() const override { return runner_.counts(); }
    std::uint64_t bytesToHost() const override { return runner_.bytesToHost(); }

    bool keepsResults() const override { return !session_->lost; }
    std::uint64_t activationBytes() const override {
        // Half of the memory is for the weights of two blocks; of the rest, the pool keeps a second set of buffers.
        return std::clamp<std::uint64_t>(context_.budget() / 8, 1u << 20, 256ull << 20);
    }
    void lend(std::span<float> memory) override { runner_.lend(memory); }
    void reclaim(std::span<float> memory) override { runner_.reclaim(memory); }
    void toHost(MatrixView<const float> values) override { runner_.toHost(values); }
    void hostWrote(MatrixView<const float> values) override { runner_.hostWrote(values); }

    DeviceWeightPtr prepare(MatrixView<const float> weight) override {
        auto prepared = std::make_shared<vk::VulkanWeight>(session_, cpu_->prepare(weight));
        prepared->load([&] { return vk::Gemm::upload(context_, *session_->copies, weight, prepared->parts); });
        return prepared;
    }
    DeviceWeightPtr prepareStored(const StoredWeight& weight, std::function<Matrix()> decode) override {
        auto prepared = std::make_shared<vk::VulkanWeight>(session_, weight, std::move(decode));
        prepared->load([&] { return vk::Gemm::upload(context_, *session_->copies, weight, prepared->parts); });
        return prepared;
    }

    void multiply(MatrixView<const float> x, const DeviceWeight& w, MatrixView<float> y, bool accumulate) override {
        const auto& weight = dynamic_cast<const vk::VulkanWeight&>(w);
        const vk::Operand in = vk::reads(x), out = accumulate ? vk::changes(y) : vk::writes(y);
        runner_.run(vk::kMultiply, {in, out}, !weight.parts.empty(), [&](std::span<const vk::Located> at) {
            session_->work->after(*session_->copies, weight.copied);
            const VkResult result = gemm_.multiply(at[0], weight.parts, weight.storage, at[1], accumulate);
            weight.used = session_->work->end();
            return result;
        }, [&] { cpu_->multiply(x, weight.onCpu(*cpu_), y, accumulate); });
    }

    void multiplyBytes(MatrixView<const float> x, const DeviceWeight& w, MatrixView<float> y, bool accumulate) override {
        const auto& weight = dynamic_cast<const vk::VulkanWeight&>(w);
        if (!weight.bytes || x.rows < vk::ByteProduct::kFewestRows) return multiply(x, w, y, accumulate);
        std::call_once(bytesChecked_, [&] { checkBytes(); });
        if (bytesWrong_) return multiply(x, w, y, accumulate);
        multiplyCodes(x, weight, y, accumulate);
    }
    bool roundToBytes(MatrixView<float> x) override {
        bool done = true;
        runner_.run(vk::kBytes, {vk::changes(x)}, false, [&](std::span<const vk::Located> at) { return bytes_.round(at[0]); }, [&] { done = false; });
        return done;
    }

    void histogram(std::span<const float> x, Histogram& into) override {
        if (x.empty()) return;
        const vk::Operand in = vk::reads({x.data(), 1, static_cast<std::int64_t>(x.size())});
        {
            const std::lock_guard lock(session_->workMutex);
            vk::Mirror* mirror = runner_.mirrors().find(in.data, in.floats());
            if (!session_->lost && vk::HistogramKernel::takes(into)) {
                vk::Slice where;
                VkResult result = VK_SUCCESS;
                if (mirror) {
                    const vk::Interval range = vk::intervalOf(*mirror, in);
                    where = {mirror->buffer.handle(), range.begin * sizeof(float), x.size_bytes()};
                    result = runner_.mirrors().toDevice(*mirror, range);
                }
                if (result == VK_SUCCESS) result = runner_.build(vk::kHistogram, [&] { return histogram_.count(x, where, into); });
                session_->noteFailure(result);
                if (result == VK_SUCCESS) return runner_.count(vk::kHistogram, true);
            }
            runner_.count(vk::kHistogram, false);
            runner_.fetch(in);
        }
        cpu_->histogram(x, into);
    }

    void rmsNorm(MatrixView<const float> x, std::span<const float> weight, float epsilon, MatrixView<float> y) override {
        runner_.run(vk::kNorm, {vk::reads(x), vk::writes(y)}, false,
            [&](std::span<const vk::Located> at) { return operations_.norm(at[0], weight, {}, false, epsilon, at[1]); },
            [&] { cpu_->rmsNorm(x, weight, epsilon, y); });
    }
    void layerNorm(MatrixView<const float> x, std::span<const float> weight, std::span<const float> bias, float epsilon,
                   MatrixView<float> y) override {
        runner_.run(vk::kNorm, {vk::reads(x), vk::writes(y)}, false,
            [&](std::span<const vk::Located> at) { return operations_.norm(at[0], weight, bias, true, epsilon, at[1]); },
            [&] { cpu_->layerNorm(x, weight, bias, epsilon, y); });
    }
    void rope(MatrixView<float> x, const RopeShape& shape, std::int64_t position0) override {
        runner_.run(vk::kRope, {vk::changes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.rope(at[0], shape, position0); },
            [&] { cpu_->rope(x, shape, position0); });
    }
    void attention(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v, const AttentionShape& shape,
                   MatrixView<float> out) override {
        runner_.run(vk::kAttention, {vk::reads(q), vk::reads(k), vk::reads(v), vk::writes(out)}, false,
            [&](std::span<const vk::Located> at) { return operations_.attention(at[0], at[1], at[2], shape, at[3]); },
            [&] { cpu_->attention(q, k, v, shape, out); });
    }
    void activateMultiply(Activation f, MatrixView<float> gate, MatrixView<const float> up) override {
        runner_.run(vk::kActivation, {vk::changes(gate), vk::reads(up)}, false,
            [&](std::span<const vk::Located> at) { return operations_.map(vk::mapOf(f), at[0], &at[1]); },
            [&] { cpu_->activateMultiply(f, gate, up); });
    }
    void activate(Activation f, MatrixView<float> x) override {
        runner_.run(vk::kActivation, {vk::changes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::mapOf(f), at[0], nullptr); },
            [&] { cpu_->activate(f, x); });
    }
    void add(MatrixView<float> x, MatrixView<const float> y) override {
        runner_.run(vk::kAdd, {vk::changes(x), vk::reads(y)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::Map::add, at[0], &at[1]); },
            [&] { cpu_->add(x, y); });
    }
    void addBias(MatrixView<float> x, std::span<const float> bias) override {
        runner_.run(vk::kAdd, {vk::changes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.addRow(at[0], bias); },
            [&] { cpu_->addBias(x, bias); });
    }
    void softCap(MatrixView<float> x, float cap) override {
        runner_.run(vk::kSoftCap, {vk::changes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::Map::softCap, at[0], nullptr, cap); },
            [&] { cpu_->softCap(x, cap); });
    }
    void copy(MatrixView<const float> x, MatrixView<float> y) override {
        runner_.run(vk::kCopy, {vk::writes(y), vk::reads(x)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::Map::copy, at[0], &at[1]); },
            [&] { cpu_->copy(x, y); });
    }
    void fill(MatrixView<float> x, float value) override {
        runner_.run(vk::kCopy, {vk::writes(x)}, false, [&](std::span<const vk::Located> at) { return operations_.map(vk::Map::fill, at[0], nullptr, value); },
            [&] { cpu_->fill(x, value); });
    }

    void scoreRows(MatrixView<const float> logits, std::span<const std::int32_t> targets, std::span<RowScore> out) override {
        constexpr auto kWords = static_cast<std::size_t>(vk::Operations::kScoreWords);
        std::vector<std::uint32_t> words(targets.size() * kWords);
        bool made = false;
        runner_.run(vk::kScore, {vk::reads(logits)}, false, [&](std::span<const vk::Located> at) {
            VkResult result = runner_.atLeast(targets_, targets.size_bytes());
            if (result == VK_SUCCESS) result = runner_.atLeast(scores_, words.size() * sizeof(std::uint32_t));
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
    void valuesAt(MatrixView<const float> logits, std::span<const std::int32_t> columns, MatrixView<float> out) override {
        runner_.run(vk::kScore, {vk::reads(logits)}, false, [&](std::span<const vk::Located> at) {
            VkResult result = runner_.atLeast(targets_, columns.size_bytes());
            if (result == VK_SUCCESS) result = runner_.atLeast(scores_, columns.size_bytes());
            const vk::Slice wanted{targets_.handle(), 0, columns.size_bytes()}, where{scores_.handle(), 0, columns.size_bytes()};
            if (result == VK_SUCCESS) result = session_->work->upload(std::as_bytes(columns), wanted);
            if (result == VK_SUCCESS) result = operations_.pick(at[0], out.cols, wanted, where);
            bool touched = false;
            return result == VK_SUCCESS ? session_->work->download(where, std::as_writable_bytes(std::span(out.data, columns.size())), touched) : result;
        }, [&] { cpu_->valuesAt(logits, columns, out); });
    }
    void divergeRows(MatrixView<const float> base, MatrixView<const float> other, std::span<double> out) override {
        constexpr auto kWords = static_cast<std::size_t>(vk::Operations::kDivergenceWords);
        std::vector<float> sums(out.size() * kWords);
        bool made = false;
        runner_.run(vk::kScore, {vk::reads(base), vk::reads(other)}, false, [&](std::span<const vk::Located> at) {
            VkResult result = runner_.atLeast(scores_, sums.size() * sizeof(float));
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
        runner_.run(vk::kGram, {vk::reads(x), vk::writes(product.view())}, true,
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
        runner_.run(vk::kObserve, {vk::reads(x)}, false, [&](std::span<const vk::Located> at) { return observers_.inputSums(at[0], out); },
            [&] { cpu_->inputSums(x, out); });
    }
    void logHistograms(MatrixView<const float> x, std::span<const std::int32_t> least, std::int32_t side, std::span<std::uint32_t> counts) override {
        runner_.run(vk::kObserve, {vk::reads(x)}, false, [&](std::span<const vk::Located> at) { return observers_.logHistograms(at[0], least, side, counts); },
            [&] { cpu_->logHistograms(x, least, side, counts); });
    }
    void rowsOf(const DeviceWeight& w, std::span<const std::int32_t> rows, MatrixView<float> y) override {
        const auto& weight = dynamic_cast<const vk::VulkanWeight&>(w);
        runner_.run(vk::kLookUp, {vk::writes(y)}, false, [&](std::span<const vk::Located> at) {
            if (weight.parts.empty()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
            VkResult result = runner_.atLeast(ids_, rows.size_bytes());
            const vk::Slice ids{ids_.handle(), 0, rows.size_bytes()};
            if (result == VK_SUCCESS) result = session_->work->upload(std::as_bytes(rows), ids);
            session_->work->after(*session_->copies, weight.copied);
            if (result == VK_SUCCESS) result = gemm_.rows(weight.parts, weight.storage, ids, at[0]);
            weight.used = session_->work->end();
            return result;
        }, [&] { cpu_->rowsOf(weight.onCpu(*cpu_), rows, y); });
    }

    bool extremes(MatrixView<const float> w, std::int64_t group, std::span<Extremes> out) override {
        return runner_.runOwn(vk::kRound, [&] { return rounding_.extremes(w, group, out); });
    }
    bool roundToGrid(MatrixView<const float> w, const RoundingGrid& grid, std::span<std::uint8_t> codes, std::span<double> errors) override {
        return runner_.runOwn(vk::kRound, [&] { return rounding_.roundToGrid(w, grid, codes, errors); });
    }

    void multiplyBack(MatrixView<const float> dy, const DeviceWeight& w, MatrixView<float> dx, bool accumulate) override {
        runner_.count(vk::kReverse, false);
        cpu_->multiplyBack(dy, dynamic_cast<const vk::VulkanWeight&>(w).onCpu(*cpu_), dx, accumulate);
    }
    void rmsNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                     MatrixView<const float> dy, MatrixView<float> dx, bool accumulate) override {
        runner_.count(vk::kReverse, false);
        cpu_->rmsNormBack(x, weight, epsilon, dy, dx, accumulate);
    }
    void layerNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                       MatrixView<const float> dy, MatrixView<float> dx, bool accumulate) override {
        runner_.count(vk::kReverse, false);
        cpu_->layerNormBack(x, weight, epsilon, dy, dx, accumulate);
    }
    void attentionBack(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                       const AttentionShape& shape, std::int64_t windowLength, MatrixView<const float> dOut,
                       MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv) override {
        runner_.count(vk::kReverse, false);
        cpu_->attentionBack(q, k, v, shape, windowLength, dOut, dq, dk, dv);
    }
    void activateMultiplyBack(Activation f, MatrixView<const float> gate, MatrixView<const float> up,
                              MatrixView<const float> dHidden, MatrixView<float> dGate,
                              MatrixView<float> dUp) override {
        runner_.count(vk::kReverse, false);
        cpu_->activateMultiplyBack(f, gate, up, dHidden, dGate, dUp);
    }
    void activateBack(Activation f, MatrixView<const float> x, MatrixView<float> d) override {
        runner_.count(vk::kReverse, false);
        cpu_->activateBack(f, x, d);
    }
    void softCapBack(MatrixView<const float> y, float cap, MatrixView<float> d) override {
        runner_.count(vk::kReverse, false);
        cpu_->softCapBack(y, cap, d);
    }

private:
    vk::Gemm::Shader gemmShader() const {
        const bool software = context_.info().type == "cpu";
        return software && !context_.options().sharedMemoryGemm ? vk::Gemm::Shader::direct : vk::Gemm::Shader::shared;
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
            runner_.forgetCounts();
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
        if (runner_.countOnDevice(vk::kMultiply) != 2)
            wrong(fmt::format("the test multiplication failed{}", session_->lost ? " with " + session_->lossReason : ""));
        runner_.forgetCounts();
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

    void multiplyCodes(MatrixView<const float> x, const vk::VulkanWeight& weight, MatrixView<float> y, bool accumulate) {
        runner_.run(vk::kBytes, {vk::reads(x), accumulate ? vk::changes(y) : vk::writes(y)}, !weight.parts.empty(), [&](std::span<const vk::Located> at) {
            if (weight.parts.empty()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
            session_->work->after(*session_->copies, weight.copied);
            const VkResult result = bytes_.multiply(at[0], weight.parts, at[1], accumulate);
            weight.used = session_->work->end();
            return result;
        }, [&] { cpu_->multiply(x, weight.onCpu(*cpu_), y, accumulate); });
    }

    /// A product of codes with a scale of 1, so that sums come out as they are.
    void checkBytes() {
        constexpr std::int64_t T = 9, I = 68, O = 5;
        constexpr std::int64_t kRowWords = 3 + I / 4;
        std::vector<float> x(T * I), y(T * O);
        std::vector<std::uint32_t> words(O * kRowWords);
        const auto input = [](std::int64_t t, std::int64_t i) { return i == 0 ? 127 : (t * 37 + i * 11) % 255 - 127; };
        const auto code = [](std::int64_t o, std::int64_t i) { return (o * 91 + i * 29) % 256; };
        for (std::int64_t t = 0; t < T; ++t)
            for (std::int64_t i = 0; i < I; ++i) x[static_cast<std::size_t>(t * I + i)] = static_cast<float>(input(t, i));
        for (std::int64_t o = 0; o < O; ++o) {
            std::uint32_t* row = words.data() + o * kRowWords;
            row[0] = static_cast<std::uint32_t>(I);
            row[1] = std::bit_cast<std::uint32_t>(1.0f);
            row[2] = std::bit_cast<std::uint32_t>(128.0f);
            for (std::int64_t i = 0; i < I; ++i) row[3 + i / 4] |= static_cast<std::uint32_t>(code(o, i)) << (i % 4 * 8);
        }
        const Device::Counts before = runner_.countsOf(vk::kBytes);
        const DeviceWeightPtr weight = prepareStored({WeightStorage::int8, O, I, std::as_bytes(std::span(words))}, [&] {
            Matrix values(O, I);
            for (std::int64_t o = 0; o < O; ++o)
                for (std::int64_t i = 0; i < I; ++i) values.row(o)[i] = static_cast<float>(code(o, i) - 128);
            return values;
        });
        multiplyCodes({x.data(), T, I}, dynamic_cast<const vk::VulkanWeight&>(*weight), {y.data(), T, O}, false);
        runner_.setCounts(vk::kBytes, before);
        if (context_.options().wrongByteProducts) y[3] += 1;
        for (std::int64_t t = 0; t < T; ++t)
            for (std::int64_t o = 0; o < O; ++o) {
                std::int64_t sum = 0;
                for (std::int64_t i = 0; i < I; ++i) sum += input(t, i) * (code(o, i) - 128);
                if (y[static_cast<std::size_t>(t * O + o)] != static_cast<float>(sum)) bytesWrong_ = true;
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

    std::shared_ptr<vk::Session> session_;
    vk::DeviceContext& context_;
    std::unique_ptr<Device> cpu_;
    vk::Runner runner_;
    vk::Gemm gemm_;
    vk::ByteProduct bytes_;
    vk::Operations operations_;
    vk::Observers observers_;
    vk::Rounding rounding_;
    vk::HistogramKernel histogram_;
    vk::Buffer targets_, scores_, ids_;
    std::once_flag bytesChecked_;
    std::atomic<bool> bytesWrong_{false};
    std::string mistrust_; ///< which test it failed at start
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
    auto session = std::make_shared<vk::Session>();
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
