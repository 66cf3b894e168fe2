// SPDX-License-Identifier: GPL-3.0-or-later
// The table of runtimes, and what in a mix of formats stands against it.
#include "core/quantize/profiles.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/format/affine.h"
#include "core/format/float_format.h"
#include "core/format/nf4.h"
#include "core/quantize/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace bw {

namespace {

constexpr unsigned bits(std::initializer_list<int> list) {
    unsigned set = 0;
    for (const int b : list) set |= 1u << b;
    return set;
}

constexpr unsigned kFp8Scales = fp8Tensor | fp8Channel | fp8Block;

// vLLM and SGLang fuse q/k/v and gate/up; their weight-only kernels take groups of 32, 64, 128 or whole rows and shapes that
// fill words of 32 codes. SGLang takes entries of "ignore" as substrings, so mixed checkpoints can load unquantized without a
// word (sgl-project/sglang 32736): it gets uniform ones. TensorRT-LLM converts 4-bit GPTQ in groups of 128 and loads fp8 in
// blocks. transformers names the one scale of an fp8 weight otherwise than vLLM, so it gets blocks alone.
constexpr std::array kRules{
    //          profile         layout                integer bits        groups               floats                               mixed  fused  v2     rows cols
    ProfileRule{"llama.cpp",    "gguf",               0,                  {0},                 kAnyFloats,                          true,  false, false, 1,   1},
    ProfileRule{"vllm",         "gptq",               bits({2, 3, 4, 8}), {-1, 32, 64, 128},   0,                                   true,  true,  false, 32,  32},
    ProfileRule{"vllm",         "awq",                bits({4}),          {-1, 32, 64, 128},   0,                                   false, true,  false, 32,  32},
    ProfileRule{"vllm",         "compressed-tensors", bits({4, 8}),       {-1, 32, 64, 128},   kFp8Scales | mxfp8 | mxfp4 | nvfp4,  true,  true,  false, 32,  32},
    ProfileRule{"vllm",         "fp8",                0,                  {0},                 fp8Tensor | fp8Block,                false, true,  false, 32,  32},
    ProfileRule{"vllm",         "bnb",                0,                  {0},                 nf4,                                 false, true,  false, 1,   1},
    ProfileRule{"sglang",       "gptq",               bits({4, 8}),       {-1, 32, 64, 128},   0,                                   false, true,  false, 32,  32},
    ProfileRule{"sglang",       "awq",                bits({4}),          {-1, 32, 64, 128},   0,                                   false, true,  false, 32,  32},
    ProfileRule{"sglang",       "compressed-tensors", bits({4, 8}),       {-1, 32, 64, 128},   kFp8Scales,                          false, true,  false, 32,  32},
    ProfileRule{"sglang",       "fp8",                0,                  {0},                 fp8Tensor | fp8Block,                false, true,  false, 32,  32},
    ProfileRule{"sglang",       "bnb",                0,                  {0},                 nf4,                                 false, true,  false, 1,   1},
    ProfileRule{"transformers", "gptq",               bits({2, 3, 4, 8}), {0},                 0,                                   true,  false, true,  32,  32},
    ProfileRule{"transformers", "awq",                bits({4}),          {0},                 0,                                   false, false, false, 8,   1},
    ProfileRule{"transformers", "compressed-tensors", 0,                  {0},                 kAnyFloats,                          true,  false, false, 1,   1},
    ProfileRule{"transformers", "fp8",                0,                  {0},                 fp8Block,                            false, false, false, 1,   1},
    ProfileRule{"transformers", "bnb",                0,                  {0},                 nf4,                                 false, false, false, 1,   1},
    ProfileRule{"tensorrt-llm", "gptq",               bits({4}),          {128},               0,                                   false, true,  false, 64,  128},
    ProfileRule{"tensorrt-llm", "fp8",                0,                  {0},                 fp8Block,                            false, true,  false, 64,  128},
};

struct KindName {
    unsigned kind;
    const char* format;
};
constexpr std::array kKindNames{KindName{fp8Tensor, "fp8_e4m3:tensor"}, KindName{fp8Channel, "fp8_e4m3:channel"}, KindName{fp8Block, "fp8_e4m3:block128"}, KindName{fp8Group, "fp8_e4m3 in groups"},
                                KindName{mxfp8, "mxfp8_e4m3"},          KindName{mxfp4, "mxfp4"},                 KindName{nvfp4, "nvfp4"},                KindName{nf4, "nf4"}};

/// 0 for integers and GGML's own blocks.
unsigned floatKind(const Format& format) {
    if (dynamic_cast<const Nf4Format*>(&format)) return nf4;
    if (format.storage() == StorageType::mxfp4) return mxfp4;
    const auto* small = dynamic_cast<const FloatFormat*>(&format);
    if (!small) return 0;
    switch (small->grid().scope) {
    case FloatScope::tensor: return fp8Tensor;
    case FloatScope::channel: return fp8Channel;
    case FloatScope::block128: return fp8Block;
    case FloatScope::group: return fp8Group;
    case FloatScope::mx: return mxfp8;
    default: return nvfp4;
    }
}

/// Sites by what is wrong with them, in the order they were found.
class Problems {
public:
    void add(const std::string& what, const std::string& remedy, const std::string& site) {
        const auto [at, isNew] = at_.try_emplace(what, problems_.size());
        if (isNew) problems_.push_back({what, {}, remedy});
        problems_[at->second].sites.push_back(site);
    }
    std::vector<ExportProblem> take() { return std::move(problems_); }

private:
    std::map<std::string, std::size_t> at_;
    std::vector<ExportProblem> problems_;
};

struct QuantizedSite {
    const Site* site;
    FormatPtr format;
};

std::string groupsText(const ProfileRule& rule) {
    std::string text;
    for (const int group : rule.groups) {
        if (group == 0) break;
        text += (text.empty() ? "" : ", ") + (group < 0 ? std::string("channel") : "g" + std::to_string(group));
    }
    return text;
}

void checkGrid(const ProfileRule& rule, const QuantizedSite& q, Problems& problems) {
    const auto* affine = dynamic_cast<const AffineFormat*>(q.format.get());
    const std::string with = fmt::format("{} with {}", rule.profile, rule.layout);
    if (affine && rule.integerBits != 0 && (rule.integerBits >> affine->grid().bits & 1u) == 0)
        problems.add(fmt::format("{} reads no integers of {} bits", with, affine->grid().bits), "give these sites another format with --set, or choose another profile", q.site->name);
    if (affine && rule.groups.front() != 0) {
        const AffineGrid& grid = affine->grid();
        const std::int64_t group = grid.scope == AffineScope::group ? grid.group : grid.scope == AffineScope::channel ? -1 : 0;
        // One scale for a whole weight goes with rounded inputs, whose kernels have no groups.
        if (group != 0 && std::find(rule.groups.begin(), rule.groups.end(), group) == rule.groups.end())
            problems.add(fmt::format("{} has no kernels for groups of {}", with, group), fmt::format("use one of {}", groupsText(rule)), q.site->name);
    }
    if (q.site->rows % rule.rows != 0 || q.site->cols % rule.cols != 0)
        problems.add(fmt::format("{} needs outputs in multiples of {} and inputs in multiples of {}", with, rule.rows, rule.cols), "keep these sites: --set SITE=keep", q.site->name);
}

void checkFloats(const ProfileRule& rule, const QuantizedSite& q, Problems& problems) {
    const unsigned kind = floatKind(*q.format);
    if (kind != 0 && (rule.floats & kind) == 0) {
        std::string known;
        for (const KindName& name : kKindNames)
            if (rule.floats & name.kind) known += (known.empty() ? "" : ", ") + std::string(name.format);
        problems.add(fmt::format("{} with {} reads no {}", rule.profile, rule.layout, q.format->name()), known.empty() ? "use integers, or another layout" : "use one of " + known, q.site->name);
    }
    // vLLM and SGLang fuse layers by whole blocks; transformers without an fp8 card takes rows/(rows of scales) for the height of a
    // block, which is another number when the last block is cut short: such a weight is read wrongly without a word.
    const bool cut = q.site->rows % 128 != 0 || q.site->cols % 128 != 0;
    if (kind == fp8Block && cut && (rule.fusedAlike || rule.layout == "fp8"))
        problems.add(fmt::format("{} with {} needs outputs and inputs in multiples of the block of 128", rule.profile, rule.layout), "use fp8_e4m3:channel with --layout compressed-tensors, or keep these sites: --set SITE=keep", q.site->name);
}

/// The int8 × int8 kernels of serving programs.
void checkRoundedInputs(const ProfileRule& rule, const QuantizedSite& q, const std::string& activations, Problems& problems) {
    const auto* affine = dynamic_cast<const AffineFormat*>(q.format.get());
    if (!affine || statedInputs(activations).floats) return;
    if (!rule.fusedAlike || (affine && affine->grid().bits == 8 && affine->grid().symmetric && affine->grid().scope != AffineScope::group)) return;
    problems.add(fmt::format("{} multiplies rounded inputs by int8:channel:sym and int8:tensor:sym alone, not {}", rule.profile, q.format->name()), "give these sites int8:channel:sym", q.site->name);
}

void checkFused(const Model& model, const ProfileRule& rule, const std::vector<std::string>& formatOf, Problems& problems) {
    std::map<int, const Site*> first;
    for (const Site& site : model.sites()) {
        if (site.block.value() < 0 || site.inputGroup < 0) continue;
        const auto [at, isNew] = first.try_emplace(site.inputGroup, &site);
        if (isNew || formatOf[static_cast<std::size_t>(site.id.value())] == formatOf[static_cast<std::size_t>(at->second->id.value())]) continue;
        problems.add(fmt::format("{} fuses layers that share an input (q/k/v, gate/up) and needs one format for them", rule.profile), "solve the mix with --tie fused, or give them one format with --set",
                     site.name);
    }
}

void checkUniform(const std::string& who, const std::vector<QuantizedSite>& quantized, Problems& problems) {
    std::map<std::string, std::int64_t> weights;
    for (const QuantizedSite& q : quantized) weights[q.format->name()] += q.site->rows * q.site->cols;
    if (weights.size() < 2) return;
    const std::string usual = std::max_element(weights.begin(), weights.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    for (const QuantizedSite& q : quantized)
        if (q.format->name() != usual)
            problems.add(fmt::format("{} has one format for all quantized layers ({}), not {} beside it", who, usual, q.format->name()), fmt::format("give all of them one format, or keep these: --set SITE=keep"),
                         q.site->name);
}

} // namespace

const ProfileRule* profileRule(std::string_view profile, const ExportLayoutInfo& layout) {
    if (profile.empty()) return nullptr;
    std::string layouts, profiles;
    for (const ProfileRule& rule : kRules) {
        if (rule.profile == profile && rule.layout == layout.name) return &rule;
        if (rule.profile == profile) layouts += (layouts.empty() ? "" : ", ") + std::string(rule.layout);
        if (profiles.find(rule.profile) == std::string::npos) profiles += (profiles.empty() ? "" : ", ") + std::string(rule.profile);
    }
    const std::string shown = escapeForDisplay(std::string(profile), 40);
    if (layouts.empty()) throw Error(ErrorCode::usage, "there is no profile '" + shown + "'", "profiles: " + profiles);
    throw Error(ErrorCode::usage, fmt::format("{} does not read {}", shown, layout.title), fmt::format("layouts that it reads: {}", layouts));
}

bool profileFusesLayers(std::string_view profile) {
    return std::any_of(kRules.begin(), kRules.end(), [&](const ProfileRule& rule) { return rule.profile == profile && rule.fusedAlike; });
}

std::vector<std::string> exportProfileNames() {
    std::vector<std::string> names;
    for (const ProfileRule& rule : kRules)
        if (std::find(names.begin(), names.end(), rule.profile) == names.end()) names.emplace_back(rule.profile);
    return names;
}

std::vector<std::string> exportLayoutNames() {
    std::vector<std::string> names;
    for (const ExportLayoutInfo& layout : exportLayouts()) names.emplace_back(layout.name);
    return names;
}

std::vector<ExportProblem> exportProblems(const Model& model, const std::vector<SiteFormat>& formats, const std::string& outPath, const ExportOptions& options) {
    const ChosenLayout layout = chooseLayout(options, outPath, formats);
    const ProfileRule* rule = profileRule(options.profile, *layout.info);
    const bool strict = layout.asked || rule != nullptr;
    Problems problems;
    std::vector<QuantizedSite> quantized;
    std::vector<std::string> formatOf(model.sites().size(), "keep");
    for (const SiteFormat& f : formats) {
        if (!f.used) continue;
        const Site& site = model.site(f.site);
        const HeldFormat held = holdIn(layout, site, f.used, integerInputs(options));
        if (!held.format) {
            const bool byItself = options.layout.empty() && layout.info->name == "bnb";
            problems.add(fmt::format("{} can't hold {} ({})", layout.info->title, f.used->name(), held.why),
                         byItself ? "nf4 lies in a folder as bitsandbytes has it, without other formats: give all sites nf4, or none" : "give these sites another format with --set, or choose another layout", site.name);
            continue;
        }
        if (held.keep || isPlainFloat(held.format->storage())) continue;
        formatOf[static_cast<std::size_t>(site.id.value())] = held.format->name();
        quantized.push_back({&site, held.format});
    }
    const bool rounds = !options.activations.empty() && options.activations != "none";
    if (layout.asked && layout.info->name == "compressed-tensors" && !statesInputs(options) && rounds)
        for (const QuantizedSite& q : quantized)
            problems.add(fmt::format("compressed-tensors files can't say that inputs are rounded as {}", options.activations), "use a8 or fp8, per token, g128 or tensor, or none", q.site->name);
    if (layout.info->name == "fp8" && rounds && !statedInputs(options.activations).floats)
        for (const QuantizedSite& q : quantized)
            problems.add(fmt::format("programs that load fp8 files round inputs to fp8, not as {}", options.activations), "use fp8:token, or the compressed-tensors layout", q.site->name);
    if (layout.info->kind == ExportKind::safetensors && strict && !layout.info->mixedFormats)
        checkUniform(std::string(layout.info->title), quantized, problems);
    else if (rule && !rule->mixed)
        checkUniform(fmt::format("{} with {}", rule->profile, rule->layout), quantized, problems);
    if (rule) {
        for (const QuantizedSite& q : quantized) {
            checkGrid(*rule, q, problems);
            checkFloats(*rule, q, problems);
            if (statesInputs(options) && layout.info->name == "compressed-tensors") checkRoundedInputs(*rule, q, options.activations, problems);
        }
        if (rule->fusedAlike) checkFused(model, *rule, formatOf, problems);
    }
    return problems.take();
}

void refuseProblems(const std::vector<ExportProblem>& problems) {
    if (problems.empty()) return;
    std::string message, hint;
    for (const ExportProblem& problem : problems) {
        message += message.empty() ? "" : "; ";
        message += problem.what + ": ";
        constexpr std::size_t kNamed = 6;
        for (std::size_t i = 0; i < std::min(kNamed, problem.sites.size()); ++i) message += (i ? ", " : "") + problem.sites[i];
        if (problem.sites.size() > kNamed) message += fmt::format(" and {} more", problem.sites.size() - kNamed);
        if (hint.find(problem.remedy) == std::string::npos) hint += (hint.empty() ? "" : "; ") + problem.remedy;
    }
    throw Error(ErrorCode::formatDoesNotFit, message, hint);
}

} // namespace bw
