// SPDX-License-Identifier: GPL-3.0-or-later
// The folder "models--ORG--NAME" of a Hugging Face cache: refs/ name revisions, snapshots/REVISION hold links into
// blobs/. Chooses the snapshot to open. Not for: following the links (folder_files.h).
#pragma once

#include <string>
#include <vector>

namespace bw {

struct HubChoice {
    std::string folder;   ///< …/snapshots/REVISION
    std::string revision; ///< the snapshot's name
    std::vector<std::string> warnings;
};

/// Is this folder one model of such a cache?
bool isHubModelFolder(const std::string& folder);

/// @param revision a ref ("main", "v1.0") or the first 7 or more letters of a snapshot's name; empty: refs/main, else the
/// ref that changed last, else the newest snapshot (with a warning). Looks at no more than 10,000 entries.
/// @throws Error fileNotFound (lists what is there), pathEscapes (a ref that leads out of the folder).
HubChoice chooseSnapshot(const std::string& folder, const std::string& revision);

} // namespace bw
