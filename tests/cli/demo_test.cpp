// SPDX-License-Identifier: GPL-3.0-or-later
// The demo job from end to end, as a newcomer starts it: its figures, its file, its log, its report.
#include "app/cli/mix_report.h"
#include "app/cli/output.h"
#include "tests/cli/command.h"

#include <gtest/gtest.h>
#include <sstream>

namespace bw::test {
namespace {

using Json = nlohmann::json;

TEST(Demo, IsWholeAndBetterThanUniform) {
    const Shell shell;
    const CommandResult demo = shell.run("bitwright-cli demo --json --out {tmp}/demo --log {tmp}/log.db");
    ASSERT_EQ(demo.exitCode, 0) << demo.err << demo.out;
    const Json r = Json::parse(demo.out);

    EXPECT_TRUE(r.at("audit").at("ok").get<bool>());
    EXPECT_EQ(std::filesystem::file_size(shell.file("demo/demo-mix.gguf")), r.at("bytes").get<std::uint64_t>());
    EXPECT_LE(r.at("bits_per_weight").get<double>(), 4.5);
    int rivals = 0;
    for (const Json& uniform : r.at("uniform")) {
        if (uniform.at("bytes").get<std::uint64_t>() < r.at("bytes").get<std::uint64_t>())
            continue;
        ++rivals;
        // The margin is many standard errors (0.0077 ± 0.0002 against 0.0119 ± 0.0002 when this was written).
        EXPECT_LT(r.at("measured_kl").get<double>() + 3 * r.at("measured_se").get<double>(), uniform.at("kl").get<double>()) << uniform.dump();
    }
    EXPECT_GE(rivals, 2);
    // The sum of single-site damages foretells the whole; factor 1.5 is far wider than what is seen (1.01).
    EXPECT_GT(r.at("predicted_kl").get<double>(), r.at("measured_kl").get<double>() / 1.5);
    EXPECT_LT(r.at("predicted_kl").get<double>(), r.at("measured_kl").get<double>() * 1.5);

    const CommandResult list = shell.run("bitwright-cli runs list --json --log {tmp}/log.db");
    for (const Json& run : Json::parse(list.out).at("runs"))
        EXPECT_EQ(run.at("status"), "done") << run.at("id");
    const CommandResult text = shell.run("bitwright-cli generate {tmp}/demo/demo-mix.gguf --prompt 'The sea' --max 3 --json --log {tmp}/log.db");
    EXPECT_EQ(text.exitCode, 0) << text.err;

    std::istringstream report(cli::mixReport(r, "the demo model", shell.file("log.db")));
    int lines = 0;
    for (std::string line; std::getline(report, line); ++lines)
        if (line.find(shell.folder().path().string()) == std::string::npos) { // a path is as long as it is
            EXPECT_LE(cli::displayColumns(line), cli::kReportColumns) << line;
        }
    EXPECT_GT(lines, 25);
}

} // namespace
} // namespace bw::test
