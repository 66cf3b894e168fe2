// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/guide.h"

#include "core/assign/budget.h"
#include "core/base/error.h"
#include "core/experiment/plan_rows.h"
#include "core/quantize/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace bw {
namespace {

constexpr std::string_view kUsualMix = "q4_k_m";
/// Of llama.cpp's mixes those that are the best of their size as a rule; older and special ones are left to those who know why.
constexpr std::array<std::string_view, 10> kGoodMixes{"q2_k", "q3_k_s", "q3_k_m", "iq4_xs", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k", "q8_0"};
constexpr std::int64_t kCorrectionTokens = 8192; ///< with less text drift correction can hurt
constexpr double kCorrection = 0.5;
constexpr std::array kCodeBits{8, 4, 3, 2}; ///< of integer codes that kernels exist for, largest first

/// The size that was asked for in bits per weight of the sites; 0 when none was.
double wantedBits(const Model& model, const std::string& size) {
    if (size.empty()) return 0;
    const Budget budget = parseBudget(size);
    if (budget.kind == Budget::Kind::cost)
        throw Error(ErrorCode::usage, fmt::format("'{}' is a damage, not a size", size), "give bits per weight or bytes, like 4.5bpw or 1.2GiB");
    if (budget.kind == Budget::Kind::bitsPerWeight) return budget.value;
    const std::int64_t weights = siteWeights(model);
    return 8 * static_cast<double>(budget.bytes(weights)) / static_cast<double>(std::max<std::int64_t>(1, weights));
}

[[noreturn]] void refuseSize(double bits, double least) {
    const double enough = std::ceil(100 * least) / 100;
    throw Error(ErrorCode::infeasibleBudget, fmt::format("nothing for this target takes {:.3g} bits per weight or less; the least is {:.2f}", bits, enough),
                fmt::format("allow {:.2f}bpw", enough));
}

/// Group size that divides every input width inside the blocks: 128, 64 or 32; 0 = none does, a scale per channel is left.
std::int64_t groupFor(const Model& model) {
    for (const std::int64_t group : {std::int64_t{128}, std::int64_t{64}, std::int64_t{32}}) {
        const auto fits = [group](const Site& site) { return site.block.value() < 0 || site.cols % group == 0; };
        if (std::all_of(model.sites().begin(), model.sites().end(), fits)) return group;
    }
    return 0;
}

std::string affine(int bits, std::int64_t group, const char* symmetry) {
    return group > 0 ? fmt::format("int{}:g{}:{}", bits, group, symmetry) : fmt::format("int{}:channel:{}", bits, symmetry);
}

/// Can scales be folded before most of the linears? Where they can't, transforms do little.
bool foldsScales(const Model& model) {
    const std::vector<FoldPoint> points = foldPoints(model);
    const auto usable = std::count_if(points.begin(), points.end(), [](const FoldPoint& p) { return p.whyNot.empty(); });
    return !points.empty() && 2 * usable >= static_cast<std::ptrdiff_t>(points.size());
}

std::string upper(std::string_view name) {
    std::string out(name);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

/// Collects what can be done, and remembers why something can't.
class Proposals {
public:
    Proposals(const Model& model, const Recipe& from) : model_(model), from_(from) {}

    const Model& model() const { return model_; }
    /// `from`'s texts and checkpoint with one format and no method.
    Recipe base(const std::string& format) const {
        const Recipe fresh;
        Recipe r = from_;
        r.kind = "quantize";
        r.transform = r.activations = r.kvCache = "none";
        r.rounder = "nearest";
        r.gptq = fresh.gptq;
        r.clipSearch = fresh.clipSearch;
        r.search = fresh.search;
        r.assignment = fresh.assignment;
        r.assignment.format = format;
        r.assignment.budget = from_.assignment.budget;
        r.exporting = {};
        return r;
    }
    /// GPTQ on top of it. Drift correction halves what GPTQ leaves again, but not all of what it finds in little text is there.
    Recipe byGptq(Recipe r) const {
        r.rounder = "gptq";
        r.gptq.correction = from_.calibration.samples * from_.calibration.length >= kCorrectionTokens ? kCorrection : 0;
        return r;
    }
    /// The same for a layout that keeps embedding and head as the checkpoint has them, as its loaders want.
    Recipe forLayout(const std::string& format, const char* layout) const {
        Recipe r = base(format);
        r.assignment.head = "keep";
        r.exporting.layout = layout;
        r.exporting.profile = "vllm";
        return r;
    }
    void add(std::string name, std::string why, Recipe recipe) {
        recipe.name = name;
        const std::string problem = problemOf(recipe);
        if (problem.empty())
            all_.push_back({std::move(name), std::move(why), std::move(recipe)});
        else if (problem_.empty())
            problem_ = name + ": " + problem;
    }
    std::vector<MethodTrial> take() && {
        if (all_.empty()) throw Error(ErrorCode::unsupportedModel, "nothing can be proposed for this model and target: " + problem_, "try another target, or weight-only");
        return std::move(all_);
    }

private:
    /// Why it can't be run or written here; empty when it can.
    std::string problemOf(const Recipe& recipe) const {
        try {
            const std::vector<SiteFormat> formats = recipeFormats(model_, Recipe::fromJson(recipe.toJson()));
            if (recipe.exporting.layout.empty()) return {};
            ExportOptions options;
            options.layout = recipe.exporting.layout;
            options.profile = recipe.exporting.profile;
            if (recipe.activations != "none") options.activations = recipe.activations;
            const auto problems = exportProblems(model_, formats, "model", options);
            return problems.empty() ? std::string() : problems.front().what;
        } catch (const Error& e) {
            return e.message();
        }
    }

    const Model& model_;
    const Recipe& from_;
    std::vector<MethodTrial> all_;
    std::string problem_;
};

/// The largest good mix of at most `bits`; the usual one when no size is asked for.
std::string mixWithin(const Proposals& out, double bits) {
    if (!(bits > 0)) return std::string(kUsualMix);
    std::string best;
    double bestBits = 0, least = std::numeric_limits<double>::infinity();
    for (const std::string_view mix : kGoodMixes) {
        const double size = proposedBits(out.model(), out.base("mix:" + std::string(mix)));
        least = std::min(least, size);
        if (size > bits || size <= bestBits) continue;
        best = mix;
        bestBits = size;
    }
    if (best.empty()) refuseSize(bits, least);
    return best;
}

/// GGUF for llama.cpp: its k-quants, better rounded.
void proposeGguf(double bits, bool apple, Proposals& out) {
    const std::string mix = mixWithin(out, bits), name = upper(mix), format = "mix:" + mix;
    const Recipe gptq = out.byGptq(out.base(format));
    Recipe awq = gptq;
    awq.transform = "awq";
    Recipe weighted = out.base(format);
    weighted.rounder = "weighted";
    out.add(name + " with GPTQ",
            "The blocks llama.cpp reads as ever, at the same size, but each column makes up for the rounding of those "
            "before it, "
            "and each site for those before it where there is text enough. Takes minutes where nearest takes seconds.",
            gptq);
    if (foldsScales(out.model()))
        out.add(name + ", AWQ scales, then GPTQ",
                "Channels with large activations get finer steps first. The scales are folded into norms and neighbouring "
                "weights, so the file stays an ordinary GGUF.",
                awq);
    out.add(name + ", importance-weighted",
            std::string("What llama-quantize does with an importance matrix: seconds, and a safe yardstick for the others.") +
                (apple ? " Metal has kernels for all of its types." : ""),
            weighted);
}

/// The widest codes whose sites stay within `bits`; four when no size is asked for.
int codeBitsWithin(const Proposals& out, double bits, std::int64_t group) {
    if (!(bits > 0)) return 4;
    double size = 0;
    for (const int codes : kCodeBits) {
        size = proposedBits(out.model(), out.forLayout(affine(codes, group, "sym"), "gptq"));
        if (size <= bits) return codes;
    }
    refuseSize(bits, size);
}

void proposeNvidiaWeights(double bits, Proposals& out) {
    const std::int64_t group = groupFor(out.model());
    const int codes = codeBitsWithin(out, bits, group);
    const std::string even = affine(codes, group, "sym"), free = affine(codes, group, "asym");
    const Recipe gptq = out.byGptq(out.forLayout(even, "gptq"));
    out.add("GPTQ, " + even,
            "Loads in vLLM, SGLang and transformers; fast kernels run it at 4 and 8 bits. Symmetric, so that no loader's "
            "zero-point convention matters.",
            gptq);
    const char* layout = codes == 4 || codes == 8 ? "compressed-tensors" : "gptq"; // which has kernels for the others
    if (codes == 4 && foldsScales(out.model())) {
        Recipe awq = out.forLayout(free, "awq");
        awq.transform = "awq+clip";
        out.add("AWQ, " + free, "Needs few texts and hardly overfits to them: for models whose use differs from the calibration text.", awq);
    }
    if (codes <= 4 && foldsScales(out.model())) {
        Recipe both = out.byGptq(out.forLayout(even, layout));
        both.transform = "awq";
        out.add("AWQ scales, then GPTQ, " + even, "Scales first, compensation after: often the least damage at this size.", both);
    }
    if (codes != 4 || !foldsScales(out.model()))
        out.add("nearest, " + even, "No calibration at all: what the others must beat.", out.forLayout(even, layout));
}

void proposeNvidiaActivations(Proposals& out) {
    if (foldsScales(out.model())) {
        Recipe smooth = out.forLayout("int8:channel:sym", "compressed-tensors");
        smooth.transform = "smooth:alpha=0.5";
        smooth.activations = "a8:token";
        out.add("SmoothQuant, int8 weights and activations",
                "Integer kernels on every card since Turing. Outliers of the activations are moved into the weights first.", smooth);
    }
    Recipe fp8 = out.forLayout("fp8_e4m3:channel", "compressed-tensors");
    fp8.activations = "fp8:token";
    out.add("fp8 weights and activations", "Ada, Hopper and newer. Floats take outliers as they come, so that nothing needs calibrating.", fp8);
    Recipe split = out.forLayout("int8:channel:sym", "bnb");
    split.exporting.profile = "transformers";
    split.transform = "outliers:threshold=6";
    split.activations = "a8:token";
    out.add("LLM.int8()", "Channels with outliers stay in 16 bits: the most careful of the three and the slowest to run (bitsandbytes).", split);
}

void proposeCpuActivations(Proposals& out) {
    Recipe q8 = out.base("q8_0");
    q8.activations = "q8_0";
    out.add("Q8_0, activations in blocks of 8 bits", "What llama.cpp's CPU kernels compute with; practically lossless.", q8);
    Recipe q6 = out.byGptq(out.base("q6_k"));
    q6.activations = "q8_k";
    out.add("Q6_K with GPTQ, activations in blocks of 8 bits", "A quarter smaller for little more damage.", q6);
}

} // namespace

double proposedBits(const Model& model, const Recipe& recipe) {
    constexpr double kKeptBytes = 2; // a weight that is kept is written in 16 bits
    double bytes = 0, weights = 0;
    for (const SiteFormat& format : recipeFormats(model, recipe)) {
        const Site& site = model.site(format.site);
        const auto count = static_cast<double>(site.rows * site.cols);
        bytes += format.used ? static_cast<double>(format.used->bytes(site.rows, site.cols)) : kKeptBytes * count;
        weights += count;
    }
    return weights > 0 ? 8 * bytes / weights : 0;
}

std::vector<MethodTrial> proposeMethods(const Model& model, const GuideRequest& request, const Recipe& from) {
    const bool activations = request.kind == "w8a8";
    if (!activations && request.kind != "weight-only")
        throw Error(ErrorCode::usage, fmt::format("no kind of quantization is called '{}'", request.kind), "use weight-only or w8a8");
    constexpr std::array<std::string_view, 3> kTargets{"cpu", "nvidia", "apple"};
    if (std::find(kTargets.begin(), kTargets.end(), request.target) == kTargets.end())
        throw Error(ErrorCode::usage, fmt::format("no target is called '{}'", request.target), "use cpu, nvidia or apple");
    Proposals out(model, from);
    const double bits = wantedBits(model, request.size);
    if (activations)
        request.target == "nvidia" ? proposeNvidiaActivations(out) : proposeCpuActivations(out);
    else
        request.target == "nvidia" ? proposeNvidiaWeights(bits, out) : proposeGguf(bits, request.target == "apple", out);
    return std::move(out).take();
}

std::string methodName(const Recipe& recipe) {
    std::string name;
    const auto join = [&](const std::string& part) { name += (name.empty() ? "" : " + ") + part; };
    for (const TransformSpec::Part& part : parseTransform(recipe.transform).parts) {
        if (part.name == "smooth") join("SmoothQuant");
        if (part.name == "awq") join("AWQ");
        if (part.name == "clip") join("clip search");
        if (part.name == "rotate") join("rotation");
        if (part.name == "outliers") join(part.options.contains("threshold") ? "LLM.int8()" : "sparse outliers");
    }
    if (recipe.rounder == "gptq") join(recipe.gptq.correction > 0 ? "GPTQ with correction" : "GPTQ");
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
