// SPDX-License-Identifier: GPL-3.0-or-later
// A whole model, quantized with the reference search and written, against what llama.cpp's own quantizer writes of it: every
// tensor's type and bytes, with and without an importance matrix (bytes.json, written by make_bytes.py).
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/checkpoint/imatrix.h"
#include "core/quantize/presets.h"
#include "tests/unit/quantize/demo_model.h"

namespace bw {
namespace {

using test::demoModel;

/// The embedded model written with a mix; importance may be empty.
std::shared_ptr<const Checkpoint> written(const test::TempFolder& folder, const std::string& mix, const std::map<std::string, std::vector<float>>& importance) {
    FormatRequest request;
    request.format = "mix:" + mix;
    request.importance = !importance.empty();
    const std::string path = folder / "model.gguf";
    const auto formats = resolveFormats(demoModel(), request);
    const ExportPlan plan = planExport(demoModel(), formats, path, true);
    const auto lookUp = [&](const Site& site) -> std::span<const float> {
        const auto found = importance.find(site.name);
        return found == importance.end() ? std::span<const float>() : std::span<const float>(found->second);
    };
    JobContext job;
    const auto quantized = QuantizedModel::build(demoModel(), test::asPlanned(formats, plan), lookUp,
                                                 {!importance.empty(), false, BlockSearch::reference}, job);
    exportModel(demoModel(), *quantized, plan, true, {}, job);
    return Checkpoint::open(path);
}

TEST(BytesGolden, everyTensorIsWhatLlamaCppWrites) {
    const Json golden = readJsonFile(std::string(BW_TEST_DATA) + "/golden/quantize/bytes.json");
    const auto matrix = ImportanceMatrix::read(std::string(BW_TEST_DATA) + "/checkpoint/demo.imatrix.gguf");
    std::map<std::string, std::vector<float>> importance;
    for (const Site& site : demoModel().sites())
        if (auto values = matrix.importance(site.name + ".weight", site.cols); !values.empty()) importance[site.name] = std::move(values);
    ASSERT_EQ(importance.size(), 42u); // seven linears of six blocks

    const std::string weighted = ".imatrix";
    int files = 0;
    for (const auto& [name, tensors] : golden.items()) {
        if (name == "origin") continue;
        const bool useMatrix = name.ends_with(weighted);
        const test::TempFolder folder;
        const auto file = written(folder, useMatrix ? name.substr(0, name.size() - weighted.size()) : name,
                                  useMatrix ? importance : std::map<std::string, std::vector<float>>());
        for (const auto& [tensor, want] : tensors.items()) {
            const TensorInfo& info = file->require(tensor);
            const auto bytes = file->raw(info);
            const std::string digest = sha256Hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
            EXPECT_EQ(info.typeName + " " + digest.substr(0, 16), want.get<std::string>()) << name << " " << tensor;
        }
        ++files;
    }
    EXPECT_EQ(files, 18);
}

} // namespace
} // namespace bw
