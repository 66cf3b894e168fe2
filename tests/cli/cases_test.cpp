// SPDX-License-Identifier: GPL-3.0-or-later
// Plays the scenes of cases/*.txt. A scene is a list of commands that share a folder, each followed by what must hold:
//   $ COMMAND            run by bash; {demo} {texts} {tmp} are replaced
//   exit N               exit code (0 when not given)
//   out TEXT, err TEXT   must stand in stdout, stderr;  out! TEXT, err! TEXT  must not
//   json                 stdout is one JSON object, and nothing else
//   json /a/b = VALUE    … with this value there;  json /a/b  … with anything but null there
//   file NAME            a file of the scene's folder is there;  nofile NAME  is not
#include "tests/cli/command.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace bw::test {
namespace {

using Json = nlohmann::json;

std::vector<std::string> sceneNames() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(BW_CASES))
        if (entry.path().extension() == ".txt")
            names.push_back(entry.path().stem().string());
    std::sort(names.begin(), names.end());
    return names;
}

/// Splits off the first word.
std::string takeWord(std::string& line) {
    const std::size_t space = line.find(' ');
    const std::string word = line.substr(0, space);
    line = space == std::string::npos ? "" : line.substr(space + 1);
    return word;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class Scene : public testing::TestWithParam<std::string> {
protected:
    void play();

private:
    void check(const std::string& word, const std::string& rest);
    void checkJson(const std::string& rest);
    void finishCommand();
    Shell shell_;
    CommandResult result_;
    std::string command_;
    int expectedExit_ = 0;
};

void Scene::checkJson(const std::string& rest) {
    const Json json = Json::parse(result_.out, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << "stdout is no JSON: " << result_.out.substr(0, 500);
    ASSERT_TRUE(json.is_object());
    ASSERT_EQ(std::count(result_.out.begin(), result_.out.end(), '\n'), 1) << "more than one line on stdout";
    if (rest.empty())
        return;
    const std::size_t equals = rest.find(" = ");
    const Json::json_pointer pointer(rest.substr(0, equals));
    ASSERT_TRUE(json.contains(pointer)) << pointer.to_string() << " in " << result_.out.substr(0, 1000);
    if (equals == std::string::npos) {
        EXPECT_FALSE(json.at(pointer).is_null()) << pointer.to_string();
        return;
    }
    EXPECT_EQ(json.at(pointer), Json::parse(shell_.expand(rest.substr(equals + 3)))) << pointer.to_string();
}

void Scene::check(const std::string& word, const std::string& rest) {
    const std::string text = shell_.expand(rest);
    const bool inOut = contains(result_.out, text), inErr = contains(result_.err, text), isThere = std::filesystem::exists(shell_.file(rest));
    const std::string printed = text + "\nstdout: " + result_.out + "\nstderr: " + result_.err;
    if (word == "exit") {
        expectedExit_ = std::stoi(rest);
    } else if (word == "out" || word == "out!") {
        EXPECT_EQ(inOut, word == "out") << printed;
    } else if (word == "err" || word == "err!") {
        EXPECT_EQ(inErr, word == "err") << printed;
    } else if (word == "file" || word == "nofile") {
        EXPECT_EQ(isThere, word == "file") << rest;
    } else if (word == "json") {
        checkJson(rest);
    } else {
        FAIL() << "the scene has a line that is not understood: " << word;
    }
}

void Scene::finishCommand() {
    if (!command_.empty()) {
        EXPECT_EQ(result_.exitCode, expectedExit_) << "$ " << command_ << "\nstdout: " << result_.out << "\nstderr: " << result_.err;
    }
    expectedExit_ = 0;
}

void Scene::play() {
    std::istringstream lines(readWhole(std::string(BW_CASES) + "/" + GetParam() + ".txt"));
    int commands = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line.front() == '#')
            continue;
        const std::string word = takeWord(line);
        if (word != "$") {
            SCOPED_TRACE("$ " + command_);
            check(word, line);
            continue;
        }
        finishCommand();
        command_ = line;
        result_ = shell_.run(line);
        ++commands;
    }
    finishCommand();
    EXPECT_GT(commands, 0);
}

TEST_P(Scene, Holds) { play(); }

INSTANTIATE_TEST_SUITE_P(Cli, Scene, testing::ValuesIn(sceneNames()), [](const auto& scene) { return scene.param; });

} // namespace
} // namespace bw::test
