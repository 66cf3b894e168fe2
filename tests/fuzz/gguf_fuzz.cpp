// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as a .gguf file: directory, metadata, configuration, decoding, and the tokenizer inside.
#include "core/tokenizer/tokenizer.h"
#include "tests/fuzz/checkpoint_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string path = bw::fuzz::writeInput("model.gguf", data, size);
    return bw::fuzz::expectOnlyErrors([&] {
        bw::fuzz::useCheckpoint(path);
        const auto checkpoint = bw::Checkpoint::open(path);
        const auto tokenizer = bw::Tokenizer::open(*checkpoint);
        const auto ids = tokenizer->encode("The 3 quick foxes' den.\n\tNa\xc3\xafve <s>", true);
        (void)tokenizer->decode(ids);
    });
}
