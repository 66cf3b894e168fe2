// SPDX-License-Identifier: GPL-3.0-or-later
// Finds a checkpoint's tokenizer files or metadata and hands the parts on.
#include "core/tokenizer/tokenizer.h"

#include "core/base/error.h"
#include "core/tokenizer/parts.h"

#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace {

/// 64 MiB hold twice the largest tokenizer.json in use.
constexpr std::uint64_t kJsonBytes = 64ull << 20;

BpeParts partsFromFolder(const Checkpoint& checkpoint) {
    const std::filesystem::path folder(checkpoint.folder());
    const std::string path = (folder / "tokenizer.json").string();
    std::error_code ignored;
    if (checkpoint.folder().empty() || !std::filesystem::exists(path, ignored)) {
        const bool sentencePiece = std::filesystem::exists(folder / "tokenizer.model", ignored);
        throw Error(
            ErrorCode::unsupportedTokenizer,
            fmt::format("{}: there is no tokenizer.json{}", checkpoint.folder(),
                        sentencePiece ? ", only a tokenizer.model (SentencePiece), which is not implemented" : ""),
            "save the tokenizer with the Hugging Face `tokenizers` library into that folder");
    }
    const JsonLimits limits{kJsonBytes, 64};
    const std::string configPath = (folder / "tokenizer_config.json").string();
    const Json config = std::filesystem::exists(configPath, ignored) ? readJsonFile(configPath, limits) : Json();
    return partsFromJson(readJsonFile(path, limits), config, path);
}

} // namespace

std::shared_ptr<const Tokenizer> Tokenizer::open(const Checkpoint& checkpoint) {
    const ModelConfig& config = checkpoint.config();
    BpeParts parts = checkpoint.kind() == CheckpointKind::gguf ? partsFromGguf(checkpoint.metadata(), checkpoint.path())
                                                               : partsFromFolder(checkpoint);
    const auto fits = [](std::int64_t id) { return id >= 0 && id <= kMaxTokenId; };
    if (parts.bos < 0 && fits(config.bosId)) parts.bos = static_cast<TokenId>(config.bosId);
    if (parts.eos < 0 && fits(config.eosId)) parts.eos = static_cast<TokenId>(config.eosId);
    if (const TensorInfo* embedding = checkpoint.find("token_embd.weight")) parts.embeddingRows = embedding->rows();
    return makeByteLevelBpe(std::move(parts));
}

} // namespace bw
