// SPDX-License-Identifier: GPL-3.0-or-later
// Connections of the experiment log.
#include "core/experiment/database.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCorruptHint =
    "'bitwright-cli runs salvage --log FILE' keeps a copy and saves what is readable; or start anew with --log NEW.db";

void makeFolder(const std::string& path) {
    const fs::path folder = fs::path(path).parent_path();
    std::error_code failure;
    if (!folder.empty())
        fs::create_directories(folder, failure);
    if (failure)
        throw Error(ErrorCode::permissionDenied,
                    "the folder '" + folder.string() + "' for the log can't be made: " + failure.message(),
                    "name a log in a folder you may write to with --log FILE");
}

void refuseOddFiles(const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
        throw Error(ErrorCode::notRegularFile, "the log '" + path + "' is no regular file", "name a file with --log FILE");
}

std::string uriOf(const std::string& path, const char* query) {
    std::string out = "file:";
    for (const char c : path) {
        // The characters that mean something in a URI; '%' itself included.
        if (c == '%' || c == '?' || c == '#' || c == ' ') {
            constexpr char kHex[] = "0123456789ABCDEF";
            const auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else {
            out += c;
        }
    }
    return out + query;
}

/// Shared memory, which WAL needs, is not shared between machines: on a network file system the rollback journal is used.
bool isOnNetwork(const std::string& path) {
    struct statfs info {};
    const fs::path folder = fs::path(path).parent_path();
    if (statfs(folder.empty() ? "." : folder.c_str(), &info) != 0)
        return false;
    // NFS, SMB1, CIFS, SMB2, 9p, Ceph, AFS, Lustre, GPFS; the magic numbers of statfs(2) and the file systems' sources.
    constexpr std::array<std::uint32_t, 9> kNetworks{0x6969, 0x517B, 0xFF534D42, 0xFE534D42, 0x01021997, 0x00C36400, 0x5346414F, 0x0BD00BD0, 0x47504653};
    return std::find(kNetworks.begin(), kNetworks.end(), static_cast<std::uint32_t>(info.f_type)) != kNetworks.end();
}

std::atomic<int> busyMilliseconds{kBusyMilliseconds};

/// The first statement that touches the file: header and schema are read here, so damage shows at once.
void touch(SQLite::Database& database) { database.execAndGet("SELECT count(*) FROM sqlite_schema"); }

bool isAccessFailure(const SQLite::Exception& failure) {
    const int code = failure.getErrorCode() & 0xff;
    return code == SQLITE_CANTOPEN || code == SQLITE_READONLY || code == SQLITE_PERM;
}

} // namespace

void setLogPatience(int milliseconds) { busyMilliseconds = milliseconds; }

std::unique_ptr<SQLite::Database> openLogForWriting(const std::string& path) {
    makeFolder(path);
    refuseOddFiles(path);
    return guarded(path, [&] {
        auto database = std::make_unique<SQLite::Database>(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, busyMilliseconds);
        if (sqlite3_db_readonly(database->getHandle(), "main") == 1)
            throw Error(ErrorCode::permissionDenied, "the log '" + path + "' can only be read",
                        "name another with --log FILE; 'bitwright-cli runs list' still reads this one");
        touch(*database);
        // Answers with the mode it got: on file systems without shared memory it stays with the rollback journal, which is fine.
        database->execAndGet(isOnNetwork(path) ? "PRAGMA journal_mode = DELETE" : "PRAGMA journal_mode = WAL");
        // With WAL a killed process loses nothing; a power cut may lose the last transactions, never consistency.
        database->exec("PRAGMA synchronous = NORMAL");
        database->exec("PRAGMA foreign_keys = ON");
        return database;
    });
}

std::unique_ptr<SQLite::Database> openLogForReading(const std::string& path) {
    refuseOddFiles(path);
    if (!fs::exists(path))
        throw Error(ErrorCode::fileNotFound, "there is no log '" + path + "'", "run something first, or name another log with --log FILE");
    return guarded(path, [&] {
        try {
            auto database = std::make_unique<SQLite::Database>(path, SQLite::OPEN_READONLY, busyMilliseconds);
            touch(*database);
            return database;
        } catch (const SQLite::Exception& failure) {
            if (!isAccessFailure(failure) || access(path.c_str(), R_OK) != 0)
                throw;
        }
        auto database = std::make_unique<SQLite::Database>(uriOf(path, "?immutable=1"), SQLite::OPEN_READONLY | SQLite::OPEN_URI,
                                                           busyMilliseconds);
        touch(*database);
        return database;
    });
}

void throwLogError(const SQLite::Exception& failure, const std::string& path) {
    const std::string text = "the log '" + path + "': " + failure.what();
    switch (failure.getErrorCode() & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        throw Error(ErrorCode::logCorrupt, text, kCorruptHint);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        throw Error(ErrorCode::logBusy, text, "another program holds it; close that one or wait, then try again");
    case SQLITE_FULL:
        throw Error(ErrorCode::diskFull, text, "make room on its disk; what was committed before is safe");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        throw Error(ErrorCode::permissionDenied, text, "check the rights of the file and its folder, or name another with --log FILE");
    case SQLITE_IOERR:
        throw Error(ErrorCode::writeFailed, text, "check the disk (and its quota); what was committed before is safe");
    case SQLITE_NOMEM:
        throw Error(ErrorCode::outOfMemory, text);
    default:
        throw Error(ErrorCode::internal, text, "please report this with the command line");
    }
}

} // namespace bw
