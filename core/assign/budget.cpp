// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/budget.h"

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace bw {
namespace {

constexpr const char* kBudgetHint = "write 4.5bpw, 1.2GiB, 123456B or kl=0.05";

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
    throw Error(ErrorCode::usage, "budget '" + escapeForDisplay(text) + "' " + why, kBudgetHint);
}

double positiveNumber(std::string_view number, std::string_view whole) {
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc{} || end != number.data() + number.size())
        refuse(whole, "is not understood");
    if (!std::isfinite(value) || value <= 0)
        refuse(whole, "must be a positive number");
    return value;
}

} // namespace

std::uint64_t Budget::bytes(std::int64_t parameters) const {
    if (kind == Kind::cost)
        throw Error(ErrorCode::usage, "a budget of damage has no size", kBudgetHint);
    const double size = kind == Kind::bytes ? value : std::floor(value * static_cast<double>(parameters) / 8.0);
    if (size >= 0x1.0p62)
        throw Error(ErrorCode::usage, "a budget of more than 2^62 bytes", kBudgetHint);
    return static_cast<std::uint64_t>(size);
}

Budget parseBudget(std::string_view text) {
    if (text.empty())
        refuse(text, "is empty");
    if (const auto equals = text.find('='); equals != std::string_view::npos) {
        const std::string_view name = text.substr(0, equals);
        if (name != "kl" && name != "cost")
            refuse(text, "names an unknown measure");
        return {Budget::Kind::cost, positiveNumber(text.substr(equals + 1), text)};
    }
    if (text.size() > 3 && text.substr(text.size() - 3) == "bpw") {
        const double bits = positiveNumber(text.substr(0, text.size() - 3), text);
        if (bits > 64)
            refuse(text, "is more than 64 bits per weight");
        return {Budget::Kind::bitsPerWeight, bits};
    }
    if (text.back() >= '0' && text.back() <= '9')
        refuse(text, "has no unit");
    std::uint64_t bytes = 0;
    try {
        bytes = parseByteSize(text);
    } catch (const Error&) {
        refuse(text, "is not understood");
    }
    if (bytes == 0)
        refuse(text, "must be a positive number");
    return {Budget::Kind::bytes, static_cast<double>(bytes)};
}

} // namespace bw
