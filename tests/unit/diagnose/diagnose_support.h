// SPDX-License-Identifier: GPL-3.0-or-later
// The demo checkpoint with faults planted into an 8-bit form of it.
#pragma once

#include "core/calibrate/dataset.h"
#include "core/compute/cpu_device.h"
#include "core/diagnose/swapped_sites.h"
#include "core/model/walk.h"
#include "core/quantize/quantized_model.h"
#include "core/tokenizer/tokenizer.h"

#include <map>

namespace bw::test {

inline std::shared_ptr<const Model> demoModel() {
    return Model::open(Checkpoint::open(std::string(BW_RESOURCES) + "/demo"), makeCpuDevice());
}

/// Every site in int8, some in the formats given.
inline std::shared_ptr<QuantizedModel> planted(const Model& model, const std::map<std::string, std::string>& faults) {
    std::vector<SiteFormat> formats = resolveFormats(model, "int8:g64", "", {});
    for (const auto& [site, format] : faults)
        formats[static_cast<std::size_t>(model.findSite(site)->id.value())].used = parseFormat(format);
    JobContext job;
    return QuantizedModel::build(model, formats, [](const Site&) { return std::span<const float>(); }, {}, job);
}

/// Windows of one of the embedded texts.
inline Windows demoWindows(const Model& model, std::int64_t count, std::int64_t length) {
    JobContext job;
    const auto tokenizer = Tokenizer::open(model.checkpoint());
    const TextData text = loadText(std::string(BW_RESOURCES) + "/texts/eval_prose.txt", *tokenizer, 0, job);
    Windows out{count, length, {text.ids.begin(), text.ids.begin() + static_cast<std::ptrdiff_t>(count * length)}};
    return out;
}

} // namespace bw::test
