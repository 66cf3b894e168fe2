// SPDX-License-Identifier: GPL-3.0-or-later
// Text to token ids and back. Byte-level BPE from tokenizer.json or GGUF metadata; ids equal the reference programs'.
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
    /// (Python's errors="replace", which is how the reference is fed); valid text decodes back byte for byte.
    /// Linear in practice; constant stack; thread safe. Bytes whose symbol the vocabulary lacks are dropped.
    /// @throws Error usage (text over 2 GiB), invalidTokenizer (a hostile split pattern hits its limits).
    virtual std::vector<TokenId> encode(std::string_view text, bool addSpecial) const = 0;
    /// Bytes of the tokens, ids without token left out; may be cut inside a UTF-8 character. @param keepSpecial write
    /// special tokens' text too.
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
