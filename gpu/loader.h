// SPDX-License-Identifier: GPL-3.0-or-later
// Vulkan's functions, found at run time in three steps: library, instance, device.
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

#include <string>

namespace bw::vk {

#define BW_VULKAN_GLOBAL(F) F(EnumerateInstanceVersion) F(EnumerateInstanceLayerProperties) F(CreateInstance)
#define BW_VULKAN_INSTANCE(F)                                                                                          \
    F(DestroyInstance)                                                                                                 \
    F(EnumeratePhysicalDevices)                                                                                        \
    F(GetPhysicalDeviceProperties) F(GetPhysicalDeviceMemoryProperties) F(GetPhysicalDeviceQueueFamilyProperties)      \
    F(GetPhysicalDeviceFeatures2) F(GetPhysicalDeviceProperties2) F(EnumerateDeviceExtensionProperties) F(CreateDevice) F(GetDeviceProcAddr)
#define BW_VULKAN_DEVICE(F)                                                                                            \
    F(DestroyDevice)                                                                                                   \
    F(GetDeviceQueue)                                                                                                  \
    F(DeviceWaitIdle) F(CreateBuffer) F(DestroyBuffer) F(GetBufferMemoryRequirements) F(AllocateMemory) F(FreeMemory)  \
        F(BindBufferMemory) F(MapMemory) F(CreateShaderModule) F(DestroyShaderModule) F(CreateDescriptorSetLayout)     \
            F(DestroyDescriptorSetLayout) F(CreatePipelineLayout) F(DestroyPipelineLayout) F(CreateComputePipelines)   \
                F(DestroyPipeline) F(CreateDescriptorPool) F(DestroyDescriptorPool) F(AllocateDescriptorSets)          \
                    F(UpdateDescriptorSets) F(CreateCommandPool) F(DestroyCommandPool) F(AllocateCommandBuffers)       \
                        F(ResetCommandPool) F(BeginCommandBuffer) F(EndCommandBuffer) F(CmdBindPipeline)               \
                            F(CmdBindDescriptorSets) F(CmdPushConstants) F(CmdDispatch) F(CmdCopyBuffer)               \
                                F(CmdFillBuffer) F(CmdPipelineBarrier) F(ResetDescriptorPool) F(CreateSemaphore)           \
                                    F(DestroySemaphore) F(WaitSemaphores) F(GetSemaphoreCounterValue) F(QueueSubmit)           \
                                        F(CreatePipelineCache) F(DestroyPipelineCache) F(GetPipelineCacheData)

/// Function pointers by their names without "vk". Plain values: copying is cheap, nothing is owned.
struct Functions {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr = nullptr;
    PFN_vkCreateDebugUtilsMessengerEXT CreateDebugUtilsMessenger = nullptr; ///< null without the extension
    PFN_vkDestroyDebugUtilsMessengerEXT DestroyDebugUtilsMessenger = nullptr;
#define BW_DECLARE(name) PFN_vk##name name = nullptr;
    BW_VULKAN_GLOBAL(BW_DECLARE) BW_VULKAN_INSTANCE(BW_DECLARE) BW_VULKAN_DEVICE(BW_DECLARE)
#undef BW_DECLARE
};

/// Opens the library (never closed again: drivers keep threads) and finds the functions that need no instance.
/// @throws Error deviceUnavailable with the system's reason.
Functions loadLibrary(const std::string& library);
/// @throws Error deviceUnavailable naming a function that is missing.
void loadInstanceFunctions(Functions& functions, VkInstance instance);
void loadDeviceFunctions(Functions& functions, VkDevice device);

/// "VK_ERROR_DEVICE_LOST" and its like.
std::string resultName(VkResult result);
/// @throws Error deviceUnavailable: "what: VK_ERROR_…". For opening only; work at run time hands VkResult on.
void require(VkResult result, const char* what);

} // namespace bw::vk
