// SPDX-License-Identifier: GPL-3.0-or-later
// Streaming a quantized model into its container, then audit, then rename. Nothing appears under the final name before.
#include "core/quantize/export.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/io_ops.h"
#include "core/base/text.h"
#include "core/quantize/audit.h"
#include "core/quantize/layout.h"
#include "core/quantize/profiles.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <type_traits>

namespace bw {

namespace {

namespace fs = std::filesystem;

/// The formats of the plan, as a layout is made from them. A site without a quantized tensor is kept.
std::vector<SiteFormat> formatsOf(const Model& model, const QuantizedModel& quantized, const ExportPlan& plan) {
    std::vector<SiteFormat> formats;
    for (const PlannedTensor& t : plan.tensors) {
        for (const SiteId site : t.sites) {
            if (static_cast<std::size_t>(site.value()) >= model.sites().size())
                throw Error(ErrorCode::usage, "the plan names a site that this model does not have", "plan again");
            const QuantizedTensor* tensor = quantized.find(site);
            if (tensor && tensor->format->name() != t.used)
                throw Error(ErrorCode::usage,
                            fmt::format("{} was quantized to {}, but the plan writes {}", model.site(site).name, tensor->format->name(), t.used),
                            "quantize with the formats of the plan");
            formats.push_back({site, t.asked, tensor ? tensor->format : nullptr, t.whyDiffers});
        }
    }
    return formats;
}

/// The first generation of GPTQ can't hold zero points of 0: a group whose weights all have one sign. The second can, where it
/// is read.
void settleZeroPoints(const Model& model, const QuantizedModel& quantized, const ExportOptions& options, ExportLayout& layout) {
    ExportProblem problem{"zero points of 0, which the first generation of GPTQ files can't hold", {}, "make these sites symmetric (int4:g128:sym)"};
    for (const ExportTensor& t : layout.tensors) {
        if (t.packing != Packing::gptq) continue;
        const QuantizedTensor* tensor = quantized.find(t.planned.site);
        if (zerosOfZero(*tensor->format, tensor->bytes, t.source->rows(), t.source->cols()) > 0) problem.sites.push_back(model.site(t.planned.site).name);
    }
    if (problem.sites.empty()) return;
    if (const ProfileRule* rule = profileRule(options.profile, *layout.chosen.info); rule && !rule->secondGeneration) refuseProblems({problem});
    useSecondGeneration(layout, model.checkpoint());
}

/// The layout once more, from what was really quantized; it must be the planned one.
ExportLayout plannedLayout(const Model& model, const QuantizedModel& quantized, const ExportPlan& plan, const RuntimeScales& scales) {
    ExportLayout layout = layOutExport(model, formatsOf(model, quantized, plan), plan.target, plan.options, &scales);
    bool same = layout.tensors.size() == plan.tensors.size() && layout.fileBytes == plan.fileBytes && layout.parts.size() == plan.files.size();
    for (std::size_t i = 0; same && i < plan.tensors.size(); ++i) {
        const PlannedTensor &a = layout.tensors[i].planned, &b = plan.tensors[i];
        same = a.name == b.name && a.site == b.site && a.used == b.used && a.bytes == b.bytes;
    }
    if (!same)
        throw Error(ErrorCode::usage, "the plan was made for another model or other formats than were quantized", "plan again with these formats");
    settleZeroPoints(model, quantized, plan.options, layout);
    return layout;
}

void refuseKeptWeights(const Model& model, const QuantizedModel& quantized) {
    ExportProblem problem{"no layout holds weights beside the grid (outlier split)", {}, "export without the outlier split; smoothing or rotation move outliers in a way that files hold"};
    for (const Site& site : model.sites())
        if (const QuantizedTensor* tensor = quantized.find(site.id); tensor && !tensor->kept.empty()) problem.sites.push_back(site.name);
    if (!problem.sites.empty()) refuseProblems({problem});
}

/// Rows from HF order to GGUF's; encoded rows are as long as each other.
std::vector<std::byte> permuted(std::span<const std::byte> bytes, std::int64_t rows, std::int64_t headDim) {
    std::vector<std::byte> out(bytes.size());
    const std::size_t rowBytes = bytes.size() / static_cast<std::size_t>(rows);
    for (std::int64_t r = 0; r < rows; ++r)
        std::memcpy(out.data() + static_cast<std::size_t>(r) * rowBytes,
                    bytes.data() + static_cast<std::size_t>(ggufPermutedRow(r, headDim)) * rowBytes, rowBytes);
    return out;
}

/// A {rows, cols} table of elements turned into {cols, rows}.
std::vector<std::byte> turned(std::span<const std::byte> bytes, std::int64_t rows, std::int64_t cols) {
    std::vector<std::byte> out(bytes.size());
    const std::size_t width = bytes.size() / static_cast<std::size_t>(rows * cols);
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < cols; ++c)
            std::memcpy(out.data() + static_cast<std::size_t>(c * rows + r) * width, bytes.data() + static_cast<std::size_t>(r * cols + c) * width, width);
    return out;
}

/// Values of a kept piece in another plain type (lossless widening, or as the plan says).
std::vector<std::byte> converted(const Checkpoint& source, const ExportTensor& t, const ExportPiece& piece) {
    const std::int64_t rows = piece.rows, cols = piece.source->cols();
    Matrix values(rows, cols);
    source.readRows(*piece.source, piece.firstRow, values.view());
    if (t.offset != 0)
        for (std::int64_t i = 0; i < values.size(); ++i) values.data()[i] += static_cast<float>(t.offset);
    const auto rowBytes = storageBytes(t.type, 1, static_cast<std::uint64_t>(cols));
    std::vector<std::byte> bytes(rowBytes * static_cast<std::uint64_t>(rows));
    for (std::int64_t r = 0; r < rows; ++r)
        encodeRow(t.type, {values.row(r), static_cast<std::size_t>(cols)}, {}, bytes.data() + static_cast<std::uint64_t>(r) * rowBytes);
    return bytes;
}

struct WrittenParts {
    std::string dtype; ///< of plain weights
    PartDigests digests;
};

void writePart(GgufWriter& writer, std::span<const std::byte> bytes) { writer.writeTensorPart(bytes); }
void writePart(SplitGgufWriter& writer, std::span<const std::byte> bytes) { writer.writeTensorPart(bytes); }
void writePart(SafetensorsFolderWriter& writer, std::span<const std::byte> bytes) { writer.writeTensor(bytes); }

/// As many bytes to each part of the tensor as it has: norms of single heads lie in a part each.
template <class Writer>
void writeDivided(Writer& writer, const ExportTensor& t, std::span<const std::byte> bytes) {
    if (t.parts.size() == 1) return writePart(writer, bytes);
    for (const OutputTensor& part : t.parts) {
        std::uint64_t elements = 1;
        for (const std::int64_t d : part.shape) elements *= static_cast<std::uint64_t>(d);
        const auto length = static_cast<std::size_t>(storageBytes(part.type, 1, elements));
        writePart(writer, bytes.first(length));
        bytes = bytes.subspan(length);
    }
}

template <class Writer>
void writePiece(Writer& writer, const Model& model, const QuantizedModel& quantized, const ExportTensor& t, const ExportPiece& piece, WrittenParts& written) {
    const TensorInfo& source = *piece.source;
    const bool vector = source.shape.size() == 1; // a bias: its elements are the rows
    const auto write = [&](std::span<const std::byte> bytes) {
        if (t.headDim > 0)
            writePart(writer, permuted(bytes, vector ? source.cols() : piece.rows, t.headDim));
        else
            writePart(writer, bytes);
    };
    if (t.packing) {
        const auto parts = packedBytes(*t.packing, *t.format, quantized.find(piece.site)->bytes, piece.rows, source.cols(), written.dtype);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            Sha256 hash;
            hash.update(parts[i]);
            written.digests[t.parts[i].name] = hash.hex();
            writePart(writer, parts[i]);
        }
    } else if (t.format) {
        const std::vector<std::byte>& bytes = quantized.find(piece.site)->bytes;
        if (source.transposed && std::is_same_v<Writer, SafetensorsFolderWriter>)
            writePart(writer, turned(bytes, piece.rows, source.cols()));
        else
            write(bytes);
    } else if (t.copied) {
        const std::span<const std::byte> all = model.checkpoint().raw(source);
        const auto rowBytes = all.size() / static_cast<std::size_t>(std::max<std::int64_t>(1, source.rows()));
        const auto first = static_cast<std::size_t>(piece.firstRow) * rowBytes;
        write(piece.rows == source.rows() ? all : all.subspan(first, static_cast<std::size_t>(piece.rows) * rowBytes));
    } else {
        const std::vector<std::byte> bytes = converted(model.checkpoint(), t, piece);
        if (!std::is_same_v<Writer, SafetensorsFolderWriter>)
            write(bytes);
        else if (source.transposed)
            writePart(writer, turned(bytes, piece.rows, source.cols()));
        else
            writeDivided(writer, t, bytes);
    }
}

template <class Writer>
void writeTensor(Writer& writer, const Model& model, const QuantizedModel& quantized, const ExportTensor& t, WrittenParts& written, JobContext& job) {
    if (t.pieces.empty()) {
        writePart(writer, std::as_bytes(std::span(t.computed)));
    } else if (t.fused) {
        writePart(writer, model.checkpoint().raw(*t.source->whole));
    } else if (t.copied && t.source->pieces) {
        for (const TensorInfo& part : *t.source->pieces) writePart(writer, model.checkpoint().raw(part));
    } else {
        for (const ExportPiece& piece : t.pieces) {
            job.checkpoint();
            writePiece(writer, model, quantized, t, piece, written);
        }
    }
}

/// Moves what failed its audit aside, under a name that nobody takes for a result.
void keepFailed(const std::string& temporary, const std::string& target, const AuditReport& report) {
    const std::string kept = target + ".failed-audit";
    std::error_code ignored;
    fs::remove_all(kept, ignored); // of an earlier attempt
    const bool moved = ioOps().rename(temporary, kept) == 0;
    std::string list;
    for (std::size_t i = 0; i < report.mismatches.size() && i < 5; ++i) list += (i ? "; " : "") + report.mismatches[i];
    if (report.mismatches.size() > 5) list += fmt::format("; and {} more", report.mismatches.size() - 5);
    throw Error(ErrorCode::auditFailed, escapeForDisplay(target) + " is not what was planned: " + list,
                moved ? "what was written is kept as " + escapeForDisplay(kept) + " for diagnosis" : "nothing was kept");
}

template <class Writer>
std::string openableName(const Writer& writer) { return writer.temporaryPath(); }
std::string openableName(const SplitGgufWriter& writer) { return writer.temporaryFirstPart(); }

template <class Writer>
AuditReport writeAuditCommit(Writer& writer, const Model& model, const QuantizedModel& quantized, const ExportLayout& layout,
                             const ExportPlan& plan, const Windows& windows, JobContext& job) {
    WrittenParts written{layout.request.computeType, {}};
    job.beginStage("write", static_cast<std::int64_t>(plan.tensorBytes), "bytes");
    for (const ExportTensor& t : layout.tensors) {
        job.checkpoint();
        try {
            writeTensor(writer, model, quantized, t, written, job);
        } catch (Error& e) {
            e.add("tensor", t.planned.name);
            throw;
        }
        job.advance(static_cast<std::int64_t>(t.planned.bytes));
    }
    writer.finish();
    AuditReport report = auditExport(model, quantized, layout, openableName(writer), written.digests, windows, job);
    if (!report.ok) keepFailed(writer.temporaryPath(), plan.target, report);
    job.checkpoint();
    writer.commit();
    return report;
}

} // namespace

AuditReport exportModel(const Model& model, const QuantizedModel& quantized, const ExportPlan& plan, bool replace,
                        const Windows& auditWindows, JobContext& job, const RuntimeScales& scales) {
    refuseKeptWeights(model, quantized);
    const ExportLayout layout = plannedLayout(model, quantized, plan, scales);
    const auto mode = replace ? AtomicFile::Replace::yes : AtomicFile::Replace::no;
    if (layout.parts.size() > 1) {
        SplitGgufWriter writer(plan.target, layout.parts, mode);
        return writeAuditCommit(writer, model, quantized, layout, plan, auditWindows, job);
    }
    if (plan.kind == ExportKind::gguf) {
        GgufWriter writer(plan.path, layout.metadata, layout.outputs(), mode);
        return writeAuditCommit(writer, model, quantized, layout, plan, auditWindows, job);
    }
    SafetensorsFolderWriter writer(plan.path, model.checkpoint(), layout.config, layout.outputs(), mode, shardBytes(plan.options), layout.furtherFiles);
    return writeAuditCommit(writer, model, quantized, layout, plan, auditWindows, job);
}

} // namespace bw
