// SPDX-License-Identifier: GPL-3.0-or-later
// Function-preserving transforms before rounding: smooth (SmoothQuant), awq (activation-aware scale search), rotate
// (randomised Hadamard). A transform is fitted once and then *is* a checkpoint: the original with some tensors changed as they
// are read, so that everything that works on checkpoints works on it. The grammar also holds two words that fold nothing and
// act where weights are rounded: clip (clip.h) and outliers (outlier_split.h).
#pragma once

#include "core/base/json.h"
#include "core/calibrate/data_warnings.h"
#include "core/calibrate/input_store.h"
#include "core/model/walk.h"
#include "core/quantize/quantized_model.h"

#include <map>
#include <string>
#include <vector>

namespace bw {

/// "none", or members joined by '+': "rotate", "smooth:alpha=0.5", "smooth:search", "awq", "awq:grid=20", "clip",
/// "outliers:threshold=6", "outliers:weights=0.005", each at most once and in that order, which is the one they are applied in.
struct TransformSpec {
    struct Part {
        std::string name; ///< rotate | smooth | awq | clip | outliers
        std::map<std::string, std::string> options;
    };
    std::vector<Part> parts;
    bool empty() const { return parts.empty(); }
    bool folds() const;     ///< does a part change the checkpoint?
    bool readsText() const; ///< does a part look at calibration text?
    const Part* find(std::string_view name) const;
    std::string text() const; ///< canonical: equal transforms, equal strings
};
/// @throws Error(usage) naming the part, the option and what is allowed (α in 0…1, threshold > 0, share in 0…0.5 …).
TransformSpec parseTransform(std::string_view text);

/// Where scales of an input can go: what produces it, and all that reads it.
struct FoldPoint {
    std::string name;                  ///< "blk.3.attn_in": of the first group
    std::vector<int> inputGroups;      ///< groups that share the producer: their scales must be one
    std::string producer;              ///< canonical tensor: "blk.3.attn_norm.weight" or "blk.3.ffn_up.weight"
    bool producerIsNorm = true;
    std::string producerBias;          ///< divided like the producer; empty = none
    std::int64_t firstRow = 0;         ///< of a linear producer (its bias likewise): values, up in a fused tensor, an expert's share
    std::int64_t width = 0;            ///< input channels of the groups
    /// Input channels (h·repeats + i)·run + c, i in 0 … repeats−1, share row h·run + c of the producer: query heads that share
    /// a head of values. Scales must be equal over them.
    std::int64_t run = 0, repeats = 1;
    std::vector<std::string> others;   ///< further tensors that read it and are scaled too: routers, shared gates
    std::string whyNot;                ///< reason when it can't be folded ("no linear operation before q, k, v"); else empty
};
/// All of a model, also those that can't be used. Cost: none.
std::vector<FoldPoint> foldPoints(const Model& model);

/// What was chosen at one point, and what it did to the error of rounding at the output of the linears that read it.
struct FittedPoint {
    std::string point;  ///< FoldPoint::name
    std::string method; ///< smooth | awq
    double choice = 0;  ///< α of smooth; r of awq's s = mean|x|^r; 0 = left as it was, no scales were better
    /// Shares of the outputs' power, without scales and with them, of the rows that the search looks at; below 0 where
    /// nothing was measured (a given α, no site with a format).
    double before = -1, after = -1;
};

struct FittedTransform {
    std::string text;                  ///< TransformSpec::text() of the parts that change weights
    std::string model;                 ///< fingerprint of the model that it was fitted to
    /// Per fold point: input channel j is divided by scales[j] at the producer and multiplied at the consumers. All are
    /// 2^(k/8) with k in −128 … 127: finite, a byte each in JSON, and within 4.5 % of the scale that was wanted.
    std::map<std::string, std::vector<float>> scales;
    std::vector<FittedPoint> points;   ///< in the order of the walk
    std::uint64_t rotationSeed = 0;
    bool rotates = false;
    std::vector<std::string> notes;    ///< what was left as it is, and why
    std::vector<DataWarning> warnings; ///< "scaled-channels": > 5 % of them by much; "extreme-scales"
    bool empty() const { return scales.empty() && !rotates; }
};

/// For the log and for re-runs; a byte per channel and point. @throws Error(invalidRecipe) for JSON that says no transform.
Json toJson(const FittedTransform& fitted);
FittedTransform fittedTransformFromJson(const Json& json);

/// What roundings of the inputs a search for α counts with; fp8's error is relative and needs nothing here.
struct InputNoise {
    int bits = 0;          ///< of an integer grid; 0 = inputs are not rounded
    bool perToken = false; ///< else one static range for the whole tensor
};

/// What a fit may look at.
struct TransformInputs {
    const Windows& windows;                     ///< calibration
    const std::vector<SiteFormat>& formats;     ///< AWQ and α search minimise the error after rounding to these
    RounderOptions rounder;
    std::uint64_t seed = 1234;
    InputNoise noise = {};                      ///< smooth:search only
    /// Of this very model's inputs, for the first part that searches: later ones look at a model that is changed; or null.
    InputStore* store = nullptr;
};
/// Numbers of the windows that awq looks at: some 8192 tokens, evenly spread; all where there are experts.
std::vector<std::int64_t> searchedWindows(const Model& model, const Windows& windows);
/// One walk for each of smooth and awq, none for rotate: over all windows for smooth, whose scales follow maxima; over
/// some 8192 tokens of evenly spread windows for awq, whose means and Gram matrices no longer change with more (all windows
/// where there are experts). Points that can't be folded are left as they are, with a note. Memory: weights of one block and
/// its Gram matrices.
/// @throws Error(usage), nonFinite, cancelled; unsupportedModel for a rotation that this family doesn't allow, with the reason.
FittedTransform fitTransform(const Model& model, const TransformSpec& spec, const TransformInputs& inputs, JobContext& job);

/// The checkpoint with the transform folded in, lazily: tensors change as they are read. Logits of a model opened on it equal
/// the original's up to f32 rounding. The original itself when nothing changes. Resolve formats on a model opened on the
/// result: a rotated model has a head of its own. @throws Error(usage) when it was fitted to another model.
std::shared_ptr<const Checkpoint> applyTransform(const Model& model, const FittedTransform& fitted);

} // namespace bw
