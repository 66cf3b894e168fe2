// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as tokenizer.json of a small checkpoint; what opens must encode and decode within bounds.
#include "tests/fuzz/tokenizer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    bw::fuzz::writeInput("tokenizer.json", data, size);
    return bw::fuzz::useTokenizer();
}
