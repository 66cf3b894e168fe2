// SPDX-License-Identifier: GPL-3.0-or-later
// Regular expressions over tensor names, as llama-quantize's --tensor-type takes them. Globs over sites are in assignment.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace bw {

/// A pattern found anywhere in a name, case ignored as llama-quantize lowers its patterns ("attn_(k|v)", "blk\.[0-3]\.").
class NamePattern {
public:
    /// @throws Error(usage) naming the pattern and the byte that is not understood.
    explicit NamePattern(const std::string& pattern);
    ~NamePattern();
    NamePattern(NamePattern&&) noexcept;

    /// @throws Error(usage) when the pattern needs unreasonably many steps. One thread at a time.
    bool matches(std::string_view name) const;
    const std::string& text() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace bw
