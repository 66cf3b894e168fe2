// SPDX-License-Identifier: GPL-3.0-or-later
// Plain values to bytes and back, little endian, every read checked against what is left. Private to what keeps
// files of its own; not for formats of others.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace bw::detail {

static_assert(std::endian::native == std::endian::little);

template <class T>
void putBytes(std::string& out, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

template <class T>
void putVector(std::string& out, const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    putBytes(out, static_cast<std::uint64_t>(values.size()));
    out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

inline void putText(std::string& out, std::string_view text) {
    putBytes(out, static_cast<std::uint64_t>(text.size()));
    out.append(text);
}

template <class T>
bool takeBytes(std::string_view& in, T& value) {
    if (in.size() < sizeof(T))
        return false;
    std::memcpy(&value, in.data(), sizeof(T));
    in.remove_prefix(sizeof(T));
    return true;
}

/// A count of things that take at least `each` bytes: more than are left is no file of ours, and nothing is allocated for it.
inline bool takeCount(std::string_view& in, std::uint64_t& count, std::uint64_t each) { return takeBytes(in, count) && count <= in.size() / each; }

template <class T>
bool takeVector(std::string_view& in, std::vector<T>& values) {
    std::uint64_t count = 0;
    if (!takeCount(in, count, sizeof(T)))
        return false;
    values.resize(static_cast<std::size_t>(count));
    if (count > 0)
        std::memcpy(values.data(), in.data(), values.size() * sizeof(T));
    in.remove_prefix(values.size() * sizeof(T));
    return true;
}

inline bool takeText(std::string_view& in, std::string& text) {
    std::uint64_t count = 0;
    if (!takeCount(in, count, 1))
        return false;
    text.assign(in.substr(0, static_cast<std::size_t>(count)));
    in.remove_prefix(static_cast<std::size_t>(count));
    return true;
}

} // namespace bw::detail
