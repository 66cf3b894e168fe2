// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plot/text_width.h"

#include "core/base/text.h"

#include <array>
#include <cstdint>

namespace bw::plot {
namespace {

constexpr double kUnitsPerEm = 2048;

/// Advances of U+0020…U+007E, read from DejaVuSans.ttf and DejaVuSans-Bold.ttf 2.37.
constexpr std::array<std::uint16_t, 95> kRegular{
    651,  821,  942,  1716, 1303, 1946, 1597, 563,  799,  799,  1024, 1716, 651,  739,  651,  690,  1303, 1303, 1303, 1303, 1303, 1303, 1303, 1303,
    1303, 1303, 690,  690,  1716, 1716, 1716, 1087, 2048, 1401, 1405, 1430, 1577, 1294, 1178, 1587, 1540, 604,  604,  1343, 1141, 1767, 1532, 1612,
    1235, 1612, 1423, 1300, 1251, 1499, 1401, 2025, 1403, 1251, 1403, 799,  690,  799,  1716, 1024, 1024, 1255, 1300, 1126, 1300, 1260, 721,  1300,
    1298, 569,  569,  1186, 569,  1995, 1298, 1253, 1300, 1300, 842,  1067, 803,  1298, 1212, 1675, 1212, 1212, 1075, 1303, 690,  1303, 1716};
constexpr std::array<std::uint16_t, 95> kBold{
    713,  934,  1067, 1716, 1425, 2052, 1786, 627,  936,  936,  1071, 1716, 778,  850,  778,  748,  1425, 1425, 1425, 1425, 1425, 1425, 1425, 1425,
    1425, 1425, 819,  819,  1716, 1716, 1716, 1188, 2048, 1585, 1561, 1503, 1700, 1399, 1399, 1681, 1714, 762,  762,  1587, 1305, 2038, 1714, 1741,
    1501, 1741, 1577, 1475, 1397, 1663, 1585, 2259, 1579, 1483, 1485, 936,  748,  936,  1716, 1024, 1024, 1382, 1466, 1214, 1466, 1389, 891,  1466,
    1458, 702,  702,  1362, 702,  2134, 1458, 1407, 1466, 1466, 1010, 1219, 979,  1458, 1335, 1892, 1321, 1335, 1192, 1458, 748,  1458, 1716};

struct Sign {
    char32_t code;
    std::uint16_t regular, bold;
};
/// ± ² ³ · ¹ ½ × ρ – — • … ⁰ ⁻ → − ≤ ≥; U+2074…U+2079 are as wide as ⁰.
constexpr std::array<Sign, 18> kSigns{{{0xB1, 1716, 1716}, {0xB2, 821, 897},     {0xB3, 821, 897},     {0xB7, 651, 778},     {0xB9, 821, 897},     {0xBD, 1985, 2120},
                                       {0xD7, 1716, 1716}, {0x3C1, 1300, 1466},  {0x2013, 1024, 1024}, {0x2014, 2048, 2048}, {0x2022, 1208, 1309}, {0x2026, 2048, 2048},
                                       {0x2070, 821, 897}, {0x207B, 1081, 1081}, {0x2192, 1716, 1716}, {0x2212, 1716, 1716}, {0x2264, 1716, 1716}, {0x2265, 1716, 1716}}};

char32_t decode(std::string_view sequence) {
    if (sequence.size() == 1) return static_cast<unsigned char>(sequence[0]);
    char32_t code = static_cast<unsigned char>(sequence[0]) & (0xFFu >> (sequence.size() + 1));
    for (const char c : sequence.substr(1)) code = (code << 6) | (static_cast<unsigned char>(c) & 0x3Fu);
    return code;
}

int advance(char32_t code, bool bold) {
    if (code >= 0x20 && code < 0x7F) return (bold ? kBold : kRegular)[code - 0x20];
    if (code >= 0x2074 && code <= 0x2079) code = 0x2070;
    for (const Sign& sign : kSigns)
        if (sign.code == code) return bold ? sign.bold : sign.regular;
    return code >= 0x1100 ? 2048 : 1400; // East Asian signs fill their square; other letters are about as wide as an A
}

} // namespace

double textWidth(std::string_view text, double size, bool bold) {
    double units = 0;
    while (!text.empty()) {
        const std::size_t length = utf8SequenceLength(text);
        units += length == 0 ? 1400 : advance(decode(text.substr(0, length)), bold);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return units * size / kUnitsPerEm;
}

std::string elided(const std::string& text, double room, double size, bool bold) {
    if (textWidth(text, size, bold) <= room) return text;
    const double dots = textWidth("…", size, bold);
    std::size_t end = 0;
    double used = 0;
    while (end < text.size()) {
        const std::size_t length = std::max<std::size_t>(1, utf8SequenceLength(std::string_view(text).substr(end)));
        const double width = textWidth(std::string_view(text).substr(end, length), size, bold);
        if (used + width + dots > room) break;
        used += width;
        end += length;
    }
    return text.substr(0, end) + "…";
}

std::string printable(std::string_view text) { return escapeForDisplay(text, 200); }

} // namespace bw::plot
