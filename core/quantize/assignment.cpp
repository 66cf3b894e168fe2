// SPDX-License-Identifier: GPL-3.0-or-later
// Rules, named mixes, fallbacks and the promise that nothing asked for is silently ignored.
#include "core/quantize/assignment.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/tensor_names.h"
#include "core/quantize/presets.h"
#include "core/quantize/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

namespace bw {

namespace {

struct Wanted {
    std::string name;    ///< canonical, without the rounder
    FormatPtr format;    ///< nullptr = keep
    std::string rounder; ///< empty = the recipe's
};

Wanted parseWanted(const std::string& text, const std::string& where) {
    if (text == "keep") return {text, nullptr, {}};
    try {
        SiteChoice choice = parseChoice(text);
        return {choice.format->name(), choice.format, std::move(choice.rounder)};
    } catch (Error& e) {
        e.add("in", where);
        throw;
    }
}

constexpr std::string_view kMixPrefix = "mix:";
bool namesMix(const std::string& text) { return text.starts_with(kMixPrefix); }

const NamedMix& requireMix(const std::string& text) {
    const std::string name = text.substr(kMixPrefix.size());
    const NamedMix* mix = findMix(name);
    std::string known;
    for (const NamedMix& m : namedMixes())
        if (storageTypeInfo(m.base).encodes) known += (known.empty() ? "" : ", ") + std::string(m.name);
    if (!mix)
        throw Error(ErrorCode::invalidFormat, fmt::format("there is no mix \"{}\"", escapeForDisplay(name)),
                    "known mixes: " + known);
    if (!storageTypeInfo(mix->base).encodes)
        throw Error(ErrorCode::invalidFormat,
                    fmt::format("the mix \"{}\" needs {}, which is read but not written here", mix->name,
                                storageTypeInfo(mix->base).name),
                    "known mixes: " + known);
    return *mix;
}

/// A few site names to choose from, in the hint of a rule that matches none.
std::string someSites(const Model& model) {
    std::string list;
    for (const Site& site : model.sites()) {
        if (site.block.value() > 0) break;
        if (list.size() < 200) list += (list.empty() ? "" : ", ") + site.name;
    }
    return list;
}

/// GGUF's name of the tensor that holds a weight: experts that lie in tensors of their own ("blk.3.ffn_up.e5.weight")
/// are one stacked tensor there.
std::string stackedName(const std::string& name) {
    const auto expert = parseExpertName(name);
    return expert ? expert->stack : name;
}

std::string architectureOf(const Model& model) {
    if (model.checkpoint().kind() == CheckpointKind::gguf)
        return model.checkpoint().metadata().text("general.architecture").value_or("");
    const std::string& family = model.config().family;
    return family == "mistral" || family == "mixtral" ? "llama" : family; // GGUF calls all three llama
}

class Resolver {
public:
    Resolver(const Model& model, const FormatRequest& request) : model_(model), request_(request) {
        const bool tied = model.findSite("output") == nullptr;
        embedding_ = request.embedding.empty() ? request.head : request.embedding;
        output_ = request.output.empty() ? request.head : request.output;
        if (tied && embedding_.empty()) embedding_ = output_;
    }

    std::vector<Wanted> wanted() {
        overrides();
        if (namesMix(request_.format))
            fromMix();
        else
            standard_.assign(model_.sites().size(), parseWanted(request_.format, "the default format"));
        for (std::size_t i = 0; i < standard_.size(); ++i)
            if (given_[i]) standard_[i] = *given_[i];
        applyRules();
        return std::move(standard_);
    }

private:
    /// Patterns over tensors, then the embedding's and the head's own formats.
    void overrides() {
        given_.resize(model_.sites().size());
        std::vector<bool> matched(request_.tensorTypes.size(), false);
        std::vector<std::pair<NamePattern, Wanted>> patterns;
        for (const FormatRule& rule : request_.tensorTypes)
            patterns.emplace_back(
                NamePattern(rule.pattern),
                parseWanted(rule.format, fmt::format("tensor pattern \"{}\"", escapeForDisplay(rule.pattern))));
        for (std::size_t i = 0; i < given_.size(); ++i) {
            const std::string name = stackedName(model_.sites()[i].tensor);
            for (std::size_t p = 0; p < patterns.size(); ++p) {
                if (!patterns[p].first.matches(name)) continue;
                if (!given_[i]) given_[i] = patterns[p].second;
                matched[p] = true;
            }
        }
        for (std::size_t p = 0; p < patterns.size(); ++p)
            if (!matched[p])
                throw Error(ErrorCode::usage,
                            fmt::format("tensor pattern \"{}\" matches no site of {}",
                                        escapeForDisplay(patterns[p].first.text()),
                                        escapeForDisplay(model_.checkpoint().displayName())),
                            "patterns are regular expressions over names like " + model_.sites().front().tensor);
        setOne("token_embd", embedding_, "the format of the embedding");
        setOne("output", output_, "the format of the head");
    }

    void setOne(const char* name, const std::string& text, const char* where) {
        if (text.empty()) return;
        const Wanted format = parseWanted(text, where);
        if (const Site* site = model_.findSite(name)) given_[static_cast<std::size_t>(site->id.value())] = format;
    }

    void fromMix() {
        const NamedMix& mix = requireMix(request_.format);
        std::set<std::string> given;
        for (std::size_t i = 0; i < given_.size(); ++i)
            if (given_[i]) given.insert(stackedName(model_.sites()[i].tensor));
        std::vector<MixTensor> tensors;
        std::map<std::string, std::size_t> indexOf;
        const bool ownHead = model_.findSite("output") != nullptr || !model_.config().tiedHead;
        for (const TensorInfo& tensor : model_.checkpoint().tensors()) {
            const std::string& plain = tensor.canonical.empty() ? tensor.name : tensor.canonical;
            const std::string name = stackedName(plain);
            if (!mixQuantizes(name, tensor.shape.size()) || indexOf.contains(name)) continue;
            if (name == "output.weight" && !ownHead) continue; // a stored copy of the embedding
            indexOf[name] = tensors.size();
            tensors.push_back({name, tensor.cols(), tensor.shape.size() > 2 || name != plain,
                               given.contains(name) ? std::optional(mix.base) : std::nullopt});
        }
        const ModelConfig& config = model_.config();
        const MixModel facts{architectureOf(model_), config.blocks,  config.heads,
                             config.kvHeads,         config.experts, request_.importance};
        const std::vector<StorageType> types = mixTypes(mix, facts, tensors);
        for (const Site& site : model_.sites()) {
            const auto found = indexOf.find(stackedName(site.tensor));
            const StorageType type = found == indexOf.end() ? mix.base : types[found->second];
            standard_.push_back(
                parseWanted(std::string(storageTypeInfo(type).name), fmt::format("the mix \"{}\"", mix.name)));
        }
    }

    void applyRules() {
        for (const FormatRule& rule : request_.rules) {
            const Wanted ruled = parseWanted(rule.format, fmt::format("rule \"{}\"", escapeForDisplay(rule.pattern)));
            bool matched = false;
            for (std::size_t i = 0; i < standard_.size(); ++i) {
                if (!globMatches(rule.pattern, model_.sites()[i].name)) continue;
                standard_[i] = ruled;
                matched = true;
            }
            if (!matched)
                throw Error(ErrorCode::usage,
                            fmt::format("rule \"{}={}\" matches no site of {}", escapeForDisplay(rule.pattern),
                                        ruled.name, escapeForDisplay(model_.checkpoint().displayName())),
                            "sites have names like " + someSites(model_) +
                                "; * and ? stand for any text and any character");
        }
    }

    const Model& model_;
    const FormatRequest& request_;
    std::string embedding_, output_;
    std::vector<std::optional<Wanted>> given_; ///< set by hand, per site
    std::vector<Wanted> standard_;
};

constexpr std::string_view kRounders[] = {"nearest", "stochastic", "weighted", "gptq"};

} // namespace

bool isRounder(std::string_view name) {
    return std::find(std::begin(kRounders), std::end(kRounders), name) != std::end(kRounders);
}

std::string choiceFormat(const std::string& text) { return text.substr(0, text.find('@')); }

SiteChoice parseChoice(const std::string& text) {
    const std::size_t at = text.find('@');
    SiteChoice choice{parseFormat(choiceFormat(text)), at == std::string::npos ? std::string() : text.substr(at + 1)};
    if (at != std::string::npos && !isRounder(choice.rounder))
        throw Error(ErrorCode::invalidFormat,
                    fmt::format("\"{}\" names no rounder behind the @", escapeForDisplay(text)),
                    "rounders are nearest, stochastic, weighted and gptq: " + choice.format->name() + "@weighted");
    return choice;
}

void checkFormatOrMix(const std::string& text) {
    if (text == "keep") return;
    if (namesMix(text))
        requireMix(text);
    else
        parseChoice(text);
}

std::vector<SiteFormat> resolveFormats(const Model& model, const FormatRequest& request) {
    const std::vector<Wanted> wanted = Resolver(model, request).wanted();
    std::vector<SiteFormat> formats;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const Site& site = model.sites()[i];
        SiteFormat format{site.id, wanted[i].name, wanted[i].format, {}, wanted[i].rounder};
        if (format.used) {
            std::string why;
            format.used = fallbackFormat(format.used, site.rows, site.cols, &why);
            if (format.used != wanted[i].format) format.whyDiffers = why;
        }
        formats.push_back(std::move(format));
    }
    return formats;
}

std::vector<SiteFormat> resolveFormats(const Model& model, const std::string& defaultFormat,
                                       const std::string& headDefault, const std::vector<FormatRule>& rules) {
    FormatRequest request;
    request.format = defaultFormat;
    request.head = headDefault;
    request.rules = rules;
    return resolveFormats(model, request);
}

} // namespace bw
