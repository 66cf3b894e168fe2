// SPDX-License-Identifier: GPL-3.0-or-later
// GPUs from the command line: none, one that is not there, one that two processes work on.
#include "tests/cli/command.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace bw::test {
namespace {

using Json = nlohmann::json;

Json parsed(const CommandResult& result) {
    const Json json = Json::parse(result.out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << result.out << result.err;
    return json;
}

bool hasGpu(const Shell& shell) { return parsed(shell.run("bitwright-cli devices --json")).at("devices").size() > 1; }

constexpr const char* kEval = "bitwright-cli eval {demo} --text {texts}/eval_prose.txt --protocol windows:32 --tokens 96 --json ";

double nllOf(const CommandResult& result) {
    EXPECT_EQ(result.exitCode, 0) << result.err;
    const Json json = parsed(result);
    return json.contains("nll") ? json.at("nll").get<double>() : -1;
}

TEST(Gpu, WithoutADriverTheReasonIsGivenAndTheProcessorWorks) {
    const Shell shell;
    const std::string hidden = "env VK_ICD_FILENAMES=/nonexistent.json VK_DRIVER_FILES=/nonexistent.json ";
    const Json devices = parsed(shell.run(hidden + "bitwright-cli devices --json"));
    EXPECT_EQ(devices.at("devices").size(), 1u);
    EXPECT_NE(devices.at("why_no_gpu").get<std::string>(), "");
    const CommandResult insisted = shell.run(hidden + kEval + "--device vulkan:0 --log {tmp}/a.db");
    EXPECT_EQ(insisted.exitCode, 1);
    EXPECT_EQ(parsed(insisted).at("error").at("code"), "deviceUnavailable");
    EXPECT_EQ(nllOf(shell.run(hidden + kEval + "--device auto --log {tmp}/b.db")), nllOf(shell.run(std::string(kEval) + "--device cpu --log {tmp}/c.db")));
}

TEST(Gpu, ADeviceThatIsNotThereIsNamed) {
    const Shell shell;
    if (!hasGpu(shell)) GTEST_SKIP() << "no Vulkan device";
    const CommandResult result = shell.run(std::string(kEval) + "--device vulkan:9 --log {tmp}/a.db");
    EXPECT_EQ(result.exitCode, 1);
    const Json error = parsed(result).at("error");
    EXPECT_EQ(error.at("code"), "deviceUnavailable");
    EXPECT_NE(error.at("message").get<std::string>().find("vulkan:9"), std::string::npos);
    EXPECT_NE(error.at("hint").get<std::string>().find("--device cpu"), std::string::npos);
}

/// Both at once, each with its own queues and memory, and with one shader cache between them.
TEST(Gpu, TwoProcessesWorkOnOneDevice) {
    const Shell shell;
    if (!hasGpu(shell)) GTEST_SKIP() << "no Vulkan device";
    const pid_t first = shell.start(std::string(kEval) + "--device vulkan:0 --log {tmp}/a.db", "first");
    const pid_t second = shell.start(std::string(kEval) + "--device vulkan:0 --log {tmp}/b.db", "second");
    const double a = nllOf(shell.wait(first, "first")), b = nllOf(shell.wait(second, "second"));
    EXPECT_EQ(a, b);
    EXPECT_NEAR(a, nllOf(shell.run(std::string(kEval) + "--device cpu --log {tmp}/c.db")), 1e-4);
}

} // namespace
} // namespace bw::test
