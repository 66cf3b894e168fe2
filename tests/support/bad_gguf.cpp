// SPDX-License-Identifier: GPL-3.0-or-later
// GGUF files that break one rule each. Lengths lie near 2^63 where a cap by constants alone would pass for luck.
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"

namespace bw::test {
using enum ErrorCode;

namespace {

BadFile bad(const TempFolder& folder, const std::string& label, const GgufBytes& file, ErrorCode expected, std::string mentions = {}) {
    static int number = 0;
    return {label, folder.write("bad" + std::to_string(number++) + ".gguf", file.bytes()), expected, std::move(mentions)};
}

constexpr std::uint32_t kF32 = 0, kQ4_0 = 2;
constexpr unsigned long long kNearTop = (1ull << 63) - 1;

/// One F32 tensor of 8 values at `offset`, then `dataBytes` of data.
GgufBytes oneTensor(std::uint64_t offset, std::size_t dataBytes) {
    return GgufBytes(1, 0).tensor("a", {8}, kF32, offset).pad().data(dataBytes);
}

} // namespace

BadFiles g01MagicAndVersion(const TempFolder& folder) {
    BadFiles files;
    files.push_back({"wrong magic", folder.write("magic.gguf", "GGUX" + GgufBytes(0, 0).bytes().substr(4)), unknownFileType, ""});
    files.push_back({"old magic", folder.write("old.gguf", "lmgg" + GgufBytes(0, 0).bytes().substr(4)), unknownFileType, ""});
    files.push_back({"empty", folder.write("empty.gguf", ""), headerTooSmall, ""});
    files.push_back({"magic only", folder.write("short.gguf", "GGUF"), headerTooSmall, ""});
    for (const std::uint32_t version : {0u, 1u, 4u, 1000u}) files.push_back(bad(folder, "version " + std::to_string(version), GgufBytes(0, 0, version), unsupportedVersion, std::to_string(version)));
    files.push_back(bad(folder, "big-endian", GgufBytes(0, 0, 0x03000000u), unsupportedVersion, "big-endian"));
    return files;
}

BadFiles g02HugeCounts(const TempFolder& folder) {
    BadFiles files;
    for (const std::uint64_t count : {~0ull, 1ull << 63, kNearTop, 5ull}) {
        files.push_back(bad(folder, "keys " + std::to_string(count), GgufBytes(0, count).data(60), truncated, std::to_string(count)));
        files.push_back(bad(folder, "tensors " + std::to_string(count), GgufBytes(count, 0).data(100), truncated, std::to_string(count)));
    }
    files.push_back(bad(folder, "more keys than allowed", GgufBytes(0, 65'537).data(14 * 65'537), headerTooLarge, "65536"));
    files.push_back(bad(folder, "more tensors than allowed", GgufBytes(1'000'001, 0).data(25'000'025), headerTooLarge, "1000000"));
    return files;
}

BadFiles g03BadKeys(const TempFolder& folder) {
    const auto length = [](std::uint64_t n) { return GgufBytes(0, 1).number(n).data(100); };
    return {bad(folder, "length 2^64-1", length(~0ull), truncated),
            bad(folder, "length 2^63-1", length(kNearTop), truncated),
            bad(folder, "empty", GgufBytes(0, 1).u32("", 1).data(16), invalidHeader, "empty"),
            bad(folder, "65,536 long", GgufBytes(0, 1).u32(std::string(65'536, 'k'), 1), headerTooLarge, "65536"),
            bad(folder, "not ASCII", GgufBytes(0, 1).u32("k\xc3\xa4se", 1).data(16), invalidHeader, "ASCII"),
            bad(folder, "zero byte", GgufBytes(0, 1).u32(std::string("a\0b", 3), 1).data(16), invalidHeader, "ASCII")};
}

BadFiles g04BadValues(const TempFolder& folder) {
    BadFiles files;
    files.push_back(bad(folder, "string of 2^63-1", GgufBytes(0, 1).key("k", GgufType::string).number(kNearTop).data(32), truncated));
    files.push_back(bad(folder, "string of 2^64-1", GgufBytes(0, 1).key("k", GgufType::string).number(~0ull).data(32), truncated));
    for (std::uint32_t type = 0; type < 13; ++type)
        for (const std::uint64_t count : {kNearTop, ~0ull, (1ull << 61) + 1, 1ull << 40})
            files.push_back(bad(folder, "array of type " + std::to_string(type) + " × " + std::to_string(count), GgufBytes(0, 1).key("k", GgufType::array).number(type).number(count).data(64), truncated, "'k'"));
    files.push_back(bad(folder, "string in an array", GgufBytes(0, 1).key("k", GgufType::array).number<std::uint32_t>(8).number<std::uint64_t>(2).text("a").number(kNearTop), truncated));
    files.push_back(bad(folder, "bool 2", GgufBytes(0, 1).key("k", GgufType::boolean).number<std::uint8_t>(2).data(16), invalidHeader, "bool 2"));
    files.push_back(bad(folder, "bool 2 in an array", GgufBytes(0, 1).key("k", GgufType::array).number<std::uint32_t>(7).number<std::uint64_t>(1).number<std::uint8_t>(2).data(16), invalidHeader, "bool 2"));
    files.push_back(bad(folder, "type 13", GgufBytes(0, 1).key("k", static_cast<GgufType>(13)).data(16), invalidHeader, "type 13"));
    files.push_back(bad(folder, "element type 13", GgufBytes(0, 1).key("k", GgufType::array).number<std::uint32_t>(13).number<std::uint64_t>(0).data(16), invalidHeader, "type 13"));
    return files;
}

BadFiles g05DeepArrays(const TempFolder& folder) {
    BadFiles files;
    for (const int depth : {5, 200'000}) {
        GgufBytes file(0, 1);
        file.key("k", GgufType::array);
        for (int i = 1; i < depth; ++i) file.number<std::uint32_t>(9).number<std::uint64_t>(1);
        file.number<std::uint32_t>(4).number<std::uint64_t>(1).number<std::uint32_t>(7).data(32);
        files.push_back(bad(folder, "depth " + std::to_string(depth), file, depthExceeded, "'k'"));
    }
    return files;
}

BadFiles g06BadNames(const TempFolder& folder) {
    return {bad(folder, "key twice", GgufBytes(0, 2).u32("a.b", 1).u32("a.b", 2), duplicateKey, "a.b"),
            bad(folder, "tensor twice", GgufBytes(2, 0).tensor("a", {8}, kF32, 0).tensor("a", {8}, kF32, 32).pad().data(64), duplicateKey, "'a'"),
            bad(folder, "64 bytes", GgufBytes(1, 0).tensor(std::string(64, 'n'), {8}, kF32, 0).pad().data(32), invalidTensor, "64"),
            bad(folder, "no name", GgufBytes(1, 0).tensor("", {8}, kF32, 0).pad().data(32), invalidTensor, "no name")};
}

BadFiles g07BadAlignment(const TempFolder& folder) {
    BadFiles files;
    for (const std::uint32_t alignment : {0u, 2u, 3u, 4u, 13u, 24u})
        files.push_back(bad(folder, std::to_string(alignment), GgufBytes(1, 1).u32("general.alignment", alignment).tensor("a", {8}, kF32, 0).pad().data(64), invalidConfig, std::to_string(alignment)));
    files.push_back(bad(folder, "2^31 runs past the end", GgufBytes(1, 1).u32("general.alignment", 1u << 31).tensor("a", {8}, kF32, 0).pad().data(64), truncated, "2147483648"));
    files.push_back(bad(folder, "u64", GgufBytes(1, 1).key("general.alignment", GgufType::u64).number<std::uint64_t>(32).tensor("a", {8}, kF32, 0).pad().data(64), invalidConfig, "u32"));
    files.push_back(bad(folder, "text", GgufBytes(1, 1).string("general.alignment", "32").tensor("a", {8}, kF32, 0).pad().data(64), invalidConfig, "u32"));
    return files;
}

BadFiles g08BadDimensions(const TempFolder& folder) {
    const auto dims = [](const std::vector<std::uint64_t>& d) { return GgufBytes(1, 0).tensor("a", d, kF32, 0).pad().data(64); };
    return {bad(folder, "9 dimensions", dims(std::vector<std::uint64_t>(9, 1)), invalidTensor, "9 dimensions"),
            bad(folder, "2^32-1 dimensions", GgufBytes(1, 0).text("a").number(~0u).data(100), invalidTensor, "4294967295"),
            bad(folder, "negative", dims({~0ull}), invalidTensor, "-1"),
            bad(folder, "2^63-1 by 2", dims({kNearTop, 2}), validationOverflow),
            bad(folder, "2^63-1 floats", dims({kNearTop}), validationOverflow),
            bad(folder, "0 by 2^32 by 2^32", dims({0, 1ull << 32, 1ull << 32}), validationOverflow),
            bad(folder, "2^42+1 rows", dims({8, (1ull << 42) + 1}), truncated, "'a'")};
}

BadFiles g10RowNoMultiple(const TempFolder& folder) {
    return {bad(folder, "33 in q4_0", GgufBytes(1, 0).tensor("a", {33, 32}, kQ4_0, 0).pad().data(4096), invalidTensor, "33"),
            bad(folder, "192 in q4_k", GgufBytes(1, 0).tensor("a", {192, 4}, 12, 0).pad().data(4096), invalidTensor, "192")};
}

BadFiles g11BadOffsets(const TempFolder& folder) {
    return {bad(folder, "unaligned", oneTensor(4, 64), invalidTensor, "multiple of 32"),
            bad(folder, "beyond the file", oneTensor(128, 64), truncated, "'a'"),
            bad(folder, "offset + size wraps", oneTensor(~0ull - 31, 64), truncated, "'a'"),
            bad(folder, "overlap", GgufBytes(2, 0).tensor("a", {16}, kF32, 0).tensor("b", {8}, kF32, 32).pad().data(128), invalidTensor, "'b'"),
            bad(folder, "same place", GgufBytes(2, 0).tensor("a", {8}, kF32, 0).tensor("b", {8}, kF32, 0).pad().data(128), invalidTensor, "'b'"),
            // The type needs 36 bytes, the next tensor leaves 32: inside the file, but not the tensor's own.
            bad(folder, "region too short", GgufBytes(2, 0).tensor("a", {64}, kQ4_0, 0).tensor("b", {8}, kF32, 32).pad().data(64), invalidTensor, "36"),
            bad(folder, "last region too short", GgufBytes(1, 0).tensor("a", {64}, kQ4_0, 0).pad().data(32), truncated, "36")};
}

BadFiles g14Split(const TempFolder& folder) {
    // A part of a model of `count` parts and `total` tensors that holds one tensor; `extra` is one more text key.
    const auto part = [](int number, std::uint16_t count, std::int32_t total, const std::string& tensor, const std::string& model) {
        return GgufBytes(1, 4).key("split.no", GgufType::u16).number(static_cast<std::uint16_t>(number)).key("split.count", GgufType::u16).number(count)
            .key("split.tensors.count", GgufType::i32).number(total).string("general.name", model).tensor(tensor, {8}, kF32, 0).pad().data(32).bytes();
    };
    const auto pair = [&](const std::string& label, const std::string& first, const std::string& second, ErrorCode expected, const std::string& mentions) {
        folder.write(label + "-00002-of-00002.gguf", second);
        return BadFile{label, folder.write(label + "-00001-of-00002.gguf", first), expected, mentions};
    };
    const std::string good1 = part(0, 2, 2, "a", "m"), good2 = part(1, 2, 2, "b", "m");
    BadFiles files;
    files.push_back({"name without numbers", folder.write("part.gguf", good1), shardMissing, "name"});
    files.push_back({"two of three missing", folder.write("alone-00002-of-00003.gguf", part(1, 3, 9, "a", "m")), shardMissing, "alone-00001-of-00003.gguf, alone-00003-of-00003.gguf"});
    files.push_back({"count of the name", folder.write("count-00001-of-00003.gguf", good1), invalidHeader, "split.count is 2"});
    files.push_back({"number of the name", folder.write("number-00002-of-00002.gguf", good1), invalidHeader, "split.no is 0"});
    files.push_back(pair("other-count", good1, part(1, 3, 2, "b", "m"), invalidHeader, "split.count is 3"));
    files.push_back(pair("other-number", good1, part(0, 2, 2, "b", "m"), invalidHeader, "split.no is 0"));
    files.push_back(pair("other-total", good1, part(1, 2, 7, "b", "m"), invalidHeader, "split.tensors.count is 7"));
    files.push_back(pair("total-of-all", part(0, 2, 5, "a", "m"), part(1, 2, 5, "b", "m"), invalidHeader, "says 5"));
    files.push_back(pair("same-tensor", good1, part(1, 2, 2, "a", "m"), duplicateKey, "'a'"));
    files.push_back(pair("other-model", good1, part(1, 2, 2, "b", "n"), invalidHeader, "another model"));
    files.push_back(pair("no-keys", good1, GgufBytes(1, 0).tensor("b", {8}, kF32, 0).pad().data(32).bytes(), invalidHeader, "split."));
    files.push_back(pair("no-gguf", good1, std::string(64, 'x'), unknownFileType, "no GGUF"));
    files.push_back(pair("cut", good1, good2.substr(0, 100), truncated, "cut-00002"));
    return files;
}

} // namespace bw::test
