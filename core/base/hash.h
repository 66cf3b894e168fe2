// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 (through OpenSSL's libcrypto) for data sets, recipes and files.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace bw {

class Sha256 {
public:
    Sha256();
    ~Sha256();
    void update(std::span<const std::byte> data);
    /// 64 lower-case hex digits; the object is spent afterwards.
    std::string hex();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

std::string sha256Hex(std::string_view data);

} // namespace bw
