// SPDX-License-Identifier: GPL-3.0-or-later
// Runs of a log, newest first, as the pages share them: a copy copies pointers, however many runs there are.
#pragma once

#include "core/experiment/log.h"

#include <memory>
#include <vector>

namespace bw {

class RunList {
public:
    using Pointer = std::shared_ptr<const RunSummary>;

    class Iterator {
    public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = RunSummary;
        using difference_type = std::ptrdiff_t;
        using pointer = const RunSummary*;
        using reference = const RunSummary&;
        Iterator() = default;
        explicit Iterator(const Pointer* at) : at_(at) {}
        reference operator*() const { return **at_; }
        pointer operator->() const { return at_->get(); }
        Iterator& operator++() { ++at_; return *this; }
        Iterator operator++(int) { return Iterator(at_++); }
        friend bool operator==(const Iterator&, const Iterator&) = default;

    private:
        const Pointer* at_ = nullptr;
    };

    RunList() = default;
    /// @param runs newest first, as LogReader gives them.
    RunList(const std::vector<RunSummary>& runs); // implicit: wherever runs are shown, a plain list will do
    /// What was read anew in place of what is here; runs that did not change keep their pointer.
    /// @param fresh  newest first. @param whole  false: only the newest were read, older ones stay.
    RunList renewed(std::vector<RunSummary> fresh, bool whole) const;

    std::size_t size() const { return runs_.size(); }
    bool empty() const { return runs_.empty(); }
    Iterator begin() const { return Iterator(runs_.data()); }
    Iterator end() const { return Iterator(runs_.data() + runs_.size()); }
    const RunSummary& operator[](std::size_t i) const { return *runs_[i]; }
    const RunSummary& front() const { return *runs_.front(); } ///< the newest; there must be one
    const Pointer& pointer(std::size_t i) const { return runs_[i]; }
    void append(Pointer run) { runs_.push_back(std::move(run)); }
    const RunSummary* find(RunId run) const; ///< null: not here
    /// The very same objects: nothing changed.
    friend bool operator==(const RunList&, const RunList&) = default;

private:
    std::vector<Pointer> runs_;
};

} // namespace bw
