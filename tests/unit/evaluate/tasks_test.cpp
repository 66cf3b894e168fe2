// SPDX-License-Identifier: GPL-3.0-or-later
// Prompt sets, scoring, suites and A/B outputs on the demo model; metrics of text against sacrebleu's figures.
#include "core/evaluate/tasks.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/evaluate.h"
#include "core/evaluate/outputs.h"
#include "core/evaluate/sequences.h"
#include "core/evaluate/syntax.h"
#include "core/evaluate/text_metrics.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

namespace bw {
namespace {

using test::expectError;
using testing::HasSubstr;

struct Demo {
    std::shared_ptr<const Checkpoint> checkpoint = Checkpoint::open(BW_RESOURCES "/demo");
    std::shared_ptr<const Model> model = Model::open(checkpoint, std::shared_ptr<Device>(makeCpuDevice()));
    std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::open(*checkpoint);
};
const Demo& demo() {
    static const Demo kept;
    return kept;
}

struct Files {
    test::TempFolder folder;
    JobContext job;
    std::string write(const std::string& name, const std::string& text) {
        std::ofstream(folder.file(name), std::ios::binary) << text;
        return folder.file(name);
    }
    PromptSet prompts(const std::string& text) { return loadPrompts(write("p.jsonl", text), job); }
};

TEST(Prompts, ReadsTheUsualShapes) {
    Files files;
    const PromptSet set = files.prompts("\xEF\xBB\xBF{\"ctx\":\"A man\",\"endings\":[\"sits\",\"flies\"],\"label\":\"1\",\"ind\":24}\n\n"
                                        "{\"id\":\"arc\",\"question\":\"Which?\",\"choices\":{\"text\":[\"x\",\"y\",\"z\"],\"label\":[\"A\",\"B\",\"3\"]},\"answerKey\":\"3\"}\n"
                                        "{\"question\":\"2+2\",\"choices\":[\"3\",\"4\"],\"answer\":\"B\",\"subject\":\"maths\"}\n"
                                        "{\"prompt\":\"one two\",\"target\":\"three\"}\n{\"prompt\":\"Capital?\",\"answer\":\"Paris\"}\n"
                                        "{\"prompt\":\"Bonjour\",\"reference\":\"Hello\"}\n{\"prompt\":\"def f\",\"check\":\"python\"}\n{\"prompt\":\"tell\"}\n{\"prompt\":\"tell\"}\n");
    ASSERT_EQ(set.items.size(), 9u);
    const std::vector<TaskKind> kinds{TaskKind::choice, TaskKind::choice, TaskKind::choice, TaskKind::cloze, TaskKind::exact, TaskKind::references, TaskKind::syntax, TaskKind::open, TaskKind::open};
    for (std::size_t i = 0; i < kinds.size(); ++i) EXPECT_EQ(taskName(set.items[i].kind), taskName(kinds[i])) << i;
    EXPECT_EQ(set.items[0].answer, 1u);
    EXPECT_EQ(set.items[0].id, "24");
    EXPECT_EQ(set.items[1].answer, 2u);
    EXPECT_EQ(set.items[2].answer, 1u);
    EXPECT_EQ(set.items[2].domain, "maths");
    ASSERT_EQ(set.warnings.size(), 1u);
    EXPECT_THAT(set.warnings[0], HasSubstr("1 of 9"));
}

TEST(Prompts, RefusesWithFileAndLine) {
    Files files;
    const std::string good = "{\"prompt\":\"fine\"}\n";
    const auto refused = [&](const std::string& line, ErrorCode code, const std::string& says) {
        const Error e = expectError(code, [&] { files.prompts(good + line); });
        EXPECT_THAT(e.message(), HasSubstr("line 2")) << line;
        EXPECT_THAT(e.message(), HasSubstr(says)) << line;
    };
    refused("{\"prompt\":\"  \"}", ErrorCode::invalidHeader, "empty");
    refused("{\"x\":1}", ErrorCode::invalidHeader, "no prompt");
    refused("[1]", ErrorCode::invalidHeader, "no object");
    refused("{\"prompt\":\"a\",\"choices\":[\"x\"],\"answer\":0}", ErrorCode::invalidHeader, "two choices");
    refused("{\"prompt\":\"a\",\"choices\":[\"x\",\"y\"],\"answer\":2}", ErrorCode::invalidHeader, "none of its 2");
    refused("{\"prompt\":\"a\",\"choices\":[\"x\",\"y\"]}", ErrorCode::invalidHeader, "which choice is right");
    refused("{\"prompt\":\"a\",\"check\":\"perl\"}", ErrorCode::invalidHeader, "perl");
    refused("{\"prompt\":\"\xff\"}", ErrorCode::binaryText, "UTF-8");
    refused("{\"prompt\":\"" + std::string(kLongestPrompt + 1, 'x') + "\"}", ErrorCode::usage, "bytes");
    expectError(ErrorCode::textTooShort, [&] { files.prompts("\n\n"); });
    expectError(ErrorCode::fileNotFound, [&] { loadPrompts(files.folder.file("none"), files.job); });
}

/// Log-probability of a sequence's tail by the evaluation's own road: a window as long as the sequence.
double byWindow(const std::vector<TokenId>& ids, std::size_t from) {
    JobContext job;
    EvaluateOptions options;
    options.protocol = {Protocol::Kind::windows, static_cast<std::int64_t>(ids.size())};
    options.keepTokens = true;
    const Windows window{1, static_cast<std::int64_t>(ids.size()), ids};
    const Evaluation e = evaluatePerplexity(*demo().model, nullptr, window, options, job);
    double sum = 0;
    for (std::size_t i = from; i < ids.size(); ++i) sum -= static_cast<double>(e.tokensScored[i - 1].nll);
    return sum;
}

TEST(Sequences, PaddingAndGroupsChangeNothing) {
    JobContext job;
    const std::vector<TokenId> text = demo().tokenizer->encode("The keeper of the lighthouse wrote every evening what the sea had done, and nobody read it until the winter.", true);
    std::vector<TokenSequence> sequences;
    for (const std::size_t length : {text.size(), std::size_t{5}, std::size_t{9}, std::size_t{2}}) sequences.push_back({{text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length)}, length / 2});
    const std::vector<SequenceScore> scores = scoreSequences(*demo().model, nullptr, sequences, job);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        EXPECT_EQ(scores[i].tokens.size(), sequences[i].ids.size() - sequences[i].from);
        EXPECT_NEAR(scores[i].logProbability, byWindow(sequences[i].ids, sequences[i].from), 2e-4) << i; // f32 products of other shapes
    }
    expectError(ErrorCode::usage, [&] { scoreSequences(*demo().model, nullptr, {{{1, 2}, 2}}, job); });
    expectError(ErrorCode::usage, [&] { scoreSequences(*demo().model, nullptr, {{{1, 2}, 0}}, job); });
}

// A model's own greedy continuation is what it finds likeliest, token by token: cloze must call it right, and as a choice it beats others.
TEST(Tasks, TheModelsOwnWordsAreRight) {
    Files files;
    const std::string prompt = "The ferry left the harbor an hour late, and";
    GenerateOptions greedy;
    greedy.maxTokens = 6;
    JobContext job;
    const std::string own = demo().tokenizer->decode(generate(*demo().model, demo().tokenizer->encode(prompt, true), greedy, nullptr, job).ids, false);
    const auto line = [](const Json& json) { return json.dump() + "\n"; };
    const PromptSet set = files.prompts(line({{"prompt", prompt}, {"target", own}, {"domain", "sea"}}) + line({{"prompt", prompt}, {"target", " zebra"}, {"domain", "zoo"}}) +
                                        line({{"prompt", prompt}, {"choices", {" quantum zebra xylophone", own}}, {"answer", 1}}) + line({{"prompt", prompt}, {"answer", own}}) +
                                        line({{"prompt", prompt}, {"reference", own}}));
    const TaskReport report = runTasks(*demo().model, nullptr, *demo().tokenizer, set, {6}, job);
    std::map<std::string, TaskFigure> figures;
    for (const TaskFigure& figure : report.figures) figures[figure.name] = figure;
    EXPECT_EQ(figures["cloze_accuracy"].value, 0.5);
    EXPECT_EQ(figures["cloze_accuracy/sea"].value, 1);
    EXPECT_EQ(figures["cloze_accuracy/zoo"].value, 0);
    EXPECT_EQ(figures["choice_accuracy"].value, 1);
    EXPECT_EQ(figures["exact_match"].value, 1);
    EXPECT_NEAR(figures["chrf"].value, 100, 1e-9);
    EXPECT_EQ(report.rows[3].text, own);
    EXPECT_LT(report.rows[1].logProbability, report.rows[0].logProbability);
}

// Values of sacrebleu 2.6.0 (corpus_bleu, corpus_chrf with their defaults) for these texts.
TEST(TextMetrics, AgreeWithSacrebleu) {
    const std::vector<std::string> hypotheses{"The cat sat on the mat, quietly.", "It cost 3.50 dollars in 1999-2001!", "a b c d e"};
    const std::vector<std::vector<std::string>> references{{"The cat sat quietly on the mat.", "A cat was sitting on the mat, quietly."}, {"It cost 3.50 dollars between 1999-2001!", "It cost 3.50 dollars in 1999!"}, {"a b c d f", "x b c d e"}};
    EXPECT_NEAR(bleu(hypotheses, references), 84.21303091301554, 1e-6);
    EXPECT_NEAR(chrf(hypotheses, references), 80.72156124273022, 1e-6);
    EXPECT_EQ(bleu({}, {}), 0);
    EXPECT_EQ(chrf({""}, {{"x"}}), 0);
    EXPECT_NEAR(bleu({"one two three four five"}, {{"one two three four five"}}), 100, 1e-9);
}

TEST(TextMetrics, SeeCollapse) {
    std::vector<std::int32_t> loop{1, 2, 3, 4};
    for (int i = 0; i < 20; ++i) loop.insert(loop.end(), {7, 8, 9});
    const Collapse bad = collapse(loop);
    EXPECT_EQ(bad.longestLoop, 60);
    EXPECT_TRUE(bad.collapsed());
    std::vector<std::int32_t> fine(64);
    for (std::size_t i = 0; i < fine.size(); ++i) fine[i] = static_cast<std::int32_t>(i * 37 % 61);
    EXPECT_FALSE(collapse(fine).collapsed());
    EXPECT_NEAR(collapse(std::vector<std::int32_t>{1, 1, 2, 2}).entropy, 1, 1e-12);
    EXPECT_EQ(collapse({}).longestLoop, 0);
    EXPECT_EQ(editDistance(std::vector<std::int32_t>{1, 2, 3}, std::vector<std::int32_t>{1, 3, 4, 5}), 3);
    EXPECT_EQ(normalizedAnswer("  The  Answer.\n"), "the answer");
}

TEST(Syntax, KnowsCode) {
    EXPECT_EQ(codeIn("Sure:\n```python\nx = 1\n```\ndone"), "x = 1\n");
    EXPECT_EQ(codeIn("x = 1"), "x = 1");
    EXPECT_TRUE(isJson("{\"a\": [1]}"));
    EXPECT_FALSE(isJson("{a}"));
    if (const auto python = isPython("def f(x):\n    return x\n")) {
        EXPECT_TRUE(*python);
        EXPECT_EQ(isPython("def f(x:\n"), false);
        EXPECT_EQ(isPython(std::string(200000, '(')), false);
        test::TempFolder folder; // compiled, never run
        isPython("open('" + folder.file("ran") + "', 'w')\n");
        EXPECT_FALSE(std::ifstream(folder.file("ran")).good());
    }
}

TEST(Suites, ThresholdsAndFiles) {
    EXPECT_TRUE(parseThreshold(">= 0.5").holds(0.5));
    EXPECT_FALSE(parseThreshold("> 0.5").holds(0.5));
    EXPECT_TRUE(parseThreshold("<0.5").holds(0.4));
    EXPECT_FALSE(parseThreshold("<= 5e-3").holds(0.006));
    EXPECT_FALSE(parseThreshold(">= 0").holds(std::nan("")));
    for (const char* bad : {"", "0.5", "=> 1", ">= x", "<= inf", "> 1 2"}) expectError(ErrorCode::usage, [&] { parseThreshold(bad); });
    Files files;
    const Suite suite = loadSuite(files.write("nightly.json", R"({"prompts":["a.jsonl"],"texts":["sub/t.txt"],"max_tokens":8,"thresholds":{"choice_accuracy":">= 0.3"}})"));
    EXPECT_EQ(suite.name, "nightly");
    EXPECT_EQ(suite.prompts[0], files.folder.file("a.jsonl"));
    EXPECT_EQ(suite.thresholds.at("choice_accuracy"), ">= 0.3");
    for (const char* bad : {R"({"prompt":[]})", R"({"prompts":"a"})", R"({"prompts":["a"],"max_tokens":0})", R"({"prompts":["a"],"thresholds":{"x":1}})", "[]"})
        expectError(ErrorCode::invalidHeader, [&] { loadSuite(files.write("s.json", bad)); });
    expectError(ErrorCode::usage, [&] { loadSuite(files.write("s.json", R"({"prompts":["a"],"thresholds":{"x":"0.5"}})")); });
    expectError(ErrorCode::usage, [&] { loadSuite(files.write("s.json", "{}")); });
}

/// Makes one token a little likelier everywhere: the head's row of it is changed.
class Louder final : public WeightSource {
public:
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.name == "blk.3.ffn_down")
            for (std::int64_t r = 0; r < weight.rows; ++r)
                for (float& w : weight.rowSpan(r)) w *= 1.5f;
    }
};

TEST(Outputs, EqualModelsWriteTheSame) {
    Files files;
    const PromptSet set = files.prompts("{\"prompt\":\"The old library\"}\n{\"prompt\":\"def add(a, b):\"}\n");
    const std::vector<OutputPair> pairs = compareOutputs(*demo().model, nullptr, *demo().model, nullptr, *demo().tokenizer, set.items, {.maxTokens = 12}, files.job);
    for (const OutputPair& pair : pairs) {
        EXPECT_EQ(pair.divergence, -1);
        EXPECT_EQ(pair.base.ids, pair.model.ids);
        EXPECT_EQ(pair.base.underBase, pair.base.underModel);
        EXPECT_NEAR(pair.cosine, 1, 1e-9);
        EXPECT_FALSE(pair.alert());
        EXPECT_TRUE(pair.topBase.empty());
    }
    EXPECT_EQ(summarize(pairs).same, 2);
}

TEST(Outputs, ShowWhereModelsPart) {
    Files files;
    const PromptSet set = files.prompts("{\"prompt\":\"The old library closed for repairs, and\"}\n{\"prompt\":\"A good map leaves things out.\"}\n{\"prompt\":\"Most people assume that\"}\n");
    const Louder louder;
    const std::vector<OutputPair> pairs = compareOutputs(*demo().model, &louder, *demo().model, nullptr, *demo().tokenizer, set.items, {.maxTokens = 16}, files.job);
    const OutputSummary summary = summarize(pairs);
    EXPECT_LT(summary.same, 3) << "a change of half a matrix shows in three texts";
    for (const OutputPair& pair : pairs) {
        EXPECT_LT(pair.cosine, 1 - 1e-6);
        EXPECT_LE(pair.lowestCosine, pair.cosine);
        EXPECT_EQ(pair.base.underBase.size(), pair.base.ids.size());
        EXPECT_EQ(pair.model.underModel.size(), pair.model.ids.size());
        if (pair.divergence < 0) continue;
        const auto at = static_cast<std::size_t>(pair.divergence);
        ASSERT_EQ(pair.topBase.size(), static_cast<std::size_t>(kTopCandidates));
        if (at < pair.base.ids.size()) { // greedy: each wrote its own likeliest
            EXPECT_EQ(pair.topBase[0].id, pair.base.ids[at]);
            EXPECT_NEAR(pair.topBase[0].logProbability, pair.base.underBase[at], 1e-5);
        }
        if (at < pair.model.ids.size()) {
            EXPECT_EQ(pair.topModel[0].id, pair.model.ids[at]);
        }
        EXPECT_GE(pair.editDistance, 1);
    }
    EXPECT_GT(summary.logProbabilityGap, 0) << "the base finds its own words likelier";
}

} // namespace
} // namespace bw
