// SPDX-License-Identifier: GPL-3.0-or-later
// One compute shader with its storage buffers (bindings 0, 1, …) and push constants.
#pragma once

#include "gpu/device_context.h"

#include <cstdint>
#include <span>

namespace bw::vk {

class Pipeline {
public:
    /// @throws Error deviceUnavailable. @param context must outlive the pipeline.
    Pipeline(DeviceContext& context, std::span<const std::uint32_t> code, std::uint32_t buffers,
             std::uint32_t pushBytes);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// Points the bindings at whole buffers. Only while no submit of this pipeline is under way.
    void bind(std::span<const VkBuffer> buffers);
    /// Binds pipeline and buffers and sets the push constants in `commands`.
    void record(VkCommandBuffer commands, const void* push) const;

private:
    void destroy() noexcept;
    DeviceContext& context_;
    std::uint32_t pushBytes_;
    VkDescriptorSetLayout setLayout_ = VK_NULL_HANDLE;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    VkPipeline pipeline_ = VK_NULL_HANDLE;
    VkDescriptorPool pool_ = VK_NULL_HANDLE;
    VkDescriptorSet set_ = VK_NULL_HANDLE;
};

} // namespace bw::vk
