// SPDX-License-Identifier: GPL-3.0-or-later
// Builders for files made by hand, right or wrong on purpose: nothing in them checks anything.
#pragma once

#include "core/checkpoint/gguf_metadata.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bw::test {

template <class T>
void put(std::string& out, T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
}

/// Length field, header text, data. @param length the length field when it shall lie.
inline std::string safetensorsBytes(std::string_view header, std::string_view data = {}, std::optional<std::uint64_t> length = {}) {
    std::string out;
    put<std::uint64_t>(out, length.value_or(header.size()));
    return out.append(header).append(data);
}

/// One F32 tensor of n zeros named `name` that begins at `begin`, as a member of the header.
inline std::string f32Entry(std::string_view name, std::uint64_t begin, std::uint64_t n) {
    return "\"" + std::string(name) + R"(":{"dtype":"F32","shape":[)" + std::to_string(n) + R"(],"data_offsets":[)" + std::to_string(begin) + "," +
           std::to_string(begin + 4 * n) + "]}";
}

/// A GGUF file piece by piece. Counts are given up front, so they can be wrong.
class GgufBytes {
public:
    explicit GgufBytes(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
        bytes_ = "GGUF";
        put(bytes_, version);
        put(bytes_, tensors);
        put(bytes_, keys);
    }
    GgufBytes& raw(std::string_view bytes) { bytes_.append(bytes); return *this; }
    template <class T>
    GgufBytes& number(T value) { put(bytes_, value); return *this; }
    GgufBytes& text(std::string_view value) { return number<std::uint64_t>(value.size()).raw(value); }
    GgufBytes& key(std::string_view name, GgufType type) { return text(name).number(static_cast<std::uint32_t>(type)); }
    GgufBytes& u32(std::string_view name, std::uint32_t value) { return key(name, GgufType::u32).number(value); }
    GgufBytes& string(std::string_view name, std::string_view value) { return key(name, GgufType::string).text(value); }
    /// @param dims fastest first, as in the file.
    GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type, std::uint64_t offset) {
        text(name).number(static_cast<std::uint32_t>(dims.size()));
        for (const auto d : dims) number(d);
        return number(type).number(offset);
    }
    GgufBytes& pad(std::size_t alignment = 32) {
        bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, '\0');
        return *this;
    }
    GgufBytes& data(std::size_t count) { bytes_.append(count, '\0'); return *this; }
    const std::string& bytes() const { return bytes_; }

private:
    std::string bytes_;
};

} // namespace bw::test
