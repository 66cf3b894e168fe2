// SPDX-License-Identifier: GPL-3.0-or-later
// Widths of text as the plots lay it out: those of DejaVu Sans, built in, so that a layout depends on no installed font.
#pragma once

#include <string>
#include <string_view>

namespace bw::plot {

/// Of UTF-8 text at a font size, both in the same unit. Characters outside Latin and the plots' own signs: an estimate.
double textWidth(std::string_view text, double size, bool bold = false);

/// Height of a capital letter or figure over the font size: for centring text on a line.
inline constexpr double kCapHeight = 0.73;

/// The text, or as much of its beginning as fits with "…" behind.
std::string elided(const std::string& text, double room, double size, bool bold = false);

/// Control characters and broken UTF-8 made visible ("\x1b"), and cut to a length that a title can have.
std::string printable(std::string_view text);

} // namespace bw::plot
