// SPDX-License-Identifier: GPL-3.0-or-later
// The tiny checkpoint of every model family in tests/data/families.
#pragma once

#include "core/compute/cpu_device.h"
#include "core/model/model.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace bw::test {

inline std::filesystem::path familyPath(const std::string& name) { return std::filesystem::path(BW_TEST_DATA) / "families" / name; }

/// Names of the folders, sorted.
inline std::vector<std::string> familyNames() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(familyPath({})))
        if (entry.is_directory()) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

inline std::shared_ptr<const Model> openFamily(const std::string& name, std::shared_ptr<Device> device = makeCpuDevice()) {
    return Model::open(Checkpoint::open(familyPath(name).string()), std::move(device));
}

} // namespace bw::test
