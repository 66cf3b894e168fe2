// SPDX-License-Identifier: GPL-3.0-or-later
// llama.cpp's named mixes ("q4_k_m") as tables of rules: which type every tensor of a model gets. Not for: shapes that a
// type does not fit (fallbackFormat), formats of sites (assignment.h).
#pragma once

#include "core/format/storage_type.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// One of llama-quantize's file types that this program knows the rules of.
struct NamedMix {
    std::string_view name;  ///< "q4_k_m"
    StorageType base;       ///< what a tensor without a rule gets
    int fileType;           ///< general.file_type of GGUF
    std::string_view about; ///< for lists
};

/// In order of size.
std::span<const NamedMix> namedMixes();
/// Any case; "q4_k" is llama-quantize's short form of "q4_k_m". nullptr when unknown.
const NamedMix* findMix(std::string_view name);

/// A tensor as the rules see it. `name` is GGUF's, experts of a block stacked ("blk.3.ffn_up_exps.weight").
struct MixTensor {
    std::string name;
    std::int64_t cols = 0;              ///< I
    bool stacked = false;               ///< three dimensions: one matrix per expert
    std::optional<StorageType> given;   ///< type set by hand: no rule is asked, and the tensor is not counted by them
};

/// What the rules want to know of a model.
struct MixModel {
    std::string architecture;           ///< general.architecture of GGUF
    std::int64_t blocks = 0, heads = 0, kvHeads = 0, experts = 0;
    bool importance = false;            ///< an importance matrix is at hand
};

/// Does llama-quantize quantize a tensor of this name and rank? (Weights of two or more dimensions but routers, norms,
/// positions, convolutions and a few more.)
bool mixQuantizes(std::string_view name, std::size_t dimensions);

/// The type each tensor gets, in the order of `tensors`, before any fallback for its width. Every entry must pass
/// mixQuantizes(). @param headType of the output matrix, or of the embedding where that is the head too.
/// Source: llama.cpp src/llama-quant.cpp (rules), compared tensor by tensor in tests/golden/quantize.
std::vector<StorageType> mixTypes(const NamedMix& mix, const MixModel& model, std::span<const MixTensor> tensors,
                                  std::optional<StorageType> headType = std::nullopt);

} // namespace bw
