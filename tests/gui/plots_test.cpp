// SPDX-License-Identifier: GPL-3.0-or-later
// Plots: colour tables, scales, odd data (empty, one point, all equal, all NaN, zeros on a log axis, very large), clip
// lines under the pointer and the keys, export.
#include "tests/gui/gui_fixture.h"
#include "widgets/plots/color_maps.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/histogram_plot.h"
#include "widgets/plots/label_layout.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/plots/plot_navigation.h"
#include "widgets/plots/value_scale.h"

#include <QClipboard>
#include <QElapsedTimer>
#include <QImage>
#include <QMenu>
#include <QMimeData>
#include <QSet>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QWheelEvent>
#include <cmath>
#include <ctime>
#include <limits>

using namespace bw;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double lightness(QRgb c) { return 0.2126 * qRed(c) + 0.7152 * qGreen(c) + 0.0722 * qBlue(c); }

Histogram bell(int bins) {
    Histogram h;
    h.low = -1;
    h.high = 1;
    for (int i = 0; i < bins; ++i) {
        const double x = (i + 0.5) * 2.0 / bins - 1;
        h.bins.push_back(static_cast<std::uint64_t>(1000 * std::exp(-8 * x * x)));
    }
    return h;
}

} // namespace

class PlotsTest final : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() { test::noWarnings(); }

    void sequentialMapsGrowLighterSteadily() {
        for (const ColorMap map : {ColorMap::viridis, ColorMap::cividis}) {
            const ColorTable& table = colorTable(map, true);
            for (std::size_t i = 8; i < table.size(); i += 8) QVERIFY2(lightness(table[i]) > lightness(table[i - 8]), qPrintable(QString::number(i)));
        }
        QCOMPARE(colorAt(ColorMap::viridis, 0, true), QColor(0x44, 0x01, 0x54));
        QCOMPARE(colorAt(ColorMap::viridis, 1, true), QColor(0xfd, 0xe7, 0x25));
        QCOMPARE(colorAt(ColorMap::viridis, 7, true), colorAt(ColorMap::viridis, 1, true));
    }

    void divergingMapStepsBackInTheMiddle() {
        QVERIFY(lightness(colorTable(ColorMap::diverging, true)[128]) < lightness(colorTable(ColorMap::diverging, true)[0]));
        QVERIFY(lightness(colorTable(ColorMap::diverging, false)[128]) > lightness(colorTable(ColorMap::diverging, false)[255]));
        QVERIFY(colorAt(ColorMap::diverging, 0, true).blue() > colorAt(ColorMap::diverging, 0, true).red());
        QVERIFY(colorAt(ColorMap::diverging, 1, true).red() > colorAt(ColorMap::diverging, 1, true).blue());
    }

    void scalesOfOddData() {
        QVERIFY(!ValueScale::fit({}, false).known);
        QVERIFY(!ValueScale::fit({kNan, kNan}, true).known);
        const auto equal = ValueScale::fit({3, 3, 3}, false);
        QVERIFY(equal.known);
        QCOMPARE(equal.position(3), 0.5);
        const auto log = ValueScale::fit({0, 1e-4, 1e-2, kNan}, true);
        QCOMPARE(log.low, 1e-4);
        QCOMPARE(log.position(0), 0.0);
        QVERIFY(std::abs(log.position(1e-3) - 0.5) < 1e-12);
        QVERIFY(std::isnan(log.position(kNan)));
        QVERIFY(std::abs(log.value(0.5) - 1e-3) < 1e-15);
        const auto both = ValueScale::fit({-1, 4}, false, true);
        QCOMPARE(both.low, -4.0);
        QCOMPARE(both.position(0), 0.5);
    }

    void numbersForPeople() {
        QCOMPARE(bytesText(512), QStringLiteral("512 B"));
        QCOMPARE(bytesText(80111206), QStringLiteral("76.4 MiB"));
        QCOMPARE(withError(0.04312, 0.0011), QStringLiteral("0.0431 ± 0.0011"));
        QCOMPARE(signedWithError(-0.01312, 0.0011), QStringLiteral("−0.0131 ± 0.0011"));
        QCOMPARE(signedWithError(0.26, 0.11), QStringLiteral("+0.26 ± 0.11"));
        QCOMPARE(figureText(1.24e-5, 2), QStringLiteral("1.2e-5"));
        QCOMPARE(figureText(0.0431), QStringLiteral("0.0431"));
        QCOMPARE(figureText(kNan), QStringLiteral("n/a"));
    }

    void heatmapCellsAndSignals() {
        HeatmapPlot plot;
        plot.resize(400, 300);
        plot.setRowLabels({QStringLiteral("r0"), QStringLiteral("r1")});
        plot.setColumnLabels({QStringLiteral("a"), QStringLiteral("b"), QStringLiteral("c")});
        plot.setMatrix(2, 3, {1, 2, 3, 4, kNan, 6});
        plot.show();
        QSignalSpy clicked(&plot, &HeatmapPlot::cellClicked);
        QTest::mouseClick(&plot, Qt::LeftButton, {}, plot.cellRect(1, 2).center().toPoint());
        QCOMPARE(clicked.size(), 1);
        QCOMPARE(clicked[0][0].toInt(), 1);
        QCOMPARE(clicked[0][1].toInt(), 2);
        QVERIFY(plot.cellText(1, 2).contains(QLatin1Char('6')));
        const QImage image = plot.grab().toImage();
        const QPoint gap = plot.cellRect(1, 1).center().toPoint(), full = plot.cellRect(0, 0).center().toPoint();
        QVERIFY2(image.pixelColor(gap) != colorAt(ColorMap::viridis, 0.5, true), "a NaN cell must be a gap");
        QCOMPARE(image.pixelColor(full), plot.cellColor(0, 0));
        QTest::keyClick(&plot, Qt::Key_Left);
        QTest::keyClick(&plot, Qt::Key_Return);
        QCOMPARE(clicked.last()[1].toInt(), 1);
        QCOMPARE(plot.csv().count(QLatin1Char('\n')), 7);
    }

    void heatmapOfOddData() {
        HeatmapPlot plot;
        plot.resize(300, 200);
        plot.grab();                              // empty
        plot.setMatrix(1, 1, {5});                // one cell
        QVERIFY(plot.scale().known);
        plot.grab();
        plot.setMatrix(2, 2, {7, 7, 7, 7});       // all equal
        QCOMPARE(plot.cellColor(0, 0), plot.cellColor(1, 1));
        plot.setMatrix(1, 2, {kNan, kNan});       // nothing but gaps
        QVERIFY(!plot.scale().known);
        plot.grab();
        plot.setLogScale(true);
        plot.setMatrix(1, 3, {0, 1, 100});        // zeros on a log scale
        QCOMPARE(plot.cellColor(0, 0), plot.cellColor(0, 1));
        plot.setMatrix(2, 3, {1, 2});             // wrong count: nothing
        QCOMPARE(plot.rows(), 0);
    }

    void largeHeatmapIsDrawnInTime() {
        QVector<double> values(200 * 2000);
        for (qsizetype i = 0; i < values.size(); ++i) values[i] = double(i % 977);
        values[777] = 1e6; // one outlier among 400,000 cells
        HeatmapPlot plot;
        plot.resize(900, 400);
        plot.setMatrix(200, 2000, values);
        plot.grab();
        QElapsedTimer timer;
        timer.start();
        constexpr int kFrames = 5;
        for (int i = 0; i < kFrames; ++i) {
            plot.setMatrix(200, 2000, values); // also forgets the cached picture
            plot.grab();
        }
        const double perFrame = double(timer.elapsed()) / kFrames;
        qInfo("200 x 2000 heat map: %.1f ms per frame", perFrame);
        QVERIFY2(perFrame < 100, qPrintable(QString::number(perFrame)));
        // Down-sampling keeps the outlier: somewhere the top colour is to be seen.
        const QImage image = plot.grab().toImage();
        bool found = false;
        const QRgb top = colorTable(ColorMap::viridis, true)[255];
        for (int y = 0; y < 20 && !found; ++y)
            for (int x = 0; x < image.width() && !found; ++x) found = (image.pixel(x, y) | 0xff000000) == top;
        QVERIFY(found);
    }

    void histogramMarkersMoveByMouseAndKeys() {
        HistogramPlot plot;
        plot.resize(500, 250);
        plot.setHistogram(bell(200));
        plot.setMarkers({{QStringLiteral("clip"), -0.5, 0.5, Qt::red, true}, {QStringLiteral("fixed"), -0.25, 0.25, Qt::green, false}});
        plot.show();
        QVERIFY(QTest::qWaitForWindowExposed(&plot));
        plot.replot(QCustomPlot::rpImmediateRefresh);
        QSignalSpy moved(&plot, &HistogramPlot::markerMoved);
        const int y = plot.axisRect()->center().y();
        const auto at = [&](double value) { return QPoint(qRound(plot.xAxis->coordToPixel(value)), y); };
        QTest::mousePress(&plot, Qt::LeftButton, {}, at(0.5));
        QTest::mouseMove(&plot, at(0.7));
        QTest::mouseRelease(&plot, Qt::LeftButton, {}, at(0.7));
        QVERIFY(!moved.isEmpty());
        QCOMPARE(moved.last()[0].toString(), QStringLiteral("clip"));
        QVERIFY(std::abs(moved.last()[2].toDouble() - 0.7) < 0.02);
        moved.clear();
        QTest::mousePress(&plot, Qt::LeftButton, {}, at(0.25)); // not draggable
        QTest::mouseMove(&plot, at(0.35));
        QTest::mouseRelease(&plot, Qt::LeftButton, {}, at(0.35));
        QVERIFY(moved.isEmpty());
        QTest::keyClick(&plot, Qt::Key_Down);
        const double before = plot.markers()[0].low;
        QTest::keyClick(&plot, Qt::Key_Left);
        QVERIFY(plot.markers()[0].low < before);
    }

    void histogramOfOddData() {
        HistogramPlot plot;
        plot.resize(400, 200);
        plot.grab();
        plot.setLogCounts(true);
        Histogram zeros = bell(64); // its ends count zero
        zeros.bins.front() = zeros.bins.back() = 0;
        plot.setHistogram(zeros);
        QVERIFY(test::differentColors(plot.toPixmap(400, 200).toImage()) > 3);
        Histogram one;
        one.low = one.high = 2;
        one.bins = {5};
        plot.setHistogram(one);
        QVERIFY(plot.xAxis->range().size() > 0);
        Histogram nothing;
        nothing.nan = 12;
        plot.setHistogram(nothing);
        QVERIFY(!plot.xAxis->visible());
        plot.setTicksBelow({-1, 0, 1});
        plot.setHistogram(bell(4096));
        QVERIFY(plot.csv().startsWith(QStringLiteral("low,high,count\n")));
        QCOMPARE(plot.csv().count(QLatin1Char('\n')), 4097);
    }

    void exportsEveryKind() {
        QTemporaryDir folder;
        HistogramPlot histogram;
        histogram.resize(400, 200);
        histogram.setHistogram(bell(100));
        HeatmapPlot heat;
        heat.resize(300, 150);
        heat.setMatrix(2, 2, {1, 2, 3, 4});
        for (QWidget* plot : {static_cast<QWidget*>(&histogram), static_cast<QWidget*>(&heat)}) {
            const QString png = folder.filePath(QStringLiteral("p.png")), svg = folder.filePath(QStringLiteral("p.svg")), pdf = folder.filePath(QStringLiteral("p.pdf"));
            QCOMPARE(savePlot(plot, png), QString());
            QCOMPARE(QImage(png).size(), plot->size() * 2);
            QVERIFY(test::differentColors(QImage(png)) > 3);
            QCOMPARE(savePlot(plot, svg), QString());
            QFile file(svg);
            QVERIFY(file.open(QIODevice::ReadOnly));
            const QByteArray text = file.readAll();
            QVERIFY(text.contains("<svg") && text.contains("path"));
            QCOMPARE(savePlot(plot, pdf), QString());
            QFile portable(pdf);
            QVERIFY(portable.open(QIODevice::ReadOnly));
            QVERIFY(portable.read(5) == "%PDF-");
        }
        QVERIFY(savePlot(&heat, folder.filePath(QStringLiteral("p.bmp"))).contains(QStringLiteral(".png")));
        QVERIFY(!savePlot(&heat, QStringLiteral("/proc/nowhere/p.png")).isEmpty());
        HeatmapPlot huge;
        huge.resize(15000, 20);
        QVERIFY(!savePlot(&huge, folder.filePath(QStringLiteral("h.png"))).isEmpty());
        QVERIFY(!QFile::exists(folder.filePath(QStringLiteral("h.png"))));
        QCOMPARE(csvField(QStringLiteral("a\"b,c")), QStringLiteral("\"a\"\"b,c\""));
    }

    void labelsNeverCoverEachOtherOrAPoint() {
        const QRectF area(0, 0, 360, 220);
        QVector<PlotLabel> labels;
        for (int i = 0; i < 12; ++i) labels << PlotLabel{QPointF(180 + i % 3, 100 + i / 3), 6, {QSizeF(70, 14), QSizeF(24, 14)}};
        const QPolygonF curve({QPointF(0, 20), QPointF(120, 60), QPointF(359, 200)});
        const auto placed = placeLabels(labels, area, curve);
        QCOMPARE(placed.size(), labels.size());
        int lines = 0;
        for (int i = 0; i < placed.size(); ++i) {
            QVERIFY2(placed[i].spelling >= 0, "there is room for all of them");
            QVERIFY(area.contains(placed[i].rect));
            QCOMPARE(placed[i].rect.size(), labels[i].sizes[placed[i].spelling]);
            for (int k = 0; k < i; ++k) QVERIFY(!placed[i].rect.intersects(placed[k].rect));
            for (const PlotLabel& label : labels) QVERIFY(!placed[i].rect.contains(label.anchor));
            lines += placed[i].line;
        }
        QVERIFY(lines >= 6); // a dozen names don't fit beside one point
        QVERIFY(!placed.first().line);
    }

    void aLabelKeepsOffTheCurveAndOutOfNoRoom() {
        const QPolygonF curve({QPointF(0, 50), QPointF(200, 50)});
        const auto beside = placeLabels({{QPointF(100, 50), 6, {QSizeF(60, 14)}}}, QRectF(0, 0, 200, 100), curve);
        QVERIFY(beside[0].rect.bottom() < 50 || beside[0].rect.top() > 50);
        const auto shorter = placeLabels({{QPointF(20, 20), 4, {QSizeF(300, 14), QSizeF(20, 12)}}}, QRectF(0, 0, 60, 40), {});
        QCOMPARE(shorter[0].spelling, 1);
        const auto none = placeLabels({{QPointF(20, 20), 4, {QSizeF(300, 14)}}}, QRectF(0, 0, 60, 40), {});
        QCOMPARE(none[0].spelling, -1);
    }

    void squeezedToNothingThePlotStaysQuiet() {
        HistogramPlot plot; // a warning of the painter would fail this
        plot.setHistogram(bell(20));
        plot.show();
        plot.resize(0, 0);
        plot.replot(QCustomPlot::rpImmediateRefresh);
        plot.resize(300, 0);
        plot.replot(QCustomPlot::rpImmediateRefresh);
        plot.resize(300, 120);
        plot.replot(QCustomPlot::rpImmediateRefresh);
        QCOMPARE(plot.viewport().size(), QSize(300, 120));
    }

    void aViewStaysWithinWhatThereIs() {
        const auto same = [](ViewSpan a, double low, double high) { return std::abs(a.low - low) < 1e-12 && std::abs(a.high - high) < 1e-12; };
        QVERIFY(same(heldWithin({-5, 20}, {0, 10}), 0, 10));       // wider: all of it
        QVERIFY(same(heldWithin({8, 12}, {0, 10}), 6, 10));        // moved, not shortened
        QVERIFY(same(heldWithin({3, 4}, {0, 10}), 3, 4));
        QVERIFY(std::abs((heldWithin({5, 5}, {0, 10}).high - heldWithin({5, 5}, {0, 10}).low) - 10 * kClosest) < 1e-12);
        const ViewSpan log = heldWithin({1e3, 1e5}, {1e-2, 1e4}, true); // two decades wide, and stays so
        QVERIFY(std::abs(log.low - 1e2) < 1e-6 && std::abs(log.high - 1e4) < 1e-6);
    }

    void wheelDragKeysAndDoubleClickMoveEveryPlotAlike() {
        HistogramPlot plot;
        plot.resize(500, 250);
        plot.setHistogram(bell(4000));
        plot.show();
        QVERIFY(QTest::qWaitForWindowExposed(&plot));
        plot.replot(QCustomPlot::rpImmediateRefresh);
        const QCPRange whole = plot.xAxis->range();
        const QPoint middle = plot.axisRect()->center();
        QVERIFY(!turn(plot, middle, -120)); // nothing farther to see: the page may scroll
        QVERIFY(turn(plot, middle, 120));
        QVERIFY(std::abs(plot.xAxis->range().size() / whole.size() - kZoomStep) < 1e-6);
        for (int i = 0; i < 8; ++i) turn(plot, middle, 120);
        const QCPRange closer = plot.xAxis->range();
        QTest::mousePress(&plot, Qt::LeftButton, {}, middle);
        QTest::mouseMove(&plot, middle + QPoint(60, 0));
        QTest::mouseRelease(&plot, Qt::LeftButton, {}, middle + QPoint(60, 0));
        QVERIFY2(plot.xAxis->range().lower < closer.lower, "the plot follows the hand");
        QVERIFY(std::abs(plot.xAxis->range().size() - closer.size()) < 1e-9);
        for (int i = 0; i < 60; ++i) QTest::keyClick(&plot, Qt::Key_Left, Qt::ShiftModifier);
        QVERIFY2(std::abs(plot.xAxis->range().lower - whole.lower) < 1e-9, "no farther than the data");
        plot.setMarkers({{QStringLiteral("clip"), -0.5, 0.5, Qt::red, true}}); // lines move while one looks closer
        QVERIFY(plot.zoomed());
        QTest::mouseDClick(&plot, Qt::LeftButton, {}, middle);
        QVERIFY(!plot.zoomed() && std::abs(plot.xAxis->range().size() - whole.size()) < 1e-9);
        QTest::keyClick(&plot, Qt::Key_Plus);
        QVERIFY(plot.zoomed());
        QTest::keyClick(&plot, Qt::Key_Minus);
        QVERIFY(!plot.zoomed());
        QTest::keyClick(&plot, Qt::Key_Plus);
        QTest::keyClick(&plot, Qt::Key_0);
        QVERIFY(!plot.zoomed());
    }

    void closerBarsHoldFewerBins() {
        HistogramPlot plot;
        plot.resize(500, 250);
        plot.setHistogram(bell(1 << 16));
        plot.show();
        QVERIFY(QTest::qWaitForWindowExposed(&plot));
        plot.replot(QCustomPlot::rpImmediateRefresh);
        const auto* bars = qobject_cast<QCPBars*>(plot.plottable(0));
        const double wide = bars->width();
        for (int i = 0; i < 20; ++i) plot.zoom(kZoomStep, plot.axisRect()->center());
        QVERIFY2(bars->width() < wide / 50, qPrintable(QString::number(bars->width() / wide)));
        double most = 0;
        for (const QCPBarsData& bar : *bars->data()) most = std::max(most, bar.value);
        QVERIFY(most > 0 && plot.yAxis->range().upper >= most && plot.yAxis->range().upper < 2 * most);
    }

    void heatmapLooksCloserAndBack() {
        QVector<double> values(300 * 64);
        for (qsizetype i = 0; i < values.size(); ++i) values[i] = double(i);
        HeatmapPlot plot;
        plot.resize(640, 400);
        plot.setMatrix(300, 64, values);
        plot.show();
        QVERIFY(QTest::qWaitForWindowExposed(&plot));
        const QPoint at = plot.cellRect(150, 32).center().toPoint();
        for (int i = 0; i < 12; ++i) QVERIFY(turn(plot, at, 120));
        QVERIFY(plot.zoomed());
        QVERIFY2(plot.cellRect(150, 32).adjusted(-3, -3, 3, 3).contains(at), "the cell under the pointer stays there");
        QSignalSpy clicked(&plot, &HeatmapPlot::cellClicked);
        QTest::mousePress(&plot, Qt::LeftButton, {}, at);
        QTest::mouseMove(&plot, at + QPoint(80, 40));
        QTest::mouseRelease(&plot, Qt::LeftButton, {}, at + QPoint(80, 40));
        QVERIFY(clicked.isEmpty()); // a drag chooses nothing
        QVERIFY(plot.cellRect(150, 32).adjusted(-3, -3, 3, 3).contains(at + QPoint(80, 40)));
        QTest::mouseClick(&plot, Qt::LeftButton, {}, at + QPoint(80, 40));
        QCOMPARE(clicked.size(), 1);
        QCOMPARE(clicked[0][0].toInt(), 150);
        QVERIFY(test::differentColors(plot.grab().toImage()) > 8);
        QTest::keyClick(&plot, Qt::Key_0);
        QVERIFY(!plot.zoomed());
        for (int i = 0; i < 12; ++i) turn(plot, at, 120);
        for (int i = 0; i < 300; ++i) QTest::keyClick(&plot, Qt::Key_Down);
        QVERIFY2(plot.rect().contains(plot.cellRect(299, 32).center().toPoint()), "the cursor is never out of sight");
        QTest::mouseDClick(&plot, Qt::LeftButton, {}, QPoint(300, 200));
        QVERIFY(!plot.zoomed());
    }

    /// 60 frames a second: a frame of what a person drags or zooms, painted to a picture of a large plot.
    void largePlotsMoveAtSixtyFramesASecond() {
        constexpr int kFrames = 20;
        constexpr double kFrame = 1000.0 / 60;
        Histogram large = bell(1'000'000);
        HistogramPlot histogram;
        histogram.resize(900, 300);
        histogram.setHistogram(large);
        histogram.show();
        QVERIFY(QTest::qWaitForWindowExposed(&histogram));
        QVector<double> values(300 * 64);
        for (qsizetype i = 0; i < values.size(); ++i) values[i] = double(i % 977);
        HeatmapPlot heat;
        heat.resize(900, 600);
        heat.setMatrix(300, 64, values);
        heat.show();
        QVERIFY(QTest::qWaitForWindowExposed(&heat));
        const auto perFrame = [](auto&& frame) {
            const std::clock_t begin = std::clock(); // CPU time: other programs take none of it
            for (int i = 0; i < kFrames; ++i) frame(i);
            return 1000.0 * double(std::clock() - begin) / CLOCKS_PER_SEC / kFrames;
        };
        const double bins = perFrame([&](int i) {
            histogram.zoom(i % 2 ? 1 / kZoomStep : kZoomStep, histogram.axisRect()->center());
            histogram.replot(QCustomPlot::rpImmediateRefresh);
        });
        const double cells = perFrame([&](int i) {
            heat.zoom(i % 2 ? 1 / kZoomStep : kZoomStep, heat.rect().center());
            heat.grab();
        });
        qInfo("1e6 bins: %.1f ms a frame; 300 x 64 cells: %.1f ms a frame", bins, cells);
        QVERIFY2(bins < kFrame, qPrintable(QString::number(bins)));
        QVERIFY2(cells < kFrame, qPrintable(QString::number(cells)));
    }

    void copiesAsPngSvgAndCsv() {
        HeatmapPlot heat;
        heat.resize(300, 150);
        heat.setMatrix(2, 2, {1, 2, 3, 4});
        QMenu menu;
        fillExportMenu(&menu, &heat, QStringLiteral("heat"), [&] { return heat.csv(); });
        const auto copy = [&](const char* text) -> const QMimeData* {
            for (QAction* action : menu.actions())
                if (action->text() == QLatin1String(text)) action->trigger();
            return QApplication::clipboard()->mimeData();
        };
        QVERIFY(copy("Copy as PNG")->hasImage());
        QVERIFY(copy("Copy as SVG")->data(QStringLiteral("image/svg+xml")).contains("<svg"));
        QVERIFY(QApplication::clipboard()->text().contains(QStringLiteral("<svg")));
        QCOMPARE(copy("Copy data as CSV")->data(QStringLiteral("text/csv")), heat.csv().toUtf8());
    }

    void followsTheTheme() {
        HistogramPlot plot;
        plot.resize(200, 100);
        plot.setHistogram(bell(50));
        Theme::instance().apply(Theme::Mode::light);
        const QColor light = plot.toPixmap(200, 100).toImage().pixelColor(3, 3);
        Theme::instance().apply(Theme::Mode::dark);
        const QColor dark = plot.toPixmap(200, 100).toImage().pixelColor(3, 3);
        QVERIFY(light.lightness() > 200);
        QVERIFY(dark.lightness() < 60);
    }

private:
    /// A turn of the wheel over a plot. @return whether the plot took it.
    static bool turn(QWidget& plot, const QPoint& at, int delta) {
        QWheelEvent event(at, plot.mapToGlobal(at), {}, {0, delta}, Qt::NoButton, Qt::NoModifier, Qt::NoScrollPhase, false);
        event.setAccepted(false);
        QCoreApplication::sendEvent(&plot, &event);
        return event.isAccepted();
    }
};

int main(int argc, char** argv) { return test::run<PlotsTest>(argc, argv); }
#include "plots_test.moc"
