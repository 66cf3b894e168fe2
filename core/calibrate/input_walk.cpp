// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/input_walk.h"

#include <algorithm>

namespace bw {
namespace {

const InputGroup& groupOf(const Model& model, int group) { return model.inputGroups()[static_cast<std::size_t>(group)]; }

/// Hands a walk to a recorder, and each block's sums to whoever asked for them.
class Visitor final : public WalkVisitor, public ActivationObserver {
public:
    Visitor(InputRecorder& recorder, const InputUse& use) : recorder_(recorder), use_(use) {}
    void beforeBlock(BlockIndex block, MatrixView<const float>) override { recorder_.beginBlock(block); }
    ActivationObserver* observer(BlockIndex) override { return recorder_.inputs().empty() ? nullptr : this; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override { recorder_.add(group, window, x); }
    bool readsOnDevice() const override { return true; }
    void afterBlock(BlockIndex block, MatrixView<const float>) override { end(block); }
    void end(BlockIndex block) {
        if (recorder_.inputs().empty()) return;
        use_(block, recorder_.inputs());
        recorder_.endBlock();
    }

private:
    InputRecorder& recorder_;
    const InputUse& use_;
};

/// What enters the head, which the walk over blocks doesn't see.
void walkHeadInput(const Model& model, const Windows& windows, MatrixView<const float> states, Visitor& visitor, InputRecorder& recorder, JobContext& job) {
    recorder.beginBlock(BlockIndex{-1});
    if (recorder.inputs().empty()) return;
    Matrix x(windows.length, states.cols);
    for (std::int64_t w = 0; w < windows.count; ++w) {
        job.checkpoint();
        model.headInput(states.middleRows(w * windows.length, windows.length), x.view());
        recorder.add(recorder.inputs().begin()->first, w, std::as_const(x).view());
    }
    visitor.end(BlockIndex{-1});
}

/// All blocks of an entry that has every group; false when there is none.
bool fromStore(const Model& model, const std::set<int>& groups, InputStore& store, const std::string& key, const InputUse& use, JobContext& job) {
    std::map<std::string, int> byName;
    for (const int g : groups) byName.emplace(groupOf(model, g).name, g);
    const std::set<std::string> stored = store.groups(key);
    if (!std::all_of(byName.begin(), byName.end(), [&](const auto& group) { return stored.contains(group.first); })) return false;
    BlockInputs inputs;
    BlockIndex block{-1};
    const auto flush = [&] {
        if (!inputs.empty()) use(block, inputs);
        inputs.clear();
    };
    const bool read = store.read(key, job, [&](const std::string& name, GroupInput&& input) {
        const auto found = byName.find(name);
        if (found == byName.end()) return;
        if (groupOf(model, found->second).block != block) flush();
        block = groupOf(model, found->second).block;
        inputs.emplace(found->second, std::move(input));
    });
    flush();
    return read;
}

} // namespace

InputRecorder::InputRecorder(const Model& model, InputStore* store, const Windows& windows, std::set<int> groups, GroupInput::Wanted wanted, std::vector<std::int64_t> some)
    : model_(model), store_(wanted.gram ? store : nullptr), groups_(std::move(groups)), wanted_(wanted), some_(std::move(some)) {
    if (store_ == nullptr) return;
    const std::string key = store_->key(windows, wanted_.samples);
    for (const std::string& name : store_->groups(key)) // so that who comes after both finds what both left
        for (std::size_t g = 0; g < model_.inputGroups().size(); ++g)
            if (model_.inputGroups()[g].name == name) groups_.insert(static_cast<int>(g));
    writer_ = store_->writer(key, inputBytes(model_, groups_, wanted_));
}

void InputRecorder::beginBlock(BlockIndex block) {
    inputs_.clear();
    for (const int g : groups_)
        if (groupOf(model_, g).block == block) inputs_.emplace(g, GroupInput(groupOf(model_, g).width));
}

void InputRecorder::add(int inputGroup, std::int64_t window, MatrixView<const float> x, const InputSums* known) {
    const auto found = inputs_.find(inputGroup);
    if (found != inputs_.end() && (some_.empty() || std::binary_search(some_.begin(), some_.end(), window))) found->second.add(x, wanted_, &model_.device(), known);
}

void InputRecorder::endBlock() {
    if (!writes()) return;
    for (const auto& [group, input] : inputs_) {
        std::string contents;
        input.encode(contents);
        writer_->add(groupOf(model_, group).name, contents);
    }
}

void InputRecorder::commit() {
    if (!writer_) return;
    writer_->commit();
    store_->wrote(*writer_);
}

void walkInputs(const Model& model, const Windows& windows, std::set<int> groups, GroupInput::Wanted wanted, InputStore* store, const std::string& stage,
                const InputUse& use, JobContext& job) {
    if (!wanted.gram) store = nullptr;
    for (const bool samples : {false, true}) // what has samples serves those who need none
        if (store != nullptr && (samples || !wanted.samples) && fromStore(model, groups, *store, store->key(windows, samples), use, job)) return;
    const bool head = std::any_of(groups.begin(), groups.end(), [&](int g) { return groupOf(model, g).block.value() < 0; });
    InputRecorder recorder(model, store, windows, std::move(groups), wanted);
    Visitor visitor(recorder, use);
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, &visitor, job, stage);
    const JobScope scope(&job);
    if (head) walkHeadInput(model, windows, states.view(), visitor, recorder, job);
    recorder.commit();
}

Windows pickWindows(const Windows& all, const std::vector<std::int64_t>& numbers) {
    Windows some{static_cast<std::int64_t>(numbers.size()), all.length, {}};
    for (const std::int64_t w : numbers) {
        const auto window = all.window(w);
        some.ids.insert(some.ids.end(), window.begin(), window.end());
    }
    return some;
}

std::uint64_t inputBytes(const Model& model, const std::set<int>& groups, GroupInput::Wanted wanted) {
    std::uint64_t bytes = 0;
    for (const int g : groups.empty() ? allInputGroups(model) : groups) bytes += GroupInput::encodedBytes(groupOf(model, g).width, wanted);
    return bytes;
}

std::set<int> allInputGroups(const Model& model) {
    std::set<int> groups;
    for (const Site& site : model.sites())
        if (site.inputGroup >= 0) groups.insert(site.inputGroup);
    return groups;
}

} // namespace bw
