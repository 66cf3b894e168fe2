// SPDX-License-Identifier: GPL-3.0-or-later
// Rules, fallbacks and the promise that nothing asked for is silently ignored.
#include "core/quantize/assignment.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw {

namespace {

struct Wanted {
    std::string name; ///< canonical
    FormatPtr format; ///< nullptr = keep
};

Wanted parseWanted(const std::string& text, const std::string& where) {
    if (text == "keep") return {text, nullptr};
    try {
        FormatPtr format = parseFormat(text);
        return {format->name(), format};
    } catch (Error& e) {
        e.add("in", where);
        throw;
    }
}

/// A few site names to choose from, in the hint of a rule that matches none.
std::string someSites(const Model& model) {
    std::string list;
    for (const Site& site : model.sites()) {
        if (site.block.value() > 0) break;
        list += (list.empty() ? "" : ", ") + site.name;
    }
    return list;
}

} // namespace

std::vector<SiteFormat> resolveFormats(const Model& model, const std::string& defaultFormat, const std::string& headDefault,
                                       const std::vector<FormatRule>& rules) {
    const Wanted standard = parseWanted(defaultFormat, "the default format");
    const Wanted head = headDefault.empty() ? standard : parseWanted(headDefault, "the format of the embedding and the head");
    std::vector<Wanted> wanted;
    for (const Site& site : model.sites())
        wanted.push_back(site.kind == SiteKind::tokenEmbedding || site.kind == SiteKind::output ? head : standard);
    for (const FormatRule& rule : rules) {
        const Wanted ruled = parseWanted(rule.format, fmt::format("rule \"{}\"", escapeForDisplay(rule.pattern)));
        bool matched = false;
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            if (!globMatches(rule.pattern, model.sites()[i].name)) continue;
            wanted[i] = ruled;
            matched = true;
        }
        if (!matched)
            throw Error(ErrorCode::usage,
                        fmt::format("rule \"{}={}\" matches no site of {}", escapeForDisplay(rule.pattern), ruled.name,
                                    escapeForDisplay(model.checkpoint().displayName())),
                        "sites have names like " + someSites(model) + "; * and ? stand for any text and any character");
    }
    std::vector<SiteFormat> formats;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const Site& site = model.sites()[i];
        SiteFormat format{site.id, wanted[i].name, wanted[i].format, {}};
        if (format.used) {
            std::string why;
            format.used = fallbackFormat(format.used, site.rows, site.cols, &why);
            if (format.used != wanted[i].format) format.whyDiffers = why;
        }
        formats.push_back(std::move(format));
    }
    return formats;
}

} // namespace bw
