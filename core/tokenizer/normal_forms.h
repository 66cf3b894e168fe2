// SPDX-License-Identifier: GPL-3.0-or-later
// Unicode normal forms, lower case and accents as the reference library knows them (its tables are older than those of
// unicode.h, see make_normalization_table.py). Not for: what a tokenizer file asks for (normalizer.h).
#pragma once

#include <string>
#include <string_view>

namespace bw {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// @param text valid UTF-8. Linear but for runs of combining marks, which are sorted; text that is in the form already
/// as its code points alone tell (ASCII; for NFC all below U+0300) is copied unread.
std::string normalForm(std::string_view text, NormalForm form);

/// Every code point by itself, as Unicode's full mapping says ("İ" becomes two); final sigma is not told apart.
std::string lowerCase(std::string_view text);

/// Without combining marks (Mn, Mc, Me). Accents go only when the text is decomposed.
std::string withoutAccents(std::string_view text);

} // namespace bw
