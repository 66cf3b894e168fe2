// SPDX-License-Identifier: GPL-3.0-or-later
// What a logged run writes to prompts, judged against its original: an evaluation of the file that the run wrote, or of a
// temporary one where it wrote none.
#pragma once

#include "core/experiment/runner.h"

#include <QStringList>

namespace bw {

struct OutputsJob {
    std::int64_t run = 0;             ///< a finished quantize or evaluate run
    std::vector<std::string> prompts; ///< JSONL files
    std::int64_t maxTokens = 64;
    std::string device = "cpu";
};

/// The logged evaluation has the tag outputsTag(run). @throws Error(usage) for runs of other kinds, not finished, or without an original;
/// as Runner::run().
RunOutcome judgeOutputs(ExperimentLog& log, Runner& runner, const OutputsJob& job, JobContext& context);

/// Typed prompts as a prompt set in the person's data folder; the same prompts are the same file. @throws Error(writeFailed).
std::string savePrompts(const QStringList& typed);

} // namespace bw
