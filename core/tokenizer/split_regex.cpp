// SPDX-License-Identifier: GPL-3.0-or-later
#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/tokenizer/split_regex.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <pcre2.h>

namespace bw {
namespace {

using Clock = std::chrono::steady_clock;

// A linear pattern needs a few steps for each code point left, so the limit grows with the text; a runaway one needs
// exponentially many and stops within about a second.
constexpr std::uint64_t kBaseSteps = 1'000'000, kStepsPerByte = 16, kMaxSteps = 200'000'000;
constexpr std::uint32_t kHeapKibibytes = 64 * 1024;
constexpr std::uint32_t kMaxPatternBytes = 64 * 1024;

std::string pcreMessage(int code) {
    std::array<PCRE2_UCHAR, 256> buffer{};
    pcre2_get_error_message(code, buffer.data(), buffer.size());
    return std::string(buffer.begin(), std::find(buffer.begin(), buffer.end(), PCRE2_UCHAR{0}));
}

struct CodeDeleter {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct DataDeleter {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct ContextDeleter {
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

} // namespace

struct SplitRegex::Impl {
    std::string pattern;
    std::unique_ptr<pcre2_code, CodeDeleter> code;
};

SplitRegex::SplitRegex(const std::string& pattern) : impl_(std::make_unique<Impl>()) {
    impl_->pattern = pattern;
    if (pattern.size() > kMaxPatternBytes)
        throw Error(ErrorCode::invalidTokenizer, fmt::format("the split pattern has {} bytes; at most {} are allowed",
                                                             pattern.size(), kMaxPatternBytes));
    int code = 0;
    PCRE2_SIZE position = 0;
    impl_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &position,
                                    nullptr));
    if (!impl_->code)
        throw Error(ErrorCode::invalidTokenizer, fmt::format("the split pattern '{}' is not understood at byte {}: {}",
                                                             escapeForDisplay(pattern), position, pcreMessage(code)));
}

SplitRegex::~SplitRegex() = default;

struct SplitRegex::Matcher::Impl {
    const SplitRegex::Impl& regex;
    std::string_view text;
    std::unique_ptr<pcre2_match_data, DataDeleter> data;
    std::unique_ptr<pcre2_match_context, ContextDeleter> context;
    Clock::time_point deadline;

    [[noreturn]] void limitHit(const std::string& what) const {
        throw Error(ErrorCode::invalidTokenizer,
                    fmt::format("the split pattern '{}' runs away on a text of {} bytes: {}",
                                escapeForDisplay(regex.pattern), text.size(), what),
                    "the tokenizer file may be damaged or hostile; take it from the model's origin again");
    }
};

SplitRegex::Matcher::Matcher(const SplitRegex& regex, std::string_view text)
    : impl_(new Impl{*regex.impl_, text, nullptr, nullptr, {}}) {
    impl_->data.reset(pcre2_match_data_create(1, nullptr));
    impl_->context.reset(pcre2_match_context_create(nullptr));
    if (!impl_->data || !impl_->context) throw std::bad_alloc();
    const std::uint64_t steps = std::min(kMaxSteps, kBaseSteps + kStepsPerByte * text.size());
    pcre2_set_match_limit(impl_->context.get(), static_cast<std::uint32_t>(steps));
    pcre2_set_depth_limit(impl_->context.get(), static_cast<std::uint32_t>(steps));
    pcre2_set_heap_limit(impl_->context.get(), kHeapKibibytes);
    const auto mebibytes = static_cast<std::int64_t>(text.size() >> 20);
    impl_->deadline = Clock::now() + std::chrono::seconds(10 * (1 + mebibytes));
}

SplitRegex::Matcher::~Matcher() = default;

bool SplitRegex::Matcher::find(std::size_t from, std::size_t& begin, std::size_t& end) {
    // Anchored at one start after the other: the step limit then holds for each start and the clock is seen between.
    for (std::size_t at = from; at < impl_->text.size(); at += codePointAt(impl_->text, at).length) {
        const int rc = pcre2_match(impl_->regex.code.get(), reinterpret_cast<PCRE2_SPTR>(impl_->text.data()),
                                   impl_->text.size(), at, PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
                                   impl_->data.get(), impl_->context.get());
        if (rc >= 0) {
            const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(impl_->data.get());
            begin = offsets[0];
            end = offsets[1];
            // \K can move the reported start; pieces must still go forward.
            if (begin < at || end <= begin) impl_->limitHit("a match does not move forward");
            return true;
        }
        if (rc == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
        if (rc != PCRE2_ERROR_NOMATCH) impl_->limitHit(pcreMessage(rc));
        if (Clock::now() > impl_->deadline) impl_->limitHit("time limit exceeded");
    }
    return false;
}

} // namespace bw
