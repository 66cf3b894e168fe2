// SPDX-License-Identifier: GPL-3.0-or-later
// GGUF key-value metadata as values. Large arrays (token lists) are kept compactly, not as one variant each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace bw {

enum class GgufType : std::uint32_t {
    u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64
};

/// An array of one element type. Numbers widen to i64 (integers, bool) or f64 (floats); `nested` for arrays of arrays.
struct GgufArray {
    GgufType element = GgufType::u8;
    std::vector<std::int64_t> integers;
    std::vector<double> reals;
    std::vector<std::string> strings;
    std::vector<GgufArray> nested;
    std::size_t size() const { return integers.size() + reals.size() + strings.size() + nested.size(); }
};

struct GgufValue {
    GgufType type = GgufType::u32;
    std::variant<std::int64_t, std::uint64_t, double, bool, std::string, GgufArray> value;
};

/// Keys in file order; look-up is linear in the (≤ 65,536) keys, so read once.
class GgufMetadata {
public:
    std::vector<std::pair<std::string, GgufValue>> entries;
    const GgufValue* find(const std::string& key) const;
    /// Typed look-ups: empty when absent; Error(invalidConfig) naming key and type when of another kind.
    std::optional<std::int64_t> integer(const std::string& key) const;
    std::optional<double> real(const std::string& key) const;
    std::optional<std::string> text(const std::string& key) const;
    std::optional<bool> flag(const std::string& key) const;
    const GgufArray* array(const std::string& key) const;
    /// Replaces or appends.
    void set(const std::string& key, GgufValue value);
};

} // namespace bw
