// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/loader.h"

#include "core/base/error.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace bw::vk {
namespace {

[[noreturn]] void unavailable(const std::string& message) {
    throw Error(ErrorCode::deviceUnavailable, message, "use --device cpu, or install a Vulkan driver and its loader");
}

template <class Function, class Find>
void find(Function& function, const char* name, Find&& lookUp) {
    function = reinterpret_cast<Function>(lookUp(name));
    if (!function) unavailable(fmt::format("the Vulkan driver has no function {}", name));
}

} // namespace

Functions loadLibrary(const std::string& library) {
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char* reason = dlerror();
        unavailable(fmt::format("no Vulkan loader: {}", reason ? reason : library));
    }
    Functions functions;
    find(functions.GetInstanceProcAddr, "vkGetInstanceProcAddr", [&](const char* name) { return dlsym(handle, name); });
    const auto lookUp = [&](const char* name) { return functions.GetInstanceProcAddr(nullptr, name); };
#define BW_FIND(name) find(functions.name, "vk" #name, lookUp);
    BW_VULKAN_GLOBAL(BW_FIND)
    return functions;
}

void loadInstanceFunctions(Functions& functions, VkInstance instance) {
    const auto lookUp = [&](const char* name) { return functions.GetInstanceProcAddr(instance, name); };
    BW_VULKAN_INSTANCE(BW_FIND)
    functions.CreateDebugUtilsMessenger =
        reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(lookUp("vkCreateDebugUtilsMessengerEXT"));
    functions.DestroyDebugUtilsMessenger =
        reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(lookUp("vkDestroyDebugUtilsMessengerEXT"));
}

void loadDeviceFunctions(Functions& functions, VkDevice device) {
    const auto lookUp = [&](const char* name) { return functions.GetDeviceProcAddr(device, name); };
    BW_VULKAN_DEVICE(BW_FIND)
#undef BW_FIND
}

std::string resultName(VkResult result) {
    switch (result) {
    case VK_SUCCESS:
        return "VK_SUCCESS";
    case VK_TIMEOUT:
        return "VK_TIMEOUT";
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST:
        return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED:
        return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT:
        return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
        return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT:
        return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "VK_ERROR_TOO_MANY_OBJECTS";
    default:
        return fmt::format("VkResult {}", static_cast<int>(result));
    }
}

void require(VkResult result, const char* what) {
    if (result != VK_SUCCESS) unavailable(fmt::format("{}: {}", what, resultName(result)));
}

} // namespace bw::vk
