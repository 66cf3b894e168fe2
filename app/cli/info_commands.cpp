// SPDX-License-Identifier: GPL-3.0-or-later
// What a checkpoint is, and what this build knows: info, formats, devices, version.
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "app/common/devices.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/digest.h"
#include "core/experiment/stack.h"

#include "core/compute/cpu_device.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace bw::cli {
namespace {

/// Weights are looked through for NaN and infinities without being asked up to this size: about a second.
constexpr std::uint64_t kCheckBytes = 512ull << 20;

struct InfoOptions { std::string path; bool check = false, noCheck = false, sha256 = false; };

std::string shapeText(const std::vector<std::int64_t>& shape) {
    std::string out;
    for (const std::int64_t extent : shape)
        out += (out.empty() ? "" : "×") + std::to_string(extent);
    return out.empty() ? "scalar" : out;
}

Json tensorsJson(const Checkpoint& checkpoint) {
    Json tensors = Json::array();
    for (const TensorInfo& t : checkpoint.tensors())
        tensors.push_back({{"name", t.name}, {"type", t.packed ? t.packed->name() : t.typeName}, {"shape", t.shape}, {"bytes", t.bytes}});
    return tensors;
}

std::vector<std::string> nonFiniteWarnings(Context& context, const Checkpoint& checkpoint) {
    std::vector<std::string> out;
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        const bool decodes = tensor.packed || (tensor.type != StorageType::unknown && storageTypeInfo(tensor.type).decodes);
        if (!decodes)
            continue;
        const FiniteReport report = checkFinite(checkpoint, tensor, context.job);
        if (!report.finite())
            out.push_back(fmt::format("tensor '{}' has {} NaN and {} infinite values, the first at row {}, column {}", tensor.name, report.nan,
                                      report.infinite, report.firstRow, report.firstCol));
    }
    return out;
}

/// Sites, or −1 with a warning when this family has no forward pass here.
std::int64_t countSites(const std::shared_ptr<const Checkpoint>& checkpoint, std::vector<std::string>& warnings) {
    try {
        return static_cast<std::int64_t>(Model::open(checkpoint, makeCpuDevice())->sites().size());
    } catch (const Error& e) {
        warnings.push_back("no forward pass: " + e.message());
        return -1;
    }
}

std::string tokenizerText(const Checkpoint& checkpoint, std::vector<std::string>& warnings) {
    try {
        return Tokenizer::open(checkpoint)->description();
    } catch (const Error& e) {
        warnings.push_back("no tokenizer: " + e.message());
        return {};
    }
}

Json digestJson(const CheckpointDigest& digest) {
    Json files = Json::array();
    for (const FileDigest& file : digest.files)
        files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}, {"remembered", file.remembered}});
    return {{"sha256", digest.sha256}, {"files", files}};
}

void printInfo(const Json& info, const ModelConfig& c) {
    printLine(fmt::format("{}  ({}, family {})", info.at("name").get<std::string>(), info.at("format").get<std::string>(), c.family));
    printLine(fmt::format("{} weights in {} bytes ({}), {:.3f} bits/weight", groupDigits(info.at("parameters").get<double>()),
                          groupDigits(info.at("bytes").get<double>()), formatBytes(info.at("bytes").get<std::uint64_t>()),
                          info.at("bits_per_weight").get<double>()));
    printLine(fmt::format("{} blocks, width {}, feed-forward {}, heads {}/{} of {}, vocabulary {}, context {}{}", c.blocks, c.width, c.feedForward, c.heads,
                          c.kvHeads, c.headDim, c.vocabulary, c.context, c.tiedHead ? ", tied head" : ""));
    if (info.at("tokenizer").is_string())
        printLine("tokenizer: " + info.at("tokenizer").get<std::string>());
    if (info.contains("sha256"))
        printLine("sha256: " + info.at("sha256").get<std::string>() + (info.at("files").size() > 1 ? fmt::format("  (of the list of {} files)", info.at("files").size()) : ""));
    Table table({{"tensor", false}, {"type", false}, {"shape"}, {"bytes"}});
    for (const Json& t : info.at("tensors"))
        table.add({escapeForDisplay(t.at("name").get<std::string>()), t.at("type"), shapeText(t.at("shape").get<std::vector<std::int64_t>>()),
                   groupDigits(t.at("bytes").get<double>())});
    printLine(table.text());
    for (const Json& warning : info.at("warnings"))
        printLine("warning: " + escapeForDisplay(warning.get<std::string>(), 1000));
}

int runInfo(Context& context, const InfoOptions& options) {
    const std::shared_ptr<const Checkpoint> checkpoint = Checkpoint::open(options.path);
    std::vector<std::string> warnings = checkpoint->warnings();
    const std::int64_t sites = countSites(checkpoint, warnings);
    const std::string tokenizer = tokenizerText(*checkpoint, warnings);
    if (options.check || (!options.noCheck && checkpoint->totalBytes() <= kCheckBytes))
        for (std::string& line : withProgress(context, [&] { return nonFiniteWarnings(context, *checkpoint); }))
            warnings.push_back(std::move(line));
    const ModelConfig& config = checkpoint->config();
    Json info{{"name", checkpoint->displayName()},
                    {"path", checkpoint->path()},
                    {"format", checkpoint->kind() == CheckpointKind::gguf ? "gguf" : "safetensors"},
                    {"family", config.family},
                    {"parameters", checkpoint->parameters()},
                    {"bytes", checkpoint->totalBytes()},
                    {"blocks", config.blocks},
                    {"sites", sites < 0 ? Json() : Json(sites)},
                    {"bits_per_weight", checkpoint->bitsPerWeight()},
                    {"tokenizer", tokenizer.empty() ? Json() : Json(tokenizer)},
                    {"tensors", tensorsJson(*checkpoint)},
                    {"warnings", warnings}};
    if (options.sha256)
        info.update(digestJson(withProgress(context, [&] { return digestCheckpoint(*checkpoint, defaultDigestCache(), context.job); })));
    if (context.common.json)
        printJson(info);
    else
        printInfo(info, config);
    return 0;
}

int runFormats(const Context& context) {
    Json list = Json::array();
    Table table({{"format", false}, {"bits/weight"}, {"what", false}});
    for (const FormatSummary& format : knownFormats()) {
        list.push_back({{"name", format.name}, {"bits_per_weight", format.bitsPerWeight}, {"description", format.description}});
        table.add({format.name, fmt::format("{:.3f}", format.bitsPerWeight), format.description});
    }
    Json readOnly = Json::array();
    std::string names;
    for (const FormatSummary& format : readOnlyFormats()) {
        readOnly.push_back({{"name", format.name}, {"bits_per_weight", format.bitsPerWeight}, {"description", format.description}});
        names += (names.empty() ? "" : ", ") + format.name;
    }
    if (context.common.json)
        printJson({{"formats", list}, {"read_only", readOnly}});
    else
        printLine(table.text() + "\nbits/weight at rows of 4096, scales and zero points included\nread from files but not written: " + names);
    return 0;
}

int runDevices(const Context& context) {
    std::string why;
    Json list = Json::array();
    std::string text; // lines of their own: what a driver says of itself is long, and its limits must not be cut
    for (const DeviceRow& device : listDevices(&why)) {
        list.push_back({{"name", device.name}, {"description", device.description}, {"detail", device.detail}, {"abilities", device.abilities}});
        if (!text.empty()) text += '\n';
        text += fmt::format("{:<10} {}", device.name, device.description);
        if (!device.detail.empty()) text += fmt::format("\n{:<10} {}", "", device.detail);
        if (!device.abilities.empty()) text += fmt::format("\n{:<10} can: {}", "", fmt::join(device.abilities, ", "));
    }
    if (context.common.json)
        printJson({{"devices", list}, {"why_no_gpu", why}});
    else
        printLine(text + (why.empty() ? "" : "\nno GPU: " + why));
    return 0;
}

int runVersion(const Context& context) {
    const StackRow stack = describeStack(*makeCpuDevice());
    if (context.common.json) {
        printJson({{"program", stack.program}, {"compiler", stack.compiler}, {"libraries", stack.libraries}, {"cpu", stack.cpu},
                   {"threads", stack.threads}, {"recipe_version", Recipe::kVersion}});
        return 0;
    }
    printLine(stack.program);
    printLine("compiler   " + stack.compiler);
    printLine("libraries  " + stack.libraries);
    printLine("cpu        " + stack.cpu);
    return 0;
}

} // namespace

void addInfoCommands(CLI::App& app, Context& context) {
    auto options = std::make_shared<InfoOptions>();
    CLI::App* info = app.add_subcommand("info", "Say what a checkpoint is: family, size, tensors, tokenizer");
    info->add_option("PATH", options->path, "folder, .safetensors or .gguf")->required();
    info->add_flag("--check", options->check, "look through all weights for NaN and infinities, whatever the size");
    info->add_flag("--no-check", options->noCheck, "don't look through the weights");
    info->add_flag("--sha256", options->sha256, "the weight files' SHA-256 (remembered until a file changes)");
    addCommon(*info, context.common);
    info->footer("Examples:\n  bitwright-cli info SmolLM2-135M.gguf\n  bitwright-cli info ./Llama-3.2-1B --json | jq .bits_per_weight");
    info->callback([&context, options] { context.action = [&context, options] { return runInfo(context, *options); }; });

    const auto plain = [&](const char* name, const char* what, int (*run)(const Context&)) {
        CLI::App* command = app.add_subcommand(name, what);
        addCommon(*command, context.common);
        command->footer(fmt::format("Examples:\n  bitwright-cli {0}\n  bitwright-cli {0} --json", name));
        command->callback([&context, run] { context.action = [&context, run] { return run(context); }; });
    };
    plain("formats", "List the number formats this build knows", runFormats);
    plain("devices", "List compute devices", runDevices);
    plain("version", "Program, compiler, libraries, processor", runVersion);
}

} // namespace bw::cli
