// SPDX-License-Identifier: GPL-3.0-or-later
// What GGUF needs from a Hugging Face folder's tokenizer files: the token list with types, merges, the name of the
// pre-tokenizer, special ids, chat templates (copied as text, never run). Not for: encoding text (core/tokenizer).
#pragma once

#include "core/base/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bw {

class HfTokenizerFiles {
public:
    /// Reads tokenizer.json (must be BPE: byte-level, or SentencePiece's with byte fallback), tokenizer_config.json and chat_template.jinja where they are there.
    /// @throws Error fileNotFound, unsupportedTokenizer, invalidTokenizer, and what reading JSON throws.
    explicit HfTokenizerFiles(const std::string& folder);

    /// llama.cpp's token types.
    enum class TokenType { normal = 1, unknown = 2, control = 3, userDefined = 4, unused = 5, byte = 6 };
    struct Token {
        std::string text;
        TokenType type = TokenType::unused;
    };
    /// GGUF's word for the kind of vocabulary: "gpt2" is byte-level BPE, "llama" is SentencePiece BPE.
    std::string modelName() const;
    /// One entry per id 0 … count−1; ids that the files do not name become "[PAD17]". @throws Error(vocabularyMismatch).
    std::vector<Token> tokens(std::int64_t count) const;
    /// "llama" only: one score per token such that taking the pair whose union scores best is the same as taking the
    /// merge of lowest rank. @throws Error(unsupportedTokenizer) when no scores do that.
    std::vector<double> scores(const std::vector<Token>& tokens) const;
    /// Does the tokenizer put a space in front of a text?
    bool addsSpacePrefix() const;
    /// "left right"; a space inside a part stands as U+0120 (Ġ).
    std::vector<std::string> merges() const;
    /// llama.cpp's name of the splitting rules ("gpt-2", "smollm"; "default" for SentencePiece). @throws Error(unsupportedTokenizer).
    std::string preTokenizerName() const;
    /// @param role "bos_token", "eos_token", "unk_token", "pad_token".
    std::optional<std::int64_t> specialId(const std::string& role) const;
    bool addsEos() const;
    /// GGUF key and text.
    std::vector<std::pair<std::string, std::string>> chatTemplates() const;

private:
    std::string folder_, jinja_;
    Json tokenizer_, config_;
};

} // namespace bw
