// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as an importance matrix of either form; what can be read must merge with itself.
#include "core/checkpoint/imatrix.h"
#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string path = bw::fuzz::writeInput("importance.gguf", data, size);
    return bw::fuzz::expectOnlyErrors([&] {
        bw::ImportanceMatrix matrix = bw::ImportanceMatrix::read(path);
        matrix.merge(bw::ImportanceMatrix::read(path));
        for (const auto& [name, entry] : matrix.entries) (void)matrix.importance(name, entry.cols, entry.matrices() - 1);
    });
}
