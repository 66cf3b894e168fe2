// SPDX-License-Identifier: GPL-3.0-or-later
// The audit of a written file. It goes through the same reader that any later use goes through.
#include "core/quantize/audit.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/compute/cpu_device.h"
#include "core/format/affine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>

namespace bw {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kChunkWeights = 1 << 22; ///< decoded twice in well under 100 ms, 32 MiB of floats
constexpr double kTolerance = 1e-6;             ///< nats per token; both sides run the same kernels on the same bits
constexpr std::int64_t kLogitFloats = 1 << 24;  ///< kept of the simulation: 64 MiB, 512 tokens of the common 32 k words
constexpr std::size_t kMostMismatches = 50;     ///< enough to see the pattern

/// The file's own weights, with inputs and cache rounded as in the simulation.
class RoundingOnly final : public WeightSource {
public:
    explicit RoundingOnly(std::shared_ptr<const RuntimeRounding> rounding) : rounding_(std::move(rounding)) {}
    void apply(const Site&, MatrixView<float>) const override {}
    bool replaces(const Site&) const override { return false; }
    std::shared_ptr<const RuntimeRounding> rounding() const override { return rounding_; }

private:
    std::shared_ptr<const RuntimeRounding> rounding_;
};

/// KL(p‖q) of two rows of logits, in nats.
double divergenceOf(std::span<const float> p, std::span<const float> q) {
    const double normP = logSumExp(p), normQ = logSumExp(q);
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        const double logP = static_cast<double>(p[i]) - normP;
        sum += std::exp(logP) * (logP - (static_cast<double>(q[i]) - normQ));
    }
    return sum;
}

class Audit {
public:
    Audit(const Model& model, const QuantizedModel& quantized, const ExportLayout& layout, const PartDigests& digests, JobContext& job)
        : model_(model), quantized_(quantized), layout_(layout), digests_(digests), job_(job) {}

    AuditReport run(const std::string& path, const Windows& windows) {
        try {
            const std::shared_ptr<const Checkpoint> written = Checkpoint::open(path);
            checkTensors(*written);
            if (layout_.kind == ExportKind::safetensors) checkFolder(*written);
            if (windows.count > 0 && windows.length > 1 && report_.mismatches.empty()) checkEvaluation(written, windows);
        } catch (const Error& e) {
            if (e.code() == ErrorCode::cancelled) throw;
            mismatch("the written file is refused by the reader: " + e.oneLine());
        }
        report_.ok = report_.mismatches.empty();
        return std::move(report_);
    }

private:
    void mismatch(std::string text) {
        if (report_.mismatches.size() < kMostMismatches) report_.mismatches.push_back(std::move(text));
    }

    void checkTensors(const Checkpoint& written) {
        std::int64_t values = 0;
        std::size_t expected = 0;
        for (const ExportTensor& t : layout_.tensors) {
            values += t.elements;
            expected += t.fused ? t.pieces.size() : 1; // a fused stack is read as its slices
        }
        job_.beginStage("audit", values, "weights");
        if (written.tensors().size() != expected) mismatch(fmt::format("{} tensors planned, {} found", expected, written.tensors().size()));
        for (const ExportTensor& t : layout_.tensors) {
            job_.checkpoint();
            checkTensor(t, written);
        }
    }

    void checkTensor(const ExportTensor& t, const Checkpoint& written) {
        std::uint64_t bytes = 0;
        bool sound = true;
        for (const TensorInfo* found : foundFor(t, written)) {
            if (found == nullptr) return mismatch(t.planned.name + ": not in the file");
            sound = sound && checkDirectory(t, *found);
            bytes += found->bytes;
        }
        ++report_.tensorsChecked;
        if (!sound) return;
        if (bytes != t.planned.bytes) return mismatch(fmt::format("{}: planned {} bytes, found {}", t.planned.name, t.planned.bytes, bytes));
        if (t.pieces.empty()) return checkComputed(t, written);
        std::int64_t row = 0; // of the stack
        for (const ExportPiece& piece : t.pieces) {
            const TensorInfo* found = t.fused ? written.find(piece.source->canonical) : foundFor(t, written).front();
            if (!checkValues(t, piece, written, *found, t.fused ? 0 : row)) return;
            row += piece.rows;
        }
    }

    /// The tensors of the reopened file that the planned one became: one, or the slices of a fused stack.
    static std::vector<const TensorInfo*> foundFor(const ExportTensor& t, const Checkpoint& written) {
        if (t.fused) {
            std::vector<const TensorInfo*> slices;
            for (const ExportPiece& piece : t.pieces) slices.push_back(written.find(piece.source->canonical));
            return slices;
        }
        const TensorInfo* found = written.find(t.planned.name);
        return {found == nullptr && t.source ? written.find(t.source->canonical) : found};
    }

    static bool holds(const std::string& folder, const std::string& name, const std::string& text) {
        const fs::path path = fs::path(folder) / name;
        if (!fs::is_regular_file(path)) return false;
        const MappedFile file(path.string());
        return std::ranges::equal(file.bytes(), std::as_bytes(std::span(text)));
    }

    /// The configuration, and the files that came along (tokenizer, templates): byte for byte the source's.
    void checkFolder(const Checkpoint& written) {
        if (written.configJson() != layout_.config) mismatch("config.json is not the planned one");
        for (const std::string& name : differingParts(written.folder(), digests_, job_)) mismatch(name + ": its bytes are not those that were written");
        for (const auto& [name, text] : layout_.furtherFiles)
            if (!holds(written.folder(), name, text)) mismatch(name + " is not the planned one");
        const fs::path from = model_.checkpoint().folder();
        for (const fs::directory_entry& entry : fs::directory_iterator(written.folder())) {
            job_.checkpoint();
            const std::string name = entry.path().filename().string();
            const bool own = name == "config.json" || layout_.furtherFiles.contains(name) || name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
            if (own || !fs::is_regular_file(from / name)) continue;
            const MappedFile a((from / name).string()), b(entry.path().string());
            if (!std::ranges::equal(a.bytes(), b.bytes())) mismatch(escapeForDisplay(name) + " is not a true copy");
        }
    }

    /// Type and shape.
    bool checkDirectory(const ExportTensor& t, const TensorInfo& found) {
        const std::string name = found.packed ? found.packed->name() : std::string(storageTypeInfo(found.type).name);
        if (!sameFormat(t, found)) {
            mismatch(fmt::format("{}: planned {}, found {}", t.planned.name, t.planned.used, name));
            return false;
        }
        const bool oneTensor = t.parts.size() == 1 && !t.fused && !(t.source && t.source->pieces);
        if (oneTensor ? found.fileShape() != t.parts.front().shape : found.shape != t.source->shape) {
            mismatch(t.planned.name + ": its shape is not the planned one");
            return false;
        }
        return true;
    }

    static bool sameFormat(const ExportTensor& t, const TensorInfo& found) {
        if (!t.packing) return !found.packed && found.type == t.type;
        if (*t.packing != Packing::packQuantized) return found.packed && found.packed->name() == packedName(*t.packing, *t.format, t.source->rows(), t.source->cols());
        const auto* planned = dynamic_cast<const AffineFormat*>(t.format.get());
        const auto* read = dynamic_cast<const AffineFormat*>(found.packed.get());
        if (!read) return false;
        // One group per row and one scale per channel are the same bytes; so are a single row's channel and tensor.
        const auto groups = [&](const AffineGrid& g) {
            if (g.scope == AffineScope::tensor) return std::int64_t{1};
            return found.shape[0] * (g.scope == AffineScope::channel ? 1 : found.shape[1] / g.group);
        };
        const AffineGrid &a = planned->grid(), &b = read->grid();
        return a.bits == b.bits && a.symmetric == b.symmetric && groups(a) == groups(b);
    }

    void checkComputed(const ExportTensor& t, const Checkpoint& written) {
        std::vector<float> got(t.computed.size());
        written.read(written.require(t.planned.name), got);
        if (got != t.computed) mismatch(t.planned.name + ": its values are not the computed ones");
    }

    /// Every value of a piece against the simulation's (or the source's) bit for bit. @param row where it starts in the file.
    bool checkValues(const ExportTensor& t, const ExportPiece& piece, const Checkpoint& written, const TensorInfo& found, std::int64_t row) {
        const std::int64_t rows = piece.rows, cols = found.cols();
        if (rows == 0 || cols == 0) return true;
        const std::int64_t step = std::max<std::int64_t>(1, kChunkWeights / cols);
        Matrix got(std::min(step, rows), cols), want(std::min(step, rows), cols);
        for (std::int64_t first = 0; first < rows; first += step) {
            job_.checkpoint();
            const std::int64_t count = std::min(step, rows - first);
            const MatrixView<float> wanted = want.view().middleRows(0, count), read = got.view().middleRows(0, count);
            written.readRows(found, row + first, read);
            if (t.format) {
                const QuantizedTensor* tensor = quantized_.find(piece.site);
                tensor->format->decodeRows(tensor->bytes, rows, first, wanted); // kept weights were refused: this is all of it
            } else {
                model_.checkpoint().readRows(*piece.source, piece.firstRow + first, wanted);
                if (t.offset != 0)
                    for (std::int64_t i = 0; i < count * cols; ++i) wanted.data[i] += static_cast<float>(t.offset);
            }
            report_.rowsDecoded += count;
            job_.advance(count * cols);
            if (std::memcmp(read.data, wanted.data, static_cast<std::size_t>(count * cols) * sizeof(float)) == 0) continue;
            std::int64_t at = 0;
            while (std::memcmp(read.data + at, wanted.data + at, sizeof(float)) == 0) ++at;
            mismatch(fmt::format("{}: row {}, column {} reads {} instead of {}", t.planned.name, row + first + at / cols, at % cols, read.data[at], wanted.data[at]));
            return false;
        }
        return true;
    }

    /// @param look is shown the logits of every token that is scored, in order.
    double meanNll(const Model& model, const WeightSource* source, const Windows& windows, const std::string& stage, const std::function<void(std::span<const float>)>& look) {
        const ScratchMatrix states = walkBlocks(model, windows, source, nullptr, job_, stage);
        double sum = 0;
        walkHead(model, windows, states.view(), source, job_, [&](std::int64_t w, MatrixView<const float> logits) {
            const auto ids = windows.window(w);
            for (std::int64_t t = 0; t + 1 < windows.length; ++t) look(logits.rowSpan(t));
            for (std::int64_t t = 0; t + 1 < windows.length; ++t)
                sum += logSumExp(logits.rowSpan(t)) - static_cast<double>(logits(t, ids[static_cast<std::size_t>(t + 1)]));
        });
        return sum / static_cast<double>(windows.count * (windows.length - 1));
    }

    void checkEvaluation(const std::shared_ptr<const Checkpoint>& written, const Windows& windows) {
        const std::shared_ptr<Device> device(std::shared_ptr<Device>(), &model_.device()); // the caller's model keeps it alive
        const std::shared_ptr<const Model> reopened = Model::open(written, device, model_.nonFinite());
        const std::int64_t vocabulary = model_.config().vocabulary;
        Matrix kept(std::min(windows.count * (windows.length - 1), std::max<std::int64_t>(1, kLogitFloats / vocabulary)), vocabulary);
        std::int64_t next = 0;
        report_.simulatedNll = meanNll(model_, &quantized_, windows, "audit: simulation", [&](std::span<const float> logits) {
            if (next < kept.rows()) std::copy(logits.begin(), logits.end(), kept.row(next++));
        });
        const RoundingOnly rounded(quantized_.rounding());
        double divergence = 0;
        next = 0;
        report_.reopenedNll = meanNll(*reopened, &rounded, windows, "audit: file", [&](std::span<const float> logits) {
            if (next < kept.rows()) divergence += divergenceOf({kept.row(next++), logits.size()}, logits);
        });
        report_.klFromSimulation = divergence / static_cast<double>(kept.rows());
        report_.evaluatedTokens = windows.count * (windows.length - 1);
        // Written so that NaN on either side counts as a difference.
        if (!(std::abs(report_.simulatedNll - report_.reopenedNll) <= kTolerance) || !(report_.klFromSimulation <= kTolerance))
            mismatch(fmt::format("short evaluation: {:.6f} nats per token simulated, {:.6f} from the file, which diverges from the simulation by {:.2e}", report_.simulatedNll, report_.reopenedNll,
                                 report_.klFromSimulation));
    }

    const Model& model_;
    const QuantizedModel& quantized_;
    const ExportLayout& layout_;
    const PartDigests& digests_;
    JobContext& job_;
    AuditReport report_;
};

} // namespace

AuditReport auditExport(const Model& model, const QuantizedModel& quantized, const ExportLayout& layout, const std::string& path,
                        const PartDigests& digests, const Windows& windows, JobContext& job) {
    return Audit(model, quantized, layout, digests, job).run(path, windows);
}

} // namespace bw
