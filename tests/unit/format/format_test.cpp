// SPDX-License-Identifier: GPL-3.0-or-later
// The registry: grammar, errors with positions, fallbacks, and what every format promises.
#include "core/base/error.h"
#include "core/format/affine.h"
#include "core/format/format.h"
#include "core/format/storage_format.h"
#include "tests/support/format_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

using testing::HasSubstr;

TEST(ParseFormat, canonicalNames) {
    EXPECT_EQ(parseFormat("int4")->name(), "int4:g128:asym");
    EXPECT_EQ(parseFormat("int3:g64")->name(), "int3:g64:asym");
    EXPECT_EQ(parseFormat("int8:channel:sym")->name(), "int8:channel:sym");
    EXPECT_EQ(parseFormat("int2:tensor")->name(), "int2:tensor:asym");
    EXPECT_EQ(parseFormat("int5:sym")->name(), "int5:g128:sym");
    EXPECT_EQ(parseFormat("Q4_0")->name(), "q4_0");
    for (const char* name : {"f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "int7:g32:sym"}) EXPECT_EQ(parseFormat(name)->name(), name);
}

TEST(ParseFormat, codeBitsOrderFormats) {
    EXPECT_EQ(parseFormat("f32")->codeBits(), 32);
    EXPECT_EQ(parseFormat("bf16")->codeBits(), 16);
    EXPECT_EQ(parseFormat("q5_1")->codeBits(), 5);
    EXPECT_EQ(parseFormat("q4_1")->codeBits(), 4);
    EXPECT_EQ(parseFormat("q8_0")->codeBits(), 8);
    EXPECT_EQ(parseFormat("int6:g32")->codeBits(), 6);
    EXPECT_EQ(parseFormat("q5_1")->storage(), StorageType::q5_1);
    EXPECT_EQ(parseFormat("int4")->storage(), StorageType::unknown);
}

TEST(ParseFormat, errorsNamePositionExpectationAndNearest) {
    struct Bad {
        const char *text, *position, *nearest;
    };
    for (const Bad& bad : {Bad{"", "position 0", ""}, {"q4_2", "position 0", "q4_"}, {"int9", "position 3", "int"}, {"int", "position 3", "int"},
                           {"int-4", "position 3", "int4"}, {"int4x:g64", "position 3", "int4"}, {"int4:", "position 5", "int4"},
                           {"int4:h64", "position 5", "int4:g64"}, {"int4:g", "position 5", "int4"}, {"int4:g0", "position 6", "int4:g"},
                           {"int4:g64x", "position 6", "int4:g64"}, {"int4:g64:asim", "position 9", "int4:g64:asym"},
                           {"int4:sym:g64", "position 9", "int4:"}, {"int4:g64:sym:sym", "position 13", "int4:g64:sym"},
                           {"int4:sym:x", "position 9", "int4:sym"}, {"int4:g99999999999999999999", "position 6", "int4:g"}}) {
        try {
            parseFormat(bad.text);
            ADD_FAILURE() << bad.text;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::invalidFormat) << bad.text;
            EXPECT_THAT(e.message(), HasSubstr(bad.position)) << bad.text;
            EXPECT_THAT(e.hint(), HasSubstr(bad.nearest)) << bad.text;
        }
    }
    try {
        parseFormat("iq2_xxs");
        ADD_FAILURE();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::invalidFormat);
        EXPECT_THAT(e.message(), HasSubstr("not written"));
    }
}

TEST(KnownFormats, firstFormOfEachParses) {
    const auto formats = knownFormats();
    EXPECT_GE(formats.size(), 15u);
    for (const FormatSummary& f : formats) {
        const FormatPtr format = parseFormat(f.name.substr(0, f.name.find('[')));
        EXPECT_DOUBLE_EQ(format->bitsPerWeight(4096, 4096), f.bitsPerWeight) << f.name;
        EXPECT_FALSE(f.description.empty());
    }
}

TEST(KnownFormats, everyBlockTypeIsListedOnceAsWhatItIs) {
    std::vector<std::string> written, read;
    for (const FormatSummary& f : knownFormats()) written.push_back(f.name);
    for (const FormatSummary& f : readOnlyFormats()) read.push_back(f.name);
    for (const StorageTypeInfo& info : allStorageTypes()) {
        const std::string name(info.name);
        const bool isWritten = info.encodes || info.type == StorageType::nvfp4; // whose blocks need a scale beside them
        EXPECT_EQ(std::count(written.begin(), written.end(), name), isWritten ? 1 : 0) << name;
        if (info.blockElements > 1) {
            EXPECT_EQ(std::count(read.begin(), read.end(), name), info.decodes && !isWritten ? 1 : 0) << name;
        }
    }
}

TEST(Fallback, table) {
    const auto fall = [](const char* wanted, std::int64_t cols) { return fallbackFormat(parseFormat(wanted), 8, cols)->name(); };
    EXPECT_EQ(fall("q4_0", 576), "q4_0");
    EXPECT_EQ(fall("q4_0", 100), "f16");
    EXPECT_EQ(fall("q8_0", 1), "f16");
    EXPECT_EQ(fall("int4:g128:sym", 576), "int4:g64:sym");
    EXPECT_EQ(fall("int4:g128", 192), "int4:g64:asym");
    EXPECT_EQ(fall("int3:g100", 96), "int3:g32:asym");
    EXPECT_EQ(fall("int3:g64", 48), "int3:g16:asym");
    EXPECT_EQ(fall("int3:g64", 24), "int3:channel:asym");
    EXPECT_EQ(fall("int3:g8", 12), "int3:channel:asym");
    EXPECT_EQ(fall("bf16", 7), "bf16");
    const auto fallStorage = [](StorageType type, std::int64_t cols) { return fallbackFormat(std::make_shared<StorageFormat>(type), 8, cols)->name(); };
    EXPECT_EQ(fallStorage(StorageType::q4_k, 576), "q5_0");
    EXPECT_EQ(fallStorage(StorageType::q5_k, 576), "q5_1");
    EXPECT_EQ(fallStorage(StorageType::q6_k, 576), "q8_0");
    EXPECT_EQ(fallStorage(StorageType::q2_k, 576), "q4_0");
    EXPECT_EQ(fallStorage(StorageType::iq4_xs, 576), "iq4_nl");
    EXPECT_EQ(fallStorage(StorageType::q3_k, 100), "f16");
    std::string why;
    fallbackFormat(parseFormat("int4:g128"), 8, 576, &why);
    EXPECT_EQ(why, "128 does not divide 576");
}

TEST(Formats, decodedValuesEncodeToThemselves) {
    for (const char* name : {"f32", "f16", "bf16", "q8_0", "q4_0", "q5_0"})
        for (std::uint64_t seed = 0; seed < 30; ++seed) {
            const FormatPtr format = parseFormat(name);
            const Matrix w = test::randomWeight(3, 96, seed, 0.02, 30);
            Matrix once(3, 96), twice(3, 96);
            format->roundTrip(w.view(), {}, once.view());
            format->roundTrip(once.view(), {}, twice.view());
            for (std::int64_t i = 0; i < w.size(); ++i) ASSERT_EQ(once.data()[i], twice.data()[i]) << name << " seed " << seed;
        }
}

TEST(Formats, errorStaysWithinTheGridOfTheBlock) {
    // Largest error in units of the block's step: half a step, one at the clamped end of the lopsided grids, plus f16's share.
    struct Bound {
        const char* name;
        double levels, steps;
    };
    for (const Bound& b : {Bound{"q4_0", 8, 1.0}, {"q5_0", 16, 1.0}, {"q8_0", 127, 0.5}, {"q4_1", 15, 0.5}, {"q5_1", 31, 0.5}}) {
        const FormatPtr format = parseFormat(b.name);
        const Matrix w = test::randomWeight(8, 320, 4, 0.02, 50);
        Matrix back(8, 320);
        format->roundTrip(w.view(), {}, back.view());
        for (std::int64_t at = 0; at < w.size(); at += 32) {
            double lo = 0, hi = 0, peak = 0;
            lo = hi = static_cast<double>(w.data()[at]);
            for (int j = 0; j < 32; ++j) {
                const double x = static_cast<double>(w.data()[at + j]);
                lo = std::min(lo, x);
                hi = std::max(hi, x);
                peak = std::max(peak, std::abs(x));
            }
            const double step = (b.levels == 15 || b.levels == 31 ? hi - lo : peak) / b.levels;
            for (int j = 0; j < 32; ++j)
                ASSERT_LE(std::abs(static_cast<double>(w.data()[at + j]) - static_cast<double>(back.data()[at + j])),
                          b.steps * step * (1 + 1e-5) + (step * b.levels + peak) * 0x1p-11)
                    << b.name;
        }
    }
}

ErrorCode codeOf(const std::function<void()>& call, std::string* message = nullptr) {
    try {
        call();
    } catch (const Error& e) {
        if (message) *message = e.message();
        return e.code();
    }
    return ErrorCode::internal;
}

TEST(Formats, encodeRefusesBadInput) {
    for (const char* name : {"q4_0", "int4:g32", "bf16", "int8:tensor"}) {
        const FormatPtr format = parseFormat(name);
        Matrix w = test::randomWeight(2100, 64, 1);
        std::vector<std::byte> out(format->bytes(2100, 64));
        EXPECT_EQ(codeOf([&] { format->encode(w.view(), {}, {out.data(), 3}); }), ErrorCode::shapeMismatch);
        const std::vector<float> three(3, 1.0f);
        EXPECT_EQ(codeOf([&] { format->encode(w.view(), {three, false}, out); }), ErrorCode::shapeMismatch);
        std::vector<float> importance(64, 1.0f);
        importance[9] = -1.0f;
        EXPECT_EQ(codeOf([&] { format->encode(w.view(), {importance, false}, out); }), ErrorCode::nonFinite);
        importance[9] = NAN;
        EXPECT_EQ(codeOf([&] { format->encode(w.view(), {importance, false}, out); }), ErrorCode::nonFinite);
        w.row(1999)[5] = NAN;
        w.row(1030)[17] = -INFINITY;
        std::string message;
        EXPECT_EQ(codeOf([&] { format->encode(w.view(), {}, out); }, &message), ErrorCode::nonFinite);
        EXPECT_THAT(message, HasSubstr("row 1030, column 17")) << name;
    }
    const FormatPtr format = parseFormat("q4_0");
    const Matrix w = test::randomWeight(2, 33, 1);
    std::vector<std::byte> out(36);
    std::string message;
    EXPECT_EQ(codeOf([&] { format->encode(w.view(), {}, out); }, &message), ErrorCode::formatDoesNotFit);
    EXPECT_THAT(message, HasSubstr("32 does not divide 33"));
    Matrix back(2, 32);
    EXPECT_EQ(codeOf([&] { format->decodeRows({out.data(), 35}, 2, 0, back.view()); }), ErrorCode::shapeMismatch);
    EXPECT_EQ(codeOf([&] { format->decodeRows(out, 2, 1, back.view()); }), ErrorCode::shapeMismatch);
}

TEST(Formats, stridedWeightsEncodeLikePackedOnes) {
    const Matrix wide = test::randomWeight(6, 128, 12);
    Matrix packed(6, 64);
    for (std::int64_t r = 0; r < 6; ++r) std::copy_n(wide.row(r) + 32, 64, packed.row(r));
    for (const char* name : {"q5_1", "int3:g16", "f16", "int6:channel:sym"}) {
        const FormatPtr format = parseFormat(name);
        std::vector<std::byte> a(format->bytes(6, 64)), b(a.size());
        format->encode(packed.view(), {}, a);
        format->encode({wide.data() + 32, 6, 64, 128}, {}, b);
        EXPECT_EQ(a, b) << name;
    }
}

} // namespace
} // namespace bw
