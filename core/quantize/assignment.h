// SPDX-License-Identifier: GPL-3.0-or-later
// Which format each site gets: a default or a named mix, rules by name pattern, the fallback where a format does not
// fit a shape, and the recipe that another checkpoint was made by.
#pragma once

#include "core/format/format.h"
#include "core/model/model.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// A pattern and what it asks for, a choice string. Globs over site names ("blk.*.attn_v") unless said otherwise.
struct FormatRule { std::string pattern, format; };

/// What a site may take: a format, and the rounder where it is another than the recipe's. As a string "q4_k" or
/// "q4_k@weighted".
struct SiteChoice {
    FormatPtr format;
    std::string rounder = {}; ///< empty = the recipe's
    std::string name() const { return withRounder(format->name()); } ///< canonical; parseChoice() gives it back
    /// The same rounder with a format of another name (the one a site falls back to).
    std::string withRounder(const std::string& formatName) const {
        return rounder.empty() ? formatName : formatName + '@' + rounder;
    }
};
/// @throws Error(invalidFormat) for a format or rounder that is none.
SiteChoice parseChoice(const std::string& text);
/// The format's part of a choice string, whatever it names: "q4_k" of "q4_k@weighted".
std::string choiceFormat(const std::string& text);
/// nearest, stochastic, weighted, gptq.
bool isRounder(std::string_view name);

struct SiteFormat {
    SiteId site;
    std::string asked;    ///< format string; "keep" = the checkpoint's own type
    FormatPtr used;       ///< nullptr = kept as it is
    std::string whyDiffers; ///< empty when used == asked
    std::string rounder = {}; ///< of this site alone ("q4_k@weighted" in a rule); empty = the recipe's
};

/// What a recipe asks of the sites. From weak to strong: format, tensorTypes, head, output and embedding, rules.
struct FormatRequest {
    /// A choice string for every site, "keep", or "mix:NAME" with one of the named mixes (presets.h).
    std::string format;
    std::vector<FormatRule>
        tensorTypes; ///< regular expressions over tensor names ("attn_(k|v)"); the first that matches holds
    std::string head;                    ///< of token_embd and output; empty = as the others
    std::string output; ///< of output, or of token_embd where that is the head too; empty = as the others
    std::string embedding;               ///< of token_embd; empty = as the others
    std::vector<FormatRule> rules;       ///< globs over site names; the last that matches holds
    bool importance = false;             ///< an importance matrix is at hand: some mixes give other types then
};

/// @throws Error(invalidFormat); Error(usage) when a rule matches no site (names the rule): nothing is ignored
/// silently.
std::vector<SiteFormat> resolveFormats(const Model& model, const FormatRequest& request);
/// The same with a default, a head and rules alone.
std::vector<SiteFormat> resolveFormats(const Model& model, const std::string& defaultFormat,
                                       const std::string& headDefault, const std::vector<FormatRule>& rules);

/// nvfp4 sites of one block that share an input (q/k/v, gate/up, the experts of a layer) get one global scale, from the largest
/// weight of all of them: programs that fuse such layers keep only one. Reads these sites' weights one by one.
std::vector<SiteFormat> shareGlobalScales(const Model& model, std::vector<SiteFormat> formats);

/// "q4_0", "q4_0@weighted", "mix:q4_k_m" or "keep"? @throws Error(invalidFormat) with the nearest known name.
void checkFormatOrMix(const std::string& text);

/// The types of another checkpoint's tensors as a default and a few rules for this model.
struct ClonedRecipe {
    std::string format;
    std::vector<FormatRule> rules;
    std::vector<std::string> notes; ///< what could not be taken over, and what stands for it
};

/// @param from of the same family, as a rule a quantized GGUF of the same model; only its directory is read.
/// @throws Error(unsupportedModel) when no tensor of `from` belongs to a site of `model`.
ClonedRecipe cloneRecipe(const Model& model, const Checkpoint& from);

} // namespace bw
