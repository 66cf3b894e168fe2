// SPDX-License-Identifier: GPL-3.0-or-later
// The whole road as a document, so that a mix that was stopped can be asked for again, after a restart too: the same call
// goes on behind the last finished stage.
#pragma once

#include "core/base/json.h"
#include "core/experiment/runner.h"

namespace bw {

Json mixToJson(const Runner::MixOptions& options);
/// @throws Error(invalidRecipe) for a document that mixToJson has not written.
Runner::MixOptions mixFromJson(const Json& json);

} // namespace bw
