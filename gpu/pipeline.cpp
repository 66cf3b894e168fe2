// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/pipeline.h"

#include <vector>

namespace bw::vk {
namespace {

VkDescriptorSetLayout makeSetLayout(const DeviceContext& context, std::uint32_t buffers) {
    std::vector<VkDescriptorSetLayoutBinding> bindings(buffers);
    for (std::uint32_t i = 0; i < buffers; ++i) {
        bindings[i].binding = i;
        bindings[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        bindings[i].descriptorCount = 1;
        bindings[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    }
    VkDescriptorSetLayoutCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    info.bindingCount = buffers;
    info.pBindings = bindings.data();
    VkDescriptorSetLayout layout = VK_NULL_HANDLE;
    require(context.functions().CreateDescriptorSetLayout(context.handle(), &info, nullptr, &layout),
            "describing bindings");
    return layout;
}

VkPipelineLayout makeLayout(const DeviceContext& context, VkDescriptorSetLayout set, std::uint32_t pushBytes) {
    const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, pushBytes};
    VkPipelineLayoutCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    info.setLayoutCount = 1;
    info.pSetLayouts = &set;
    info.pushConstantRangeCount = 1;
    info.pPushConstantRanges = &push;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    require(context.functions().CreatePipelineLayout(context.handle(), &info, nullptr, &layout),
            "describing a pipeline");
    return layout;
}

VkPipeline makePipeline(const DeviceContext& context, VkPipelineLayout layout, std::span<const std::uint32_t> code) {
    VkShaderModuleCreateInfo moduleInfo{};
    moduleInfo.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    moduleInfo.codeSize = code.size_bytes();
    moduleInfo.pCode = code.data();
    VkShaderModule module = VK_NULL_HANDLE;
    require(context.functions().CreateShaderModule(context.handle(), &moduleInfo, nullptr, &module),
            "loading a shader");
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.layout = layout;
    VkPipeline pipeline = VK_NULL_HANDLE;
    const VkResult result =
        context.functions().CreateComputePipelines(context.handle(), VK_NULL_HANDLE, 1, &info, nullptr, &pipeline);
    context.functions().DestroyShaderModule(context.handle(), module, nullptr);
    require(result, "building a compute pipeline");
    return pipeline;
}

} // namespace

Pipeline::Pipeline(DeviceContext& context, std::span<const std::uint32_t> code, std::uint32_t buffers,
                   std::uint32_t pushBytes)
    : context_(context), pushBytes_(pushBytes) {
    try {
        setLayout_ = makeSetLayout(context, buffers);
        layout_ = makeLayout(context, setLayout_, pushBytes);
        pipeline_ = makePipeline(context, layout_, code);
        const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, buffers};
        VkDescriptorPoolCreateInfo pool{};
        pool.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
        pool.maxSets = 1;
        pool.poolSizeCount = 1;
        pool.pPoolSizes = &size;
        require(context.functions().CreateDescriptorPool(context.handle(), &pool, nullptr, &pool_),
                "making descriptors");
        VkDescriptorSetAllocateInfo set{};
        set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
        set.descriptorPool = pool_;
        set.descriptorSetCount = 1;
        set.pSetLayouts = &setLayout_;
        require(context.functions().AllocateDescriptorSets(context.handle(), &set, &set_), "making descriptors");
    } catch (...) {
        destroy();
        throw;
    }
}

Pipeline::~Pipeline() {
    destroy();
}

void Pipeline::destroy() noexcept {
    if (context_.abandoned()) return;
    const Functions& f = context_.functions();
    if (pool_) f.DestroyDescriptorPool(context_.handle(), pool_, nullptr);
    if (pipeline_) f.DestroyPipeline(context_.handle(), pipeline_, nullptr);
    if (layout_) f.DestroyPipelineLayout(context_.handle(), layout_, nullptr);
    if (setLayout_) f.DestroyDescriptorSetLayout(context_.handle(), setLayout_, nullptr);
}

void Pipeline::bind(std::span<const VkBuffer> buffers) {
    std::vector<VkDescriptorBufferInfo> infos(buffers.size());
    std::vector<VkWriteDescriptorSet> writes(buffers.size());
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        infos[i] = {buffers[i], 0, VK_WHOLE_SIZE};
        writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        writes[i].dstSet = set_;
        writes[i].dstBinding = static_cast<std::uint32_t>(i);
        writes[i].descriptorCount = 1;
        writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        writes[i].pBufferInfo = &infos[i];
    }
    context_.functions().UpdateDescriptorSets(context_.handle(), static_cast<std::uint32_t>(writes.size()),
                                              writes.data(), 0, nullptr);
}

void Pipeline::record(VkCommandBuffer commands, const void* push) const {
    const Functions& f = context_.functions();
    f.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_);
    f.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout_, 0, 1, &set_, 0, nullptr);
    f.CmdPushConstants(commands, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, pushBytes_, push);
}

} // namespace bw::vk
