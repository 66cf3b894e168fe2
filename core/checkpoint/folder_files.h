// SPDX-License-Identifier: GPL-3.0-or-later
// Which file is what, and which names may be opened: magic numbers, bounded listings, and links that must not lead out
// of a checkpoint's folder. Not for: reading contents.
#pragma once

#include "core/base/mapped_file.h"

#include <string>
#include <vector>

namespace bw {

enum class FileMagic { safetensors, gguf, pickle, json, other };

/// By the first bytes, never by the name.
FileMagic probeMagic(const MappedFile& file);

/// @throws Error(pickleRefused) with the way out.
[[noreturn]] void refusePickle(const std::string& path);

/// Names of regular files and links in a folder, sorted; subfolders left out. Looks at no more than `limit` entries.
/// @throws Error permissionDenied, readFailed.
std::vector<std::string> listRegularNames(const std::string& folder, std::size_t limit);

/// May `name` from an index stand for a file of the folder? A plain name: no separator, no parent, no control character.
bool isPlainFileName(const std::string& name);

/// The real path of `folder/name`. A link may lead to a file in the same folder, or inside the same model of a Hugging
/// Face cache (models--ORG--NAME); every other link is refused.
/// @throws Error pathEscapes, fileNotFound, notRegularFile, permissionDenied.
std::string resolveInside(const std::string& folder, const std::string& name);

} // namespace bw
