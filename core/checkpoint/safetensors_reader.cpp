// SPDX-License-Identifier: GPL-3.0-or-later
// One pass of a SAX handler over the header, so that a million tensors cost no tree of JSON values; then the layout
// rules over the sorted entries.
#include "core/checkpoint/safetensors_reader.h"

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <unordered_set>

namespace bw {
namespace {

struct DtypeBits {
    std::string_view name;
    int bits;
};

/// Every dtype the reference knows, also those that are not decoded here: their sizes can still be checked.
constexpr std::array<DtypeBits, 22> kDtypes{{{"F64", 64},     {"F32", 32},      {"F16", 16},         {"BF16", 16},
                                             {"F8_E4M3", 8},  {"F8_E5M2", 8},   {"F8_E8M0", 8},      {"F8_E4M3FNUZ", 8},
                                             {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"F4", 4},
                                             {"I64", 64},     {"I32", 32},      {"I16", 16},         {"I8", 8},
                                             {"U64", 64},     {"U32", 32},      {"U16", 16},         {"U8", 8},
                                             {"BOOL", 8},     {"C64", 64}}};

constexpr const char* kDamagedHint = "The file is damaged or was not made by a safetensors writer; download or convert it again.";

/// Builds entries while the text is parsed; refuses the first thing that the format does not allow.
class HeaderHandler final : public nlohmann::json_sax<Json> {
public:
    HeaderHandler(SafetensorsHeader& header, std::string file) : header_(header), file_(std::move(file)) {}

    bool null() override {
        if (place_ == Place::root && inMetadata_) {
            inMetadata_ = false;
            header_.warnings.push_back(file_ + ": __metadata__ is null (left out by its writer)");
            return true;
        }
        return refuseValue("null");
    }
    bool boolean(bool) override { return refuseValue("a bool"); }
    bool number_integer(number_integer_t v) override { return refuseValue("the negative number " + std::to_string(v)); }
    bool number_unsigned(number_unsigned_t v) override {
        if (place_ == Place::shape) {
            if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
                fail(ErrorCode::validationOverflow, "dimension " + std::to_string(v) + " does not fit 63 bits");
            header_.entries.back().shape.push_back(static_cast<std::int64_t>(v));
            return true;
        }
        if (place_ == Place::offsets) {
            if (offsets_ == 2) fail(ErrorCode::invalidTensor, "data_offsets has more than two numbers");
            (offsets_ == 0 ? header_.entries.back().begin : header_.entries.back().end) = v;
            ++offsets_;
            return true;
        }
        return refuseValue("the number " + std::to_string(v));
    }
    bool number_float(number_float_t, const string_t& text) override {
        return refuseValue("the number " + escapeForDisplay(text, 40) + " (only whole numbers below 2^64 are allowed)");
    }
    bool binary(binary_t&) override { return refuseValue("binary data"); }
    bool string(string_t& v) override {
        if (place_ == Place::metadata) {
            header_.metadata.back().second = std::move(v);
            return true;
        }
        if (place_ == Place::entry && key_ == Key::dtype) {
            header_.entries.back().dtype = std::move(v);
            return true;
        }
        return refuseValue("the text \"" + escapeForDisplay(v, 40) + "\"");
    }
    bool start_object(std::size_t) override {
        if (place_ == Place::start) {
            place_ = Place::root;
        } else if (place_ == Place::root) {
            place_ = inMetadata_ ? Place::metadata : Place::entry;
            seen_ = 0;
            offsets_ = 0;
        } else {
            deeper();
        }
        return true;
    }
    bool end_object() override {
        if (place_ == Place::entry) finishEntry();
        place_ = place_ == Place::root ? Place::end : Place::root;
        inMetadata_ = false;
        return true;
    }
    bool key(string_t& v) override {
        if (place_ == Place::root) {
            inMetadata_ = v == "__metadata__";
            if (inMetadata_) {
                if (metadataSeen_) fail(ErrorCode::duplicateKey, "__metadata__ appears twice");
                metadataSeen_ = true;
            } else {
                header_.entries.emplace_back().name = std::move(v);
            }
        } else if (place_ == Place::metadata) {
            header_.metadata.emplace_back(std::move(v), std::string());
        } else {
            entryKey(v);
        }
        return true;
    }
    bool start_array(std::size_t) override {
        if (place_ == Place::entry && key_ == Key::shape) {
            place_ = Place::shape;
        } else if (place_ == Place::entry && key_ == Key::offsets) {
            place_ = Place::offsets;
        } else if (place_ == Place::start) {
            fail(ErrorCode::invalidHeader, "the header is a list, not an object");
        } else if (place_ == Place::root) {
            fail(ErrorCode::invalidHeader, "a list stands where an object is needed");
        } else {
            deeper();
        }
        return true;
    }
    bool end_array() override {
        place_ = Place::entry;
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        throw Error(ErrorCode::invalidHeader,
                    file_ + ": the header is not valid JSON at byte " + std::to_string(position + 7) + " of the file", kDamagedHint);
    }

private:
    enum class Place { start, root, metadata, entry, shape, offsets, end };
    enum class Key { none, dtype, shape, offsets };

    [[noreturn]] void fail(ErrorCode code, const std::string& what) const {
        std::string where = file_;
        if (!inMetadata_ && !header_.entries.empty()) where += ": tensor '" + escapeForDisplay(header_.entries.back().name) + "'";
        if (inMetadata_) where += ": __metadata__";
        throw Error(code, where + ": " + what, kDamagedHint);
    }
    bool refuseValue(const std::string& what) const {
        const bool inNumbers = place_ == Place::shape || place_ == Place::offsets;
        fail(inNumbers ? ErrorCode::invalidTensor : ErrorCode::invalidHeader,
             (place_ == Place::shape ? "shape holds " : place_ == Place::offsets ? "data_offsets holds " : "unexpectedly holds ") + what);
    }
    [[noreturn]] void deeper() const { fail(ErrorCode::depthExceeded, "nested deeper than the format allows"); }
    void entryKey(const std::string& v) {
        key_ = v == "dtype" ? Key::dtype : v == "shape" ? Key::shape : v == "data_offsets" ? Key::offsets : Key::none;
        if (key_ == Key::none) fail(ErrorCode::invalidHeader, "unknown key \"" + escapeForDisplay(v, 40) + "\"");
        const int bit = 1 << static_cast<int>(key_);
        if ((seen_ & bit) != 0) fail(ErrorCode::duplicateKey, "\"" + v + "\" appears twice");
        seen_ |= bit;
    }
    void finishEntry() const {
        constexpr int kAll = 1 << static_cast<int>(Key::dtype) | 1 << static_cast<int>(Key::shape) | 1 << static_cast<int>(Key::offsets);
        if (seen_ != kAll) fail(ErrorCode::invalidHeader, "dtype, shape and data_offsets must all be given");
        if (offsets_ != 2) fail(ErrorCode::invalidTensor, "data_offsets must hold two numbers");
    }

    SafetensorsHeader& header_;
    std::string file_;
    Place place_ = Place::start;
    Key key_ = Key::none;
    int seen_ = 0, offsets_ = 0;
    bool inMetadata_ = false, metadataSeen_ = false;
};

std::string entryLabel(const std::string& file, const SafetensorsEntry& entry) {
    return file + ": tensor '" + escapeForDisplay(entry.name) + "'";
}

/// Bytes that dtype and shape ask for must be those between the offsets.
void checkEntrySize(const std::string& file, SafetensorsEntry& entry) {
    if (entry.begin > entry.end)
        throw Error(ErrorCode::invalidTensor,
                    entryLabel(file, entry) + " ends (" + std::to_string(entry.end) + ") before it begins (" +
                        std::to_string(entry.begin) + ")",
                    kDamagedHint);
    std::uint64_t elements = 1; // zero dimensions count as one here, so that every partial product fits too
    for (const std::int64_t dimension : entry.shape)
        if (__builtin_mul_overflow(elements, static_cast<std::uint64_t>(std::max<std::int64_t>(dimension, 1)), &elements) ||
            elements > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            throw Error(ErrorCode::validationOverflow, entryLabel(file, entry) + ": the product of its shape does not fit 63 bits", kDamagedHint);
    if (std::find(entry.shape.begin(), entry.shape.end(), 0) != entry.shape.end()) elements = 0;
    entry.type = storageTypeFromSafetensors(entry.dtype).value_or(StorageType::unknown);
    const int bitsPerElement = safetensorsBits(entry.dtype);
    if (bitsPerElement == 0) return;
    std::uint64_t bits = 0;
    if (__builtin_mul_overflow(elements, static_cast<std::uint64_t>(bitsPerElement), &bits))
        throw Error(ErrorCode::validationOverflow, entryLabel(file, entry) + ": its size in bits does not fit 64 bits", kDamagedHint);
    if (bits % 8 != 0)
        throw Error(ErrorCode::invalidTensor,
                    entryLabel(file, entry) + ": " + std::to_string(elements) + " elements of " + entry.dtype + " do not end on a whole byte", kDamagedHint);
    if (bits / 8 != entry.end - entry.begin)
        throw Error(ErrorCode::invalidTensor,
                    entryLabel(file, entry) + ": shape and type need " + std::to_string(bits / 8) + " bytes, the offsets give " +
                        std::to_string(entry.end - entry.begin),
                    kDamagedHint);
}

void checkNames(const std::string& file, const std::vector<SafetensorsEntry>& entries) {
    std::unordered_set<std::string_view> names;
    names.reserve(entries.size());
    for (const auto& entry : entries)
        if (!names.insert(entry.name).second)
            throw Error(ErrorCode::duplicateKey, entryLabel(file, entry) + " appears twice", kDamagedHint);
}

/// Entries in data order must follow each other without hole or overlap and fill the file exactly.
void checkLayout(const std::string& file, const std::vector<SafetensorsEntry>& entries, std::uint64_t dataBytes) {
    std::uint64_t expected = 0;
    for (const auto& entry : entries) {
        if (entry.begin < expected)
            throw Error(ErrorCode::invalidTensor, entryLabel(file, entry) + " begins at " + std::to_string(entry.begin) +
                            ", inside the tensor before it (which ends at " + std::to_string(expected) + ")", kDamagedHint);
        if (entry.begin > expected)
            throw Error(ErrorCode::invalidTensor, entryLabel(file, entry) + " leaves a hole of " + std::to_string(entry.begin - expected) +
                            " bytes before it, at " + std::to_string(expected), kDamagedHint);
        expected = entry.end;
    }
    if (expected > dataBytes)
        throw Error(ErrorCode::truncated, file + ": the tensors need " + std::to_string(expected) + " bytes of data, the file holds " +
                        std::to_string(dataBytes) + "; " + std::to_string(expected - dataBytes) + " bytes are missing",
                    "The download is probably incomplete; fetch the file again.");
    if (expected < dataBytes)
        throw Error(ErrorCode::invalidHeader, file + ": " + std::to_string(dataBytes - expected) + " bytes follow the last tensor; none may", kDamagedHint);
}

} // namespace

int safetensorsBits(std::string_view dtype) {
    for (const auto& known : kDtypes)
        if (known.name == dtype) return known.bits;
    return 0;
}

SafetensorsHeader readSafetensorsHeader(const MappedFile& file) {
    const std::string name = escapeForDisplay(file.path());
    if (file.size() < 8)
        throw Error(ErrorCode::headerTooSmall, name + ": " + std::to_string(file.size()) + " bytes are too few for a safetensors file",
                    "The download is probably incomplete; fetch the file again.");
    std::uint64_t length = 0;
    std::memcpy(&length, file.bytes().data(), sizeof length);
    if (length > kSafetensorsHeaderLimit)
        throw Error(ErrorCode::headerTooLarge, name + ": the header claims " + std::to_string(length) + " bytes; at most " +
                        std::to_string(kSafetensorsHeaderLimit) + " are read",
                    "This is not a safetensors file, or it is damaged.");
    if (length > file.size() - 8)
        throw Error(ErrorCode::invalidHeaderLength, name + ": the header claims " + std::to_string(length) + " bytes but the file holds " +
                        std::to_string(file.size() - 8) + " after its length", "The download is probably incomplete; fetch the file again.");
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()) + 8, length);
    if (text.empty() || text.front() != '{')
        throw Error(ErrorCode::invalidHeader, name + ": the header does not begin with '{' at byte 8", kDamagedHint);
    // The JSON lexer takes a NUL for the end of its input; inside a header it would hide what follows.
    if (const auto nul = text.find('\0'); nul != std::string_view::npos)
        throw Error(ErrorCode::invalidHeader, name + ": the header holds a zero byte at byte " + std::to_string(nul + 8), kDamagedHint);

    SafetensorsHeader header;
    header.dataStart = 8 + length;
    HeaderHandler handler(header, name);
    Json::sax_parse(text.begin(), text.end(), &handler);
    checkNames(name, header.entries);
    for (auto& entry : header.entries) checkEntrySize(name, entry);
    std::sort(header.entries.begin(), header.entries.end(), [](const auto& a, const auto& b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end != b.end ? a.end < b.end : a.name < b.name;
    });
    checkLayout(name, header.entries, file.size() - header.dataStart);
    return header;
}

} // namespace bw
