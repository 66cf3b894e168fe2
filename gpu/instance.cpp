// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/instance.h"

#include "core/base/error.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
std::atomic<int> validationErrors{0};

VKAPI_ATTR VkBool32 VKAPI_CALL countMessage(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                            VkDebugUtilsMessageTypeFlagsEXT,
                                            const VkDebugUtilsMessengerCallbackDataEXT*, void*) {
    if (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) ++validationErrors;
    return VK_FALSE;
}

std::string versionText(std::uint32_t version) {
    return fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version),
                       VK_API_VERSION_PATCH(version));
}

std::string typeText(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return "cpu";
    default:
        return "other";
    }
}

bool hasTimelines(const vk::Functions& functions, VkPhysicalDevice device) {
    VkPhysicalDeviceVulkan12Features features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    VkPhysicalDeviceFeatures2 all{};
    all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    all.pNext = &features;
    functions.GetPhysicalDeviceFeatures2(device, &all);
    return features.timelineSemaphore == VK_TRUE;
}

/// For devices with the extension.
void describeDotProducts(const vk::Functions& functions, VkPhysicalDevice device, vk::Candidate& candidate) {
    VkPhysicalDeviceShaderIntegerDotProductFeatures features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    VkPhysicalDeviceFeatures2 all{};
    all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    all.pNext = &features;
    functions.GetPhysicalDeviceFeatures2(device, &all);
    VkPhysicalDeviceShaderIntegerDotProductProperties speeds{};
    speeds.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &speeds;
    functions.GetPhysicalDeviceProperties2(device, &properties);
    candidate.dotProducts = features.shaderIntegerDotProduct == VK_TRUE;
    candidate.fastDotProducts = candidate.dotProducts && speeds.integerDotProduct4x8BitPackedSignedAccelerated;
    if (candidate.dotProducts) candidate.info.abilities.emplace_back(candidate.fastDotProducts ? "int8 dot product" : "int8 dot product (emulated)");
}

/// Subgroups and what a device could do faster. Those of Vulkan 1.3 are asked for by their extensions, which 1.3 devices list too.
void describeAbilities(const vk::Functions& functions, VkPhysicalDevice device, vk::Candidate& candidate) {
    VulkanDeviceInfo& info = candidate.info;
    VkPhysicalDeviceSubgroupProperties subgroups{};
    subgroups.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &subgroups;
    functions.GetPhysicalDeviceProperties2(device, &properties);
    info.subgroupSize = static_cast<int>(subgroups.subgroupSize);
    VkPhysicalDevice16BitStorageFeatures halves{};
    halves.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
    VkPhysicalDeviceVulkan12Features features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    features.pNext = &halves;
    VkPhysicalDeviceFeatures2 all{};
    all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    all.pNext = &features;
    functions.GetPhysicalDeviceFeatures2(device, &all);
    if (features.shaderFloat16) info.abilities.emplace_back("float16");
    if (features.shaderInt8) info.abilities.emplace_back("int8");
    if (halves.storageBuffer16BitAccess) info.abilities.emplace_back("16-bit storage");
    if (features.storageBuffer8BitAccess) info.abilities.emplace_back("8-bit storage");
    candidate.smallTypes = halves.storageBuffer16BitAccess && features.storageBuffer8BitAccess;
    std::uint32_t count = 0;
    if (functions.EnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr) != VK_SUCCESS) return;
    std::vector<VkExtensionProperties> extensions(count);
    if (functions.EnumerateDeviceExtensionProperties(device, nullptr, &count, extensions.data()) != VK_SUCCESS) return;
    const auto has = [&](const char* name) {
        return std::any_of(extensions.begin(), extensions.end(), [&](const auto& e) { return std::strcmp(e.extensionName, name) == 0; });
    };
    if (has(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) describeDotProducts(functions, device, candidate);
    if (has("VK_KHR_cooperative_matrix")) info.abilities.emplace_back("cooperative matrix"); // no header of Debian 12 has its name
}

bool hasLayer(const vk::Functions& functions) {
    std::uint32_t count = 0;
    vk::require(functions.EnumerateInstanceLayerProperties(&count, nullptr), "listing Vulkan layers");
    std::vector<VkLayerProperties> layers(count);
    vk::require(functions.EnumerateInstanceLayerProperties(&count, layers.data()), "listing Vulkan layers");
    return std::any_of(layers.begin(), layers.end(), [](const VkLayerProperties& layer) {
        return std::strcmp(layer.layerName, kValidationLayer) == 0;
    });
}

} // namespace

int vulkanValidationErrors() {
    return validationErrors.load();
}

namespace vk {

Instance::Instance(const VulkanOptions& options) : masks_(options), functions_(loadLibrary(options.library)) {
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pApplicationName = "Bitwright";
    application.apiVersion = VK_API_VERSION_1_2;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;

    const char* const extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    VkDebugUtilsMessengerCreateInfoEXT messages{};
    messages.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    messages.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    messages.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
    messages.pfnUserCallback = countMessage;
    const VkValidationFeatureEnableEXT synchronization = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT features{};
    features.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    features.enabledValidationFeatureCount = 1;
    features.pEnabledValidationFeatures = &synchronization;
    if (options.validation) {
        if (!hasLayer(functions_))
            throw Error(ErrorCode::deviceUnavailable,
                        fmt::format("the Vulkan layer {} is not installed", kValidationLayer),
                        "install vulkan-validationlayers or leave validation off");
        messages.pNext = &features;
        info.pNext = &messages; // so that creating and destroying the instance is watched too
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &kValidationLayer;
        info.enabledExtensionCount = 1;
        info.ppEnabledExtensionNames = &extension;
    }
    const VkResult result = functions_.CreateInstance(&info, nullptr, &handle_);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        throw Error(ErrorCode::deviceUnavailable, "the Vulkan loader found no driver",
                    "install a Vulkan driver (Debian: mesa-vulkan-drivers) or use --device cpu");
    require(result, "creating a Vulkan instance");
    loadInstanceFunctions(functions_, handle_);
    if (options.validation && functions_.CreateDebugUtilsMessenger) {
        messages.pNext = nullptr;
        require(functions_.CreateDebugUtilsMessenger(handle_, &messages, nullptr, &messenger_), "watching validation");
    }
}

Instance::~Instance() {
    if (messenger_) functions_.DestroyDebugUtilsMessenger(handle_, messenger_, nullptr);
    if (handle_) functions_.DestroyInstance(handle_, nullptr);
}

std::vector<Candidate> Instance::candidates() const {
    std::uint32_t count = 0;
    require(functions_.EnumeratePhysicalDevices(handle_, &count, nullptr), "listing Vulkan devices");
    std::vector<VkPhysicalDevice> handles(count);
    require(functions_.EnumeratePhysicalDevices(handle_, &count, handles.data()), "listing Vulkan devices");
    std::vector<Candidate> all;
    for (VkPhysicalDevice handle : handles) {
        Candidate candidate;
        candidate.handle = handle;
        functions_.GetPhysicalDeviceProperties(handle, &candidate.properties);
        functions_.GetPhysicalDeviceMemoryProperties(handle, &candidate.memory);
        std::uint32_t families = 0;
        functions_.GetPhysicalDeviceQueueFamilyProperties(handle, &families, nullptr);
        std::vector<VkQueueFamilyProperties> queues(families);
        functions_.GetPhysicalDeviceQueueFamilyProperties(handle, &families, queues.data());
        const auto queue = std::find_if(queues.begin(), queues.end(), [](const VkQueueFamilyProperties& family) {
            return (family.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
        });
        const VkPhysicalDeviceProperties& properties = candidate.properties;
        if (queue == queues.end() || properties.apiVersion < VK_API_VERSION_1_2 || !hasTimelines(functions_, handle)) continue;
        candidate.queueFamily = candidate.copyFamily = static_cast<std::uint32_t>(queue - queues.begin());
        candidate.queuesInFamily = queue->queueCount;
        constexpr VkQueueFlags kMore = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
        for (std::uint32_t i = 0; i < families; ++i)
            if ((queues[i].queueFlags & VK_QUEUE_TRANSFER_BIT) && !(queues[i].queueFlags & kMore)) candidate.copyFamily = i;
        candidate.info.index = static_cast<int>(all.size());
        candidate.info.name = properties.deviceName;
        candidate.info.type = typeText(properties.deviceType);
        candidate.info.apiVersion = versionText(properties.apiVersion);
        candidate.info.driver = versionText(properties.driverVersion);
        candidate.info.maxBufferBytes = properties.limits.maxStorageBufferRange;
        describeAbilities(functions_, handle, candidate);
        for (std::uint32_t i = 0; i < candidate.memory.memoryHeapCount; ++i)
            if (candidate.memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
                candidate.info.memoryBytes += candidate.memory.memoryHeaps[i].size;
        if (masks_.noMemory) {
            candidate.info.memoryBytes = 0;
            for (VkMemoryHeap& heap : candidate.memory.memoryHeaps) heap.size = 0;
        }
        if (masks_.plainStorage) candidate.smallTypes = false;
        all.push_back(std::move(candidate));
    }
    return all;
}

} // namespace vk
} // namespace bw
