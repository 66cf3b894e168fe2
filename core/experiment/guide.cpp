// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/guide.h"

#include "core/assign/budget.h"
#include "core/base/error.h"
#include "core/quantize/presets.h"
#include "core/quantize/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace bw {
namespace {

/// Bits per weight of all sites when each gets what the request says; the shapes decide, no weight is read.
double siteBits(const Model& model, const FormatRequest& request) {
    double bytes = 0, weights = 0;
    for (const SiteFormat& format : resolveFormats(model, request)) {
        const Site& site = model.site(format.site);
        const auto count = static_cast<double>(site.rows * site.cols);
        bytes += format.used ? static_cast<double>(format.used->bytes(site.rows, site.cols)) : 2 * count;
        weights += count;
    }
    return weights > 0 ? 8 * bytes / weights : 0;
}

/// What the request's size means in bits per weight; `usual` when it names none.
double wantedBits(const Model& model, const std::string& size, double usual) {
    if (size.empty()) return usual;
    const Budget budget = parseBudget(size);
    std::int64_t weights = 0;
    for (const Site& site : model.sites()) weights += site.rows * site.cols;
    if (budget.kind == Budget::Kind::cost)
        throw Error(ErrorCode::usage, fmt::format("the size {} is a damage, not a size", size), "Give bits per weight or bytes, like 4.5bpw or 1.2GiB.");
    return budget.kind == Budget::Kind::bitsPerWeight ? budget.value : 8 * static_cast<double>(budget.bytes(weights)) / static_cast<double>(weights);
}

/// The largest named mix of at most `bits`. @throws Error(usage) when even the smallest is larger.
const NamedMix& mixWithin(const Model& model, double bits) {
    const NamedMix* best = nullptr;
    double bestBits = 0, least = 1e9;
    for (const NamedMix& mix : namedMixes()) {
        const double size = siteBits(model, {"mix:" + std::string(mix.name), {}, {}, {}, {}, {}, true});
        least = std::min(least, size);
        if (size > bits || size <= bestBits) continue;
        best = &mix;
        bestBits = size;
    }
    if (!best)
        throw Error(ErrorCode::usage, fmt::format("no mix of this model takes {:.2f} bits per weight or less; the smallest takes {:.2f}", bits, least),
                    fmt::format("Allow at least {:.2f}bpw.", least));
    return *best;
}

/// Group size that divides every input width inside the blocks: 128, 64 or 32; 0 = none does, a scale per channel is left.
std::int64_t groupFor(const Model& model) {
    for (const std::int64_t group : {std::int64_t{128}, std::int64_t{64}, std::int64_t{32}})
        if (std::all_of(model.sites().begin(), model.sites().end(), [&](const Site& s) { return s.block.value() < 0 || s.cols % group == 0; })) return group;
    return 0;
}

std::string affine(int bits, std::int64_t group, const char* symmetry) {
    return group > 0 ? fmt::format("int{}:g{}:{}", bits, group, symmetry) : fmt::format("int{}:channel:{}", bits, symmetry);
}

/// Can scales be folded before most of the linears? Where they can't, transforms do little.
bool foldsScales(const Model& model) {
    const std::vector<FoldPoint> points = foldPoints(model);
    const auto usable = std::count_if(points.begin(), points.end(), [](const FoldPoint& p) { return p.whyNot.empty(); });
    return 2 * usable >= static_cast<std::ptrdiff_t>(points.size());
}

class Proposals {
public:
    explicit Proposals(const Recipe& from) : from_(from) {}
    Recipe base(const std::string& format) const {
        Recipe r = from_;
        r.kind = "quantize";
        r.transform = "none";
        r.rounder = "nearest";
        r.activations = r.kvCache = "none";
        r.assignment = {};
        r.assignment.format = format;
        r.assignment.budget = from_.assignment.budget;
        r.exporting = {};
        return r;
    }
    void add(std::string name, std::string why, Recipe recipe) {
        recipe.name = name;
        all_.push_back({std::move(name), std::move(why), std::move(recipe)});
    }
    std::vector<GuideProposal> all() && { return std::move(all_); }

private:
    const Recipe& from_;
    std::vector<GuideProposal> all_;
};

std::string upper(std::string_view name) {
    std::string out(name);
    for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return out;
}

/// GGUF for llama.cpp: its k-quants, better rounded.
void proposeGguf(const Model& model, double bits, bool apple, Proposals& out) {
    const NamedMix& mix = mixWithin(model, bits);
    const std::string name = upper(mix.name), format = "mix:" + std::string(mix.name);
    Recipe gptq = out.base(format);
    gptq.rounder = "gptq";
    out.add(name + " with GPTQ",
            "The blocks llama.cpp reads as ever, at the same size, but each column makes up for the rounding of those before it. Takes minutes instead of seconds.", gptq);
    if (foldsScales(model)) {
        Recipe awq = gptq;
        awq.transform = "awq";
        out.add(name + ", AWQ scales, then GPTQ", "Channels with large activations get finer steps first. The scales are folded into norms, so the file stays an ordinary GGUF.", awq);
    }
    Recipe weighted = out.base(format);
    weighted.rounder = "weighted";
    out.add(name + ", importance-weighted",
            std::string("What llama-quantize does with an importance matrix: seconds, and a safe yardstick for the others.") +
                (apple ? " Metal has kernels for all of its types." : ""),
            weighted);
}

void proposeNvidiaWeights(const Model& model, double bits, Proposals& out) {
    const std::int64_t group = groupFor(model);
    const int codeBits = bits >= 8 ? 8 : bits >= 4 ? 4 : bits >= 3 ? 3 : 2;
    const auto exporting = [](Recipe r, const char* layout) {
        r.exporting.layout = layout;
        r.exporting.profile = "vllm";
        return r;
    };
    Recipe gptq = out.base(affine(codeBits, group, "sym"));
    gptq.rounder = "gptq";
    out.add(fmt::format("GPTQ, {}", gptq.assignment.format), "Loads in vLLM, SGLang, ExLlama and transformers; Marlin kernels run it at 4 and 8 bits. Symmetric, so that no loader's zero-point convention matters.",
            exporting(gptq, "gptq"));
    if (codeBits == 4 && foldsScales(model)) {
        Recipe awq = out.base(affine(4, group, "asym"));
        awq.transform = "awq";
        out.add(fmt::format("AWQ, {}", awq.assignment.format), "Needs few texts and does not overfit to them; a good choice when the use differs from the calibration text.", exporting(awq, "awq"));
        Recipe both = awq;
        both.rounder = "gptq";
        out.add(fmt::format("AWQ scales, then GPTQ, {}", both.assignment.format), "Scales first, compensation after: usually the least damage at this size.", exporting(both, "compressed-tensors"));
    } else {
        Recipe nearest = out.base(affine(codeBits, group, "asym"));
        out.add(fmt::format("nearest, {}", nearest.assignment.format), "No calibration at all: what the others must beat.", exporting(nearest, "compressed-tensors"));
    }
}

void proposeNvidiaActivations(const Model& model, Proposals& out) {
    const auto exporting = [](Recipe r) {
        r.exporting.layout = "compressed-tensors";
        r.exporting.profile = "vllm";
        return r;
    };
    if (foldsScales(model)) {
        Recipe smooth = out.base("int8:channel:sym");
        smooth.transform = "smooth:alpha=0.5";
        smooth.activations = "a8:token";
        smooth.assignment.head = "keep";
        out.add("SmoothQuant, int8 weights and activations", "Integer kernels on every card since Turing. Outliers of the activations are moved into the weights first.", exporting(smooth));
    }
    Recipe fp8 = out.base("fp8_e4m3:channel");
    fp8.activations = "fp8:token";
    fp8.assignment.head = "keep";
    out.add("fp8 weights and activations", "Ada, Hopper and newer. Floats take outliers as they come, so that nothing needs calibrating.", exporting(fp8));
    Recipe split = out.base("int8:channel:sym");
    split.transform = "outliers:threshold=6";
    split.activations = "a8:token";
    split.assignment.head = "keep";
    out.add("LLM.int8()", "Channels with outliers stay in 16 bits: the most careful of the three and the slowest to run (bitsandbytes).", split);
}

void proposeCpuActivations(Proposals& out) {
    Recipe q8 = out.base("q8_0");
    q8.activations = "q8_0";
    out.add("Q8_0, activations in blocks of 8 bits", "What llama.cpp's CPU kernels compute with; practically lossless.", q8);
    Recipe q6 = out.base("q6_k");
    q6.rounder = "gptq";
    q6.activations = "q8_k";
    out.add("Q6_K with GPTQ, activations in blocks of 8 bits", "A quarter smaller for little more damage.", q6);
}

} // namespace

std::vector<GuideProposal> proposeMethods(const Model& model, const GuideRequest& request, const Recipe& from) {
    const bool activations = request.kind == "w8a8";
    if (!activations && request.kind != "weight-only")
        throw Error(ErrorCode::usage, fmt::format("no kind of quantization is called \"{}\"", request.kind), "Use weight-only or w8a8.");
    constexpr std::array kTargets{"cpu", "nvidia", "apple"};
    if (std::find(kTargets.begin(), kTargets.end(), request.target) == kTargets.end())
        throw Error(ErrorCode::usage, fmt::format("no target is called \"{}\"", request.target), "Use cpu, nvidia or apple.");
    constexpr double kUsualGguf = 5.2, kUsualAffine = 4.5; // bits: Q4_K_M with its larger head; int4 and its scales
    Proposals out(from);
    if (request.target == "nvidia") {
        if (activations)
            proposeNvidiaActivations(model, out);
        else
            proposeNvidiaWeights(model, wantedBits(model, request.size, kUsualAffine), out);
    } else if (activations) {
        proposeCpuActivations(out);
    } else {
        proposeGguf(model, wantedBits(model, request.size, kUsualGguf), request.target == "apple", out);
    }
    return std::move(out).all();
}

std::string methodName(const Recipe& recipe) {
    std::string name;
    const auto join = [&](const std::string& part) { name += (name.empty() ? "" : " + ") + part; };
    bool split = false;
    for (const TransformSpec::Part& part : parseTransform(recipe.transform).parts) {
        if (part.name == "smooth") join("SmoothQuant");
        if (part.name == "awq") join("AWQ");
        if (part.name == "rotate") join("rotation");
        if (part.name != "outliers") continue;
        split = part.options.contains("threshold");
        join(split ? "LLM.int8()" : "sparse outliers");
    }
    if (recipe.rounder == "gptq") join("GPTQ");
    if (recipe.rounder == "weighted") join("importance-weighted");
    if (recipe.rounder == "stochastic") join("stochastic");
    if (name.empty()) name = "nearest";
    const auto also = [&](const std::string& scheme, const char* text) {
        if (scheme != "none") name += fmt::format(", {} {}", text, scheme);
    };
    also(recipe.activations, "activations");
    also(recipe.kvCache, "cache");
    return name;
}

} // namespace bw
