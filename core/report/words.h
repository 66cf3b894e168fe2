// SPDX-License-Identifier: GPL-3.0-or-later
// What figures are called for people, and in which order they matter. Private to core/report.
#pragma once

#include <string_view>
#include <vector>

namespace bw::report {

struct Word { std::string_view metric; const char* name; const char* means; };

/// The most telling first. Text without anything that HTML would have to escape.
const std::vector<Word>& words();
/// Null for figures that have no word.
const Word* wordOf(std::string_view metric);

} // namespace bw::report
