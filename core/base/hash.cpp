// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 through libcrypto's EVP interface.
#include "core/base/hash.h"

#include "core/base/error.h"

#include <array>
#include <openssl/evp.h>

namespace bw {

struct Sha256::Impl {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
    if (impl_->context == nullptr || EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) != 1)
        throw Error(ErrorCode::internal, "the SHA-256 implementation of libcrypto could not be started");
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> data) { EVP_DigestUpdate(impl_->context, data.data(), data.size()); }

std::string Sha256::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(impl_->context, digest.data(), &size);
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
        text += kDigits[digest[i] >> 4];
        text += kDigits[digest[i] & 15];
    }
    return text;
}

std::string sha256Hex(std::string_view data) {
    Sha256 hash;
    hash.update(std::as_bytes(std::span(data)));
    return hash.hex();
}

} // namespace bw
