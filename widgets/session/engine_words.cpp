// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/engine_words.h"

#include "core/base/text.h"

#include <QCoreApplication>

namespace bw {
namespace {

// Only for lupdate: what the engine says is looked up by its own text. tests/gui/language_test.cpp holds the guide against it.
[[maybe_unused]] constexpr const char* kWords[] = {
    QT_TRANSLATE_NOOP("bw::Engine", "calibrate"), QT_TRANSLATE_NOOP("bw::Engine", "sweep"), QT_TRANSLATE_NOOP("bw::Engine", "assign"), QT_TRANSLATE_NOOP("bw::Engine", "quantize"),
    QT_TRANSLATE_NOOP("bw::Engine", "evaluate"), QT_TRANSLATE_NOOP("bw::Engine", "diagnose"), QT_TRANSLATE_NOOP("bw::Engine", "generate"), QT_TRANSLATE_NOOP("bw::Engine", "mix"),
    QT_TRANSLATE_NOOP("bw::Engine", "done"), QT_TRANSLATE_NOOP("bw::Engine", "failed"), QT_TRANSLATE_NOOP("bw::Engine", "running"), QT_TRANSLATE_NOOP("bw::Engine", "cancelled"), QT_TRANSLATE_NOOP("bw::Engine", "interrupted"),
    QT_TRANSLATE_NOOP("bw::Engine", "The blocks llama.cpp reads as ever, at the same size, but each column makes up for the rounding of those before it, "
                                    "and each site for those before it where there is text enough. Takes minutes where nearest takes seconds."),
    QT_TRANSLATE_NOOP("bw::Engine", "Channels with large activations get finer steps first. The scales are folded into norms and neighbouring weights, so "
                                    "the file stays an ordinary GGUF."),
    QT_TRANSLATE_NOOP("bw::Engine", "What llama-quantize does with an importance matrix: seconds, and a safe yardstick for the others."),
    QT_TRANSLATE_NOOP("bw::Engine", "What llama-quantize does with an importance matrix: seconds, and a safe yardstick for the others. Metal has kernels "
                                    "for all of its types."),
    QT_TRANSLATE_NOOP("bw::Engine", "Loads in vLLM, SGLang and transformers; fast kernels run it at 4 and 8 bits. Symmetric, so that no loader's zero-point"
                                    " convention matters."),
    QT_TRANSLATE_NOOP("bw::Engine", "Needs few texts and hardly overfits to them: for models whose use differs from the calibration text."),
    QT_TRANSLATE_NOOP("bw::Engine", "Scales first, compensation after: often the least damage at this size."),
    QT_TRANSLATE_NOOP("bw::Engine", "No calibration at all: what the others must beat."),
    QT_TRANSLATE_NOOP("bw::Engine", "Integer kernels on every card since Turing. Outliers of the activations are moved into the weights first."),
    QT_TRANSLATE_NOOP("bw::Engine", "Ada, Hopper and newer. Floats take outliers as they come, so that nothing needs calibrating."),
    QT_TRANSLATE_NOOP("bw::Engine", "Channels with outliers stay in 16 bits: the most careful of the three and the slowest to run (bitsandbytes)."),
    QT_TRANSLATE_NOOP("bw::Engine", "What llama.cpp's CPU kernels compute with; practically lossless."),
    QT_TRANSLATE_NOOP("bw::Engine", "A quarter smaller for little more damage."),
};

} // namespace

QString engineText(const std::string& words) {
    const QString told = QCoreApplication::translate("bw::Engine", words.c_str());
    return QString::fromStdString(escapeForDisplay(told.toStdString(), 1000));
}

} // namespace bw
