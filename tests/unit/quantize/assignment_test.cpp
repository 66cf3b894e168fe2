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
