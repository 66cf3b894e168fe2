// SPDX-License-Identifier: GPL-3.0-or-later
// Reads the .npy files of the golden data: version 1, little-endian f32 or i32, C order. Not for: anything untrusted.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace bw::test {

template <class T>
struct Npy {
    std::vector<std::int64_t> shape;
    std::vector<T> values;
    const T* row(std::int64_t r) const { return values.data() + r * shape.back(); }
};

/// T is float ("<f4") or std::int32_t ("<i4"); throws std::runtime_error when the file is anything else.
template <class T>
Npy<T> readNpy(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const auto fail = [&path](const std::string& why) { throw std::runtime_error(path + ": " + why); };
    if (bytes.size() < 10 || bytes.compare(0, 8, std::string("\x93NUMPY\x01\x00", 8)) != 0) fail("no .npy version 1");
    std::uint16_t headerLength = 0;
    std::memcpy(&headerLength, bytes.data() + 8, sizeof headerLength);
    const std::string header = bytes.substr(10, headerLength);
    const std::string type = std::is_same_v<T, float> ? "'<f4'" : "'<i4'";
    if (header.find(type) == std::string::npos || header.find("'fortran_order': False") == std::string::npos)
        fail("another type or order: " + header);
    Npy<T> result;
    for (std::size_t at = header.find('(') + 1; header.at(at) != ')';) {
        if (header[at] < '0' || header[at] > '9') {
            ++at;
            continue;
        }
        std::size_t used = 0;
        result.shape.push_back(std::stoll(header.substr(at), &used));
        at += used;
    }
    const auto count = static_cast<std::size_t>(
        std::accumulate(result.shape.begin(), result.shape.end(), std::int64_t{1}, std::multiplies<>()));
    if (bytes.size() != 10u + headerLength + count * sizeof(T)) fail("size and shape disagree");
    result.values.resize(count);
    std::memcpy(result.values.data(), bytes.data() + 10 + headerLength, count * sizeof(T));
    return result;
}

} // namespace bw::test
