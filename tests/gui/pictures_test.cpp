// SPDX-License-Identifier: GPL-3.0-or-later
// Every kind of plot in both themes against a picture that a person has looked at, and with odd data: nothing, one point, all
// alike, no numbers, zeros on a log axis, very many points. After a wanted change BW_MAKE_PICTURES=1 writes the pictures
// anew; look at them before they are committed.
#include "tests/gui/damage_log.h"
#include "tests/gui/gui_fixture.h"
#include "tests/gui/turn_meter.h"
#include "widgets/calibrate/what_if_plot.h"
#include "widgets/compare/kl_histogram.h"
#include "widgets/compare/token_curve.h"
#include "widgets/mix/agreement_plot.h"
#include "widgets/mix/mix_state.h"
#include "widgets/mix/pareto_plot.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/histogram_plot.h"
#include "widgets/plots/reliability_plot.h"
#include "widgets/session/session.h"

#include <QApplication>
#include <QDir>
#include <QFontInfo>
#include <QPainter>
#include <cmath>
#include <limits>

using namespace bw;

namespace {

constexpr QSize kSize(360, 220);
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Letters are drawn a little differently by every version of the font renderer: means over squares of some pixels forgive that,
/// and a line, a bar or a colour that is elsewhere they do not.
constexpr int kSquare = 4;
constexpr double kMostMean = 3;        ///< of 255, over the whole picture
constexpr int kDifferent = 40;         ///< of 255 in a channel: such a square shows something else
constexpr double kMostDifferent = 0.015;

struct Difference { double mean = 255, share = 1; bool small() const { return mean <= kMostMean && share <= kMostDifferent; } };

Difference differenceOf(const QImage& a, const QImage& b) {
    if (a.size() != b.size() || a.isNull()) return {};
    const auto squares = [](const QImage& image) {
        return image.convertToFormat(QImage::Format_RGB32).scaled(image.width() / kSquare, image.height() / kSquare, Qt::IgnoreAspectRatio, Qt::SmoothTransformation);
    };
    const QImage x = squares(a), y = squares(b);
    double sum = 0, different = 0;
    for (int row = 0; row < x.height(); ++row)
        for (int column = 0; column < x.width(); ++column) {
            const QRgb p = x.pixel(column, row), q = y.pixel(column, row);
            const int parts[] = {std::abs(qRed(p) - qRed(q)), std::abs(qGreen(p) - qGreen(q)), std::abs(qBlue(p) - qBlue(q))};
            sum += (parts[0] + parts[1] + parts[2]) / 3.0;
            different += *std::max_element(std::begin(parts), std::end(parts)) > kDifferent ? 1 : 0;
        }
    const double count = double(x.width()) * x.height();
    return {sum / count, different / count};
}

Histogram bell(int bins, double width) {
    Histogram h;
    h.low = -1;
    h.high = 1;
    for (int i = 0; i < bins; ++i) {
        const double x = (i + 0.5) * 2.0 / bins - 1;
        h.bins.push_back(std::uint64_t(5000 * std::exp(-x * x / (2 * width * width))));
    }
    return h;
}

std::vector<float> wave(int count, double height, int spike) {
    std::vector<float> out;
    for (int i = 0; i < count; ++i) out.push_back(float(height * (1.1 + std::sin(i * 0.37)) + (i % spike == 0 ? 6 * height : 0)));
    return out;
}

std::vector<AgreementPair> cloud(int count, double scatter) {
    std::vector<AgreementPair> out;
    for (int i = 0; i < count; ++i) {
        const double at = std::pow(10.0, -4 + 3.0 * (i * 7919 % count) / count);
        out.push_back({"blk." + std::to_string(i) + ".attn_q", i % 3 == 0 ? "q4_0" : i % 3 == 1 ? "q5_0" : "q8_0", at * std::exp(scatter * std::sin(i * 1.7)), at, at / 10, at / 20});
    }
    return out;
}

QImage pictureOf(QWidget& plot) {
    plot.resize(kSize);
    plot.show();
    if (!QTest::qWaitForWindowExposed(&plot)) return {};
    if (auto* custom = qobject_cast<QCustomPlot*>(&plot)) custom->replot(QCustomPlot::rpImmediateRefresh);
    return plot.grab().toImage();
}

} // namespace

class PicturesTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        // FONTCONFIG_FILE must be set before the program starts; ctest does (see CMakeLists.txt).
        for (const QFont& font : {QApplication::font(), Theme::instance().figures()})
            QVERIFY2(QFontInfo(font).family().startsWith(QLatin1String("DejaVu Sans")),
                     qPrintable(QStringLiteral("run with FONTCONFIG_FILE=" BW_TEST_DATA "/plots/fonts.conf and fonts-dejavu-core installed, not with %1").arg(QFontInfo(font).family())));
        ExperimentLog log(test::home().file(QStringLiteral("pictures.db")).toStdString());
        test::addFisher(log, demo_);
    }

    void init() { test::noWarnings(); }

    void cleanup() { Theme::instance().apply(Theme::Mode::dark); }

    void plotsLookAsTheyShould_data() {
        QTest::addColumn<QString>("name");
        QTest::addColumn<bool>("dark");
        for (const char* name : {"histogram", "heatmap", "difference-map", "tokens", "spread", "reliability", "agreement", "pareto", "what-if"})
            for (const bool dark : {true, false}) QTest::newRow(qPrintable(fileOf(QString::fromLatin1(name), dark))) << QString::fromLatin1(name) << dark;
    }

    void plotsLookAsTheyShould() {
        QFETCH(QString, name);
        QFETCH(bool, dark);
        Theme::instance().apply(dark ? Theme::Mode::dark : Theme::Mode::light);
        const QImage seen = draw(name, 0);
        QVERIFY(test::differentColors(seen) > 8);
        const QString path = QStringLiteral(BW_TEST_DATA "/plots/") + fileOf(name, dark);
        if (qEnvironmentVariableIsSet("BW_MAKE_PICTURES")) {
            QDir().mkpath(QStringLiteral(BW_TEST_DATA "/plots"));
            QVERIFY(seen.convertToFormat(QImage::Format_RGB32).save(path, "PNG", 20));
            return;
        }
        const QImage kept(path);
        QVERIFY2(!kept.isNull(), qPrintable(path));
        const Difference difference = differenceOf(seen, kept);
        if (!difference.small()) seen.save(QDir::temp().filePath(QStringLiteral("bitwright-") + fileOf(name, dark)));
        QVERIFY2(difference.small(), qPrintable(QStringLiteral("%1: mean %2, %3 % of the squares; what was drawn is in %4").arg(fileOf(name, dark)).arg(difference.mean).arg(100 * difference.share).arg(QDir::tempPath())));
    }

    /// The comparison sees what matters: other data, another theme, a plot that is missing.
    void thePicturesCanDiffer() {
        for (const char* name : {"histogram", "heatmap", "difference-map", "tokens", "spread", "reliability", "agreement", "what-if"}) {
            const QImage right = draw(QString::fromLatin1(name), 0), wrong = draw(QString::fromLatin1(name), 1);
            QVERIFY2(differenceOf(right, right).small(), name);
            const Difference difference = differenceOf(right, wrong);
            QVERIFY2(!difference.small(), qPrintable(QStringLiteral("%1: other data, but mean %2, %3 %").arg(QString::fromLatin1(name)).arg(difference.mean).arg(100 * difference.share)));
        }
        const QImage dark = draw(QStringLiteral("pareto"), 0);
        Theme::instance().apply(Theme::Mode::light);
        QVERIFY(!differenceOf(dark, draw(QStringLiteral("pareto"), 0)).small());
        QImage blank(kSize, QImage::Format_RGB32);
        blank.fill(Theme::instance().tokens().panel);
        QVERIFY(!differenceOf(blank, draw(QStringLiteral("pareto"), 0)).small());
    }

    void oddDataIsDrawnQuietly() {
        TokenCurve curve;
        KlHistogram spread;
        ReliabilityPlot reliability;
        AgreementPlot agreement;
        WhatIfPlot whatIf;
        const float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
        const std::vector<std::vector<float>> lists{{}, {0.5f}, {0, 0, 0, 0}, {2, 2, 2}, {nan, nan, nan}, {nan, 1, infinite, 0, -1e-9f}, {1e-30f, 1e30f}};
        for (const auto& list : lists) {
            curve.setScores(list, list, true, QStringLiteral("nothing"));
            QVERIFY(sane(curve));
            spread.setScores(list, {});
            QVERIFY(sane(spread));
            std::vector<AgreementPair> pairs;
            std::vector<ReliabilityBin> bins;
            for (const float v : list) {
                pairs.push_back({"blk.0.attn_q", "q4_0", double(v), double(v), double(v), 0});
                bins.push_back({std::isfinite(v) ? 3 : 0, 0.5, 0.5, 0.5, 0.5});
            }
            agreement.setPairs(pairs, QStringLiteral("a"), QStringLiteral("b"), true);
            QVERIFY(sane(agreement));
            reliability.setBins(bins, {});
            QVERIFY(sane(reliability));
        }
        Histogram zeros = bell(32, 0.2), nothing;
        zeros.bins.assign(32, 0);
        for (const Histogram& histogram : {zeros, nothing}) {
            whatIf.setCurves({histogram, 1, 0.5}, nullptr);
            QVERIFY(sane(whatIf));
        }
    }

    /// Ten million tokens, a hundred thousand points: less than a tenth of a second a frame.
    void veryManyPointsStayQuick() {
        constexpr std::size_t kMany = 10'000'000;
        std::vector<float> kl(kMany);
        for (std::size_t i = 0; i < kMany; ++i) kl[i] = float(i * 2654435761u % 1000) * 1e-4f;
        kl[7'654'321] = 3; // one token of ten million: it must not be lost
        TokenCurve curve;
        curve.resize(600, 240);
        curve.setScores(kl, kl, true, {});
        curve.show();
        QVERIFY(QTest::qWaitForWindowExposed(&curve));
        const auto perFrame = [](QCustomPlot& plot, auto&& frame) {
            constexpr int kFrames = 6;
            const double begin = test::threadSeconds();
            for (int i = 0; i < kFrames; ++i) {
                frame(i);
                plot.replot(QCustomPlot::rpImmediateRefresh);
            }
            return (test::threadSeconds() - begin) / kFrames;
        };
        const double tokens = perFrame(curve, [&](int i) { curve.zoom(i % 2 ? 1.25 : 0.8, curve.axisRect()->center()); });
        bool found = false;
        QVERIFY(std::abs(curve.graph(1)->getValueRange(found).upper - 3) < 1e-6);
        QTest::mouseClick(&curve, Qt::LeftButton, {}, QPoint(int(curve.xAxis->coordToPixel(7'654'321)), curve.axisRect()->center().y()));
        QCOMPARE(curve.current(), qsizetype{7'654'321});
        AgreementPlot agreement;
        agreement.resize(600, 400);
        agreement.setPairs(cloud(100'000, 0.8), QStringLiteral("a"), QStringLiteral("b"), true);
        agreement.show();
        QVERIFY(QTest::qWaitForWindowExposed(&agreement));
        const double points = perFrame(agreement, [&](int i) { agreement.zoom(i % 2 ? 1.25 : 0.8, agreement.axisRect()->center()); });
        HeatmapPlot heat;
        heat.resize(900, 400);
        QVector<double> values(200 * 2000);
        for (qsizetype i = 0; i < values.size(); ++i) values[i] = double(i % 977);
        heat.setMatrix(200, 2000, values);
        heat.show();
        QVERIFY(QTest::qWaitForWindowExposed(&heat));
        const double begin = test::threadSeconds();
        heat.grab();
        const double cells = test::threadSeconds() - begin;
        qInfo("10^7 tokens: %.0f ms a frame; 10^5 points: %.0f ms; 200 x 2000 cells: %.0f ms", 1000 * tokens, 1000 * points, 1000 * cells);
        for (const double seconds : {tokens, points, cells}) QVERIFY2(seconds < 0.1 * test::kSlower, qPrintable(QString::number(seconds)));
    }

private:
    static QString fileOf(const QString& name, bool dark) { return name + (dark ? QStringLiteral("-dark.png") : QStringLiteral("-light.png")); }

    static bool sane(QCustomPlot& plot) {
        plot.resize(kSize);
        plot.show();
        plot.replot(QCustomPlot::rpImmediateRefresh);
        for (const QCPAxis* axis : {plot.xAxis, plot.yAxis})
            if (!(axis->range().size() > 0) || !std::isfinite(axis->range().lower) || !std::isfinite(axis->range().upper)) return false;
        return test::differentColors(plot.grab().toImage()) > 1; // axes, or a word on why there is nothing
    }

    /// @param variant 0: the picture; 1: other data of the same kind.
    QImage draw(const QString& name, int variant) {
        if (name == QLatin1String("histogram")) {
            HistogramPlot plot;
            plot.setLogCounts(true);
            plot.setHistogram(bell(120, variant ? 0.12 : 0.25));
            plot.setMarkers({{QStringLiteral("percentile"), -0.6, 0.6, Theme::instance().tokens().amber, true}});
            return pictureOf(plot);
        }
        if (name == QLatin1String("heatmap") || name == QLatin1String("difference-map")) {
            const bool difference = name != QLatin1String("heatmap");
            HeatmapPlot plot;
            plot.setDiverging(difference);
            QVector<double> values;
            for (int row = 0; row < 6; ++row)
                for (int column = 0; column < 10; ++column) values << (row == 2 && column == 3 ? kNan : (variant ? 1 : -1) * 1e-3 * std::sin(row + 0.7 * column) + (difference ? 0 : 1.5e-3));
            plot.setRowLabels({QStringLiteral("attn_q"), QStringLiteral("attn_k"), QStringLiteral("attn_v"), QStringLiteral("ffn_up"), QStringLiteral("ffn_gate"), QStringLiteral("ffn_down")});
            plot.setMatrix(6, 10, values);
            return pictureOf(plot);
        }
        if (name == QLatin1String("tokens")) {
            TokenCurve plot;
            plot.setScores(wave(300, variant ? 0.03 : 0.01, 61), wave(300, 0.02, variant ? 23 : 47), true, {});
            plot.setCurrent(variant ? 200 : 94);
            return pictureOf(plot);
        }
        if (name == QLatin1String("spread")) {
            KlHistogram plot;
            plot.setScores(wave(3000, variant ? 0.0004 : 0.01, 61), wave(3000, 0.05, 47));
            return pictureOf(plot);
        }
        if (name == QLatin1String("reliability")) {
            ReliabilityPlot plot;
            std::vector<ReliabilityBin> a, b;
            for (int i = 0; i < 8; ++i) {
                const double sure = 0.06 + 0.12 * i, off = variant ? 0.12 : 0.03;
                a.push_back({100, sure, sure - off * (i % 3), std::max(0.0, sure - off * (i % 3) - 0.05), std::min(1.0, sure - off * (i % 3) + 0.05)});
                b.push_back({100, sure + 0.02, std::max(0.0, sure - 0.1 - off), std::max(0.0, sure - 0.16 - off), sure - 0.02});
            }
            plot.setBins(a, b);
            return pictureOf(plot);
        }
        if (name == QLatin1String("agreement")) {
            AgreementPlot plot;
            plot.setPairs(cloud(variant ? 40 : 90, variant ? 1.5 : 0.4), QStringLiteral("estimate, nats"), QStringLiteral("measured, nats"), true);
            return pictureOf(plot);
        }
        if (name == QLatin1String("what-if")) {
            WhatIfPlot plot;
            const WhatIfPlot::Curve after{bell(96, variant ? 0.06 : 0.12), 1, variant ? 0.7 : 0.4};
            plot.setCurves({bell(96, 0.3), 1, 1}, &after);
            return pictureOf(plot);
        }
        Session session;
        session.setCheckpoint(demo_.checkpoint, demo_.model);
        session.setLog(test::home().file(QStringLiteral("pictures.db")));
        MixState state(&session);
        ParetoPlot plot(&state);
        return pictureOf(plot);
    }

    test::Demo demo_;
};

int main(int argc, char** argv) { return test::run<PicturesTest>(argc, argv); }
#include "pictures_test.moc"
