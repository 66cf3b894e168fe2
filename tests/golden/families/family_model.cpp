// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/golden/families/family_model.h"

#include "core/base/json.h"
#include "core/compute/cpu_device.h"
#include "core/model/walk.h"
#include "core/quantize/export.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <unistd.h>

namespace bw::test {
namespace {

namespace fs = std::filesystem;

/// RFC 4648, without line breaks.
std::vector<unsigned char> decodeBase64(const std::string& text) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::vector<unsigned char> bytes;
    unsigned bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto value = kAlphabet.find(c);
        if (value == std::string_view::npos) break;
        bits = bits << 6 | static_cast<unsigned>(value);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes.push_back(static_cast<unsigned char>(bits >> count & 0xff));
    }
    return bytes;
}

} // namespace

Reference readReference(const std::string& name) {
    const Json json = readJsonFile((familyPath(name) / "reference.json").string());
    Reference reference;
    reference.ids = json.at("ids").get<std::vector<TokenId>>();
    const auto bytes = decodeBase64(json.at("logits_f32_base64").get<std::string>());
    reference.logits = Matrix(static_cast<std::int64_t>(reference.ids.size()), json.at("vocabulary").get<std::int64_t>());
    if (bytes.size() != static_cast<std::size_t>(reference.logits.size()) * sizeof(float)) throw std::runtime_error(name + ": the reference has another length");
    std::memcpy(reference.logits.data(), bytes.data(), bytes.size());
    return reference;
}

FamilyFolder::FamilyFolder(const std::string& name, const std::string& config) {
    static int counter = 0;
    root_ = fs::temp_directory_path() / ("bw-family-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
    fs::create_directories(root_ / "model");
    fs::copy_file(familyPath(name) / config, root_ / "model" / "config.json");
    fs::copy_file(familyPath(name) / "model.safetensors", root_ / "model" / "model.safetensors");
    fs::copy_file(familyPath("tokenizer.json"), root_ / "model" / "tokenizer.json");
}

FamilyFolder::~FamilyFolder() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

std::shared_ptr<const Model> openModel(const std::string& path) { return Model::open(Checkpoint::open(path), makeCpuDevice()); }

Matrix windowLogits(const Model& model, const std::vector<TokenId>& ids) {
    Windows windows{1, static_cast<std::int64_t>(ids.size()), ids};
    Matrix out(windows.length, model.config().vocabulary);
    JobContext job;
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, nullptr, job);
    walkHead(model, windows, states.view(), nullptr, job, [&](std::int64_t, MatrixView<const float> logits) { std::copy_n(logits.data, out.size(), out.data()); });
    return out;
}

Matrix stepwiseLogits(const Model& model, const std::vector<TokenId>& ids) {
    const ModelConfig& config = model.config();
    const auto count = static_cast<std::int64_t>(ids.size());
    KvCache cache(config.blocks, config.kvHeads * config.headDim, count);
    const auto embedding = model.loadEmbedding();
    const auto head = model.loadHead();
    std::vector<BlockWeightsPtr> blocks;
    for (int b = 0; b < config.blocks; ++b) blocks.push_back(model.loadBlock(BlockIndex{b}));
    Matrix out(count, config.vocabulary), x(1, config.width);
    for (std::int64_t t = 0; t < count; ++t) {
        model.embed(*embedding, std::span(ids).subspan(static_cast<std::size_t>(t), 1), x.view(), t);
        for (const auto& block : blocks) model.runBlock(*block, x.view(), &cache, nullptr, 0);
        cache.setLength(t + 1);
        model.logits(*head, x.view(), out.view().middleRows(t, 1));
    }
    return out;
}

double largestDifference(const Matrix& a, const Matrix& b) {
    if (a.rows() != b.rows() || a.cols() != b.cols()) return std::numeric_limits<double>::infinity();
    double worst = 0;
    for (std::int64_t i = 0; i < a.size(); ++i) {
        const double difference = std::abs(static_cast<double>(a.data()[i]) - static_cast<double>(b.data()[i]));
        if (!(difference <= worst)) worst = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
    }
    return worst;
}

void exportUnquantized(const Model& model, const std::string& path) {
    JobContext job;
    const ExportPlan plan = planExport(model, {}, path, false);
    const auto nothing = QuantizedModel::build(model, {}, {}, {}, job);
    exportModel(model, *nothing, plan, false, {}, job);
}

} // namespace bw::test
