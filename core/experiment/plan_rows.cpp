// SPDX-License-Identifier: GPL-3.0-or-later
// Plans for recipes, and their rows.
#include "core/experiment/plan_rows.h"

#include "core/base/error.h"
#include "core/format/storage_type.h"
#include "core/quantize/outlier_split.h"
#include "core/quantize/presets.h"

#include <algorithm>
#include <filesystem>
#include <map>

namespace bw {
namespace {

/// Where a simulated result would be written: only its kind and size matter, nothing is created.
std::string pretendPath(const std::vector<SiteFormat>& formats, const ExportOptions& options) {
    const bool aFolder = !options.layout.empty() ? options.layout != "gguf" : !options.profile.empty() && options.profile != "llama.cpp";
    const bool blocksOnly = !aFolder && std::all_of(formats.begin(), formats.end(),
                                        [](const SiteFormat& f) { return !f.used || f.used->storage() != StorageType::unknown; });
    const std::filesystem::path folder = std::filesystem::temp_directory_path();
    return (folder / (blocksOnly ? "bitwright-simulated.gguf" : "bitwright-simulated")).string();
}

/// Whether a container would put another format in the place of one that the weight's shape allows: it must not, as long as
/// nothing is written.
bool containerReplaces(const Model& model, const std::vector<SiteFormat>& formats, const ExportPlan& plan) {
    std::map<int, const PlannedTensor*> bySite;
    for (const PlannedTensor& tensor : plan.tensors)
        for (const SiteId site : tensor.sites)
            bySite[site.value()] = &tensor;
    return std::any_of(formats.begin(), formats.end(), [&](const SiteFormat& format) {
        const auto row = bySite.find(format.site.value());
        const Site& site = model.site(format.site);
        return format.used && row != bySite.end() && row->second->used != fallbackFormat(format.used, site.rows, site.cols)->name();
    });
}

/// Sizes from the formats alone, for models or mixes of formats that no container here can hold. `why` becomes a warning.
ExportPlan planWithoutContainer(const Model& model, const std::vector<SiteFormat>& formats, const std::string& why) {
    ExportPlan plan;
    for (const TensorInfo& tensor : model.checkpoint().tensors()) {
        PlannedTensor row;
        row.name = tensor.canonical.empty() ? tensor.name : tensor.canonical;
        row.asked = row.used = tensor.typeName;
        row.bytes = 0;
        for (const SiteFormat& format : formats) {
            const Site& site = model.site(format.site);
            if (site.tensor != tensor.canonical)
                continue;
            std::string shapeReason;
            const FormatPtr used = format.used ? fallbackFormat(format.used, site.rows, site.cols, &shapeReason) : nullptr;
            row.sites.push_back(site.id);
            row.asked = format.asked;
            row.used = used ? used->name() : tensor.typeName;
            row.whyDiffers = used && used != format.used ? shapeReason : format.whyDiffers;
            row.bytes += used ? used->bytes(site.rows, site.cols) : tensor.bytes / static_cast<std::uint64_t>(tensor.rows()) * static_cast<std::uint64_t>(site.rows);
        }
        if (row.sites.empty())
            row.bytes = tensor.bytes;
        else
            row.site = row.sites.front();
        plan.tensorBytes += row.bytes;
        plan.tensors.push_back(std::move(row));
    }
    plan.fileBytes = plan.tensorBytes;
    plan.bitsPerWeight = 8.0 * static_cast<double>(plan.tensorBytes) / static_cast<double>(std::max<std::int64_t>(1, model.checkpoint().parameters()));
    plan.warnings.push_back(why + ": sizes are those of the tensors alone");
    return plan;
}

} // namespace

std::vector<SiteFormat> recipeFormats(const Model& model, const Recipe& recipe) {
    const Recipe::Assignment& a = recipe.assignment;
    FormatRequest request{a.format, a.tensorTypes, a.head, a.output, a.embedding, a.rules, recipe.rounder == "weighted"};
    for (const auto& [pattern, format] : a.pins)
        request.rules.push_back({pattern, format}); // a pin holds against every rule
    return resolveFormats(model, request);
}

namespace {

ExportOptions exportOptions(const Recipe& recipe) {
    constexpr std::string_view kMix = "mix:";
    const std::string& format = recipe.assignment.format;
    const NamedMix* mix = format.starts_with(kMix) ? findMix(std::string_view(format).substr(kMix.size())) : nullptr;
    ExportOptions options;
    options.partBytes = static_cast<std::uint64_t>(recipe.exporting.partBytes);
    options.fileType = mix ? mix->fileType : -1;
    options.layout = recipe.exporting.layout;
    options.profile = recipe.exporting.profile;
    options.activations = recipe.activations;
    options.cache = recipe.kvCache;
    return options;
}

} // namespace

ExportPlan planFor(const Model& model, const std::vector<SiteFormat>& formats, const Recipe& recipe) {
    const ExportOptions options = exportOptions(recipe);
    if (!recipe.exporting.path.empty() && !outlierSplit(parseTransform(recipe.transform)).empty())
        throw Error(ErrorCode::formatDoesNotFit, "no file holds what an outlier split keeps beside the grid",
                    "leave the output path away to measure it; for a file, smooth and rotate move outliers where a grid can hold them, --set SITE=keep keeps whole layers, "
                    "and bitsandbytes finds outlier channels itself: int8:channel:sym with --layout bnb");
    if (!recipe.exporting.path.empty())
        return planExport(model, formats, recipe.exporting.path, recipe.exporting.replace, options);
    try {
        ExportPlan plan = planExport(model, formats, pretendPath(formats, options), true, options);
        if (options.layout.empty() && containerReplaces(model, formats, plan))
            return planWithoutContainer(model, formats, "no file this program writes holds all these formats");
        return plan;
    } catch (const Error& e) {
        // A mix that no container holds is only measured; where one is named its refusal stands.
        const bool free = options.layout.empty() && options.profile.empty();
        if (!(e.code() == ErrorCode::formatDoesNotFit && free) && e.code() != ErrorCode::unsupportedModel && e.code() != ErrorCode::unsupportedTokenizer && e.code() != ErrorCode::diskFull &&
            e.code() != ErrorCode::permissionDenied)
            throw;
        return planWithoutContainer(model, formats, "no container");
    }
}

std::vector<SiteFormat> asPlanned(std::vector<SiteFormat> formats, const ExportPlan& plan) {
    for (SiteFormat& format : formats) {
        const auto row = std::find_if(plan.tensors.begin(), plan.tensors.end(), [&](const PlannedTensor& t) { return std::find(t.sites.begin(), t.sites.end(), format.site) != t.sites.end(); });
        if (!format.used || row == plan.tensors.end() || row->used == format.used->name())
            continue;
        format.used = parseFormat(row->used);
        format.whyDiffers = row->whyDiffers;
    }
    return formats;
}

Json planJson(const ExportPlan& plan) {
    Json tensors = Json::array();
    for (const PlannedTensor& t : plan.tensors)
        tensors.push_back({{"name", t.name}, {"site", t.site.value() >= 0}, {"asked", t.asked}, {"used", t.used}, {"why", t.whyDiffers}, {"bytes", t.bytes}});
    Json files = Json::array();
    for (const PlannedFile& file : plan.files)
        files.push_back({{"path", file.path}, {"bytes", file.bytes}});
    return {{"path", plan.path},
            {"files", files},
            {"container", plan.kind == ExportKind::gguf ? "gguf" : "safetensors"},
            {"layout", plan.layout},
            {"tensors", tensors},
            {"tensor_bytes", plan.tensorBytes},
            {"file_bytes", plan.fileBytes},
            {"bits_per_weight", plan.bitsPerWeight},
            {"memory_bytes", plan.memoryBytes},
            {"disk_free", plan.diskFree},
            {"seconds_estimate", plan.secondsEstimate},
            {"differs_from_asked", plan.differsFromAsked()},
            {"warnings", plan.warnings}};
}

std::vector<AssignmentRow> assignmentRows(const Model& model, const ExportPlan& plan, const std::vector<SiteFormat>& formats) {
    std::map<int, std::string> rounders; // "@weighted" by SiteId
    for (const SiteFormat& format : formats)
        if (!format.rounder.empty())
            rounders[format.site.value()] = '@' + format.rounder;
    std::vector<AssignmentRow> rows;
    for (const PlannedTensor& t : plan.tensors)
        for (const SiteId site : t.sites) { // experts of a stack take equal shares of it
            const std::string rounder = rounders.contains(site.value()) ? rounders.at(site.value()) : "";
            rows.push_back({model.site(site).name, t.asked + rounder, t.used + rounder, t.whyDiffers, t.bytes / t.sites.size(), 0, 0});
        }
    // The plan lists tensors in file order; people think in model order.
    std::stable_sort(rows.begin(), rows.end(), [&](const AssignmentRow& a, const AssignmentRow& b) {
        return model.findSite(a.site)->id < model.findSite(b.site)->id;
    });
    return rows;
}

std::int64_t siteWeights(const Model& model) {
    std::int64_t sum = 0;
    for (const Site& site : model.sites())
        sum += site.rows * site.cols;
    return sum;
}

double siteBitsPerWeight(const Model& model, const ExportPlan& plan) {
    std::uint64_t bytes = 0;
    for (const PlannedTensor& t : plan.tensors)
        bytes += t.site.value() >= 0 ? t.bytes : 0;
    return 8.0 * static_cast<double>(bytes) / static_cast<double>(std::max<std::int64_t>(1, siteWeights(model)));
}

void requireAsAsked(const ExportPlan& plan) {
    if (!plan.differsFromAsked())
        return;
    std::string list;
    int shown = 0, more = 0;
    for (const PlannedTensor& t : plan.tensors) {
        if (t.whyDiffers.empty())
            continue;
        if (++shown > 5) {
            ++more;
            continue;
        }
        list += (list.empty() ? "" : "; ") + t.name + ": " + t.asked + " → " + t.used + " (" + t.whyDiffers + ")";
    }
    if (more > 0)
        list += "; and " + std::to_string(more) + " more";
    throw Error(ErrorCode::strictViolation, "the plan differs from what was asked: " + list,
                "drop --strict to accept it, or choose formats that fit; --dry-run shows the whole plan");
}

} // namespace bw
