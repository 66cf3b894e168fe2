// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/pipeline_cache.h"

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/hash.h"

#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

namespace bw::vk {
namespace {

constexpr std::string_view kKind = "bitwright pipelines 1\n";
constexpr std::size_t kDigest = 64;
/// Far more than a dozen small shaders come to; what is larger is no file of ours.
constexpr std::uintmax_t kMostBytes = 64u << 20;

std::string fileName(const VkPhysicalDeviceProperties& properties) {
    std::string name;
    for (const std::uint8_t byte : properties.pipelineCacheUUID) name += fmt::format("{:02x}", byte);
    return name + fmt::format("-{:08x}.pipelines", properties.driverVersion);
}

/// The driver's bytes of a whole file; else nothing.
std::string readWhole(const std::string& path) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) return {};
    const std::uintmax_t size = std::filesystem::file_size(path, ignored);
    if (ignored || size > kMostBytes || size <= kKind.size() + kDigest) return {};
    std::string contents(static_cast<std::size_t>(size), '\0');
    std::ifstream in(path, std::ios::binary);
    if (!in.read(contents.data(), static_cast<std::streamsize>(contents.size()))) return {};
    std::string bytes = contents.substr(kKind.size() + kDigest);
    return contents == pipelineFile(bytes) ? bytes : std::string();
}

/// Drivers need not check more than this before they trust the rest.
bool isFor(const std::string& bytes, const VkPhysicalDeviceProperties& properties) {
    VkPipelineCacheHeaderVersionOne header{};
    if (bytes.size() < sizeof header) return false;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE && header.vendorID == properties.vendorID &&
           header.deviceID == properties.deviceID && std::memcmp(header.pipelineCacheUUID, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

} // namespace

std::string pipelineFile(const std::string& driverBytes) { return std::string(kKind) + sha256Hex(driverBytes) + driverBytes; }

PipelineCache::PipelineCache(const Functions& functions, VkDevice device, const VkPhysicalDeviceProperties& properties, const std::string& folder)
    : functions_(functions), device_(device) {
    if (folder.empty()) return;
    path_ = folder + "/" + fileName(properties);
    loaded_ = readWhole(path_);
    if (!isFor(loaded_, properties)) loaded_.clear();
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    info.initialDataSize = loaded_.size();
    info.pInitialData = loaded_.data();
    if (functions_.CreatePipelineCache(device_, &info, nullptr, &handle_) == VK_SUCCESS) return;
    loaded_.clear();
    info.initialDataSize = 0;
    if (functions_.CreatePipelineCache(device_, &info, nullptr, &handle_) != VK_SUCCESS) handle_ = VK_NULL_HANDLE;
}

PipelineCache::~PipelineCache() {
    if (handle_) functions_.DestroyPipelineCache(device_, handle_, nullptr);
}

void PipelineCache::save() noexcept {
    if (!handle_) return;
    try {
        std::size_t size = 0;
        if (functions_.GetPipelineCacheData(device_, handle_, &size, nullptr) != VK_SUCCESS || size > kMostBytes) return;
        std::string bytes(size, '\0');
        if (functions_.GetPipelineCacheData(device_, handle_, &size, bytes.data()) != VK_SUCCESS) return;
        bytes.resize(size);
        if (bytes == loaded_) return;
        std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
        AtomicFile file(path_, AtomicFile::Replace::yes, 0, AtomicFile::AfterPowerCut::lost);
        file.write(std::string_view(pipelineFile(bytes)));
        file.commit();
        loaded_ = std::move(bytes);
    } catch (const std::exception&) { // the next run compiles again
    }
}

} // namespace bw::vk
