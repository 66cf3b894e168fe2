// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/kernel.h"

namespace bw::vk {

Kernel::Kernel(DeviceContext& context, std::span<const std::uint32_t> code, const std::vector<std::uint32_t>& constants)
    : context_(context) {
    std::vector<VkSpecializationMapEntry> entries;
    for (std::uint32_t i = 0; i < constants.size(); ++i) entries.push_back({i, i * 4, 4});
    const VkSpecializationInfo specialization{static_cast<std::uint32_t>(entries.size()), entries.data(), constants.size() * 4,
                                              constants.data()};
    VkShaderModuleCreateInfo moduleInfo{};
    moduleInfo.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    moduleInfo.codeSize = code.size_bytes();
    moduleInfo.pCode = code.data();
    VkShaderModule module = VK_NULL_HANDLE;
    require(context.functions().CreateShaderModule(context.handle(), &moduleInfo, nullptr, &module), "loading a shader");
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &specialization;
    info.layout = context.pipelineLayout();
    const VkResult result = context.functions().CreateComputePipelines(context.handle(), context.pipelineCache(), 1, &info, nullptr, &pipeline_);
    context.functions().DestroyShaderModule(context.handle(), module, nullptr);
    require(result, "building a compute pipeline");
}

Kernel::~Kernel() {
    if (!context_.abandoned()) context_.functions().DestroyPipeline(context_.handle(), pipeline_, nullptr);
}

} // namespace bw::vk
