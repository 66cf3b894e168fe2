// SPDX-License-Identifier: GPL-3.0-or-later
// The one exception type that leaves core/: a code for programs, a message and a hint for people, and context
// (file, tensor, value) gathered on the way up. Not for: programmer errors, which are assertions.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace bw {

/// What went wrong, one line of meaning each. The names appear in JSON as given by `errorCodeName`.
enum class ErrorCode {
    // files
    fileNotFound,        ///< no such file or folder
    notRegularFile,      ///< a FIFO, device, socket or folder stands where a file is needed
    permissionDenied,    ///< the system refused to open, create or write
    readFailed,          ///< the system reported a read error
    writeFailed,         ///< the system reported a write, fsync or rename error
    diskFull,            ///< not enough space for what is to be written
    targetExists,        ///< the output is there already and replacing was not asked for
    targetIsSource,      ///< an output would overwrite an input
    fileChanged,         ///< an input changed (size, time or inode) while in use
    // containers
    unknownFileType,     ///< neither safetensors nor GGUF
    pickleRefused,       ///< a pickle-based file; it can run code when opened
    headerTooSmall,      ///< the file ends before its header starts
    headerTooLarge,      ///< the header claims more bytes than allowed
    invalidHeaderLength, ///< the header runs past the end of the file
    invalidHeader,       ///< the header's text or structure breaks the format's rules
    depthExceeded,       ///< nesting deeper than allowed
    duplicateKey,        ///< a key or tensor name appears twice
    invalidTensor,       ///< a tensor's shape, type, offset or size break the format's rules
    validationOverflow,  ///< a size does not fit 64 bits
    truncated,           ///< data end before they should
    unsupportedVersion,  ///< a version of a file format that is not read here
    pathEscapes,         ///< a name in an index leads out of its folder
    shardMissing,        ///< a shard named by the index is not there
    tensorMissing,       ///< a tensor that is needed is not in the checkpoint
    shapeMismatch,       ///< two shapes that must agree differ
    invalidConfig,       ///< config.json or GGUF metadata hold an impossible value
    unsupportedModel,    ///< this architecture has no forward pass here
    unsupportedType,     ///< this tensor type is not decoded here
    // text
    unsupportedTokenizer,///< a tokenizer part that is not implemented
    invalidTokenizer,    ///< tokenizer data break their own rules
    vocabularyMismatch,  ///< more token ids than embedding rows
    textTooShort,        ///< the text has fewer tokens than one window
    binaryText,          ///< the file holds bytes that are no text
    // numbers
    invalidFormat,       ///< a format string that is not understood
    formatDoesNotFit,    ///< the format cannot hold a tensor of this shape
    nonFinite,           ///< NaN or infinity where a number is needed
    infeasibleBudget,    ///< the budget lies below the smallest mix
    // experiments
    invalidRecipe,       ///< a recipe with an unknown key or impossible value
    logTooNew,           ///< the log was made by a newer version
    logCorrupt,          ///< the log is damaged
    logBusy,             ///< another process holds the log
    unknownRun,          ///< no run with this id
    auditFailed,         ///< what was written is not what was planned
    strictViolation,     ///< --strict and something would differ from what was asked
    cancelled,           ///< stopped on request
    outOfMemory,         ///< memory could not be had
    deviceUnavailable,   ///< the compute device is not there or was lost
    usage,               ///< the request itself makes no sense
    internal,            ///< a fault of this program
};

/// The stable name of a code, as written to JSON ("headerTooLarge").
const char* errorCodeName(ErrorCode code);

class Error : public std::exception {
public:
    /// @param message one sentence that names file, tensor and value. @param hint what to do about it; may be empty.
    Error(ErrorCode code, std::string message, std::string hint = {});

    /// Adds context on the way up: `catch (Error& e) { e.add("tensor", name); throw; }`.
    Error& add(std::string key, std::string value);

    ErrorCode code() const { return code_; }
    const std::string& message() const { return message_; }
    const std::string& hint() const { return hint_; }
    const std::vector<std::pair<std::string, std::string>>& context() const { return context_; }

    /// Message, context and hint in one line for a terminal; control characters are escaped.
    std::string oneLine() const;
    const char* what() const noexcept override { return message_.c_str(); }

private:
    ErrorCode code_;
    std::string message_;
    std::string hint_;
    std::vector<std::pair<std::string, std::string>> context_;
};

} // namespace bw
