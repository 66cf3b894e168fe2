// SPDX-License-Identifier: GPL-3.0-or-later
// A recipe fully describes a run: checkpoint, data, seed, the choices, evaluation, export. The window edits it, the
// command line takes it, the log stores it, `rerun` repeats it. Nothing runs that a recipe can't say.
#pragma once

#include "core/assign/budget.h"
#include "core/base/json.h"
#include "core/quantize/assignment.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bw {

/// Version 1 of the document. Unknown keys are Error(invalidRecipe) naming the key's path ("data.calibrte").
struct Recipe {
    static constexpr int kVersion = 1;
    std::string kind = "quantize"; ///< calibrate | sweep | assign | quantize | evaluate | generate | diagnose
    std::string name;              ///< for people
    std::string checkpoint;        ///< path
    std::string base;              ///< path of the baseline for KL; empty = none (quantize: the checkpoint itself)
    std::uint64_t seed = 1234;
    std::string device = "cpu";    ///< auto | cpu | vulkan:N
    std::string nonFinite = "refuse"; ///< weights that are NaN or infinite: refuse | zero (counted and warned about)

    /// `files`: texts, JSONL, or folders of text files.
    struct Calibration { std::vector<std::string> files; std::int64_t samples = 128, length = 512; } calibration;
    /// Further keys of "calibration": how the texts are read and which windows are taken.
    struct CalibrationSet {
        std::map<std::string, double> weights;  ///< by file: shares of the windows, 1 for those not named; empty = by length
        std::string field;                      ///< JSONL: member that holds the text; empty: "text", "prompt" or "t"
        std::vector<std::string> include;       ///< folders: globs of files, "!glob" leaves out; empty = all
        std::int64_t minLength = 0;             ///< documents with fewer tokens are left out
        bool deduplicate = false;               ///< repeated documents and windows are left out
        std::string sampling = "even";          ///< even | random (by the seed) | balanced (more windows for experts that see little)
        std::int64_t expertFloor = 0;           ///< balanced: tokens that every expert should see; 0 = 128
        bool grams = false;                     ///< kind calibrate: Gram matrices are left in the store for searches of scales and clips
    } calibrationSet;
    /// Further keys of "calibration". Protocol empty: `samples` windows of `length` spread over the texts; "llama.cpp:512",
    /// "windows:512": all windows of each text one after the other, cut as that protocol says, at most `tokens` (0 = all).
    struct Chunks {
        std::string protocol;
        std::int64_t tokens = 0;
        bool outputMatrix = false; ///< an importance matrix that is written holds the output matrix too
    } chunks;
    /// Importance-matrix file for the weighted rounder, instead of calibration texts; empty = none.
    std::string importance;
    struct Evaluation { std::vector<std::string> files; std::string protocol = "windows:256"; std::int64_t tokens = 0; std::string runtime = "ideal"; } evaluation; ///< runtime: one of runtimeProfileNames()

    /// `tokens`: only that many of the calibration tokens are swept (evenly spread windows, at least one); 0 = all.
    struct Sweep {
        std::vector<std::string> formats;
        std::string metric = "output";        ///< output | fisher | kl
        std::int64_t tokens = 0;
        std::int64_t probes = 1024;           ///< fisher: projections of sampled gradients in all
        std::string context = "alone";        ///< kl: what the other sites are, alone (full) | rest (quantized)
        std::string rest = {};                ///< kl, context rest: their format
        double positions = 1;                 ///< kl: share of the positions that the head is run for, in (0, 1]
        std::string shard = "1/1";            ///< kl: this part of how many, "2/8"
        std::int64_t orderRun = 0;            ///< kl: sweep whose values say which cells come first; 0 = model order
        std::vector<std::string> sites = {};  ///< name patterns of the sites to measure; empty = all
        std::vector<std::string> activations = {}, keys = {}, values = {}; ///< fisher: formats of what enters sites and of the cache
    } sweep;

    struct Assignment {
        std::string format = "q4_0";          ///< default of every site, or a named mix: "mix:q4_k_m"
        std::string head;                     ///< default of token_embd/output; empty = as the others
        std::string output, embedding;        ///< of the head (tied or not) and of token_embd alone; empty = as the others
        std::vector<FormatRule> tensorTypes;  ///< regular expressions over tensor names; the first that matches holds
        std::vector<FormatRule> rules;        ///< later wins; the solver's result is written here
        std::string budget;                   ///< "4.5bpw" … for kind assign; empty = none
        std::string tie = "none";
        std::map<std::string, std::string> pins;
        std::int64_t sweepRun = 0;            ///< run whose map is solved
        /// Output-error run that fills formats `sweepRun` has not measured: cost(f) = cost(f₀)·error(f)/error(f₀), f₀ the
        /// measured format with the largest cost at that site. 0 = none; every cell must then be in `sweepRun`.
        std::int64_t scaleRun = 0;
        /// Measured-KL runs whose cells take the place of those of `sweepRun` (of the same unit, nats per token); of two
        /// runs with the same cell the later in the list holds.
        std::vector<std::int64_t> measuredRuns;
        std::vector<std::string> forbid;      ///< "FORMAT": no site may take it; "SITE=FORMAT": those sites may not
        struct PartBudget { std::string sites, budget; };
        std::vector<PartBudget> budgets;      ///< further limits, each on the sites of a name pattern
        struct Refit { double scale = 1, limit = 0; };
        std::optional<Refit> refit;           ///< correction of large damage fitted to measured mixes; none = the map's own
        std::string starved = "nearest";      ///< of experts with too few tokens: nearest | keep | borrow
        /// Quantize run whose mix is left only where a step is worth more than what the map does not know of it; 0 = none.
        std::int64_t startRun = 0;
        bool interactions = true;             ///< improve the mix on sites acting together, where the map knows that
    } assignment;

    std::string transform = "none";           ///< grammar of TransformSpec: "smooth:alpha=0.5", "awq+rotate" …
    std::string rounder = "nearest";          ///< nearest | weighted | stochastic | gptq
    struct Gptq {
        double damping = 0.01;                ///< share of the Hessian's mean diagonal, in (0, 10]
        bool activationOrder = true, sequential = true, refitScales = false;
        std::int64_t sweeps = 8;              ///< over all columns afterwards, at most; 0 … 64
        std::int64_t minimumTokens = 0;       ///< an expert with fewer is rounded weighted; 0 = a quarter of its input width
        double correction = 0;                ///< share of the damage done before a site that it makes up for; 0 … 1
    } gptq;
    bool clipSearch = true;
    std::string search = "best";              ///< scales of GGML blocks: best, or reference = ggml's own rounding
    std::string activations = "none";         ///< quantize, evaluate, generate: grammar of ActivationScheme: "a8:token", "a8:tensor:mse" …
    std::string kvCache = "none";             ///< the same: grammar of CacheScheme: "kv8:token", "k4:channel:g32,v4:token:g64" …

    struct Export {
        std::string path;
        bool replace = false;
        std::int64_t partBytes = 0; ///< longest file, above it parts are written; 0 = one GGUF, or 5 GiB in folders
        std::string layout = {};    ///< one of exportLayoutNames(); empty = by path and formats
        std::string profile = {};   ///< one of exportProfileNames(); empty = the layout's own
    } exporting;

    /// Kind evaluate: prompt sets besides or instead of texts.
    struct Tasks {
        std::vector<std::string> prompts;              ///< JSONL files (prompts.h)
        std::int64_t maxTokens = 64;                   ///< of a generated answer
        bool compare = false;                          ///< with a baseline: both models' outputs side by side
        std::map<std::string, std::string> thresholds; ///< figure → ">= 0.35": what must hold
    } tasks;

    /// Kind diagnose: everything else is the recipe of the run that is diagnosed.
    struct Diagnosis {
        std::int64_t run = 0;                 ///< quantize or evaluate run
        std::int64_t tokens = 2048;           ///< of its evaluation text, spread evenly
        std::int64_t probes = 256;            ///< of the sketch that says where to look first
        double share = 0.8;                   ///< of the loss that the culprits must explain
        std::int64_t worst = 0;               ///< so many of the worst tokens are traced to the sites behind them
        std::vector<std::string> recalibrate; ///< calibration texts to try besides the run's own; empty = don't
    } diagnosis;

    struct Generation { std::string prompt; std::int64_t maxTokens = 64; double temperature = 0, topP = 1; } generation;

    /// Does anything of it look at inputs: a rounder, a transform, or static scales?
    bool needsCalibration() const;
    /// … that an importance matrix in place of texts can't tell?
    bool needsText() const;

    /// Every field, in the order of this struct, with "version".
    Json toJson() const;
    /// @throws Error(invalidRecipe) for an unknown key, a wrong type, an impossible value (names the key's path), or a
    /// document of a newer version. Keys left out keep their defaults; "version" is required.
    static Recipe fromJson(const Json& json);
    /// @throws as fromJson, and Error fileNotFound, invalidHeader (no JSON).
    static Recipe load(const std::string& path);
    friend bool operator==(const Recipe& a, const Recipe& b) { return a.toJson() == b.toJson(); }
};

/// "2/8" of a recipe: the second of eight parts. @throws Error(usage).
struct Shard { int part = 1, of = 1; };
Shard parseShard(std::string_view text);

/// Paths made absolute, so that a logged recipe can be repeated from anywhere.
Recipe withAbsolutePaths(Recipe recipe);

} // namespace bw
