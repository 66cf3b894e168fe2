// SPDX-License-Identifier: GPL-3.0-or-later
// The plan: what will be written, exact to the byte, what it needs, and what a careful person would want to know first.
#include "core/base/error.h"
#include "core/base/io_ops.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/format/affine.h"
#include "core/quantize/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <unistd.h>

namespace bw {

namespace fs = std::filesystem;

namespace {

fs::path absoluteTarget(const std::string& path) {
    fs::path target = fs::absolute(path).lexically_normal();
    if (!target.has_filename()) target = target.parent_path();
    return target;
}

void checkTarget(const Checkpoint& source, const fs::path& target, ExportKind kind, bool replace) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(target, error);
    for (const MappedFile& file : source.files()) {
        const fs::path input = fs::weakly_canonical(file.path(), error);
        if (real == input || (kind == ExportKind::safetensors && real == input.parent_path()))
            throw Error(ErrorCode::targetIsSource, escapeForDisplay(target.string()) + " is what is read from", "choose another output path");
    }
    if (!source.folder().empty() && real == fs::weakly_canonical(source.folder(), error))
        throw Error(ErrorCode::targetIsSource, escapeForDisplay(target.string()) + " is the folder that is read from", "choose another output path");
    if (!replace && fs::symlink_status(target, error).type() != fs::file_type::not_found)
        throw Error(ErrorCode::targetExists, escapeForDisplay(target.string()) + " is there already",
                    "choose another name or ask for it to be replaced");
    const fs::path folder = target.parent_path();
    if (!fs::is_directory(folder, error))
        throw Error(ErrorCode::fileNotFound, "no such folder: " + escapeForDisplay(folder.string()), "make the folder first");
    if (::access(folder.c_str(), W_OK) != 0)
        throw Error(ErrorCode::permissionDenied, "cannot write into " + escapeForDisplay(folder.string()), "choose a folder that you may write to");
}

/// Seconds that one thread takes per weight, from encoding a few thousand random weights with the clip search on.
double secondsPerWeight(const Format& format) {
    constexpr std::int64_t kRows = 16, kCols = 4096; // 4096 holds every block length and every usual group
    Matrix sample(kRows, kCols);
    Random random(1);
    for (std::int64_t i = 0; i < sample.size(); ++i) sample.data()[i] = static_cast<float>(random.uniform() - random.uniform());
    std::string why;
    if (!format.fits(kRows, kCols, &why)) return 1.0 / 100e6; // odd group lengths: the measured rate of int4 with clip search
    std::vector<std::byte> bytes(format.bytes(kRows, kCols));
    const auto begun = std::chrono::steady_clock::now();
    format.encode(sample.view(), {{}, true}, bytes);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    return seconds / static_cast<double>(sample.size());
}

/// Rounding, its error and the audit's two decodings of every weight, and the bytes to and from the disk.
double estimateSeconds(const Model& model, const ExportLayout& layout) {
    constexpr double kBytesPerSecond = 400e6; // a SATA SSD with fsync; a fast disk only makes it less
    constexpr double kDecodedPerSecond = 300e6; // one thread, f32 conversion, comparison and error sums
    std::map<std::string, double> rates;
    double seconds = 0;
    for (const ExportTensor& t : layout.tensors) {
        const auto weights = static_cast<double>(t.elements);
        seconds += 3 * weights / kDecodedPerSecond;
        if (!t.format) continue;
        auto [rate, isNew] = rates.try_emplace(t.format->name(), 0.0);
        if (isNew) rate->second = secondsPerWeight(*t.format);
        seconds += weights * rate->second;
    }
    return seconds / std::max(1, threadCount()) +
           static_cast<double>(2 * layout.fileBytes + model.checkpoint().totalBytes()) / kBytesPerSecond;
}

/// Encoded bytes of all sites, the largest site as f32 twice (its values and those decoded), and one block or the head.
std::uint64_t estimateMemory(const Model& model, const ExportLayout& layout) {
    std::uint64_t encoded = 0, largest = 0, block = 0;
    for (const ExportTensor& t : layout.tensors) {
        const std::uint64_t pieces = std::max<std::uint64_t>(1, t.pieces.size()); // experts of a stack go one by one
        largest = std::max(largest, static_cast<std::uint64_t>(t.elements) * sizeof(float) / pieces);
        if (t.format) encoded += t.planned.bytes;
    }
    std::map<int, std::uint64_t> blocks;
    for (const Site& site : model.sites())
        blocks[site.block.value()] += static_cast<std::uint64_t>(site.rows * site.cols) * sizeof(float);
    for (const auto& [index, bytes] : blocks) block = std::max(block, bytes);
    return encoded + 2 * largest + block;
}

std::string share(double part, double whole) { return fmt::format("{:.0f} %", 100.0 * part / std::max(1.0, whole)); }

void warnAboutSize(const Model& model, const ExportLayout& layout, ExportPlan& plan) {
    const std::uint64_t before = model.checkpoint().totalBytes();
    if (plan.fileBytes > before)
        plan.warnings.push_back(fmt::format("the output is larger than the checkpoint: {} instead of {} (+{})", formatBytes(plan.fileBytes), formatBytes(before),
                                            share(static_cast<double>(plan.fileBytes - before), static_cast<double>(before))));
    std::string grows;
    int count = 0;
    for (const ExportTensor& t : layout.tensors)
        if (t.format && t.planned.bytes > t.sourceBytes && ++count <= 3) grows += (grows.empty() ? "" : ", ") + t.planned.name;
    if (count > 0)
        plan.warnings.push_back(fmt::format("{} quantized tensors grow: {}{}", count, grows, count > 3 ? " …" : ""));
}

void warnAboutFormats(const Model& model, const ExportLayout& layout, ExportPlan& plan) {
    double weights = 0, differing = 0, quantized = 0, requantized = 0, packedEmbedding = 0;
    int sites = 0, differingSites = 0;
    std::string sourceType;
    for (const ExportTensor& t : layout.tensors) {
        if (t.planned.site.value() < 0) continue;
        const auto elements = static_cast<double>(t.elements);
        ++sites;
        weights += elements;
        if (!t.planned.whyDiffers.empty()) {
            ++differingSites;
            differing += elements;
        }
        if (!t.format) continue;
        quantized += elements;
        if (model.site(t.planned.site).kind == SiteKind::tokenEmbedding && t.parts.size() > 1) packedEmbedding += elements;
        if (t.source->packed || storageTypeInfo(t.source->type).blockElements > 1) {
            requantized += elements;
            sourceType = t.source->typeName;
        }
    }
    if (differingSites > 0)
        plan.warnings.push_back(fmt::format("{} of {} sites ({} of their weights) get another format than asked", differingSites, sites, share(differing, weights)));
    if (quantized == 0) plan.warnings.emplace_back("no site is quantized: the output holds the checkpoint's own values");
    if (requantized > 0)
        plan.warnings.push_back(fmt::format("the checkpoint is quantized already ({}): rounding again adds to what was lost then", sourceType));
    if (packedEmbedding > 0)
        plan.warnings.emplace_back("token_embd is packed; loaders of packed safetensors other than this program often want the embedding in 16 bits");
}

/// What programs that load fp8 do beyond the file.
void warnAboutFp8(const ExportLayout& layout, const std::map<int, std::string>& formatOfGroup, ExportPlan& plan) {
    if (layout.chosen.info->name == "compressed-tensors" && !plan.options.cache.empty() && plan.options.cache != "none" && !layout.request.cache.fp8 && !layout.request.modules.empty())
        plan.warnings.push_back(fmt::format("the file does not say that keys and values are kept as {}: it can only say fp8 with one scale (fp8:tensor); the server's own option says the rest", plan.options.cache));
    const bool oneScale = std::any_of(formatOfGroup.begin(), formatOfGroup.end(), [](const auto& group) { return group.second == "fp8_e4m3:tensor"; });
    if (oneScale && (plan.options.profile.empty() || profileFusesLayers(plan.options.profile)))
        plan.warnings.emplace_back("vLLM-like loaders round the layers that they fuse (q/k/v, gate/up) once more, to one scale; fp8_e4m3:channel with the compressed-tensors layout keeps them as they are");
    if (layout.chosen.info->name == "fp8" && !layout.request.modules.empty() && !statedInputs(plan.options.activations).floats)
        plan.warnings.emplace_back("programs that load fp8 files round inputs to fp8 too, on cards that multiply fp8; activations \"fp8:token\" show what that costs");
}

/// Loaders that fuse q, k, v or gate and up need one scheme for each of these groups.
void warnAboutFusedLayers(const Model& model, const ExportLayout& layout, ExportPlan& plan) {
    if (layout.kind != ExportKind::safetensors) return;
    std::map<int, std::string> formatOfGroup;
    std::map<int, bool> mixed;
    for (const ExportTensor& t : layout.tensors) {
        if (t.planned.site.value() < 0) continue;
        const Site& site = model.site(t.planned.site);
        if (site.block.value() < 0 || site.inputGroup < 0) continue;
        const auto [known, isNew] = formatOfGroup.try_emplace(site.inputGroup, t.planned.used);
        if (!isNew && known->second != t.planned.used) mixed[site.inputGroup] = true;
    }
    warnAboutFp8(layout, formatOfGroup, plan);
    if (!mixed.empty())
        plan.warnings.push_back(fmt::format("in {} groups of layers that share an input (q/k/v, gate/up) formats differ; vLLM-like loaders fuse these and refuse that", mixed.size()));
}

} // namespace

bool ExportPlan::differsFromAsked() const {
    return std::any_of(tensors.begin(), tensors.end(), [](const PlannedTensor& t) { return !t.whyDiffers.empty(); });
}

ExportPlan planExport(const Model& model, const std::vector<SiteFormat>& formats, const std::string& outPath, bool replace,
                      const ExportOptions& options) {
    ExportPlan plan;
    refuseProblems(exportProblems(model, formats, outPath, options));
    plan.kind = exportKind(outPath);
    plan.options = options;
    plan.layout = chooseLayout(options, outPath, formats).info->name;
    const fs::path target = absoluteTarget(outPath);
    plan.path = plan.target = target.string();
    const bool divisible = plan.kind == ExportKind::gguf && options.partBytes > 0; // the names are known only with the sizes
    if (!divisible) checkTarget(model.checkpoint(), target, plan.kind, replace);
    const ExportLayout layout = layOutExport(model, formats, plan.target, options);
    for (const GgufPartLayout& part : layout.parts) plan.files.push_back({part.path, part.bytes});
    if (divisible)
        for (const PlannedFile& file : plan.files) checkTarget(model.checkpoint(), file.path, plan.kind, replace);
    if (!plan.files.empty()) plan.path = plan.files.front().path;
    for (const ExportTensor& t : layout.tensors) {
        plan.tensors.push_back(t.planned);
        plan.tensorBytes += t.planned.bytes;
    }
    plan.fileBytes = layout.fileBytes;
    plan.bitsPerWeight = 8.0 * static_cast<double>(plan.tensorBytes) / static_cast<double>(std::max<std::int64_t>(1, layout.parameters));
    plan.memoryBytes = estimateMemory(model, layout);
    plan.secondsEstimate = estimateSeconds(model, layout);
    if (const std::int64_t space = ioOps().freeBytes(target.parent_path().string()); space >= 0) {
        plan.diskFree = static_cast<std::uint64_t>(space);
        if (plan.diskFree < plan.fileBytes)
            throw Error(ErrorCode::diskFull,
                        fmt::format("{} needs {}; {} are free", escapeForDisplay(plan.path), formatBytes(plan.fileBytes), formatBytes(plan.diskFree)),
                        "free space or choose another folder");
    }
    for (const std::string& name : layout.leftOut) plan.warnings.push_back("tensor '" + escapeForDisplay(name) + "' is left out: readers of the weights do without it");
    for (const PlannedFile& file : plan.files)
        if (options.partBytes > 0 && file.bytes > options.partBytes)
            plan.warnings.push_back(fmt::format("{} takes {}: one tensor, or the metadata of the first part, is longer than {}",
                                                escapeForDisplay(fs::path(file.path).filename().string()), formatBytes(file.bytes), formatBytes(options.partBytes)));
    if (options.layout.empty() && plan.layout == "bnb") plan.warnings.emplace_back("nf4 lies in folders of the bitsandbytes layout alone: that one is written (--layout bnb)");
    warnAboutSize(model, layout, plan);
    warnAboutFormats(model, layout, plan);
    warnAboutFusedLayers(model, layout, plan);
    return plan;
}

} // namespace bw
