// SPDX-License-Identifier: GPL-3.0-or-later
// Size arithmetic on numbers from files: every sum and product is checked.
#pragma once

#include "core/base/error.h"

#include <cstdint>

namespace bw {

inline std::uint64_t checkedAdd(std::uint64_t a, std::uint64_t b, const char* what) {
    std::uint64_t r = 0;
    if (__builtin_add_overflow(a, b, &r))
        throw Error(ErrorCode::validationOverflow, std::string(what) + ": sum does not fit 64 bits");
    return r;
}

inline std::uint64_t checkedMul(std::uint64_t a, std::uint64_t b, const char* what) {
    std::uint64_t r = 0;
    if (__builtin_mul_overflow(a, b, &r))
        throw Error(ErrorCode::validationOverflow, std::string(what) + ": product does not fit 64 bits");
    return r;
}

} // namespace bw
