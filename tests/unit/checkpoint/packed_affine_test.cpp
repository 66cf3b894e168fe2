// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/matrix.h"
#include "core/base/random.h"
#include "core/checkpoint/packed_affine.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"

#include <nlohmann/json.hpp>

#include <cstring>

namespace bw::test {
namespace {

struct Packed {
    std::shared_ptr<const AffineFormat> format;
    std::vector<OutputTensor> tensors;
    std::vector<std::vector<std::byte>> bytes;
    Matrix expected;
};

Packed packRandom(const std::string& name, std::int64_t rows, std::int64_t cols) {
    Packed packed;
    packed.format = std::dynamic_pointer_cast<const AffineFormat>(parseFormat(name));
    Random random(3);
    Matrix weight(rows, cols);
    for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] = static_cast<float>(0.3 * random.normal() + 0.1);
    std::vector<std::byte> encoded(packed.format->bytes(rows, cols));
    packed.format->encode(weight.view(), {}, encoded);
    packed.expected = Matrix(rows, cols);
    packed.format->decodeRows(encoded, rows, 0, packed.expected.view());
    packed.tensors = packedAffineTensors("model.layers.0.mlp.up_proj", *packed.format, rows, cols);
    packed.bytes = packedAffineBytes(*packed.format, encoded, rows, cols);
    return packed;
}

std::string fileOf(const Packed& packed, std::size_t leaveOut = 99) {
    nlohmann::json header;
    std::string data;
    for (std::size_t i = 0; i < packed.tensors.size(); ++i) {
        if (i == leaveOut) continue;
        const std::size_t begin = data.size();
        data.append(reinterpret_cast<const char*>(packed.bytes[i].data()), packed.bytes[i].size());
        header[packed.tensors[i].name] = {{"dtype", std::string(storageTypeInfo(packed.tensors[i].type).safetensors)}, {"shape", packed.tensors[i].shape}, {"data_offsets", {begin, data.size()}}};
    }
    return safetensorsBytes(header.dump(), data);
}

TEST(PackedAffine, everyWidthAndScopeReadsAsTheFormatDecodes) {
    for (int bits = 2; bits <= 8; ++bits)
        for (const char* scope : {":g32", ":g16", ":channel", ":tensor"})
            for (const char* kind : {":sym", ":asym"}) {
                const std::string name = "int" + std::to_string(bits) + scope + kind;
                SCOPED_TRACE(name);
                TempFolder folder;
                const Packed packed = packRandom(name, 37, 96); // 37 rows: zero points end inside a word
                for (std::size_t i = 0; i < packed.tensors.size(); ++i)
                    EXPECT_EQ(packed.bytes[i].size(), storageBytes(packed.tensors[i].type, 1, static_cast<std::uint64_t>([&] {
                        std::int64_t n = 1;
                        for (const auto d : packed.tensors[i].shape) n *= d;
                        return n;
                    }())));
                const auto checkpoint = Checkpoint::open(folder.write("p.safetensors", fileOf(packed)));
                ASSERT_EQ(checkpoint->tensors().size(), 1u);
                const TensorInfo& tensor = checkpoint->require("blk.0.ffn_up.weight");
                EXPECT_EQ(tensor.name, "model.layers.0.mlp.up_proj.weight");
                EXPECT_EQ(tensor.shape, (std::vector<std::int64_t>{37, 96}));
                ASSERT_TRUE(tensor.packed);
                EXPECT_EQ(tensor.packed->name(), packed.format->name());
                EXPECT_EQ(checkpoint->parameters(), 37 * 96);
                Matrix values(37, 96), part(5, 96);
                checkpoint->readRows(tensor, 0, values.view());
                EXPECT_EQ(0, std::memcmp(values.data(), packed.expected.data(), 37 * 96 * sizeof(float)));
                checkpoint->readRows(tensor, 32, part.view());
                EXPECT_EQ(0, std::memcmp(part.data(), packed.expected.row(32), 5 * 96 * sizeof(float)));
                expectError(ErrorCode::unsupportedType, [&] { checkpoint->raw(tensor); });
            }
}

/// Bits placed by hand, as the format's text says: code k at bit 3k of a dense stream.
TEST(PackedAffine, bitLayout) {
    const AffineFormat format({3, AffineScope::channel, 128, false});
    AffineCodes codes;
    codes.rows = 2;
    codes.cols = 12;
    codes.groupsPerRow = 1;
    for (int i = 0; i < 24; ++i) codes.codes.push_back(static_cast<std::uint8_t>(i % 8));
    codes.scales = {0x3c00, 0x4000}; // 1 and 2
    codes.zeros = {5, 7};
    std::vector<std::byte> encoded(format.bytes(2, 12));
    format.pack(codes, encoded);
    const auto parts = packedAffineBytes(format, encoded, 2, 12);
    ASSERT_EQ(parts.size(), 4u);
    std::uint64_t row = 0, expected = 0;
    std::memcpy(&row, parts[0].data(), 8); // 12 codes × 3 bits = 36 bits = two words
    for (unsigned k = 0; k < 12; ++k) expected |= static_cast<std::uint64_t>(k % 8) << (3 * k);
    EXPECT_EQ(row, expected);
    std::uint32_t zeros = 0;
    std::memcpy(&zeros, parts[2].data(), 4);
    EXPECT_EQ(zeros, 5u | 7u << 3);
    std::int64_t shape[2];
    std::memcpy(shape, parts[3].data(), 16);
    EXPECT_EQ(shape[0], 2);
    EXPECT_EQ(shape[1], 12);
}

TEST(PackedAffine, missingAndWrongPartsAreNamed) {
    TempFolder folder;
    const Packed packed = packRandom("int4:g32:asym", 8, 64);
    EXPECT_NE(expectError(ErrorCode::tensorMissing, [&] { Checkpoint::open(folder.write("a.safetensors", fileOf(packed, 1))); }).message().find("model.layers.0.mlp.up_proj"), std::string::npos);
    expectError(ErrorCode::tensorMissing, [&] { Checkpoint::open(folder.write("a.safetensors", fileOf(packed, 3))); });
    const auto damaged = [&](std::size_t part, std::vector<std::int64_t> shape) {
        Packed copy{packed.format, packed.tensors, packed.bytes, {}};
        copy.tensors[part].shape = std::move(shape);
        std::int64_t n = 1;
        for (const auto d : copy.tensors[part].shape) n *= d;
        copy.bytes[part].resize(storageBytes(copy.tensors[part].type, 1, static_cast<std::uint64_t>(n)));
        return folder.write("b.safetensors", fileOf(copy));
    };
    expectError(ErrorCode::shapeMismatch, [&] { Checkpoint::open(damaged(0, {8, 20})); });
    expectError(ErrorCode::shapeMismatch, [&] { Checkpoint::open(damaged(0, {7, 8})); });
    expectError(ErrorCode::shapeMismatch, [&] { Checkpoint::open(damaged(1, {8, 3})); });
    expectError(ErrorCode::shapeMismatch, [&] { Checkpoint::open(damaged(2, {2, 2})); });
    Packed lying{packed.format, packed.tensors, packed.bytes, {}};
    const std::int64_t huge[2] = {std::int64_t{1} << 62, 64};
    std::memcpy(lying.bytes[3].data(), huge, 16);
    expectError(ErrorCode::invalidTensor, [&] { Checkpoint::open(folder.write("c.safetensors", fileOf(lying))); });
}

} // namespace
} // namespace bw::test
