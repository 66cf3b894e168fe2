// SPDX-License-Identifier: GPL-3.0-or-later
// Results on stdout: one JSON object, or tables that fit 100 columns.
#pragma once

#include "core/base/error.h"
#include "core/base/json.h"

#include <string>
#include <vector>

namespace bw::cli {

inline constexpr int kReportColumns = 100;

/// One line, full precision; text that is no UTF-8 is replaced, so that the result always parses.
void printJson(const Json& json);
void printLine(const std::string& text = {});
/// {"error":{code,message,hint,context}}
Json errorJson(const Error& error);

/// What an evaluation says of activation and cache schemes: their names, bytes per token and damage against context length.
void printSchemes(const Json& evaluation);

/// "12,345"; fractions only below 100.
std::string groupDigits(double value);
/// Display columns of UTF-8 text (code points; our own texts have no wide ones).
int displayColumns(const std::string& text);
std::string clipToColumns(const std::string& text, int columns);
/// Right- or left-aligned in `columns`.
std::string padded(const std::string& text, int columns, bool right);
/// "49.56 ± 0.31"; the error may be null.
std::string withError(const Json& value, const Json& error, int digits);
/// Number with `digits` significant digits, "–" for null.
std::string number(const Json& value, int digits);

/// Bytes that two texts begin with alike, never ending inside a character.
std::size_t commonBytes(const std::string& a, const std::string& b);

/// A table: columns are as wide as their widest cell; numbers right, first column and those marked left.
class Table {
public:
    struct Column { std::string title; bool right = true; };
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.empty(); }
    /// Two spaces between columns; a cell that would make the line longer than 100 columns is cut with "…".
    std::string text() const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace bw::cli
