// SPDX-License-Identifier: GPL-3.0-or-later
// Exports on a failing disk: whatever call fails, nothing stands under the final name, nothing temporary stays, the
// inputs are unchanged; and silent corruption is found by the audit.
#include "tests/unit/quantize/demo_model.h"

#include "core/base/hash.h"
#include "core/base/io_ops.h"
#include "core/base/text.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <fstream>
#include <sstream>

namespace bw {
namespace {

using test::asPlanned;
using test::codeOf;
using test::demoModel;
using test::quantize;
using test::someWindows;

/// Fails the k-th call that changes the disk (1 = first), or flips one bit in the k-th write.
class FaultyIo final : public IoOps {
public:
    enum class Fault { fail, flip };
    FaultyIo(Fault fault, int k, int error) : fault_(fault), k_(k), error_(error) { setIoOps(this); }
    ~FaultyIo() override { setIoOps(nullptr); }
    FaultyIo(const FaultyIo&) = delete;
    FaultyIo& operator=(const FaultyIo&) = delete;

    int openForWrite(const std::string& path) override { return hit() ? -1 : IoOps::openForWrite(path); }
    ssize_t write(int fd, const void* data, std::size_t size) override {
        return flips(data, size) ? IoOps::write(fd, copy_.data(), size) : hit() ? -1 : IoOps::write(fd, data, size);
    }
    ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) override {
        return flips(data, size) ? IoOps::pwrite(fd, copy_.data(), size, offset) : hit() ? -1 : IoOps::pwrite(fd, data, size, offset);
    }
    int fsync(int fd) override { return hit() ? -1 : IoOps::fsync(fd); }
    int rename(const std::string& from, const std::string& to) override { return hit() ? -1 : IoOps::rename(from, to); }
    bool reached() const { return reached_; }
    int calls() const { return calls_; }

private:
    bool hit() {
        if (fault_ != Fault::fail || ++calls_ != k_) return false;
        errno = error_;
        return reached_ = true;
    }
    /// Small writes are headers and copied text files; the flip goes into tensor bytes.
    bool flips(const void* data, std::size_t size) {
        if (fault_ != Fault::flip || size < 20000 || ++calls_ != k_) return false;
        copy_.assign(static_cast<const char*>(data), size);
        copy_[size / 2] = static_cast<char>(copy_[size / 2] ^ 0x10);
        return reached_ = true;
    }
    Fault fault_;
    int k_, error_, calls_ = 0;
    bool reached_ = false;
    std::string copy_;
};

/// A disk with so many bytes left.
class SmallDisk final : public IoOps {
public:
    explicit SmallDisk(std::int64_t free) : free_(free) { setIoOps(this); }
    ~SmallDisk() override { setIoOps(nullptr); }
    std::int64_t freeBytes(const std::string&) override { return free_; }

private:
    std::int64_t free_;
};

std::string demoHash() {
    std::string all;
    for (const auto& entry : test::fs::directory_iterator(test::kDemo)) {
        std::ifstream in(entry.path(), std::ios::binary);
        std::stringstream text;
        text << in.rdbuf();
        all += entry.path().filename().string() + sha256Hex(text.str());
    }
    return all;
}

struct Case {
    const char *format, *name;
    std::uint64_t partBytes = 0; ///< 0 = one file
    const char* layout = "";
    friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.format << " → " << c.name; }
};

class ExportFaults : public testing::TestWithParam<Case> {
protected:
    void SetUp() override {
        formats = resolveFormats(demoModel(), GetParam().format, "", {});
        plan = planned();
        names = {GetParam().name};
        if (plan.files.size() > 1) {
            names.clear();
            for (const PlannedFile& file : plan.files) names.push_back(test::fs::path(file.path).filename().string());
            ASSERT_GE(names.size(), 3u);
        }
        quantized = quantize(demoModel(), asPlanned(formats, plan));
    }
    ExportPlan planned() const { return planExport(demoModel(), formats, folder / GetParam().name, true, {GetParam().partBytes, -1, GetParam().layout}); }
    void removeResult() const {
        for (const std::string& name : names) test::fs::remove_all(folder / name);
    }
    AuditReport run() {
        JobContext job;
        return exportModel(demoModel(), *quantized, plan, true, {}, job);
    }
    /// Which calls to fail: the first and last dozen (creation, headers; flushes, renames) and every ninth between, where
    /// one tensor's bytes are like another's.
    std::vector<int> callsToFail() {
        int total = 0;
        {
            FaultyIo io(FaultyIo::Fault::fail, 0, 0); // counts only
            run();
            total = io.calls();
        }
        std::vector<int> some;
        for (int k = 1; k <= total; ++k)
            if (k <= 12 || k > total - 12 || k % 9 == 0) some.push_back(k);
        return some;
    }
    test::TempFolder folder;
    std::vector<SiteFormat> formats;
    ExportPlan plan;
    std::vector<std::string> names; ///< in the folder after a whole export
    std::shared_ptr<QuantizedModel> quantized;
};

TEST_P(ExportFaults, failingCallsLeaveNothingBehind) {
    const std::string before = demoHash();
    const std::vector<int> calls = callsToFail();
    EXPECT_GE(calls.size(), 6u);
    removeResult();
    std::size_t harmless = 0;
    for (const int k : calls) {
        ErrorCode code = ErrorCode::internal;
        {
            FaultyIo io(FaultyIo::Fault::fail, k, k % 2 ? ENOSPC : EIO);
            code = codeOf([&] { run(); });
            EXPECT_TRUE(io.reached()) << k;
        }
        if (code == ErrorCode::internal) { // no error: the call was an fsync of a folder, which not every file system offers
            EXPECT_EQ(folder.names(), names) << k;
            EXPECT_EQ(Checkpoint::open(plan.path)->parameters(), demoModel().checkpoint().parameters());
            removeResult();
            ++harmless;
            continue;
        }
        EXPECT_TRUE(code == ErrorCode::diskFull || code == ErrorCode::writeFailed) << k << " " << errorCodeName(code);
        EXPECT_TRUE(folder.names().empty()) << "call " << k << " left " << folder.names().front();
    }
    EXPECT_LE(harmless, 8u); // the copied files' folder and the target's, or the folders of the parts
    EXPECT_EQ(demoHash(), before);
}

TEST_P(ExportFaults, failedReplacementKeepsTheOldResult) {
    const std::vector<int> calls = callsToFail();
    const std::uint64_t bytes = Checkpoint::open(plan.path)->totalBytes();
    for (const int k : calls) {
        if (k > 4 && k + 4 < calls.back()) continue; // the calls between differ in nothing from those of the test above
        FaultyIo io(FaultyIo::Fault::fail, k, EIO);
        codeOf([&] { run(); });
        ASSERT_EQ(folder.names(), names) << k;
        ASSERT_EQ(Checkpoint::open(plan.path)->totalBytes(), bytes) << k;
    }
}

TEST_P(ExportFaults, flippedBitFailsTheAudit) {
    for (const int k : {1, 2, 3}) { // header or codes, copied tokenizer file, codes
        std::string line;
        {
            FaultyIo io(FaultyIo::Fault::flip, k, 0);
            EXPECT_EQ(codeOf([&] { run(); }, &line), ErrorCode::auditFailed) << k;
            EXPECT_TRUE(io.reached());
        }
        EXPECT_THAT(line, testing::HasSubstr("not what was planned"));
        EXPECT_EQ(folder.names(), std::vector<std::string>{std::string(GetParam().name) + ".failed-audit"});
    }
}

TEST_P(ExportFaults, knownLackOfSpaceIsRefusedBeforeAnyWork) {
    const auto needed = static_cast<std::int64_t>(plan.fileBytes);
    {
        const SmallDisk disk(needed - 1);
        std::string line;
        EXPECT_EQ(codeOf([&] { planned(); }, &line), ErrorCode::diskFull);
        EXPECT_THAT(line, testing::HasSubstr(formatBytes(plan.fileBytes)));
        // One that plans elsewhere and writes here is refused by the writer itself.
        EXPECT_EQ(codeOf([&] { run(); }), ErrorCode::diskFull);
        EXPECT_TRUE(folder.names().empty());
    }
    {
        const SmallDisk disk(needed);
        EXPECT_EQ(planned().diskFree, plan.fileBytes);
    }
    const SmallDisk unknown(-1); // the file system does not say: no reason to refuse
    EXPECT_NO_THROW(planned());
}

TEST_P(ExportFaults, cancelledExportLeavesNothing) {
    JobContext job;
    job.requestStop();
    EXPECT_EQ(codeOf([&] { exportModel(demoModel(), *quantized, plan, true, someWindows(2048), job); }), ErrorCode::cancelled);
    EXPECT_TRUE(folder.names().empty());
}

INSTANTIATE_TEST_SUITE_P(Containers, ExportFaults, testing::Values(Case{"q4_0", "out.gguf"}, Case{"int4:g64", "out"}, Case{"q4_0", "out.gguf", 700'000}, Case{"nf4:dq", "shards", 2'000'000, "bnb"}, Case{"fp8_e4m3:block128", "fp8", 0, "fp8"}),
                         [](const auto& test) { return test.param.layout[0] ? test.param.layout : test.param.partBytes > 0 ? "parts" : test.param.name == std::string("out") ? "folder" : "gguf"; });

} // namespace
} // namespace bw
