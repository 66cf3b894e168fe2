// SPDX-License-Identifier: GPL-3.0-or-later
// Finds a checkpoint's tokenizer files or metadata and hands the parts on.
#include "core/tokenizer/tokenizer.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/tokenizer/parts.h"

#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace {

/// 64 MiB hold twice the largest tokenizer.json in use.
constexpr std::uint64_t kFileBytes = 64ull << 20;

TokenizerParts partsFromFolder(const Checkpoint& checkpoint) {
    const std::filesystem::path folder(checkpoint.folder());
    std::error_code ignored;
    const auto has = [&](const char* name) {
        return !checkpoint.folder().empty() && std::filesystem::exists(folder / name, ignored);
    };
    const JsonLimits limits{kFileBytes, 64};
    const Json config =
        has("tokenizer_config.json") ? readJsonFile((folder / "tokenizer_config.json").string(), limits) : Json();
    if (has("tokenizer.json")) {
        const std::string path = (folder / "tokenizer.json").string();
        return partsFromJson(readJsonFile(path, limits), config, path);
    }
    if (has("tokenizer.model")) {
        const std::string path = (folder / "tokenizer.model").string();
        return partsFromSentencePiece(readTextFile(path, kFileBytes), config, path);
    }
    throw Error(ErrorCode::unsupportedTokenizer,
                fmt::format("{}: there is no tokenizer.json and no tokenizer.model", checkpoint.folder()),
                "save the tokenizer with the Hugging Face `tokenizers` library into that folder");
}

} // namespace

std::shared_ptr<const Tokenizer> Tokenizer::open(const Checkpoint& checkpoint) {
    const ModelConfig& config = checkpoint.config();
    TokenizerParts parts = checkpoint.kind() == CheckpointKind::gguf
                               ? partsFromGguf(checkpoint.metadata(), checkpoint.path())
                               : partsFromFolder(checkpoint);
    const auto fits = [](std::int64_t id) { return id >= 0 && id <= kMaxTokenId; };
    if (parts.bos < 0 && fits(config.bosId)) parts.bos = static_cast<TokenId>(config.bosId);
    if (parts.eos < 0 && fits(config.eosId)) parts.eos = static_cast<TokenId>(config.eosId);
    if (const TensorInfo* embedding = checkpoint.find("token_embd.weight")) parts.embeddingRows = embedding->rows();
    return makeTokenizer(std::move(parts));
}

} // namespace bw
