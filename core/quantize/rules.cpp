// SPDX-License-Identifier: GPL-3.0-or-later
#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/quantize/rules.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <new>

namespace bw {

namespace {

// Names are short: a sane pattern takes some hundred steps, a runaway one stops within a millisecond or so.
constexpr std::uint32_t kMaxSteps = 100'000, kHeapKibibytes = 4096;
constexpr std::size_t kMaxPatternBytes = 4096;

std::string pcreMessage(int code) {
    std::array<PCRE2_UCHAR, 256> buffer{};
    pcre2_get_error_message(code, buffer.data(), buffer.size());
    return std::string(buffer.begin(), std::find(buffer.begin(), buffer.end(), PCRE2_UCHAR{0}));
}

struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

} // namespace

struct NamePattern::Impl {
    std::string text;
    std::unique_ptr<pcre2_code, Free> code;
    std::unique_ptr<pcre2_match_data, Free> data;
    std::unique_ptr<pcre2_match_context, Free> context;
};

NamePattern::NamePattern(const std::string& pattern) : impl_(std::make_unique<Impl>()) {
    impl_->text = pattern;
    if (pattern.empty() || pattern.size() > kMaxPatternBytes)
        throw Error(ErrorCode::usage, fmt::format("a tensor pattern has {} bytes; 1 to {} are allowed", pattern.size(), kMaxPatternBytes));
    int code = 0;
    PCRE2_SIZE position = 0;
    impl_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_CASELESS, &code, &position, nullptr));
    if (!impl_->code)
        throw Error(ErrorCode::usage, fmt::format("the tensor pattern \"{}\" is not understood at byte {}: {}", escapeForDisplay(pattern), position, pcreMessage(code)),
                    "patterns are regular expressions over names like blk.3.attn_v.weight");
    impl_->data.reset(pcre2_match_data_create(1, nullptr));
    impl_->context.reset(pcre2_match_context_create(nullptr));
    if (!impl_->data || !impl_->context) throw std::bad_alloc();
    pcre2_set_match_limit(impl_->context.get(), kMaxSteps);
    pcre2_set_depth_limit(impl_->context.get(), kMaxSteps);
    pcre2_set_heap_limit(impl_->context.get(), kHeapKibibytes);
}

NamePattern::~NamePattern() = default;
NamePattern::NamePattern(NamePattern&&) noexcept = default;

const std::string& NamePattern::text() const { return impl_->text; }

bool NamePattern::matches(std::string_view name) const {
    const int rc = pcre2_match(impl_->code.get(), reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0, 0, impl_->data.get(), impl_->context.get());
    if (rc >= 0) return true;
    if (rc == PCRE2_ERROR_NOMATCH) return false;
    throw Error(ErrorCode::usage, fmt::format("the tensor pattern \"{}\" runs away on the name {}: {}", escapeForDisplay(impl_->text), escapeForDisplay(name), pcreMessage(rc)),
                "write it without nested repeats");
}

} // namespace bw
