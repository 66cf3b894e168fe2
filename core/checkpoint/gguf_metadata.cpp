// SPDX-License-Identifier: GPL-3.0-or-later
// Typed look-ups in GGUF metadata. Not for: parsing (gguf_reader.cpp) or writing (gguf_writer.cpp).
#include "core/checkpoint/gguf_metadata.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <limits>

namespace bw {
namespace {

[[noreturn]] void wrongKind(const std::string& key, const char* wanted) {
    throw Error(ErrorCode::invalidConfig, "GGUF metadata: key '" + escapeForDisplay(key) + "' is not " + wanted,
                "The file was written with a wrong type for this key; convert the model again.");
}

} // namespace

const GgufValue* GgufMetadata::find(const std::string& key) const {
    for (const auto& [name, value] : entries)
        if (name == key) return &value;
    return nullptr;
}

std::optional<std::int64_t> GgufMetadata::integer(const std::string& key) const {
    const GgufValue* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* i = std::get_if<std::int64_t>(&value->value)) return *i;
    if (const auto* u = std::get_if<std::uint64_t>(&value->value)) {
        if (*u > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            wrongKind(key, "an integer below 2^63");
        return static_cast<std::int64_t>(*u);
    }
    wrongKind(key, "an integer");
}

std::optional<double> GgufMetadata::real(const std::string& key) const {
    const GgufValue* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* d = std::get_if<double>(&value->value)) return *d;
    if (const auto* i = std::get_if<std::int64_t>(&value->value)) return static_cast<double>(*i);
    if (const auto* u = std::get_if<std::uint64_t>(&value->value)) return static_cast<double>(*u);
    wrongKind(key, "a number");
}

std::optional<std::string> GgufMetadata::text(const std::string& key) const {
    const GgufValue* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* s = std::get_if<std::string>(&value->value)) return *s;
    wrongKind(key, "a string");
}

std::optional<bool> GgufMetadata::flag(const std::string& key) const {
    const GgufValue* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* b = std::get_if<bool>(&value->value)) return *b;
    wrongKind(key, "a bool");
}

const GgufArray* GgufMetadata::array(const std::string& key) const {
    const GgufValue* value = find(key);
    if (!value) return nullptr;
    if (const auto* a = std::get_if<GgufArray>(&value->value)) return a;
    wrongKind(key, "an array");
}

void GgufMetadata::set(const std::string& key, GgufValue value) {
    for (auto& [name, old] : entries)
        if (name == key) {
            old = std::move(value);
            return;
        }
    entries.emplace_back(key, std::move(value));
}

} // namespace bw
