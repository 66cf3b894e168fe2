// SPDX-License-Identifier: GPL-3.0-or-later
// A SAX handler in front of nlohmann's builder: depth and duplicate keys are checked while parsing, before values exist.
#include "core/base/json.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/base/text.h"

#include <unordered_set>

namespace bw {

namespace {

class LimitedBuilder final : public nlohmann::json_sax<Json> {
public:
    LimitedBuilder(Json& result, const std::string& what, int depthLimit) : dom_(result, true), what_(what), limit_(depthLimit) {}

    bool null() override { return dom_.null(); }
    bool boolean(bool v) override { return dom_.boolean(v); }
    bool number_integer(number_integer_t v) override { return dom_.number_integer(v); }
    bool number_unsigned(number_unsigned_t v) override { return dom_.number_unsigned(v); }
    bool number_float(number_float_t v, const string_t& s) override { return dom_.number_float(v, s); }
    bool string(string_t& v) override { return dom_.string(v); }
    bool binary(binary_t& v) override { return dom_.binary(v); }
    bool start_object(std::size_t n) override {
        enter();
        keys_.emplace_back();
        return dom_.start_object(n);
    }
    bool key(string_t& v) override {
        if (!keys_.back().insert(v).second)
            throw Error(ErrorCode::duplicateKey, what_ + ": the key \"" + escapeForDisplay(v) + "\" appears twice", "the file is damaged or was made by hand");
        return dom_.key(v);
    }
    bool end_object() override {
        --depth_;
        keys_.pop_back();
        return dom_.end_object();
    }
    bool start_array(std::size_t n) override {
        enter();
        return dom_.start_array(n);
    }
    bool end_array() override {
        --depth_;
        return dom_.end_array();
    }
    bool parse_error(std::size_t position, const std::string& /*token*/, const nlohmann::detail::exception& e) override {
        const std::string reason = e.what();
        const auto colon = reason.rfind(": ");
        throw Error(ErrorCode::invalidHeader,
                    what_ + ": not valid JSON at byte " + std::to_string(position) + " (" +
                        escapeForDisplay(colon == std::string::npos ? reason : reason.substr(colon + 2)) + ")",
                    "the file is damaged or was not downloaded whole");
    }

private:
    void enter() {
        if (++depth_ > limit_)
            throw Error(ErrorCode::depthExceeded, what_ + ": nested deeper than " + std::to_string(limit_) + " levels", "this is no file of this kind");
    }
    nlohmann::detail::json_sax_dom_parser<Json> dom_;
    const std::string& what_;
    int limit_;
    int depth_ = 0;
    std::vector<std::unordered_set<std::string>> keys_;
};

} // namespace

Json parseJson(std::string_view text, const std::string& what, const JsonLimits& limits) {
    if (text.size() > limits.bytes)
        throw Error(ErrorCode::headerTooLarge, what + ": " + std::to_string(text.size()) + " bytes of JSON; at most " + std::to_string(limits.bytes) + " are read");
    // The parser takes a NUL byte for the end of the text; what stands behind it would pass unseen.
    if (const auto nul = text.find('\0'); nul != std::string_view::npos)
        throw Error(ErrorCode::invalidHeader, what + ": not valid JSON at byte " + std::to_string(nul) + " (a NUL byte)", "the file is damaged");
    Json result;
    LimitedBuilder builder(result, what, limits.depth);
    Json::sax_parse(text.begin(), text.end(), &builder);
    return result;
}

Json readJsonFile(const std::string& path, const JsonLimits& limits) {
    return parseJson(readTextFile(path, limits.bytes), escapeForDisplay(path), limits);
}

} // namespace bw
