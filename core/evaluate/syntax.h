// SPDX-License-Identifier: GPL-3.0-or-later
// Does a text parse as Python or JSON? Python is asked of the interpreter that is installed, which compiles the text and never
// runs it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bw {

/// The program code of a model's answer: the first fenced block where there is one ("```python"), else the whole text.
std::string codeIn(std::string_view answer);

/// Whether the text compiles. nullopt where no python3 is found, or it took longer than ten seconds.
/// The interpreter is started isolated (-I -S), with the text on its input, no file is written. Cost: a process.
std::optional<bool> isPython(const std::string& code);
bool isJson(std::string_view text);

} // namespace bw
