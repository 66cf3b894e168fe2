// SPDX-License-Identifier: GPL-3.0-or-later
// A checkpoint of two small blocks with random weights and the demo's tokenizer: whole jobs on it take a fraction of a
// second, for tests that repeat them many times.
#pragma once

#include "tests/support/random_llama.h"

#include <filesystem>
#include <fstream>
#include <string>

namespace bw::test {

/// Makes `folder` with the checkpoint in it.
inline void writeTinyModel(const std::filesystem::path& folder) {
    namespace fs = std::filesystem;
    fs::create_directories(folder);
    const fs::path demo = fs::path(BW_RESOURCES) / "demo";
    const auto config = nlohmann::json::parse(std::ifstream(demo / "config.json"));
    RandomLlama model;
    model.blocks = 2;
    model.width = 64;
    model.feedForward = 96;
    model.heads = 4;
    model.kvHeads = 2;
    model.headDim = 16;
    model.vocabulary = config.at("vocab_size").get<std::int64_t>();
    model.context = 256;
    for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
        if (config.contains(key))
            model.editConfig = [&config, previous = model.editConfig, key](nlohmann::json& made) {
                if (previous) previous(made);
                made[key] = config.at(key);
            };
    model.write(folder);
    for (const auto& entry : fs::directory_iterator(demo)) {
        const std::string name = entry.path().filename().string();
        if (name != "config.json" && !name.ends_with(".safetensors")) fs::copy_file(entry.path(), folder / name);
    }
}

} // namespace bw::test
