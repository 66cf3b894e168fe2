// SPDX-License-Identifier: GPL-3.0-or-later
// Holding a written checkpoint against its layout and the quantized model. Private to core/quantize.
#pragma once

#include "core/quantize/layout.h"

namespace bw {

/// SHA-256 of packed parts (codes, scales …) by name, as they were handed to the writer.
using PartDigests = std::map<std::string, std::string>;

/// Re-opens what lies at `path` and compares: tensors present, types, bytes, every decoded value, the configuration, and
/// (with windows) the mean negative log-likelihood of simulation and file. Differences are listed, not thrown; what the
/// reader itself refuses is a difference too. @throws Error(cancelled).
AuditReport auditExport(const Model& model, const QuantizedModel& quantized, const ExportLayout& layout, const std::string& path,
                        const PartDigests& digests, const Windows& windows, JobContext& job);

/// Names of those that are not in the folder's files with these bytes. Cost: a SHA-256 of all of them.
std::vector<std::string> differingParts(const std::string& folder, const PartDigests& digests, JobContext& job);

} // namespace bw
