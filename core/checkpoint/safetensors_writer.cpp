// SPDX-License-Identifier: GPL-3.0-or-later
// A safetensors folder under a temporary name: shards with their headers written first, tensors put at their places as
// they come, the other files copied, then one rename. Inside a shard wide types come first, so that every tensor is
// aligned to its element; callers may stream in any order.
#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/io_ops.h"
#include "core/base/job.h"
#include "core/base/text.h"
#include "core/checkpoint/folder_files.h"
#include "core/checkpoint/temporary_folder.h"
#include "core/checkpoint/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <unistd.h>
#include <unordered_set>

namespace bw {
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kCopyLimit = 1ull << 30; ///< larger "other" files are surely weights of some kind

/// One output file written at chosen offsets. The folder's rename makes it visible, so it needs no name of its own.
class ShardFile {
public:
    ShardFile(std::string path, std::uint64_t bytes) : path_(std::move(path)), fd_(ioOps().openForWrite(path_)) {
        if (fd_ < 0) throwWriteError("create " + escapeForDisplay(path_), errno);
        if (bytes > 0 && ioOps().fallocate(fd_, static_cast<off_t>(bytes)) != 0 && (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)) {
            const int err = errno;
            close();
            throwWriteError("reserve " + formatBytes(bytes) + " for " + escapeForDisplay(path_), err);
        }
    }
    ~ShardFile() { close(); }
    ShardFile(const ShardFile&) = delete;
    ShardFile& operator=(const ShardFile&) = delete;

    void writeAt(std::uint64_t offset, std::span<const std::byte> data) {
        constexpr std::size_t kPiece = 4 << 20; // a few ms between two looks for a stop
        while (!data.empty()) {
            if (JobContext* const job = JobScope::current()) job->throwIfStopped();
            const ssize_t n = ioOps().pwrite(fd_, data.data(), std::min(data.size(), kPiece), static_cast<off_t>(offset));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) throwWriteError("write " + escapeForDisplay(path_), n == 0 ? EIO : errno);
            offset += static_cast<std::uint64_t>(n);
            data = data.subspan(static_cast<std::size_t>(n));
        }
    }
    void finish() {
        if (fd_ < 0) return;
        if (ioOps().fsync(fd_) != 0) throwWriteError("flush " + escapeForDisplay(path_), errno);
        close();
    }

private:
    void close() noexcept {
        if (fd_ >= 0) ioOps().close(fd_);
        fd_ = -1;
    }
    std::string path_;
    int fd_ = -1;
};

struct Placed {
    std::size_t shard = 0;
    std::uint64_t offset = 0, bytes = 0; ///< offset in the shard's file
};

std::uint64_t outputBytes(const OutputTensor& tensor) {
    std::uint64_t elements = 1;
    for (const auto dimension : tensor.shape) elements = checkedMul(elements, static_cast<std::uint64_t>(dimension), "elements of a tensor");
    return storageBytes(tensor.type, 1, elements);
}

void checkTensors(const std::vector<OutputTensor>& tensors) {
    std::unordered_set<std::string_view> names;
    for (const auto& tensor : tensors) {
        const std::string shown = "the tensor '" + escapeForDisplay(tensor.name) + "'";
        if (tensor.name.empty() || tensor.name == "__metadata__" || !isValidUtf8(tensor.name)) throw Error(ErrorCode::invalidTensor, shown + " has a name that safetensors cannot hold");
        if (!names.insert(tensor.name).second) throw Error(ErrorCode::duplicateKey, shown + " is to be written twice");
        if (tensor.type == StorageType::unknown || storageTypeInfo(tensor.type).safetensors.empty())
            throw Error(ErrorCode::invalidTensor, shown + " has the type " + std::string(storageTypeInfo(tensor.type).fileName) + ", which safetensors cannot hold");
        for (const auto dimension : tensor.shape)
            if (dimension < 0) throw Error(ErrorCode::invalidTensor, shown + " has a negative dimension");
    }
}

/// Members of each shard in streaming order: a shard ends before it would grow past the limit.
std::vector<std::vector<std::size_t>> divide(const std::vector<OutputTensor>& tensors, std::uint64_t shardBytes) {
    std::vector<std::vector<std::size_t>> shards(1);
    std::uint64_t filled = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const std::uint64_t bytes = outputBytes(tensors[i]);
        if (!shards.back().empty() && (filled > shardBytes || bytes > shardBytes - filled)) {
            shards.emplace_back();
            filled = 0;
        }
        shards.back().push_back(i);
        filled += bytes;
    }
    return shards;
}

/// Where a shard's tensors stand in its file: wide elements first, so that all are aligned, then by name.
std::vector<std::size_t> fileOrder(const std::vector<OutputTensor>& tensors, std::vector<std::size_t> members) {
    std::sort(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
        const int widthA = storageTypeInfo(tensors[a].type).blockBytes, widthB = storageTypeInfo(tensors[b].type).blockBytes;
        return widthA != widthB ? widthA > widthB : tensors[a].name < tensors[b].name;
    });
    return members;
}

/// Length field and JSON of one shard; spaces fill it up so that data begin at a multiple of 8.
std::string shardHeader(const std::vector<OutputTensor>& tensors, const std::vector<std::size_t>& order, std::vector<Placed>& places) {
    std::string json = R"({"__metadata__":{"format":"pt"})";
    std::uint64_t offset = 0;
    for (const std::size_t i : order) {
        const std::uint64_t end = checkedAdd(offset, places[i].bytes, "shard size");
        const Json entry = {{"dtype", std::string(storageTypeInfo(tensors[i].type).safetensors)}, {"shape", tensors[i].shape}, {"data_offsets", {offset, end}}};
        json += "," + Json(tensors[i].name).dump() + ":" + entry.dump();
        places[i].offset = offset;
        offset = end;
    }
    json += "}";
    json.resize((json.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = json.size();
    std::string header(8, '\0');
    std::memcpy(header.data(), &length, 8);
    header += json;
    for (const std::size_t i : order) places[i].offset += header.size();
    return header;
}

bool isWeightName(const std::string& name) {
    for (const char* suffix : {".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".pkl", ".gguf", ".h5", ".msgpack", ".onnx", ".index"})
        if (name.ends_with(suffix)) return true;
    return false;
}

/// A folder may only be replaced when everything in it looks like a checkpoint's.
bool looksLikeCheckpoint(const fs::path& folder) {
    bool config = false;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        if (it->is_directory(error)) return false;
        config = config || it->path().filename() == "config.json";
    }
    return !error && config;
}

} // namespace

struct SafetensorsFolderWriter::Impl {
    std::string target;
    std::optional<TemporaryFolder> temporary;
    AtomicFile::Replace replace = AtomicFile::Replace::no;
    std::vector<OutputTensor> tensors;
    std::vector<Placed> places;
    std::vector<std::unique_ptr<ShardFile>> shards;
    std::vector<std::size_t> left; ///< tensors still to come, per shard
    std::uint64_t totalBytes = 0;
    std::size_t next = 0;
    bool finished = false;

    void checkTarget(const Checkpoint& source) const {
        std::error_code error;
        const auto real = [&](const std::string& path) { return fs::weakly_canonical(path, error); };
        if (!source.folder().empty() && real(target) == real(source.folder()))
            throw Error(ErrorCode::targetIsSource, escapeForDisplay(target) + " is the folder that is read from", "Choose another output folder.");
        for (const auto& file : source.files())
            if (real(target) == real(file.path()).parent_path()) throw Error(ErrorCode::targetIsSource, escapeForDisplay(target) + " holds the file that is read from", "Choose another output folder.");
        if (fs::symlink_status(target, error).type() == fs::file_type::not_found) return;
        if (replace == AtomicFile::Replace::no)
            throw Error(ErrorCode::targetExists, escapeForDisplay(target) + " is there already", "Choose another name or ask for it to be replaced.");
        if (!fs::is_directory(fs::symlink_status(target, error)) || !(fs::is_empty(target, error) || looksLikeCheckpoint(target)))
            throw Error(ErrorCode::targetExists, escapeForDisplay(target) + " is no checkpoint folder and is not replaced", "Remove it yourself or choose another name.");
    }

    void openShards(std::uint64_t shardBytes) {
        const auto members = divide(tensors, shardBytes);
        std::vector<std::string> headers, names;
        for (std::size_t s = 0; s < members.size(); ++s) {
            const auto order = fileOrder(tensors, members[s]);
            headers.push_back(shardHeader(tensors, order, places));
            names.push_back(members.size() == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", s + 1, members.size()));
            left.push_back(order.size());
            for (const std::size_t i : order) places[i].shard = s;
            totalBytes = checkedAdd(totalBytes, headers.back().size(), "size of the output");
        }
        for (const auto& place : places) totalBytes = checkedAdd(totalBytes, place.bytes, "size of the output");
        requireSpace(temporary->path(), totalBytes, target);
        for (std::size_t s = 0; s < members.size(); ++s) {
            std::uint64_t bytes = headers[s].size();
            for (const std::size_t i : members[s]) bytes += places[i].bytes;
            shards.push_back(std::make_unique<ShardFile>((fs::path(temporary->path()) / names[s]).string(), bytes));
            shards.back()->writeAt(0, std::as_bytes(std::span(headers[s])));
        }
        if (members.size() > 1) writeIndex(names);
    }

    void writeIndex(const std::vector<std::string>& names) const {
        Json map = Json::object();
        std::uint64_t bytes = 0;
        for (std::size_t i = 0; i < tensors.size(); ++i) {
            map[tensors[i].name] = names[places[i].shard];
            bytes += places[i].bytes;
        }
        const Json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", map}};
        writeFileAtomically((fs::path(temporary->path()) / "model.safetensors.index.json").string(), index.dump(2) + "\n", AtomicFile::Replace::no);
    }

    /// Tokenizer, licence, templates …: every plain file that holds no weights, byte by byte. Not what says how the source
    /// was quantized: it is not true of the output.
    void copyOthers(const std::string& folder, const std::map<std::string, std::string>& furtherFiles) const {
        if (folder.empty()) return;
        for (const auto& name : listRegularNames(folder, 100'000)) {
            if (name == "config.json" || name == "quantize_config.json" || name == "hf_quant_config.json" || isWeightName(name) || furtherFiles.contains(name)) continue;
            std::string real;
            try {
                real = resolveInside(folder, name);
            } catch (const Error&) {
                continue; // sockets, links that lead elsewhere: no part of the checkpoint
            }
            std::error_code error;
            if (const auto size = fs::file_size(real, error); error || size > kCopyLimit) continue;
            const MappedFile file(real);
            AtomicFile out((fs::path(temporary->path()) / name).string(), AtomicFile::Replace::no, file.size());
            out.write(file.bytes());
            out.commit();
        }
    }
};

SafetensorsFolderWriter::SafetensorsFolderWriter(std::string folder, const Checkpoint& source, Json config, std::vector<OutputTensor> tensors, AtomicFile::Replace replace,
                                                 std::uint64_t shardBytes, const std::map<std::string, std::string>& furtherFiles)
    : impl_(std::make_unique<Impl>()) {
    Impl& impl = *impl_;
    std::error_code error;
    fs::path target = fs::absolute(folder, error).lexically_normal();
    if (error) throw Error(ErrorCode::fileNotFound, "the folder that '" + escapeForDisplay(folder) + "' starts from is gone", "Give an absolute path.");
    if (!target.has_filename()) target = target.parent_path();
    impl.target = target.string();
    impl.replace = replace;
    impl.tensors = std::move(tensors);
    checkTensors(impl.tensors);
    for (const auto& tensor : impl.tensors) impl.places.push_back({0, 0, outputBytes(tensor)});
    impl.checkTarget(source);
    impl.temporary.emplace(impl.target);
    impl.openShards(shardBytes);
    writeFileAtomically((fs::path(impl.temporary->path()) / "config.json").string(), config.dump(2) + "\n", AtomicFile::Replace::no);
    for (const auto& [name, text] : furtherFiles) writeFileAtomically((fs::path(impl.temporary->path()) / name).string(), text, AtomicFile::Replace::no);
    impl.copyOthers(source.folder(), furtherFiles);
}

SafetensorsFolderWriter::~SafetensorsFolderWriter() = default;

std::uint64_t SafetensorsFolderWriter::weightBytes(const std::vector<OutputTensor>& tensors, std::uint64_t shardBytes) {
    checkTensors(tensors);
    std::vector<Placed> places;
    for (const auto& tensor : tensors) places.push_back({0, 0, outputBytes(tensor)});
    std::uint64_t sum = 0;
    for (const auto& place : places) sum = checkedAdd(sum, place.bytes, "size of the output");
    for (const auto& members : divide(tensors, shardBytes))
        sum = checkedAdd(sum, shardHeader(tensors, fileOrder(tensors, members), places).size(), "size of the output");
    return sum;
}

std::uint64_t SafetensorsFolderWriter::totalBytes() const { return impl_->totalBytes; }
const std::string& SafetensorsFolderWriter::temporaryPath() const { return impl_->temporary->path(); }

void SafetensorsFolderWriter::writeTensor(std::span<const std::byte> data) {
    Impl& impl = *impl_;
    if (impl.next >= impl.tensors.size() || data.size() != impl.places[impl.next].bytes)
        throw Error(ErrorCode::internal, "writing " + escapeForDisplay(impl.target) + ": " + std::to_string(data.size()) + " bytes are not the next tensor");
    const Placed& place = impl.places[impl.next];
    impl.shards[place.shard]->writeAt(place.offset, data);
    ++impl.next;
    if (--impl.left[place.shard] == 0) impl.shards[place.shard]->finish();
}

void SafetensorsFolderWriter::finish() {
    Impl& impl = *impl_;
    if (impl.finished) return;
    if (impl.next != impl.tensors.size())
        throw Error(ErrorCode::internal, "writing " + escapeForDisplay(impl.target) + ": " + std::to_string(impl.next) + " of " + std::to_string(impl.tensors.size()) + " tensors were written");
    for (auto& shard : impl.shards) shard->finish();
    syncFolder(impl.temporary->path());
    impl.finished = true;
}

void SafetensorsFolderWriter::commit() {
    Impl& impl = *impl_;
    finish();
    std::error_code error;
    std::string old;
    if (fs::symlink_status(impl.target, error).type() != fs::file_type::not_found) {
        if (impl.replace == AtomicFile::Replace::no)
            throw Error(ErrorCode::targetExists, escapeForDisplay(impl.target) + " appeared while it was being written", "Choose another name.");
        old = impl.temporary->path() + ".old";
        if (ioOps().rename(impl.target, old) != 0) throwWriteError("move " + escapeForDisplay(impl.target) + " aside", errno);
    }
    if (ioOps().rename(impl.temporary->path(), impl.target) != 0) {
        const int err = errno;
        if (!old.empty()) ioOps().rename(old, impl.target);
        throwWriteError("rename " + escapeForDisplay(impl.temporary->path()), err);
    }
    impl.temporary->release();
    syncFolder(fs::path(impl.target).parent_path().string());
    if (!old.empty()) fs::remove_all(old, error);
}

} // namespace bw
