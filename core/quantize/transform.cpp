// SPDX-License-Identifier: GPL-3.0-or-later
// Chains of transforms: each is fitted to the model as the ones before it leave it.
#include "core/quantize/transform.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/quantize/fold.h"
#include "core/quantize/rotate.h"
#include "core/quantize/scale_grid.h"
#include "core/quantize/scale_search.h"

#include <fmt/format.h>

#include <algorithm>

namespace bw {
namespace {

/// Of shapes and of two norms, which two trainings of one architecture don't share; costs no reading of weights.
std::string fingerprint(const Model& model) {
    std::string facts = model.config().family;
    for (const Site& site : model.sites()) facts += fmt::format(" {} {}x{}", site.name, site.rows, site.cols);
    for (const char* norm : {"blk.0.attn_norm.weight", "output_norm.weight"}) {
        if (model.checkpoint().find(norm) == nullptr) continue;
        for (const float weight : normWeight(model, norm)) facts += fmt::format(" {}", weight);
    }
    return sha256Hex(facts);
}

std::map<std::string, FormatPtr> formatsByName(const Model& original, const Model& model, const std::vector<SiteFormat>& formats) {
    std::map<std::string, FormatPtr> byName;
    for (const SiteFormat& format : formats)
        if (format.used) byName[original.site(format.site).name] = format.used;
    // A head that a rotation has set apart is rounded as the embedding is, unless it is said otherwise.
    if (original.config().tiedHead && !model.config().tiedHead && byName.contains("token_embd")) byName.emplace("output", byName["token_embd"]);
    return byName;
}

void append(std::vector<std::string>& to, std::vector<std::string> more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

ScaleMethod methodOf(const TransformSpec::Part& part) {
    ScaleMethod method;
    const auto number = [&](const char* key) { return std::stod(part.options.at(key)); };
    if (part.name == "awq") {
        method.kind = ScaleMethod::Kind::awq;
        method.grid = static_cast<int>(number("grid"));
    } else if (part.options.contains("search")) {
        method.kind = ScaleMethod::Kind::smoothSearch;
    } else {
        method.alpha = number("alpha");
    }
    return method;
}

void multiplyScales(FittedTransform& fitted, std::map<std::string, std::vector<float>> more) {
    for (auto& [point, scales] : more) {
        std::vector<float>& all = fitted.scales[point];
        if (all.empty())
            all = std::move(scales);
        else
            for (std::size_t j = 0; j < all.size(); ++j)
                all[j] = scaleOfStep(std::clamp(scaleStep(static_cast<double>(all[j])) + scaleStep(static_cast<double>(scales[j])), -128, 127));
    }
}

std::shared_ptr<const Checkpoint> withScales(const Model& model, const FittedTransform& fitted) {
    const std::vector<FoldPoint> points = foldPoints(model);
    Derivation derivation;
    Json scales;
    for (const auto& [name, factors] : fitted.scales) {
        const auto point = std::find_if(points.begin(), points.end(), [&wanted = name](const FoldPoint& p) { return p.name == wanted; });
        if (point == points.end())
            throw Error(ErrorCode::usage, fmt::format("the transform has scales for {}, which this model has not", escapeForDisplay(name, 80)),
                        "It was fitted to another model; fit it again.");
        if (!point->whyNot.empty())
            throw Error(ErrorCode::usage, fmt::format("the transform has scales for {}, which can't be folded: {}", name, point->whyNot),
                        "It was fitted to another model; fit it again.");
        foldScales(model, *point, factors, derivation.edits);
    }
    derivation.identity = "scales " + sha256Hex(toJson(fitted).value("scales", Json::object()).dump());
    return deriveCheckpoint(model.checkpointPtr(), std::move(derivation));
}

} // namespace

FittedTransform fitTransform(const Model& model, const TransformSpec& spec, const TransformInputs& inputs, JobContext& job) {
    model.requireForward();
    FittedTransform fitted;
    fitted.model = fingerprint(model);
    TransformSpec weightParts;
    for (const TransformSpec::Part& part : spec.parts) {
        if (part.name == "clip" || part.name == "outliers") continue; // act where weights are rounded
        weightParts.parts.push_back(part);
        if (part.name == "rotate") {
            if (const auto why = whyNoRotation(model)) rotationOf(model, 0); // throws with the reason
            fitted.rotates = true;
            fitted.rotationSeed = part.options.contains("seed") ? std::stoull(part.options.at("seed")) : inputs.seed;
            append(fitted.notes, rotationNotes(model));
            continue;
        }
        // Without a copy of its own, the first of a chain works on the model that is there.
        const std::shared_ptr<const Model> changed =
            fitted.empty() ? nullptr : Model::open(applyTransform(model, fitted), model.devicePtr(), model.nonFinite());
        const Model& now = changed ? *changed : model;
        TransformInputs of = inputs;
        if (changed) of.store = nullptr;
        ScaleFit fit = fitScales(now, methodOf(part), formatsByName(model, now, inputs.formats), of, job);
        multiplyScales(fitted, std::move(fit.scales));
        append(fitted.notes, std::move(fit.notes));
        fitted.warnings.insert(fitted.warnings.end(), fit.warnings.begin(), fit.warnings.end());
        fitted.points.insert(fitted.points.end(), fit.points.begin(), fit.points.end());
    }
    fitted.text = weightParts.text();
    return fitted;
}

std::shared_ptr<const Checkpoint> applyTransform(const Model& model, const FittedTransform& fitted) {
    if (fitted.empty()) return model.checkpointPtr();
    if (fitted.model != fingerprint(model))
        throw Error(ErrorCode::usage, fmt::format("the transform {} was fitted to another model than {}", escapeForDisplay(fitted.text, 80),
                                                  escapeForDisplay(model.checkpoint().displayName())),
                    "Fit it again to this one.");
    if (!fitted.rotates) return withScales(model, fitted);
    Derivation rotation = rotationOf(model, fitted.rotationSeed);
    rotation.identity = fmt::format("rotate {}", fitted.rotationSeed);
    const auto rotated = deriveCheckpoint(model.checkpointPtr(), std::move(rotation));
    if (fitted.scales.empty()) return rotated;
    return withScales(*Model::open(rotated, model.devicePtr(), model.nonFinite()), fitted);
}

} // namespace bw
