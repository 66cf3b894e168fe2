// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/engine_words.h"

#include "core/base/text.h"

#include <QCoreApplication>
#include <QRegularExpression>
#include <QVector>

namespace bw {
namespace {

// What the engine says, looked up by its own text; %1 … stand for what changes. Of two that fit the longer comes first.
// tests/gui/language_test.cpp holds every line against the engine's sources.
constexpr const char* kWords[] = {
    // kinds and states of runs
    QT_TRANSLATE_NOOP("bw::Engine", "calibrate"), QT_TRANSLATE_NOOP("bw::Engine", "sweep"), QT_TRANSLATE_NOOP("bw::Engine", "assign"),
    QT_TRANSLATE_NOOP("bw::Engine", "quantize"), QT_TRANSLATE_NOOP("bw::Engine", "evaluate"), QT_TRANSLATE_NOOP("bw::Engine", "diagnose"),
    QT_TRANSLATE_NOOP("bw::Engine", "generate"), QT_TRANSLATE_NOOP("bw::Engine", "mix"), QT_TRANSLATE_NOOP("bw::Engine", "done"),
    QT_TRANSLATE_NOOP("bw::Engine", "failed"), QT_TRANSLATE_NOOP("bw::Engine", "running"), QT_TRANSLATE_NOOP("bw::Engine", "cancelled"),
    QT_TRANSLATE_NOOP("bw::Engine", "interrupted"),
    // stages and units of jobs
    QT_TRANSLATE_NOOP("bw::Engine", "forward"), QT_TRANSLATE_NOOP("bw::Engine", "backward"), QT_TRANSLATE_NOOP("bw::Engine", "head"),
    QT_TRANSLATE_NOOP("bw::Engine", "baseline"), QT_TRANSLATE_NOOP("bw::Engine", "evaluate baseline"), QT_TRANSLATE_NOOP("bw::Engine", "score"),
    QT_TRANSLATE_NOOP("bw::Engine", "compare"), QT_TRANSLATE_NOOP("bw::Engine", "measure"), QT_TRANSLATE_NOOP("bw::Engine", "count routing"),
    QT_TRANSLATE_NOOP("bw::Engine", "write"), QT_TRANSLATE_NOOP("bw::Engine", "audit"), QT_TRANSLATE_NOOP("bw::Engine", "verify"),
    QT_TRANSLATE_NOOP("bw::Engine", "gptq"), QT_TRANSLATE_NOOP("bw::Engine", "awq"), QT_TRANSLATE_NOOP("bw::Engine", "smooth"),
    QT_TRANSLATE_NOOP("bw::Engine", "clip"), QT_TRANSLATE_NOOP("bw::Engine", "read %1"), QT_TRANSLATE_NOOP("bw::Engine", "divergence"),
    QT_TRANSLATE_NOOP("bw::Engine", "changed weights"), QT_TRANSLATE_NOOP("bw::Engine", "look for weights that are not finite"),
    QT_TRANSLATE_NOOP("bw::Engine", "sweep: measured KL"), QT_TRANSLATE_NOOP("bw::Engine", "sweep: baseline"),
    QT_TRANSLATE_NOOP("bw::Engine", "sweep: baseline logits"), QT_TRANSLATE_NOOP("bw::Engine", "sweep: baseline products"),
    QT_TRANSLATE_NOOP("bw::Engine", "sweep: the rest quantized"), QT_TRANSLATE_NOOP("bw::Engine", "sweep: output error"),
    QT_TRANSLATE_NOOP("bw::Engine", "sweep: embedding and head"), QT_TRANSLATE_NOOP("bw::Engine", "sweep: GPTQ"),
    QT_TRANSLATE_NOOP("bw::Engine", "sketch: predictions"), QT_TRANSLATE_NOOP("bw::Engine", "sketch: backwards"),
    QT_TRANSLATE_NOOP("bw::Engine", "tokens"), QT_TRANSLATE_NOOP("bw::Engine", "weights"), QT_TRANSLATE_NOOP("bw::Engine", "bytes"),
    QT_TRANSLATE_NOOP("bw::Engine", "cells"), QT_TRANSLATE_NOOP("bw::Engine", "sites"),
    // the method guide
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
    // warnings: what was seen, why it matters, what to do
    QT_TRANSLATE_NOOP("bw::Engine", "calibration and evaluation text share %1 of their 13-token sequences"),
    QT_TRANSLATE_NOOP("bw::Engine", "figures on this evaluation text flatter"),
    QT_TRANSLATE_NOOP("bw::Engine", "evaluate on text that shares no passage with the calibration text"),
    QT_TRANSLATE_NOOP("bw::Engine", "calibration and evaluation text differ by %1 bit in their letter sequences (up to %2 within one domain)"),
    QT_TRANSLATE_NOOP("bw::Engine", "what is fitted to one kind of text serves another badly: prose-calibrated weights lose most on code"),
    QT_TRANSLATE_NOOP("bw::Engine", "calibrate on text like that which the model will see"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 of %2 files were left out"),
    QT_TRANSLATE_NOOP("bw::Engine", "they take no part in the calibration"),
    QT_TRANSLATE_NOOP("bw::Engine", "name text files, or choose files with --include"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 of %2 texts are shorter than one sample of %3 tokens"),
    QT_TRANSLATE_NOOP("bw::Engine", "use shorter samples or longer texts"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 of %2 calibration samples repeat passages of others"),
    QT_TRANSLATE_NOOP("bw::Engine", "what is said twice counts twice, and the set is smaller than it looks"),
    QT_TRANSLATE_NOOP("bw::Engine", "add --deduplicate"),
    QT_TRANSLATE_NOOP("bw::Engine", "only %1 calibration samples"),
    QT_TRANSLATE_NOOP("bw::Engine", "with fewer than %1, ranges and importances change from draw to draw"),
    QT_TRANSLATE_NOOP("bw::Engine", "give more text, or shorter samples where the text is short"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 calibration samples"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 or more are usual"),
    QT_TRANSLATE_NOOP("bw::Engine", "give more text"),
    QT_TRANSLATE_NOOP("bw::Engine", "calibration samples of %1 tokens"),
    QT_TRANSLATE_NOOP("bw::Engine", "activations late in long texts are not seen (%1 or more are usual)"),
    QT_TRANSLATE_NOOP("bw::Engine", "use longer samples"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 scales of %2 sites are past the largest f16 and were held at 65504 (%3)"),
    QT_TRANSLATE_NOOP("bw::Engine", "the weights that they belong to come out too small"),
    QT_TRANSLATE_NOOP("bw::Engine", "look for damaged weights there; keep these sites with --set SITE=keep"),
    QT_TRANSLATE_NOOP("bw::Engine", "the model and its baseline read '%1' as different tokens, from token %2 on"),
    QT_TRANSLATE_NOOP("bw::Engine", "a KL between different tokens means nothing"),
    QT_TRANSLATE_NOOP("bw::Engine", "copy the baseline's tokenizer files beside the model; perplexity and tasks can be measured without a baseline"),
    QT_TRANSLATE_NOOP("bw::Engine", "the model finds the text less likely than guessing: %1 nats per token, %2 for even odds on %3 tokens"),
    QT_TRANSLATE_NOOP("bw::Engine", "its weights and its tokens do not belong together, or it is destroyed"),
    QT_TRANSLATE_NOOP("bw::Engine", "check that the tokenizer is the one it was trained with; compare with the original by --base"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 of %2 blocks are more than 10 % off by themselves, block %3 by %4 %"),
    QT_TRANSLATE_NOOP("bw::Engine", "what follows such a block works on other states than it was trained for; perplexity shows that late"),
    QT_TRANSLATE_NOOP("bw::Engine", "give the sites of these blocks larger formats; 'diagnose' says which of them cost most"),
    QT_TRANSLATE_NOOP("bw::Engine", "one number that is none spoils every figure behind it"),
    QT_TRANSLATE_NOOP("bw::Engine", "no weight is damaged: look for huge weights there, or for activations that a format can't hold"),
    QT_TRANSLATE_NOOP("bw::Engine", "get the file again, or go on with --non-finite zero, which takes such weights as zero"),
    QT_TRANSLATE_NOOP("bw::Engine", "the stack is not that of run %1; its figures %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "come out again"),
    QT_TRANSLATE_NOOP("bw::Engine", "do not come out again"),
    QT_TRANSLATE_NOOP("bw::Engine", "other programs and processors may round in another order"),
    QT_TRANSLATE_NOOP("bw::Engine", "figures from before and after can't be compared"),
    QT_TRANSLATE_NOOP("bw::Engine", "nothing to do"),
    QT_TRANSLATE_NOOP("bw::Engine", "revalidate the runs you rely on, and compare only runs of one stack"),
    QT_TRANSLATE_NOOP("bw::Engine", "on the evaluation text the KL is %1, %2 by plain nearest rounding (difference %3), although the error on the "
                                    "calibration text is %4 % of nearest's"),
    QT_TRANSLATE_NOOP("bw::Engine", "on the evaluation text the KL is %1, %2 by plain nearest rounding (difference %3)"),
    QT_TRANSLATE_NOOP("bw::Engine", "the weights were fitted to the calibration text, not to the model's use: more of that fitting makes it worse"),
    QT_TRANSLATE_NOOP("bw::Engine", "calibrate on more text, and on text like that which the model will see; raise --damping, lower --sweeps, or use plain "
                                    "rounding"),
    // the budget, doubtful cells and plans
    QT_TRANSLATE_NOOP("bw::Engine", "The budget"),
    QT_TRANSLATE_NOOP("bw::Engine", "nats"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 has %2 left: its items have what costs least, more bytes buy nothing."),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 has %2 left; the smallest upgrade, %3 to %4, takes %5."),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 has %2 left; what still fits there is held back by another limit."),
    QT_TRANSLATE_NOOP("bw::Engine", "One more megabyte would buy about −%1 %2."),
    QT_TRANSLATE_NOOP("bw::Engine", "No other mix within it costs less."),
    QT_TRANSLATE_NOOP("bw::Engine", "A mix that costs up to %1 % less is not ruled out."),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 costs %2 with %3, but %4 with %5, which takes %6 less"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 keeps the embedding table as it is"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 does not divide %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1 has no %2; %3 is nearest"),
    QT_TRANSLATE_NOOP("bw::Engine", "%1: sizes are those of the tensors alone"),
    QT_TRANSLATE_NOOP("bw::Engine", "no container"),
    // why a comparison is not fair
    QT_TRANSLATE_NOOP("bw::Engine", "evaluated on different texts"),
    QT_TRANSLATE_NOOP("bw::Engine", "not both are finished: %1 and %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "protocol: %1 against %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "runtime: %1 against %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "evaluation tokens: %1 against %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "baseline of the KL: %1 against %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "weights of the baseline: %1 against %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "program: %1 against %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "device: %1 against %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "CPU: %1 against %2"),
    QT_TRANSLATE_NOOP("bw::Engine", "figures by token can't be compared: %1"),
};

struct Pattern {
    QRegularExpression regex;
    const char* source;
};

const QVector<Pattern>& patterns() {
    static const QVector<Pattern> all = [] {
        static const QRegularExpression place(QStringLiteral("%[1-9]"));
        QVector<Pattern> made;
        for (const char* words : kWords) {
            const QString source = QString::fromUtf8(words);
            if (!source.contains(place)) continue;
            QStringList literal;
            for (const QString& part : source.split(place)) literal << QRegularExpression::escape(part);
            made << Pattern{QRegularExpression(QRegularExpression::anchoredPattern(literal.join(QStringLiteral("(.+?)"))), QRegularExpression::DotMatchesEverythingOption), words};
        }
        return made;
    }();
    return all;
}

QString exact(const QString& words) { return QCoreApplication::translate("bw::Engine", words.toUtf8().constData()); }

QString translated(const QString& whole) {
    constexpr qsizetype kLongest = 2000; // a log of others may hold anything
    const QString told = exact(whole);
    if (told != whole || whole.size() > kLongest || !whole.contains(QLatin1Char(' '))) return told; // tables ask for thousands of single words
    if (const qsizetype end = whole.indexOf(QStringLiteral(". ")); end > 0) return translated(whole.left(end + 1)) + QLatin1Char(' ') + translated(whole.mid(end + 2));
    for (const Pattern& pattern : patterns()) {
        const QRegularExpressionMatch match = pattern.regex.match(whole);
        if (!match.hasMatch()) continue;
        QString made = QCoreApplication::translate("bw::Engine", pattern.source);
        // From the last place on: what is put in may hold a % itself.
        for (int i = int(match.lastCapturedIndex()); i >= 1; --i) made.replace(QLatin1Char('%') + QString::number(i), QChar(0xe000 + i));
        for (int i = 1; i <= match.lastCapturedIndex(); ++i) made.replace(QChar(0xe000 + i), exact(match.captured(i)));
        return made;
    }
    return whole;
}

} // namespace

QString engineText(const std::string& words, std::size_t limit) { return QString::fromStdString(escapeForDisplay(translated(QString::fromStdString(words)).toStdString(), limit)); }

QStringList engineWords() {
    QStringList all;
    for (const char* words : kWords) all << QString::fromUtf8(words);
    return all;
}

} // namespace bw
