// SPDX-License-Identifier: GPL-3.0-or-later
// Parts of an evaluation: which tokens belong to which document, and figures of texts and positions.
#include "core/evaluate/parts.h"

#include "core/compute/cpu_device.h"
#include "core/evaluate/evaluate.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <numeric>

namespace bw {
namespace {

const Model& demo() {
    static const auto model = Model::open(Checkpoint::open(BW_RESOURCES "/demo"), std::shared_ptr<Device>(makeCpuDevice()));
    return *model;
}

struct Texts {
    test::TempFolder folder;
    JobContext job;
    std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::open(demo().checkpoint());
    TextData load(const std::string& name, const std::string& text) {
        std::ofstream(folder.file(name), std::ios::binary) << text;
        return loadText(folder.file(name), *tokenizer, 0, job);
    }
    std::vector<ScoredText> parts(const TextData& text, const std::string& protocol) {
        const Protocol p = parseProtocol(protocol);
        const Windows windows = cutWindows(text, p, *tokenizer, 0);
        return scoredTexts({text}, {windows.count}, windows, p, *tokenizer);
    }
    std::int64_t tokens(const std::string& text) { return static_cast<std::int64_t>(tokenizer->encode(text, false).size()); }
};

TEST(Parts, ParagraphsAreDocumentsOfAPlainText) {
    Texts texts;
    std::string all;
    for (int i = 0; i < 9; ++i) all += "The ferry left the harbor before the storm came in.\nNobody was on it.\n" + std::string(i % 2 == 0 ? "\n" : "  \n \n");
    const TextData text = texts.load("a.txt", all);
    const std::vector<ScoredText> parts = texts.parts(text, "windows:8");
    ASSERT_EQ(parts.size(), 1u);
    EXPECT_EQ(parts[0].unit, "paragraph");
    EXPECT_EQ(parts[0].documents.size(), 9u);
    // The first token of each window is not scored.
    const std::int64_t windows = static_cast<std::int64_t>(text.ids.size()) / 8;
    EXPECT_EQ(parts[0].tokens(), windows * 7);
    EXPECT_EQ(texts.parts(text, "llama.cpp:8")[0].tokens(), cutWindows(text, parseProtocol("llama.cpp:8"), *texts.tokenizer, 0).count * 3) << "the second half of a window, but for its first token";
    EXPECT_EQ(texts.parts(texts.load("b.txt", "one line\nanother line and many more words to make up a window"), "windows:4")[0].unit, "file");
}

TEST(Parts, LinesAreDocumentsOfJsonl) {
    Texts texts;
    const std::string one = "A storm is coming.\\n\\nIt will pass.", two = "Nobody knows when the next ferry leaves.";
    const TextData text = texts.load("a.jsonl", "{\"text\":\"" + one + "\"}\n{\"text\":\"\"}\n{\"text\":\"" + two + "\"}\n");
    EXPECT_EQ(text.documentStarts, (std::vector<std::int64_t>{0, texts.tokens("A storm is coming.\n\nIt will pass.")}));
    const std::vector<ScoredText> parts = texts.parts(text, "windows:4");
    EXPECT_EQ(parts[0].unit, "line");
    EXPECT_EQ(parts[0].documents.size(), 2u);
}

TEST(Parts, FiguresAddUpToTheWhole) {
    // Windows of 40 tokens, 39 scored; two texts of 3 and 9 windows; values that name their place.
    constexpr std::int64_t kWindows = 12, kScored = 39;
    std::vector<float> nll, kl;
    std::vector<std::uint8_t> marks;
    for (std::int64_t w = 0; w < kWindows; ++w)
        for (std::int64_t p = 1; p <= kScored; ++p) {
            nll.push_back(static_cast<float>(w < 3 ? 1 : 2) + (p >= 16 ? 0.5f : 0.0f));
            kl.push_back(static_cast<float>(p));
            marks.push_back(static_cast<std::uint8_t>((p % 2 == 0 ? kTokenWasLikeliest : 0) | (w < 3 ? kSameLikeliest : 0)));
        }
    const std::vector<ScoredText> texts{{"a", "file", {3 * kScored}}, {"b", "paragraph", {kScored, 8 * kScored}}};
    const std::vector<PartFigures> byText = figuresByText({nll, kl, marks}, texts, kWindows);
    ASSERT_EQ(byText.size(), 2u);
    EXPECT_EQ(byText[0].tokens, 3 * kScored);
    EXPECT_NEAR(byText[1].nll - byText[0].nll, 1, 1e-6);
    EXPECT_NEAR(byText[0].sameTop1, 1, 0);
    EXPECT_NEAR(byText[1].sameTop1, 0, 0);
    EXPECT_NEAR(byText[1].nllStandardError, 0, 1e-7) << "nine equal windows";
    EXPECT_GT(byText[0].nllStandardError, 0.01) << "three windows: over the tokens";
    const std::vector<PartFigures> byPosition = figuresByPosition({nll, kl, marks}, kWindows, 1);
    ASSERT_EQ(byPosition.size(), 3u);
    EXPECT_EQ(byPosition[0].name, "1–15");
    EXPECT_EQ(byPosition[2].name, "32–39");
    EXPECT_EQ(byPosition[2].tokens, kWindows * 8);
    EXPECT_NEAR(byPosition[1].klMean, 23.5, 1e-6);
    EXPECT_NEAR(byPosition[0].nll, 1.75, 1e-6);
    EXPECT_NEAR(byPosition[1].nll, 2.25, 1e-6);
    EXPECT_NEAR(byPosition[0].top1, 7.0 / 15, 1e-9);
    double sum = 0;
    for (const PartFigures& part : byPosition) sum += part.nll * static_cast<double>(part.tokens);
    EXPECT_NEAR(sum, std::accumulate(nll.begin(), nll.end(), 0.0), 1e-3);
    EXPECT_EQ(figuresByPosition({nll, {}, {}}, kWindows, 20).front().name, "20–31") << "what a protocol leaves out at the front";
}

} // namespace
} // namespace bw
