// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/model/format_names.h"

#include "core/format/format.h"

#include <algorithm>

namespace bw {
namespace {

QVector<OfferedFormat> makeList() {
    // Wide enough for every block and group length, as in the tables people know.
    constexpr std::int64_t kWidth = 4096;
    QVector<OfferedFormat> list;
    const auto add = [&list](const FormatPtr& format) {
        list.append({QString::fromStdString(format->name()), format->bitsPerWeight(kWidth, kWidth), format->codeBits()});
    };
    for (const FormatSummary& summary : knownFormats())
        if (summary.name.find('[') == std::string::npos) add(parseFormat(summary.name)); // patterns come below
    for (int bits = 8; bits >= 2; --bits)
        for (const char* group : {":g128", ":g32"}) add(parseFormat("int" + std::to_string(bits) + group));
    std::stable_sort(list.begin(), list.end(),
                     [](const OfferedFormat& a, const OfferedFormat& b) { return a.bitsPerWeight > b.bitsPerWeight; });
    return list;
}

} // namespace

const QVector<OfferedFormat>& offeredFormats() {
    static const QVector<OfferedFormat> list = makeList();
    return list;
}

} // namespace bw
