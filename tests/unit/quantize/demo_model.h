// SPDX-License-Identifier: GPL-3.0-or-later
// The embedded demo model, a temporary folder, and short windows, for tests of core/quantize.
#pragma once

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/compute/cpu_device.h"
#include "core/quantize/export.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <unistd.h>

namespace bw::test {

namespace fs = std::filesystem;

inline const std::string kDemo = std::string(BW_RESOURCES) + "/demo";

inline std::shared_ptr<const Model> openModel(const std::string& path) {
    return Model::open(Checkpoint::open(path), std::shared_ptr<Device>(makeCpuDevice()));
}
inline const Model& demoModel() {
    static const std::shared_ptr<const Model> model = openModel(kDemo);
    return *model;
}

class TempFolder {
public:
    TempFolder() : path_(fs::temp_directory_path() / ("bw-quantize-" + std::to_string(::getpid()) + "-" + std::to_string(next()++))) {
        fs::create_directories(path_);
    }
    ~TempFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& entry : fs::directory_iterator(path_)) all.push_back(entry.path().filename().string());
        std::sort(all.begin(), all.end());
        return all;
    }

private:
    static int& next() {
        static int counter = 0;
        return counter;
    }
    fs::path path_;
};

inline Windows someWindows(std::int64_t vocabulary) {
    Windows w;
    w.count = 2;
    w.length = 24;
    Random random(5);
    for (int i = 0; i < 48; ++i) w.ids.push_back(static_cast<TokenId>(random.below(static_cast<std::uint64_t>(vocabulary))));
    return w;
}

/// Formats as the plan has them: what a container can't hold is replaced, as a run does it.
inline std::vector<SiteFormat> asPlanned(std::vector<SiteFormat> formats, const ExportPlan& plan) {
    for (SiteFormat& f : formats)
        for (const PlannedTensor& t : plan.tensors)
            if (t.site == f.site && f.used) f.used = parseFormat(t.used);
    return formats;
}

inline std::shared_ptr<QuantizedModel> quantize(const Model& model, const std::vector<SiteFormat>& formats) {
    JobContext job;
    return QuantizedModel::build(model, formats, {}, {false, false}, job);
}

inline ErrorCode codeOf(const std::function<void()>& call, std::string* line = nullptr) {
    try {
        call();
    } catch (const Error& e) {
        if (line) *line = e.oneLine();
        return e.code();
    }
    return ErrorCode::internal;
}

} // namespace bw::test
