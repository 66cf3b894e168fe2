// SPDX-License-Identifier: GPL-3.0-or-later
// Refs are short text files; nothing in them is believed before it is a plain name of a snapshot that is there.
#include "core/checkpoint/hub_cache.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/base/text.h"
#include "core/checkpoint/folder_files.h"

#include <algorithm>
#include <filesystem>

namespace bw {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostEntries = 10'000;
constexpr std::uint64_t kLongestRef = 4096;
constexpr std::size_t kShortestHash = 7; ///< what git shows and people paste

struct Ref {
    std::string name, snapshot;
    fs::file_time_type changed;
};

fs::file_time_type changedAt(const fs::path& path) {
    std::error_code ignored;
    const auto time = fs::last_write_time(path, ignored);
    return ignored ? fs::file_time_type::min() : time;
}

/// Folders in snapshots/, the newest first.
std::vector<std::string> snapshotsOf(const fs::path& folder) {
    std::vector<std::pair<fs::file_time_type, std::string>> found;
    std::error_code error;
    for (fs::directory_iterator it(folder / "snapshots", error), end; !error && it != end && found.size() < kMostEntries; it.increment(error)) {
        std::error_code ignored;
        if (it->symlink_status(ignored).type() == fs::file_type::directory) found.emplace_back(changedAt(it->path()), it->path().filename().string());
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
    std::vector<std::string> names;
    for (auto& [time, name] : found) names.push_back(std::move(name));
    return names;
}

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// Every ref whose snapshot is there, the one that changed last in front. Names may hold '/' ("pr/7").
std::vector<Ref> refsOf(const fs::path& folder, const std::vector<std::string>& snapshots) {
    std::vector<Ref> refs;
    std::error_code error;
    const fs::path root = folder / "refs";
    std::size_t looked = 0;
    for (fs::recursive_directory_iterator it(root, error), end; !error && it != end && looked < kMostEntries; it.increment(error), ++looked) {
        std::error_code ignored;
        if (it->symlink_status(ignored).type() != fs::file_type::regular || it.depth() > 4) continue;
        const std::string snapshot = trimmed(readTextFile(it->path().string(), kLongestRef));
        if (!isPlainFileName(snapshot))
            throw Error(ErrorCode::pathEscapes, escapeForDisplay(it->path().string()) + " names the snapshot '" + escapeForDisplay(snapshot, 80) + "', which is no plain name",
                        "Do not trust this cache folder; download the model again.");
        if (std::find(snapshots.begin(), snapshots.end(), snapshot) != snapshots.end())
            refs.push_back({it->path().lexically_relative(root).generic_string(), snapshot, changedAt(it->path())});
    }
    std::sort(refs.begin(), refs.end(), [](const Ref& a, const Ref& b) { return a.changed != b.changed ? a.changed > b.changed : a.name < b.name; });
    return refs;
}

std::string listed(const std::vector<Ref>& refs, const std::vector<std::string>& snapshots) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(refs.size(), 5); ++i) text += (text.empty() ? "" : ", ") + escapeForDisplay(refs[i].name, 60);
    for (std::size_t i = 0; i < std::min<std::size_t>(snapshots.size(), 5); ++i) text += (text.empty() ? "" : ", ") + escapeForDisplay(snapshots[i], 60);
    return text;
}

} // namespace

bool isHubModelFolder(const std::string& folder) {
    std::error_code ignored;
    return fs::path(folder).filename().string().starts_with("models--") && fs::is_directory(fs::path(folder) / "snapshots", ignored);
}

HubChoice chooseSnapshot(const std::string& folder, const std::string& revision) {
    const std::vector<std::string> snapshots = snapshotsOf(folder);
    const std::string shown = escapeForDisplay(folder);
    if (snapshots.empty())
        throw Error(ErrorCode::fileNotFound, shown + " holds no snapshot: nothing of this model has been downloaded", "Download the model first.");
    const std::vector<Ref> refs = refsOf(folder, snapshots);
    HubChoice choice;
    const auto choose = [&](const std::string& snapshot) {
        choice.revision = snapshot;
        choice.folder = (fs::path(folder) / "snapshots" / snapshot).string();
    };
    const std::string wanted = revision.empty() ? "main" : revision;
    if (const auto ref = std::find_if(refs.begin(), refs.end(), [&](const Ref& r) { return r.name == wanted; }); ref != refs.end()) {
        choose(ref->snapshot);
        return choice;
    }
    if (!revision.empty()) {
        std::vector<std::string> fitting;
        for (const auto& snapshot : snapshots)
            if (snapshot == revision || (revision.size() >= kShortestHash && snapshot.starts_with(revision))) fitting.push_back(snapshot);
        if (fitting.size() != 1)
            throw Error(ErrorCode::fileNotFound, shown + ": the revision '" + escapeForDisplay(revision, 80) + "' " + (fitting.empty() ? "is not there" : "fits several snapshots"),
                        "There are: " + listed(refs, snapshots));
        choose(fitting.front());
        return choice;
    }
    choose(refs.empty() ? snapshots.front() : refs.front().snapshot);
    choice.warnings.push_back(shown + ": refs/main names no snapshot that is there; " + (refs.empty() ? std::string("the newest snapshot") : "the ref '" + escapeForDisplay(refs.front().name, 60) + "'") +
                              " is used (" + escapeForDisplay(choice.revision, 60) + "). Choose another with PATH@REVISION: " + listed(refs, snapshots));
    return choice;
}

} // namespace bw
