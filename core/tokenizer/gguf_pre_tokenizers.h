// SPDX-License-Identifier: GPL-3.0-or-later
// What llama.cpp does for each `tokenizer.ggml.pre`: the splitting rules and the defaults that come with the name.
#pragma once

#include "core/tokenizer/pre_tokenizer.h"

#include <string>

namespace bw {

struct GgufPreTokenizer {
    PreTokenizer preTokenizer;
    bool wholeWordsFirst = false; ///< a piece that is a token as a whole is not merged
    bool addBos = false;          ///< when tokenizer.ggml.add_bos_token is not in the file
};

/// @throws Error unsupportedTokenizer naming it: rules that no pattern can say (superbpe, kimi-k2, afmoe),
/// pre-tokenizers of embedding models, and names unknown here.
GgufPreTokenizer ggufPreTokenizer(const std::string& name);

} // namespace bw
