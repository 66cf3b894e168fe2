// SPDX-License-Identifier: GPL-3.0-or-later
// Which format each site gets from a default, a head default, rules and fallbacks.
#include "tests/unit/quantize/demo_model.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

using test::codeOf;
using test::demoModel;
using testing::HasSubstr;

const SiteFormat& of(const std::vector<SiteFormat>& formats, const char* name) {
    return formats.at(static_cast<std::size_t>(demoModel().findSite(name)->id.value()));
}

TEST(Assignment, defaultsHeadAndLaterRulesWin) {
    const auto formats = resolveFormats(demoModel(), "q4_0", "bf16", {{"blk.*.attn_v", "q8_0"}, {"blk.3.*", "int4:g64"}, {"blk.3.ffn_up", "keep"}});
    ASSERT_EQ(formats.size(), demoModel().sites().size());
    EXPECT_EQ(of(formats, "token_embd").asked, "bf16");
    EXPECT_EQ(of(formats, "blk.0.attn_q").used->name(), "q4_0");
    EXPECT_EQ(of(formats, "blk.5.attn_v").used->name(), "q8_0");
    EXPECT_EQ(of(formats, "blk.3.attn_v").used->name(), "int4:g64:asym");
    EXPECT_EQ(of(formats, "blk.3.ffn_up").asked, "keep");
    EXPECT_EQ(of(formats, "blk.3.ffn_up").used, nullptr);
    for (const SiteFormat& f : formats) EXPECT_EQ(f.whyDiffers, "");
}

TEST(Assignment, aFormatMayCarryItsRounder) {
    const auto formats = resolveFormats(demoModel(), "q4_k@weighted", "q8_0", {{"blk.*.ffn_down", "int4:g96:sym@gptq"}, {"blk.3.*", "q4_k"}});
    EXPECT_EQ(of(formats, "blk.0.attn_q").asked, "q4_k"); // what is asked of a container
    EXPECT_EQ(of(formats, "blk.0.attn_q").rounder, "weighted");
    EXPECT_EQ(of(formats, "blk.0.ffn_down").used->name(), "int4:g96:sym");
    EXPECT_EQ(of(formats, "blk.0.ffn_down").rounder, "gptq");
    EXPECT_EQ(of(formats, "blk.3.ffn_down").rounder, ""); // the recipe's again
    EXPECT_EQ(of(formats, "token_embd").rounder, "");
    EXPECT_EQ(parseChoice("int4@nearest").name(), "int4:g128:asym@nearest");
    EXPECT_EQ(parseChoice("Q4_K").name(), parseChoice("q4_k").name());
    EXPECT_EQ(choiceFormat("q4_k@weighted"), "q4_k");
    for (const char* wrong : {"q4_k@", "q4_k@best", "q4_k@weighted@gptq", "@weighted", "keep@weighted", "mix:q4_k_m@weighted"})
        EXPECT_EQ(codeOf([&] { parseChoice(wrong); }), ErrorCode::invalidFormat) << wrong;
    EXPECT_EQ(codeOf([] { resolveFormats(demoModel(), "q4_0", "", {{"*", "q4_k@best"}}); }), ErrorCode::invalidFormat);
}

TEST(Assignment, fallbackSaysWhy) {
    const auto formats = resolveFormats(demoModel(), "int4:g96:sym", "", {});
    EXPECT_EQ(of(formats, "blk.0.attn_q").asked, "int4:g96:sym");
    EXPECT_EQ(of(formats, "blk.0.attn_q").used->name(), "int4:g64:sym");
    EXPECT_EQ(of(formats, "blk.0.attn_q").whyDiffers, "96 does not divide 256");
    EXPECT_EQ(of(formats, "blk.0.ffn_down").used->name(), "int4:g96:sym"); // 768 = 8·96
    EXPECT_EQ(of(formats, "blk.0.ffn_down").whyDiffers, "");
}

TEST(Assignment, nothingIsIgnoredSilently) {
    std::string line;
    EXPECT_EQ(codeOf([] { resolveFormats(demoModel(), "q4_0", "", {{"blk.9.*", "q8_0"}}); }, &line), ErrorCode::usage);
    EXPECT_THAT(line, HasSubstr("blk.9.*=q8_0"));
    EXPECT_THAT(line, HasSubstr("blk.0.attn_q"));
    EXPECT_EQ(codeOf([] { resolveFormats(demoModel(), "q4_9", "", {}); }, &line), ErrorCode::invalidFormat);
    EXPECT_THAT(line, HasSubstr("default format"));
    EXPECT_EQ(codeOf([] { resolveFormats(demoModel(), "q4_0", "int1", {}); }), ErrorCode::invalidFormat);
    EXPECT_EQ(codeOf([] { resolveFormats(demoModel(), "q4_0", "", {{"token_embd", "nope"}}); }, &line), ErrorCode::invalidFormat);
    EXPECT_THAT(line, HasSubstr("token_embd"));
}

} // namespace
} // namespace bw
