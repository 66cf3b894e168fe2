// SPDX-License-Identifier: GPL-3.0-or-later
// Names of error codes and the one-line rendering of an Error.
#include "core/base/error.h"

#include "core/base/text.h"

namespace bw {

const char* errorCodeName(ErrorCode code) {
    switch (code) {
    case ErrorCode::fileNotFound: return "fileNotFound";
    case ErrorCode::notRegularFile: return "notRegularFile";
    case ErrorCode::permissionDenied: return "permissionDenied";
    case ErrorCode::readFailed: return "readFailed";
    case ErrorCode::writeFailed: return "writeFailed";
    case ErrorCode::diskFull: return "diskFull";
    case ErrorCode::targetExists: return "targetExists";
    case ErrorCode::targetIsSource: return "targetIsSource";
    case ErrorCode::fileChanged: return "fileChanged";
    case ErrorCode::unknownFileType: return "unknownFileType";
    case ErrorCode::pickleRefused: return "pickleRefused";
    case ErrorCode::headerTooSmall: return "headerTooSmall";
    case ErrorCode::headerTooLarge: return "headerTooLarge";
    case ErrorCode::invalidHeaderLength: return "invalidHeaderLength";
    case ErrorCode::invalidHeader: return "invalidHeader";
    case ErrorCode::depthExceeded: return "depthExceeded";
    case ErrorCode::duplicateKey: return "duplicateKey";
    case ErrorCode::invalidTensor: return "invalidTensor";
    case ErrorCode::validationOverflow: return "validationOverflow";
    case ErrorCode::truncated: return "truncated";
    case ErrorCode::unsupportedVersion: return "unsupportedVersion";
    case ErrorCode::pathEscapes: return "pathEscapes";
    case ErrorCode::shardMissing: return "shardMissing";
    case ErrorCode::tensorMissing: return "tensorMissing";
    case ErrorCode::shapeMismatch: return "shapeMismatch";
    case ErrorCode::invalidConfig: return "invalidConfig";
    case ErrorCode::unsupportedModel: return "unsupportedModel";
    case ErrorCode::unsupportedType: return "unsupportedType";
    case ErrorCode::unsupportedTokenizer: return "unsupportedTokenizer";
    case ErrorCode::invalidTokenizer: return "invalidTokenizer";
    case ErrorCode::vocabularyMismatch: return "vocabularyMismatch";
    case ErrorCode::textTooShort: return "textTooShort";
    case ErrorCode::binaryText: return "binaryText";
    case ErrorCode::invalidFormat: return "invalidFormat";
    case ErrorCode::formatDoesNotFit: return "formatDoesNotFit";
    case ErrorCode::nonFinite: return "nonFinite";
    case ErrorCode::infeasibleBudget: return "infeasibleBudget";
    case ErrorCode::invalidRecipe: return "invalidRecipe";
    case ErrorCode::logTooNew: return "logTooNew";
    case ErrorCode::logCorrupt: return "logCorrupt";
    case ErrorCode::logBusy: return "logBusy";
    case ErrorCode::unknownRun: return "unknownRun";
    case ErrorCode::auditFailed: return "auditFailed";
    case ErrorCode::strictViolation: return "strictViolation";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::outOfMemory: return "outOfMemory";
    case ErrorCode::deviceUnavailable: return "deviceUnavailable";
    case ErrorCode::usage: return "usage";
    case ErrorCode::internal: return "internal";
    }
    return "internal";
}

Error::Error(ErrorCode code, std::string message, std::string hint)
    : code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

Error& Error::add(std::string key, std::string value) {
    context_.emplace_back(std::move(key), std::move(value));
    return *this;
}

std::string Error::oneLine() const {
    std::string line = escapeForDisplay(message_, 2000);
    for (const auto& [key, value] : context_) line += " [" + key + ": " + escapeForDisplay(value) + "]";
    if (!hint_.empty()) line += " — " + escapeForDisplay(hint_, 1000);
    return line;
}

} // namespace bw
