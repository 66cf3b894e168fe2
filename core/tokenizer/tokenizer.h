// SPDX-License-Identifier: GPL-3.0-or-later
// Text to token ids and back: BPE and unigram tokenizers from tokenizer.json, tokenizer.model (SentencePiece) or GGUF
// metadata; ids equal the reference programs'.
#pragma once

#include "core/base/types.h"
#include "core/checkpoint/checkpoint.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

class Tokenizer {
public:
    virtual ~Tokenizer() = default;
    /// @throws Error unsupportedTokenizer (names the part), invalidTokenizer, vocabularyMismatch (T05).
    static std::shared_ptr<const Tokenizer> open(const Checkpoint& checkpoint);

    /// @param addSpecial adds what the model's template asks for (BOS…). Special tokens written in the text are
    /// recognised either way. Invalid UTF-8 becomes U+FFFD before encoding, one for each maximal ill-formed piece
    /// (Python's errors="replace", which is how the reference is fed); valid text decodes back byte for byte when the
    /// vocabulary has all bytes and nothing is normalized. n log n at worst; constant stack; thread safe. What the
    /// vocabulary lacks becomes its unknown token, or is dropped when there is none.
    /// @throws Error usage (text over 600 MiB), invalidTokenizer (a hostile pattern hits its limits; a unigram model
    /// meets a character without token and has no unknown token).
    virtual std::vector<TokenId> encode(std::string_view text, bool addSpecial) const = 0;
    /// Bytes of the tokens, ids without token left out; may be cut inside a UTF-8 character. What the tokenizer itself
    /// puts in front of a text (SentencePiece's space) is left out. @param keepSpecial write special tokens' text too.
    virtual std::string decode(std::span<const TokenId> ids, bool keepSpecial = true) const = 0;
    /// The bytes of one token as text (for colouring tokens).
    virtual std::string tokenText(TokenId id) const = 0;
    virtual std::int64_t vocabulary() const = 0; ///< highest id + 1
    virtual std::int64_t bos() const = 0;        ///< −1 when there is none
    virtual std::int64_t eos() const = 0;
    virtual bool isSpecial(TokenId id) const = 0;
    /// Things worth telling that are no errors ("the embedding has 64 rows more than there are tokens").
    virtual const std::vector<std::string>& warnings() const = 0;
    virtual std::string description() const = 0; ///< "byte-level BPE, 2,048 tokens, gpt2 pre-tokenizer"
};

} // namespace bw
