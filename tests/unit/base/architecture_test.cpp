// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps the house's shape: includes point only downwards, core/ knows neither Qt nor Vulkan, widgets/ no kernels, and the
// top level holds exactly the folders it should.
#include <cctype>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path kRoot = BW_SOURCE;

// Which folders of core/ each folder of core/ may include (itself besides).
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"plot", {"base"}},
    {"format", {"base"}},
    {"checkpoint", {"base", "format"}},
    {"tokenizer", {"base", "checkpoint"}},
    {"compute", {"base", "format"}},
    {"model", {"base", "format", "checkpoint", "compute"}},
    {"calibrate", {"base", "format", "checkpoint", "tokenizer", "compute", "model"}},
    {"quantize", {"base", "format", "checkpoint", "compute", "model", "calibrate"}},
    {"sensitivity", {"base", "format", "checkpoint", "compute", "model", "calibrate", "quantize"}},
    {"assign", {"base"}},
    {"evaluate", {"base", "format", "checkpoint", "tokenizer", "compute", "model", "calibrate"}},
    {"diagnose", {"base", "format", "checkpoint", "compute", "model", "calibrate", "quantize", "sensitivity", "evaluate"}},
    {"experiment", {"base", "format", "checkpoint", "tokenizer", "compute", "model", "calibrate", "quantize", "sensitivity", "assign", "evaluate", "diagnose"}},
    {"report", {"base", "format", "plot", "calibrate", "quantize", "experiment"}},
};

struct Include { fs::path file; std::string target; };

/// What a line includes, or nothing: the text between the brackets or quotes behind `#include`.
std::string includedBy(const std::string& line) {
    const auto hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') return {};
    const auto word = line.find_first_not_of(" \t", hash + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) return {};
    const auto open = line.find_first_of("<\"", word);
    const auto close = open == std::string::npos ? open : line.find_first_of(">\"", open + 1);
    return close == std::string::npos ? std::string() : line.substr(open + 1, close - open - 1);
}

std::vector<Include> includesUnder(const std::string& folder) {
    std::vector<Include> found;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
        const auto ext = entry.path().extension();
        if (ext != ".h" && ext != ".cpp") continue;
        std::ifstream in(entry.path());
        for (std::string line; std::getline(in, line);)
            if (const std::string target = includedBy(line); !target.empty()) found.push_back({fs::relative(entry.path(), kRoot), target});
    }
    return found;
}

std::string secondPart(const std::string& path) {
    const auto a = path.find('/');
    const auto b = path.find('/', a + 1);
    return path.substr(a + 1, b - a - 1);
}

} // namespace

TEST(Architecture, CoreIncludesPointDownwards) {
    int seen = 0;
    for (const auto& [file, target] : includesUnder("core")) {
        if (target.rfind("core/", 0) != 0) {
            EXPECT_TRUE(target.rfind("gpu/", 0) != 0 && target.rfind("widgets/", 0) != 0 && target.rfind("app/", 0) != 0) << file << " includes " << target;
            continue;
        }
        ++seen;
        const std::string from = secondPart(file.generic_string());
        const std::string to = secondPart(target);
        ASSERT_TRUE(kMayInclude.contains(from)) << file;
        EXPECT_TRUE(from == to || kMayInclude.at(from).contains(to)) << file << " includes " << target;
    }
    EXPECT_GT(seen, 50);
}

TEST(Architecture, CoreKnowsNoQtAndNoVulkan) {
    for (const auto& [file, target] : includesUnder("core")) {
        const bool qt = target.size() > 1 && target[0] == 'Q' && (std::isupper(static_cast<unsigned char>(target[1])) != 0 || target[1] == 't');
        EXPECT_FALSE(qt || target.rfind("qcustomplot", 0) == 0 || target.rfind("vulkan", 0) == 0) << file << " includes " << target;
    }
}

TEST(Architecture, WidgetsReachNoKernelAndNoDevice) {
    // Words of the recipe: what a rule is, what the named mixes are called. Nothing there rounds a weight.
    const std::set<std::string> words{"core/quantize/assignment.h", "core/quantize/presets.h"};
    for (const auto& [file, target] : includesUnder("widgets")) {
        if (words.contains(target)) continue;
        for (const char* closed : {"gpu/", "core/compute/", "core/quantize/", "app/"})
            EXPECT_FALSE(target.starts_with(closed)) << file << " includes " << target;
    }
}

TEST(Architecture, GpuKnowsOnlyTheDeviceInterfaceAndBase) {
    for (const auto& [file, target] : includesUnder("gpu"))
        if (target.rfind("core/", 0) == 0) {
            EXPECT_TRUE(target.rfind("core/compute/", 0) == 0 || target.rfind("core/base/", 0) == 0) << file << " includes " << target;
        }
}

TEST(Architecture, TopLevelFoldersAreTheAgreedOnes) {
    const std::set<std::string> agreed{"app", "core", "gpu", "widgets", "resources", "tests", "packaging"};
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(kRoot))
        if (const std::string name = entry.path().filename(); entry.is_directory() && name[0] != '.' && name != "build") found.insert(name);
    EXPECT_EQ(agreed, found);
}
