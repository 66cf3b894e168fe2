// SPDX-License-Identifier: GPL-3.0-or-later
// A fitted transform as JSON: scales as one byte k of 2^(k/8) each, in Base64.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/quantize/scale_grid.h"
#include "core/quantize/transform.h"

#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"; // RFC 4648

std::string toBase64(std::span<const float> scales) {
    std::string text;
    for (std::size_t i = 0; i < scales.size(); i += 3) {
        unsigned bits = 0;
        for (std::size_t k = 0; k < 3; ++k)
            bits = bits << 8 | (i + k < scales.size() ? static_cast<unsigned>(scaleStep(scales[i + k]) + 128) : 0u);
        for (std::size_t k = 0; k < 4; ++k) text += i + k > scales.size() ? '=' : kAlphabet[bits >> (18 - 6 * k) & 63];
    }
    return text;
}

[[noreturn]] void refuse(const std::string& what) {
    throw Error(ErrorCode::invalidRecipe, "a fitted transform " + what, "Fit the transform again.");
}

std::vector<float> fromBase64(const std::string& text) {
    if (text.empty() || text.size() % 4 != 0) refuse("has scales that are no Base64");
    std::vector<float> scales;
    scales.reserve(text.size() / 4 * 3);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        const bool last = i + 4 == text.size();
        const std::size_t padding = last ? (text[i + 3] != '=' ? 0u : text[i + 2] != '=' ? 1u : 2u) : 0u;
        unsigned bits = 0;
        for (std::size_t k = 0; k < 4; ++k) {
            const auto digit = k >= 4 - padding ? 0 : kAlphabet.find(text[i + k]);
            if (digit == std::string_view::npos) refuse("has scales that are no Base64");
            bits = bits << 6 | static_cast<unsigned>(digit);
        }
        for (std::size_t k = 0; k + padding < 3; ++k) scales.push_back(scaleOfStep(static_cast<int>(bits >> (16 - 8 * k) & 255) - 128));
    }
    return scales;
}

std::vector<std::string> strings(const Json& json, const char* key) {
    std::vector<std::string> lines;
    if (!json.contains(key)) return lines;
    if (!json.at(key).is_array()) refuse(fmt::format("has {} that are no list", key));
    for (const Json& line : json.at(key)) {
        if (!line.is_string()) refuse(fmt::format("has {} that are no text", key));
        lines.push_back(line.get<std::string>());
    }
    return lines;
}

std::string text(const Json& json, const char* key) {
    if (!json.contains(key) || !json.at(key).is_string()) refuse(fmt::format("has no '{}'", key));
    return json.at(key).get<std::string>();
}

FittedPoint pointOf(const Json& row) {
    if (!row.is_object()) refuse("has points that are no objects");
    const auto number = [&](const char* key, double missing) {
        if (!row.contains(key)) return missing;
        if (!row.at(key).is_number()) refuse(fmt::format("has a point whose {} is no number", key));
        return row.at(key).get<double>();
    };
    return {text(row, "point"), text(row, "method"), number(row.contains("alpha") ? "alpha" : "ratio", 0), number("error_before", -1), number("error_after", -1)};
}

/// Logs of earlier versions have a line of text.
DataWarning warningOf(const Json& row) {
    if (row.is_string()) return {"transform", row.get<std::string>(), {}, {}};
    if (!row.is_object()) refuse("has warnings that are no objects");
    return {text(row, "kind"), text(row, "seen"), text(row, "why"), text(row, "remedy")};
}

} // namespace

Json toJson(const FittedTransform& fitted) {
    Json json{{"transform", fitted.text}, {"model", fitted.model}};
    if (fitted.rotates) json["rotation_seed"] = fitted.rotationSeed;
    for (const auto& [point, scales] : fitted.scales) json["scales"][point] = toBase64(scales);
    for (const FittedPoint& p : fitted.points) {
        Json row{{"point", p.point}, {"method", p.method}, {p.method == "smooth" ? "alpha" : "ratio", p.choice}};
        if (p.before >= 0) row["error_before"] = p.before;
        if (p.after >= 0) row["error_after"] = p.after;
        json["points"].push_back(std::move(row));
    }
    if (!fitted.notes.empty()) json["notes"] = fitted.notes;
    for (const DataWarning& w : fitted.warnings) json["warnings"].push_back({{"kind", w.kind}, {"seen", w.seen}, {"why", w.why}, {"remedy", w.remedy}});
    return json;
}

FittedTransform fittedTransformFromJson(const Json& json) {
    if (!json.is_object()) refuse("is no JSON object");
    FittedTransform fitted;
    fitted.text = text(json, "transform");
    fitted.model = text(json, "model");
    if (json.contains("rotation_seed")) {
        if (!json.at("rotation_seed").is_number_unsigned()) refuse("has a rotation_seed that is no whole number");
        fitted.rotates = true;
        fitted.rotationSeed = json.at("rotation_seed").get<std::uint64_t>();
    }
    if (json.contains("scales")) {
        if (!json.at("scales").is_object()) refuse("has scales that are no object");
        for (const auto& [point, scales] : json.at("scales").items()) {
            if (!scales.is_string()) refuse("has scales of '" + escapeForDisplay(point, 60) + "' that are no text");
            fitted.scales[point] = fromBase64(scales.get_ref<const std::string&>());
        }
    }
    if (json.contains("points")) {
        if (!json.at("points").is_array()) refuse("has points that are no list");
        for (const Json& row : json.at("points")) fitted.points.push_back(pointOf(row));
    }
    fitted.notes = strings(json, "notes");
    if (json.contains("warnings")) {
        if (!json.at("warnings").is_array()) refuse("has warnings that are no list");
        for (const Json& row : json.at("warnings")) fitted.warnings.push_back(warningOf(row));
    }
    return fitted;
}

} // namespace bw
