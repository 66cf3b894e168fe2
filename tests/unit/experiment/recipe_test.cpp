// SPDX-License-Identifier: GPL-3.0-or-later
// Recipes survive JSON whole, and whatever is not understood is refused by its path.
#include "core/experiment/recipe.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>

namespace bw::test {
namespace {

Recipe fullRecipe() {
    Recipe r;
    r.kind = "quantize";
    r.name = "a \"name\" with ünïcode";
    r.checkpoint = "/models/x";
    r.base = "/models/y";
    r.seed = 18446744073709551615ull; // past what a double holds
    r.device = "vulkan:1";
    r.calibration = {{"a.txt", "b.jsonl"}, 64, 256};
    r.calibrationSet = {{{"b.jsonl", 0.25}}, "body.text", {"*.py", "!*_test.py"}, 32, true, "balanced", 512};
    r.evaluation = {{"e.txt"}, "llama.cpp:512", 4096};
    r.sweep = {{"q4_0", "int4:g64:asym"}, "fisher", 2048};
    r.sweep.probes = 64;
    r.sweep.context = "rest";
    r.sweep.rest = "q4_0";
    r.sweep.positions = 0.25;
    r.sweep.shard = "2/8";
    r.sweep.orderRun = 3;
    r.sweep.sites = {"blk.0.*", "output"};
    r.sweep.activations = {"int8:token"};
    r.sweep.keys = {"int8:g32"};
    r.sweep.values = {"int4:g64"};
    r.assignment.format = "mix:q5_k_m";
    r.assignment.head = "q8_0";
    r.assignment.output = "q6_k";
    r.assignment.embedding = "q4_k";
    r.assignment.tensorTypes = {{"ffn_(up|down)", "q5_0"}};
    r.search = "reference";
    r.assignment.rules = {{"blk.*.attn_v", "q8_0"}, {"blk.0.*", "keep"}};
    r.assignment.budget = "4.5bpw";
    r.assignment.tie = "fused";
    r.assignment.pins = {{"token_embd", "q8_0"}};
    r.assignment.sweepRun = 12;
    r.assignment.scaleRun = 11;
    r.assignment.measuredRuns = {13, 14};
    r.assignment.forbid = {"q3_k", "blk.0.*=q4_0"};
    r.assignment.budgets = {{"blk.[01].*", "1MiB"}, {"blk.*", "4.5bpw"}};
    r.assignment.refit = Recipe::Assignment::Refit{1.1, 3.5};
    r.assignment.starved = "borrow";
    r.assignment.interactions = false;
    r.rounder = "gptq";
    r.gptq = {0.05, false, true, true, 6, 640, 0.25};
    r.clipSearch = false;
    r.exporting = {"out.gguf", true, 45'000'000'000, "compressed-tensors", "vllm"};
    r.nonFinite = "zero";
    r.generation = {"The sea", 12, 0.8, 0.95};
    return r;
}

TEST(Recipe, SurvivesJson) {
    const Recipe r = fullRecipe();
    EXPECT_EQ(Recipe::fromJson(r.toJson()), r);
    EXPECT_EQ(Recipe::fromJson(Json::parse(r.toJson().dump())), r);
    EXPECT_EQ(Recipe::fromJson({{"version", 1}}), Recipe());
}

struct Bad { const char* json; const char* mentions; };

TEST(Recipe, RefusesWhatItDoesNotUnderstandByItsPath) {
    for (const Bad& bad : {
             Bad{R"({})", "version"},
             Bad{R"({"version":2})", "version"},
             Bad{R"({"version":1,"calibrte":{}})", "calibrte"},
             Bad{R"({"version":1,"calibration":{"filse":[]}})", "calibration.filse"},
             Bad{R"({"version":1,"assignment":{"rules":[{"pattern":"a","format":"q4_0"},{"pattern":"b","fmt":"q4_0"}]}})", "assignment.rules[1].fmt"},
             Bad{R"({"version":1,"assignment":{"rules":[{"format":"q4_0"}]}})", "assignment.rules[0].pattern"},
             Bad{R"({"version":1,"assignment":{"format":"q4_9"}})", "assignment.format"},
             Bad{R"({"version":1,"assignment":{"format":"mix:q4_k_xl"}})", "assignment.format"},
             Bad{R"({"version":1,"assignment":{"output":"mix:q4_k_m"}})", "assignment.output"},
             Bad{R"({"version":1,"assignment":{"tensor_types":[{"pattern":"attn_(v","format":"q4_0"}]}})", "assignment.tensor_types"},
             Bad{R"({"version":1,"search":"better"})", "search"},
             Bad{R"({"version":1,"assignment":{"pins":{"token_embd":"q44"}}})", "assignment.pins.token_embd"},
             Bad{R"({"version":1,"assignment":{"budget":"lots"}})", "assignment.budget"},
             Bad{R"({"version":1,"evaluation":{"protocol":"windows"}})", "evaluation.protocol"},
             Bad{R"({"version":1,"calibration":{"samples":-1}})", "calibration.samples"},
             Bad{R"({"version":1,"calibration":{"files":["a"],"weights":{"b":1}}})", "calibration.weights.b"},
             Bad{R"({"version":1,"calibration":{"files":["a"],"weights":{"a":-1}}})", "calibration.weights.a"},
             Bad{R"({"version":1,"calibration":{"files":["a"],"weights":{"a":0}}})", "calibration.weights"},
             Bad{R"({"version":1,"calibration":{"sampling":"lucky"}})", "calibration.sampling"},
             Bad{R"({"version":1,"calibration":{"protocol":"windows:64","deduplicate":true}})", "calibration.protocol"},
             Bad{R"({"version":1,"calibration":{"samples":1.5}})", "calibration.samples"},
             Bad{R"({"version":1,"kind":"destroy"})", "kind"},
             Bad{R"({"version":1,"seed":-3})", "seed"},
             Bad{R"({"version":1,"clip_search":"yes"})", "clip_search"},
             Bad{R"({"version":1,"transform":"smoothe"})", "transform"},
             Bad{R"({"version":1,"rounder":"reference"})", "rounder"},
             Bad{R"({"version":1,"gptq":{"damping":0}})", "gptq.damping"},
             Bad{R"({"version":1,"gptq":{"damp":0.1}})", "gptq.damp"},
             Bad{R"({"version":1,"gptq":{"refit_scales":true}})", "gptq.refit_scales"},
             Bad{R"({"version":1,"gptq":{"sweeps":65}})", "gptq.sweeps"},
             Bad{R"({"version":1,"gptq":{"correction":1.5}})", "gptq.correction"},
             Bad{R"({"version":1,"gptq":{"correction":0.5,"sequential":false}})", "gptq.correction"},
             Bad{R"({"version":1,"gptq":{"minimum_tokens":-1}})", "gptq.minimum_tokens"},
             Bad{R"({"version":1,"activations":"a8:row"})", "activations"},
             Bad{R"({"version":1,"kv_cache":"kv8:rows"})", "kv_cache"},
             Bad{R"({"version":1,"export":{"layout":"onnx"}})", "export.layout"},
             Bad{R"({"version":1,"export":{"profile":"ollama"}})", "export.profile"},
             Bad{R"({"version":1,"generation":{"temperature":1e999}})", "generation.temperature"},
             Bad{R"({"version":1,"export":[]})", "export"},
             Bad{R"({"version":1,"sweep":{"metric":"guess"}})", "sweep.metric"},
             Bad{R"({"version":1,"sweep":{"probes":0}})", "sweep.probes"},
             Bad{R"({"version":1,"sweep":{"context":"others"}})", "sweep.context"},
             Bad{R"({"version":1,"sweep":{"rest":"q44"}})", "sweep.rest"},
             Bad{R"({"version":1,"sweep":{"positions":0}})", "sweep.positions"},
             Bad{R"({"version":1,"sweep":{"positions":1.5}})", "sweep.positions"},
             Bad{R"({"version":1,"sweep":{"shard":"3/2"}})", "sweep.shard"},
             Bad{R"({"version":1,"sweep":{"shard":"0/2"}})", "sweep.shard"},
             Bad{R"({"version":1,"sweep":{"shard":"1/2x"}})", "sweep.shard"},
             Bad{R"({"version":1,"sweep":{"order_run":-1}})", "sweep.order_run"},
             Bad{R"({"version":1,"sweep":{"sites":"all"}})", "sweep.sites"},
             Bad{R"({"version":1,"sweep":{"activations":["int8:tokens"]}})", "sweep.activations[0]"},
             Bad{R"({"version":1,"sweep":{"keys":["q44"]}})", "sweep.keys[0]"},
             Bad{R"({"version":1,"assignment":{"measured_runs":[1,0]}})", "assignment.measured_runs"},
             Bad{R"({"version":1,"assignment":{"measured_runs":7}})", "assignment.measured_runs"},
             Bad{R"({"version":1,"assignment":{"forbid":["q44"]}})", "assignment.forbid"},
             Bad{R"({"version":1,"assignment":{"forbid":["output=q44"]}})", "assignment.forbid"},
             Bad{R"({"version":1,"assignment":{"budgets":[{"budget":"1MiB"}]}})", "assignment.budgets[0].sites"},
             Bad{R"({"version":1,"assignment":{"budgets":[{"sites":"blk.*","budget":"kl=0.1"}]}})", "assignment.budgets[0].budget"},
             Bad{R"({"version":1,"assignment":{"refit":{"scale":0}}})", "assignment.refit.scale"},
             Bad{R"({"version":1,"assignment":{"starved":"drop"}})", "assignment.starved"},
             Bad{R"({"version":1,"assignment":{"interactions":1}})", "assignment.interactions"},
             Bad{R"([1])", "(top)"},
         }) {
        SCOPED_TRACE(bad.json);
        const Error e = expectError(ErrorCode::invalidRecipe, [&] {
            try {
                Recipe::fromJson(Json::parse(bad.json));
            } catch (const Json::exception&) { // 1e999 is refused by the parser already
                throw Error(ErrorCode::invalidRecipe, bad.mentions);
            }
        });
        EXPECT_NE(e.message().find(bad.mentions), std::string::npos) << e.message();
        EXPECT_TRUE(!e.hint().empty() || e.message() == bad.mentions);
    }
}

TEST(Recipe, LoadNamesTheFile) {
    const TempFolder folder;
    const std::string path = folder.write("r.json", R"({"version":1,"nmae":"x"})");
    const Error e = expectError(ErrorCode::invalidRecipe, [&] { Recipe::load(path); });
    EXPECT_NE(e.oneLine().find("r.json"), std::string::npos);
    EXPECT_NE(e.hint().find("name"), std::string::npos);
    expectError(ErrorCode::fileNotFound, [&] { Recipe::load(folder.file("no.json")); });
    expectError(ErrorCode::invalidHeader, [&] { Recipe::load(folder.write("bad.json", "{")); });
    expectError(ErrorCode::duplicateKey, [&] { Recipe::load(folder.write("twice.json", R"({"version":1,"name":"a","name":"b"})")); });
}

} // namespace
} // namespace bw::test
