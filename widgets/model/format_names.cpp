// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/model/format_names.h"

#include "core/format/format.h"

#include <QCoreApplication>
#include <algorithm>

namespace bw {
namespace {

enum Family { kBlocks, kIntegers, kFloats, kShared, kNormal, kPlain, kTernary, kFamilies };

QString titleOf(int family) {
    const auto tr = [](const char* text) { return QCoreApplication::translate("bw", text); };
    switch (family) {
    case kBlocks: return tr("GGUF blocks");
    case kIntegers: return tr("integers");
    case kFloats: return tr("small floats");
    case kShared: return tr("MX and NVFP4");
    case kNormal: return tr("normal floats");
    case kTernary: return tr("GGUF, one or two bits");
    default: return tr("plain floats");
    }
}

Family familyOf(const QString& name, int codeBits) {
    if (name.startsWith(QLatin1String("int"))) return kIntegers;
    if (name.startsWith(QLatin1String("mx")) || name.startsWith(QLatin1String("nvfp"))) return kShared;
    if (name.startsWith(QLatin1String("fp"))) return kFloats;
    if (name.startsWith(QLatin1String("nf"))) return kNormal;
    if (name == QLatin1String("f32") || name == QLatin1String("f16") || name == QLatin1String("bf16")) return kPlain;
    return codeBits <= 2 && name != QLatin1String("q2_k") ? kTernary : kBlocks;
}

QVector<QVector<OfferedFormat>> makeLists() {
    // Wide enough for every block and group length, as in the tables people know.
    constexpr std::int64_t kWidth = 4096;
    QVector<QVector<OfferedFormat>> lists(kFamilies);
    const auto add = [&lists](const std::string& text) {
        const FormatPtr format = parseFormat(text);
        const QString name = QString::fromStdString(format->name());
        lists[familyOf(name, format->codeBits())].append({name, format->bitsPerWeight(kWidth, kWidth), format->codeBits()});
    };
    for (const FormatSummary& summary : knownFormats()) {
        const std::string name = summary.name.substr(0, summary.name.find('['));
        if (name.starts_with("int"))
            for (const char* group : {":g128", ":g32"}) add(name + group);
        else add(name);
    }
    for (QVector<OfferedFormat>& list : lists)
        std::stable_sort(list.begin(), list.end(), [](const OfferedFormat& a, const OfferedFormat& b) { return a.bitsPerWeight > b.bitsPerWeight; });
    return lists;
}

} // namespace

QVector<FormatFamily> formatFamilies() {
    static const QVector<QVector<OfferedFormat>> lists = makeLists();
    QVector<FormatFamily> families;
    for (int family = 0; family < kFamilies; ++family)
        if (!lists[family].isEmpty()) families.append({titleOf(family), lists[family]});
    return families;
}

} // namespace bw
