// SPDX-License-Identifier: GPL-3.0-or-later
// Inputs of groups, block by block: from a store where an earlier walk left them, else by a walk that leaves them there. What
// scale search, clip search and single sites under GPTQ have in common. Not for: GPTQ of a whole model, whose inputs follow
// from what it rounds.
#pragma once

#include "core/calibrate/input_store.h"

#include <map>
#include <memory>
#include <set>

namespace bw {

using BlockInputs = std::map<int, GroupInput>; ///< by input group
/// @param block −1 for the input of an output matrix of its own, which comes last.
using InputUse = std::function<void(BlockIndex block, const BlockInputs& inputs)>;

/// Sums what enters some groups while a walk goes by, and writes them to a store.
class InputRecorder {
public:
    /// @param store may be null. @param windows those that are summed: the key of the entry. @param some which windows of the walk
    /// they are, rising; empty = all.
    InputRecorder(const Model& model, InputStore* store, const Windows& windows, std::set<int> groups, GroupInput::Wanted wanted, std::vector<std::int64_t> some = {});
    /// What was summed of other blocks is let go.
    void beginBlock(BlockIndex block);
    /// @param known  what inputSums() of x gave, if that is known. @throws DeviceLost with nothing added.
    void add(int inputGroup, std::int64_t window, MatrixView<const float> x, const InputSums* known = nullptr);
    void endBlock();
    const BlockInputs& inputs() const { return inputs_; }
    /// Is there a store that takes what is summed?
    bool writes() const { return writer_ && writer_->problem().empty(); }
    /// After the last block.
    void commit();

private:
    const Model& model_;
    InputStore* store_;
    std::set<int> groups_;
    GroupInput::Wanted wanted_;
    std::vector<std::int64_t> some_;
    std::unique_ptr<RecordWriter> writer_;
    BlockInputs inputs_; ///< of the block at hand
};

/// Calls use() for every block that has one of `groups`, in order, with the inputs of these at least.
/// @param store may be null. An entry that lacks some of the groups is made anew with all that it had. Without Gram matrices it is
/// not used: the other sums alone are not worth a file.
/// The same numbers from a store as from a walk. Memory: one block's weights and inputs. @throws as walkBlocks(), and what use() throws.
void walkInputs(const Model& model, const Windows& windows, std::set<int> groups, GroupInput::Wanted wanted, InputStore* store, const std::string& stage,
                const InputUse& use, JobContext& job);

/// Those of the given numbers, one after the other.
Windows pickWindows(const Windows& all, const std::vector<std::int64_t>& numbers);
/// Bytes that a store needs for these groups; of all sites' groups when empty.
std::uint64_t inputBytes(const Model& model, const std::set<int>& groups, GroupInput::Wanted wanted);
/// Groups of every site with calibrated inputs.
std::set<int> allInputGroups(const Model& model);

} // namespace bw
