// SPDX-License-Identifier: GPL-3.0-or-later
// Prompt sets: JSONL files of multiple-choice questions, cloze tests, questions with an answer, texts with references, prompts
// whose output must be valid code. Reading only; scoring is in tasks.h.
#pragma once

#include "core/base/job.h"

#include <cstdint>
#include <string>
#include <vector>

namespace bw {

enum class TaskKind {
    choice,     ///< the likeliest of several continuations
    cloze,      ///< is the target the likeliest continuation, token by token?
    exact,      ///< the generated text begins with the answer
    references, ///< the generated text against references: BLEU, chrF
    syntax,     ///< the generated text parses
    open,       ///< a prompt alone: for A/B outputs
};
std::string_view taskName(TaskKind kind);

struct PromptItem {
    std::string id;                      ///< "id" of the line, else "line 7"
    std::string domain;                  ///< "domain" or "subject"; may be empty
    TaskKind kind = TaskKind::open;
    std::string prompt;
    std::vector<std::string> choices;    ///< choice
    std::size_t answer = 0;              ///< choice: index of the right one
    std::string target;                  ///< cloze: what follows; exact: the answer
    std::vector<std::string> references;
    std::string syntax;                  ///< python | json
};

struct PromptSet {
    std::string path, name, sha256;
    std::uint64_t bytes = 0;
    std::vector<PromptItem> items;
    std::vector<std::string> warnings;   ///< "3 prompts stand there twice"
};

inline constexpr std::size_t kMostPrompts = 100'000;
inline constexpr std::size_t kLongestPrompt = 1 << 20; ///< bytes

/// One object a line. What a line is follows from its members: "choices" (a list, or {text, label}) or "endings" with "answer",
/// "answerKey", "label" or "gold" (an index, a letter or a label): choice; "target" or "completion": cloze; "references" or
/// "reference": references; "check": "python" or "json": syntax; "answer" (text): exact; else open. The prompt is
/// "prompt", "question", "ctx", "query" or "text". A leading byte order mark and empty lines are passed over.
/// @throws Error fileNotFound; invalidHeader naming file and line for a broken line, one without a prompt, an empty prompt, an
/// answer that is none of the choices, fewer than two choices; binaryText for text that is no UTF-8; usage for more than
/// kMostPrompts lines or a prompt past kLongestPrompt; textTooShort for a file without prompts.
PromptSet loadPrompts(const std::string& path, JobContext& job);

} // namespace bw
