// SPDX-License-Identifier: GPL-3.0-or-later
// Named mixes, tensor patterns and cloned recipes on the embedded model (256 wide, 6 blocks, 8 heads over 4, tied head).
// That the mixes are llama-quantize's is proven in tests/golden/quantize.
#include "core/quantize/presets.h"
#include "core/quantize/rules.h"
#include "tests/support/bytes.h"
#include "tests/unit/quantize/demo_model.h"

#include <gmock/gmock.h>

#include <fstream>

namespace bw {
namespace {

using test::codeOf;
using test::demoModel;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<SiteFormat> resolved(const FormatRequest& request) { return resolveFormats(demoModel(), request); }
std::vector<SiteFormat> mix(const std::string& name) { return resolved({"mix:" + name, {}, "", "", "", {}, false}); }

std::string used(const std::vector<SiteFormat>& formats, const std::string& site) {
    return formats.at(static_cast<std::size_t>(demoModel().findSite(site)->id.value())).used->name();
}

TEST(Presets, namesAreFoundInAnyCaseAndShortForm) {
    EXPECT_EQ(findMix("Q4_K_M")->name, "q4_k_m");
    EXPECT_EQ(findMix("q4_k")->name, "q4_k_m");
    EXPECT_EQ(findMix("q3_k")->fileType, 12);
    EXPECT_EQ(findMix("q4_k_x"), nullptr);
    EXPECT_EQ(findMix(""), nullptr);
    for (const NamedMix& m : namedMixes()) EXPECT_EQ(findMix(m.name), &m);
}

TEST(Presets, whatIsNeverQuantized) {
    EXPECT_TRUE(mixQuantizes("blk.0.attn_q.weight", 2));
    EXPECT_TRUE(mixQuantizes("blk.0.ffn_up_exps.weight", 3));
    EXPECT_FALSE(mixQuantizes("blk.0.attn_q.bias", 2));
    EXPECT_FALSE(mixQuantizes("blk.0.attn_norm.weight", 1));
    EXPECT_FALSE(mixQuantizes("blk.0.attn_q_norm.weight", 2));
    EXPECT_FALSE(mixQuantizes("blk.0.ffn_gate_inp.weight", 2));
    EXPECT_FALSE(mixQuantizes("position_embd.weight", 2));
}

TEST(Presets, aMixGivesEachSiteItsType) {
    const auto formats = mix("q4_k_m");
    EXPECT_EQ(used(formats, "token_embd"), "q6_k"); // the head is tied
    EXPECT_EQ(used(formats, "blk.0.attn_q"), "q4_k");
    std::string down, values; // 6/8 = 0: every third, and from 7·6/8 = 5 on
    for (int b = 0; b < 6; ++b) {
        down += used(formats, "blk." + std::to_string(b) + ".ffn_down") == "q6_k" ? '6' : '4';
        values += used(formats, "blk." + std::to_string(b) + ".attn_v") == "q6_k" ? '6' : '4';
    }
    EXPECT_EQ(down, "446446");
    EXPECT_EQ(values, "446446");
    for (const SiteFormat& f : formats) EXPECT_EQ(f.whyDiffers, "");
}

TEST(Presets, importanceChangesSomeMixes) {
    FormatRequest request{"mix:iq4_xs", {}, "", "", "", {}, false};
    const auto without = resolved(request);
    request.importance = true;
    const auto with = resolved(request);
    EXPECT_EQ(used(without, "blk.0.ffn_down"), used(with, "blk.0.ffn_down")); // 6/8 = 0 first layers here
    MixModel model{"llama", 32, 32, 8, 0, false};
    const std::vector<MixTensor> tensors{{"blk.0.ffn_down.weight", 4096, false, {}}, {"output.weight", 4096, false, {}}};
    EXPECT_EQ(mixTypes(*findMix("iq4_xs"), model, tensors)[0], StorageType::q5_k);
    model.importance = true;
    EXPECT_EQ(mixTypes(*findMix("iq4_xs"), model, tensors)[0], StorageType::iq4_xs);
}

TEST(Presets, everyWrittenMixResolvesAndUnknownOnesAreRefused) {
    for (const NamedMix& m : namedMixes())
        if (storageTypeInfo(m.base).encodes) {
            EXPECT_EQ(mix(std::string(m.name)).size(), demoModel().sites().size()) << m.name;
        }
    std::string line;
    EXPECT_EQ(codeOf([] { mix("q4_k_xl"); }, &line), ErrorCode::invalidFormat);
    EXPECT_THAT(line, HasSubstr("q4_k_m"));
    EXPECT_EQ(codeOf([] { checkFormatOrMix("mix:"); }), ErrorCode::invalidFormat);
    EXPECT_EQ(codeOf([] { checkFormatOrMix("q4_x"); }), ErrorCode::invalidFormat);
    checkFormatOrMix("mix:Q5_K_M");
    checkFormatOrMix("keep");
}

TEST(Presets, strongerWordsWin) {
    const auto formats = resolved({"mix:q4_k_m", {{"ffn_(up|down)", "q8_0"}, {R"(blk\.1\.)", "q5_0"}}, "", "q5_k", "", {{"blk.2.*", "q4_0"}}, false});
    EXPECT_EQ(used(formats, "blk.0.ffn_up"), "q8_0");
    EXPECT_EQ(used(formats, "blk.1.ffn_up"), "q8_0") << "the first pattern wins";
    EXPECT_EQ(used(formats, "blk.1.attn_q"), "q5_0");
    EXPECT_EQ(used(formats, "blk.2.ffn_up"), "q4_0") << "rules win over patterns";
    EXPECT_EQ(used(formats, "token_embd"), "q5_k") << "a tied head follows the output's format";
    const auto embedding = resolved({"mix:q4_k_m", {}, "q8_0", "", "q4_0", {}, false});
    EXPECT_EQ(used(embedding, "token_embd"), "q4_0") << "the embedding's own format wins over the head's";
}

TEST(Presets, tensorsSetByHandAreNotCounted) { // as in llama-quantize: attn_v of block 2 becomes the second one counted
    const auto formats = resolved({"mix:q3_k_m", {{R"(blk\.[01]\.attn_v)", "q8_0"}}, "", "", "", {}, false});
    std::vector<std::string> values;
    for (int b = 0; b < 6; ++b) values.push_back(used(formats, "blk." + std::to_string(b) + ".attn_v"));
    EXPECT_THAT(values, ElementsAre("q8_0", "q8_0", "q5_k", "q5_k", "q4_k", "q4_k"));
}

TEST(Presets, patternsAreCheckedAndLimited) {
    EXPECT_TRUE(NamePattern("ATTN_(k|v)\\.").matches("blk.0.attn_v.weight"));
    EXPECT_FALSE(NamePattern("^attn").matches("blk.0.attn_v.weight"));
    std::string line;
    EXPECT_EQ(codeOf([] { NamePattern("attn_(v"); }, &line), ErrorCode::usage);
    EXPECT_THAT(line, HasSubstr("attn_(v"));
    EXPECT_EQ(codeOf([] { NamePattern(""); }), ErrorCode::usage);
    EXPECT_EQ(codeOf([] { NamePattern(std::string(100000, 'a')); }), ErrorCode::usage);
    EXPECT_EQ(codeOf([] { NamePattern("(a+)+$").matches(std::string(60, 'a') + "b"); }, &line), ErrorCode::usage);
    EXPECT_THAT(line, HasSubstr("runs away"));
    EXPECT_EQ(codeOf([] { resolved({"mix:q4_k_m", {{"attn_w", "q8_0"}}, "", "", "", {}, false}); }, &line), ErrorCode::usage);
    EXPECT_THAT(line, HasSubstr("attn_w"));
}

/// The demo model written with a mix, opened again.
std::shared_ptr<const Checkpoint> written(const test::TempFolder& folder, const std::string& format) {
    FormatRequest request;
    request.format = format;
    const std::string path = folder / "mix.gguf";
    const auto formats = resolved(request);
    const ExportPlan plan = planExport(demoModel(), formats, path, true);
    JobContext job;
    exportModel(demoModel(), *test::quantize(demoModel(), test::asPlanned(formats, plan)), plan, true, {}, job);
    return Checkpoint::open(path);
}

TEST(CloneRecipe, givesTheTypesThatTheOtherFileHas) {
    const test::TempFolder folder;
    const auto file = written(folder, "mix:q4_k_m");
    const ClonedRecipe cloned = cloneRecipe(demoModel(), *file);
    EXPECT_EQ(cloned.format, "q4_k");
    EXPECT_THAT(cloned.notes, testing::IsEmpty());
    EXPECT_LE(cloned.rules.size(), 5u) << "kinds of one type are one rule";
    const auto formats = resolveFormats(demoModel(), cloned.format, "", cloned.rules), asked = mix("q4_k_m");
    for (std::size_t i = 0; i < formats.size(); ++i) EXPECT_EQ(formats[i].used->name(), asked[i].used->name()) << demoModel().sites()[i].name;
}

TEST(CloneRecipe, tellsWhatIsMissingAndWhatDoesNotFit) { // a part of another model: 192 wide, few tensors
    const ClonedRecipe cloned = cloneRecipe(demoModel(), *Checkpoint::open(std::string(BW_TEST_DATA) + "/checkpoint/demo-llama-part.Q8_0.gguf"));
    EXPECT_EQ(cloned.format, "q8_0");
    EXPECT_THAT(cloned.notes, testing::Contains(HasSubstr("192 columns there and 256 here")));
    EXPECT_THAT(cloned.notes, testing::Contains(HasSubstr("not in ")));
}

TEST(CloneRecipe, codeBooksBecomeKQuantsAndNeverTernaryTypes) { // tq2_0 and q2_0 are nearest in size, and would ruin the weights
    const test::TempFolder folder;
    const test::GgufBytes file = test::GgufBytes(2, 0).tensor("blk.0.attn_q.weight", {256, 256}, 16, 0).tensor("blk.0.attn_output.weight", {256, 256}, 18, 256 * 66).pad().data(256 * (66 + 98));
    const std::string path = folder / "codebooks.gguf";
    std::ofstream(path, std::ios::binary) << file.bytes();
    const ClonedRecipe cloned = cloneRecipe(demoModel(), *Checkpoint::open(path));
    EXPECT_THAT(cloned.notes, testing::Contains(HasSubstr("blk.0.attn_q is iq2_xxs there, which is not written here: q2_k instead")));
    EXPECT_THAT(cloned.notes, testing::Contains(HasSubstr("blk.0.attn_output is iq3_xxs there, which is not written here: q3_k instead")));
}

} // namespace
} // namespace bw
