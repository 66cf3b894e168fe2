// SPDX-License-Identifier: GPL-3.0-or-later
// What-if questions about a logged calibration, answered from the statistics that it left on disk: no model is opened, nothing is run.
#pragma once

#include "core/base/job.h"
#include "core/calibrate/what_if.h"
#include "core/experiment/log.h"

#include <string>
#include <vector>

namespace bw {

/// The statistics of one input of a calibrate run, ready for questions. @throws Error(usage) for a run without any,
/// fileNotFound when they are not stored any more, unknownRun.
WhatIfInput storedWhatIfInput(const LogReader& log, RunId run, const std::string& group, JobContext& job);

/// Every input of a calibrate run as it is and after each question.
/// @return {run, questions:[text], inputs:[{input, sites, before, after:[…]}], means:[…]} where before and after hold absmax,
/// outlier_channels, kept_channels, clipped_share, channel_max and int8, int4: {clip, tensor, token, weight}; means are geometric,
/// over all inputs, of after / before. @throws as above; Error(usage) for a question that is none.
Json whatIfTable(const LogReader& log, RunId run, const std::vector<std::string>& questions, JobContext& job);

} // namespace bw
