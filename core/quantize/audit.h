// SPDX-License-Identifier: GPL-3.0-or-later
// Holding a written checkpoint against its layout and the quantized model. Private to core/quantize.
#pragma once

#include "core/quantize/layout.h"

namespace bw {

/// Re-opens what lies at `path` and compares: tensors present, types, bytes, every decoded value, the configuration, and
/// (with windows) the mean negative log-likelihood of simulation and file. Differences are listed, not thrown; what the
/// reader itself refuses is a difference too. @throws Error(cancelled).
AuditReport auditExport(const Model& model, const QuantizedModel& quantized, const ExportLayout& layout, const std::string& path,
                        const Windows& windows, JobContext& job);

} // namespace bw
