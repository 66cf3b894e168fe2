// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as a recipe. What is accepted must be a recipe that is written and read back the same.
#include "core/experiment/recipe.h"
#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return bw::fuzz::expectOnlyErrors([&] {
        const std::string_view text(reinterpret_cast<const char*>(data), size);
        const bw::Recipe recipe = bw::Recipe::fromJson(bw::parseJson(text, "recipe"));
        const std::string written = recipe.toJson().dump(-1, ' ', false, bw::Json::error_handler_t::replace);
        const bw::Recipe again = bw::Recipe::fromJson(bw::parseJson(written, "recipe written"));
        if (again.toJson().dump(-1, ' ', false, bw::Json::error_handler_t::replace) != written) std::abort();
    });
}
