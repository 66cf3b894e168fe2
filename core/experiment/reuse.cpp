// SPDX-License-Identifier: GPL-3.0-or-later
// Looking for a run's twin in the log.
#include "core/experiment/reuse.h"


#include <algorithm>
#include <ctime>
#include <filesystem>
#include <sys/stat.h>

namespace bw {
namespace {

namespace fs = std::filesystem;

/// A recipe without what may differ between twins.
Json content(Json recipe, bool anyMix) {
    recipe.erase("name");
    recipe["export"].erase("replace");
    if (anyMix)
        for (const char* key : {"format", "rules", "pins", "sweep_run", "scale_run"})
            recipe["assignment"].erase(key);
    return recipe;
}

/// Do the texts that the run read still hold the same bytes?
bool sameTexts(const EarlierRun& run, const Recipe& recipe, JobContext& job) {
    return std::all_of(run.datasets.begin(), run.datasets.end(), [&](const DatasetRow& text) {
        return (fs::is_regular_file(text.path) || fs::is_directory(text.path)) && textDigest(text.path, textOptions(recipe), job) == text.sha256;
    });
}

std::vector<EarlierRun> twins(Workbench& bench, const Recipe& recipe, bool anyMix) {
    const std::shared_ptr<const Model> model = bench.model(recipe);
    std::vector<EarlierRun> runs = bench.log().earlierRuns(recipe.kind, model->checkpoint(), model->device());
    const Json wanted = content(recipe.toJson(), anyMix);
    // Files that the log keeps no hash of: another baseline, an importance matrix.
    if (!recipe.base.empty() || !wanted.value("importance", std::string()).empty())
        return {};
    std::erase_if(runs, [&](const EarlierRun& run) { return content(run.recipe, anyMix) != wanted; });
    return runs;
}

bool holdsItsFile(const EarlierRun& run, const std::string& path, JobContext& job) {
    for (const ArtifactRow& file : run.artifacts)
        if (file.path == path && file.state == "complete" && fs::exists(path)) {
            const auto [sha256, bytes] = hashArtifact(path, job);
            return bytes == file.bytes && sha256 == file.sha256;
        }
    return false;
}

/// Bytes of a file, or of the tensors in a folder; what an export plans.
std::uint64_t exportedBytes(const fs::path& path) {
    if (!fs::is_directory(path))
        return fs::file_size(path);
    std::uint64_t sum = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(path))
        if (entry.path().extension() == ".safetensors")
            sum += entry.file_size();
    return sum;
}

/// The run ended between giving the file its name and noting that: the name was free when it began, and what stands there
/// now came later and has the size that was planned.
bool leftItsFile(const EarlierRun& run, const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
        return false;
    std::tm begun{};
    if (strptime(run.startedAt.c_str(), "%Y-%m-%dT%H:%M:%SZ", &begun) == nullptr || info.st_mtim.tv_sec < timegm(&begun))
        return false;
    return std::any_of(run.artifacts.begin(), run.artifacts.end(), [&](const ArtifactRow& file) {
        return file.path == path && file.state == "incomplete" && file.bytes == exportedBytes(path);
    });
}

} // namespace

std::optional<RunOutcome> finishedTwin(Workbench& bench, const Recipe& recipe, JobContext& job) {
    for (const EarlierRun& run : twins(bench, recipe, false)) {
        if (run.status != runStatusName(RunStatus::done) || !run.result.is_object() || !sameTexts(run, recipe, job))
            continue;
        if (recipe.kind == "quantize" && !recipe.exporting.path.empty() && !holdsItsFile(run, recipe.exporting.path, job))
            continue;
        return RunOutcome{run.id, run.result};
    }
    return std::nullopt;
}

RunId unfinishedSweep(Workbench& bench, const Recipe& recipe, JobContext& job) {
    if (recipe.kind != "sweep")
        return RunId(0);
    for (const EarlierRun& run : twins(bench, recipe, false)) {
        const bool ended = run.status == runStatusName(RunStatus::cancelled) || run.status == runStatusName(RunStatus::interrupted) ||
                           run.status == runStatusName(RunStatus::failed);
        if (ended && sameTexts(run, recipe, job))
            return run.id;
    }
    return RunId(0);
}

bool isOwnExport(Workbench& bench, const Recipe& recipe, bool anyMix, JobContext& job) {
    const std::string& path = recipe.exporting.path;
    if (path.empty() || !fs::exists(path))
        return false;
    const std::vector<EarlierRun> runs = twins(bench, recipe, anyMix);
    return std::any_of(runs.begin(), runs.end(), [&](const EarlierRun& run) { return holdsItsFile(run, path, job) || leftItsFile(run, path); });
}

} // namespace bw
