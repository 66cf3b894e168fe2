// SPDX-License-Identifier: GPL-3.0-or-later
// Small helpers of the two files that read tokenizer.json.
#pragma once

#include "core/base/json.h"
#include "core/base/types.h"
#include "core/tokenizer/parts.h"

#include <string>

namespace bw::tokenizer_json {

/// @throws Error unsupportedTokenizer: "file: part is not implemented".
[[noreturn]] void unsupported(const std::string& source, const std::string& part);
/// @throws Error invalidTokenizer: "file: what".
[[noreturn]] void invalid(const std::string& source, const std::string& what);

/// The member, or null when it is absent.
const Json& member(const Json& object, const char* key);
bool flag(const Json& object, const char* key, bool otherwise);
/// The text of a member, empty when it is none.
std::string textOf(const Json& object, const char* key);
inline std::string typeOf(const Json& part) {
    return textOf(part, "type");
}

/// @throws Error unsupportedTokenizer, invalidTokenizer.
Normalizer readNormalizer(const Json& json, const std::string& source);
/// @param byteLevel set when the text ends in GPT-2's symbols.
PreTokenizer readPreTokenizer(const Json& json, const std::string& source, bool& byteLevel);
/// @param byteLevel says what a missing decoder means.
Decoder readDecoder(const Json& json, const std::string& source, bool byteLevel);

} // namespace bw::tokenizer_json
