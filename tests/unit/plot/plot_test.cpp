// SPDX-License-Identifier: GPL-3.0-or-later
// The plots as files: everything in the data is in the picture, both outputs are sound, bad data are said to be so.
#include "tests/unit/plot/plot_data.h"

#include "core/base/error.h"
#include "core/plot/axis.h"
#include "core/plot/text_width.h"
#include "tests/support/expect_error.h"
#include "tests/support/failing_io.h"
#include "tests/support/temp_folder.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cairo.h>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

namespace bw {
namespace {

namespace fs = std::filesystem;
using namespace plot;
using test::countOf;
using test::someAgreement;
using test::someHeatmap;
using test::somePareto;
using test::xmlFault;
using testing::HasSubstr;

std::string svgOf(const PlotData& data, bool dark = false) { return toSvg(draw(data, dark)); }

struct Pixels {
    int width = 0, height = 0;
    std::set<std::uint32_t> colors;
};

Pixels decode(const std::string& png) {
    struct Source {
        const std::string& text;
        std::size_t at = 0;
    } source{png};
    cairo_surface_t* const surface = cairo_image_surface_create_from_png_stream(
        [](void* from, unsigned char* out, unsigned int count) {
            auto& s = *static_cast<Source*>(from);
            if (s.text.size() - s.at < count) return CAIRO_STATUS_READ_ERROR;
            std::memcpy(out, s.text.data() + s.at, count);
            s.at += count;
            return CAIRO_STATUS_SUCCESS;
        },
        &source);
    Pixels pixels;
    if (cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS) {
        pixels.width = cairo_image_surface_get_width(surface);
        pixels.height = cairo_image_surface_get_height(surface);
        const unsigned char* data = cairo_image_surface_get_data(surface);
        for (int y = 0; y < pixels.height; ++y)
            for (int x = 0; x < pixels.width; ++x) {
                std::uint32_t pixel = 0;
                std::memcpy(&pixel, data + y * cairo_image_surface_get_stride(surface) + 4 * x, 4);
                pixels.colors.insert(pixel & 0xFFFFFF);
            }
    }
    cairo_surface_destroy(surface);
    return pixels;
}

std::uint32_t code(const Color& c) { return static_cast<std::uint32_t>(c.r << 16 | c.g << 8 | c.b); }

TEST(Plot, svgHasEveryLabelAndOneMarkForEachDatum) {
    const HeatmapData heat = someHeatmap();
    const std::string map = svgOf(heat);
    EXPECT_EQ(xmlFault(map), "");
    EXPECT_EQ(countOf(map, "class=\"mark\""), 2 * (6 * 5 + 1u));
    for (const char* label : {">Sensitivity of &lt;model&gt; &amp; &quot;friends&quot;</text>", ">run 3 · measured KL</text>", ">q3_0</text>", ">q4_0</text>", ">attn_q</text>",
                              ">ffn_up ×2</text>", ">ffn_down</text>", ">token_embd</text>", ">block</text>", ">nats per token</text>", ">0</text>", ">5</text>"})
        EXPECT_THAT(map, HasSubstr(label));
    EXPECT_THAT(map, HasSubstr("<title>block 0, attn_q, q3_0: 0.0001 ± 1.0e-5 nats per token</title>"));

    const ParetoData pareto = somePareto();
    const std::string front = svgOf(pareto);
    EXPECT_EQ(xmlFault(front), "");
    EXPECT_EQ(countOf(front, "class=\"mark\""), 64u + 3 * 2 + 3); // predicted and measured are two marks
    for (const ParetoPoint& p : pareto.points) EXPECT_THAT(front, HasSubstr(">" + p.label + "</text>"));
    for (const char* label : {">size, MiB</text>", ">damage, nats per token</text>", ">bits per weight</text>", ">budget</text>", ">this mix</text>", ">uniform</text>", ">rule list</text>"})
        EXPECT_THAT(front, HasSubstr(label));

    const std::string both = svgOf(someAgreement());
    EXPECT_EQ(xmlFault(both), "");
    EXPECT_EQ(countOf(both, "class=\"mark\""), 80u);
    for (const char* label : {">run 1: Fisher estimate, nats per token</text>", ">0.987</text>", ">1.04</text>", ">0.991</text>", ">both equal</text>", ">q3_0</text>"})
        EXPECT_THAT(both, HasSubstr(label));
    AgreementData other = someAgreement();
    other.sameUnit = false;
    EXPECT_THAT(svgOf(other), testing::Not(HasSubstr("both equal"))) << "equal means nothing between units";
}

TEST(Plot, pngHasThePicturesSizeAndColoursAtEveryScale) {
    const HeatmapData data = someHeatmap(6, 1);
    for (const bool dark : {false, true}) {
        const Picture picture = draw(data, dark);
        for (const double scale : {1.0, 2.0}) {
            const Pixels pixels = decode(toPng(picture, scale));
            EXPECT_EQ(pixels.width, static_cast<int>(std::ceil(picture.width * scale)));
            EXPECT_EQ(pixels.height, static_cast<int>(std::ceil(picture.height * scale)));
            // The least and the greatest value have the ends of the map, words the theme's colour.
            for (const Color& c : {tokens(dark).ground, viridis(0), viridis(1), tokens(dark).text, bitsColor(3)})
                EXPECT_TRUE(pixels.colors.contains(code(c))) << dark << " " << scale << " " << std::hex << code(c);
        }
    }
    for (const PlotData& other : {PlotData(somePareto()), PlotData(someAgreement())}) EXPECT_GT(decode(toPng(draw(other, true), 1)).colors.size(), 20u);
}

TEST(Plot, theSameDataGiveTheSameBytes) {
    EXPECT_EQ(svgOf(somePareto()), svgOf(somePareto()));
    EXPECT_EQ(toPng(draw(someHeatmap(), true), 1), toPng(draw(someHeatmap(), true), 1));
}

TEST(Plot, saysSoWhenThereIsNothingToShow) {
    const auto says = [](const PlotData& data, const std::string& words) {
        const std::string svg = svgOf(data);
        EXPECT_EQ(xmlFault(svg), "");
        EXPECT_EQ(countOf(svg, "class=\"mark\""), 0u);
        EXPECT_THAT(svg, HasSubstr(words));
        EXPECT_GT(decode(toPng(draw(data, false), 1)).width, 100);
    };
    says(HeatmapData{}, "no cell is in this map");
    HeatmapData unmeasured = someHeatmap(2, 1), harmless = someHeatmap(2, 1);
    for (HeatmapPanel* panel : {&unmeasured.panels[0], &harmless.panels[0]}) panel->extra.clear();
    for (auto& cell : unmeasured.panels[0].cells) cell->value = kUnknown;
    for (auto& cell : harmless.panels[0].cells) cell->value = 0;
    says(unmeasured, "no cell of this map is measured");
    says(harmless, "no cell of this map shows any damage");
    says(ParetoData{}, "there is no mix to show");
    ParetoData sizeless;
    sizeless.points.resize(2);
    says(sizeless, "no mix here has a size");
    says(AgreementData{}, "have no cell in common");
    AgreementData half = someAgreement(3);
    for (AgreementSeries& series : half.series)
        for (auto& pair : series.pairs) pair.y = kUnknown;
    says(half, "no cell has both values");
}

TEST(Plot, countsWhatCannotBeShownAsItIs) {
    HeatmapData heat = someHeatmap(6, 1);
    heat.panels[0].cells[0]->value = kUnknown;
    heat.panels[0].cells[1]->value = INFINITY;
    heat.panels[0].cells[2]->value = -1e-5;
    heat.panels[0].cells[3]->doubtful = true;
    heat.panels[0].cells[4].reset(); // no such site
    const std::string map = svgOf(heat);
    EXPECT_EQ(countOf(map, "class=\"mark\""), 30u);
    for (const char* note : {"not measured (2)", "nothing or less, within noise (1)", "contradicts its neighbours (1)"}) EXPECT_THAT(map, HasSubstr(note));

    ParetoData pareto = somePareto();
    pareto.points[3].measured = kUnknown;
    pareto.points[4].measured = -0.001;
    pareto.points[5].bytes = -3;
    pareto.front[2].damage = kUnknown;
    const std::string front = svgOf(pareto);
    EXPECT_EQ(xmlFault(front), "");
    EXPECT_THAT(front, HasSubstr("2 without a size or a damage left out. 1 at or below nothing"));

    AgreementData both = someAgreement(5);
    both.series[0].pairs[0].x = kUnknown;
    both.series[0].pairs[1].y = 0;
    const std::string scatter = svgOf(both);
    EXPECT_EQ(countOf(scatter, "class=\"mark\""), 9u);
    EXPECT_THAT(scatter, HasSubstr("1 without both values left out"));
    EXPECT_THAT(scatter, HasSubstr("1 at or below nothing"));
}

TEST(Plot, drawsASingleCellAndASinglePoint) {
    HeatmapData heat;
    heat.rows = {"0"};
    heat.columns = {"attn_q"};
    heat.panels = {{"q4_0", 4, {HeatmapCell{0.01, 0, false, {}}}, {}}};
    EXPECT_EQ(countOf(svgOf(heat), "class=\"mark\""), 1u);
    ParetoData pareto;
    pareto.points = {{ParetoPoint::Kind::mix, "only", 1e6, kUnknown, 0, 0.1, 0}};
    EXPECT_THAT(svgOf(pareto), HasSubstr(">only</text>"));
    AgreementData both;
    both.series = {{"q4_0", 4, {{"a", 0.1, 0.1, 0, 0}}, kUnknown, kUnknown}};
    EXPECT_EQ(countOf(svgOf(both), "class=\"mark\""), 1u);
}

TEST(Plot, noSvgHoldsANumberThatIsNone) {
    ParetoData wild = somePareto();
    for (const double v : {HUGE_VAL, -HUGE_VAL, kUnknown, 1e300, -1e300, 1e-300}) {
        wild.points.push_back({ParetoPoint::Kind::other, "wild", v, 0.2, v, 0.2, v});
        wild.points.push_back({ParetoPoint::Kind::other, "wild", 6e7, v, v, v, v});
        wild.front.push_back({v, v, v});
    }
    const std::string svg = svgOf(wild);
    EXPECT_EQ(xmlFault(svg), "");
    for (const char* none : {"=\"nan", "=\"inf", "=\"-inf", " nan", "Lnan", "Mnan", "Linf"}) EXPECT_EQ(svg.find(none), std::string::npos) << none;
    EXPECT_GT(decode(toPng(draw(wild, false), 1)).width, 0);
    HeatmapData names = someHeatmap(2, 1);
    names.heading.title = "\x1b[31m\xff <script>" + std::string(5000, 'x');
    names.columns[0] = "]]>&";
    names.panels[0].name = "\"'<>";
    EXPECT_EQ(xmlFault(svgOf(names)), "");
}

/// Boxes of the names that stand beside points: the texts with a halo.
std::vector<Box> nameBoxes(const Picture& picture) {
    std::vector<Box> boxes;
    for (const plot::Shape& shape : picture.shapes)
        if (const Text* text = std::get_if<Text>(&shape.what); text && text->halo) {
            const double width = textWidth(text->text, text->size, text->bold);
            boxes.push_back({text->at.x - width / 2, text->at.y - text->size * kCapHeight, width, text->size * kCapHeight});
        }
    return boxes;
}

TEST(Plot, namesOfCrowdedMixesDoNotOverlap) {
    ParetoData crowd = somePareto();
    for (int i = 0; i < 20; ++i) crowd.points.push_back({ParetoPoint::Kind::other, "crowded run " + std::to_string(i), 6e7 + 3e4 * i, kUnknown, 0, 0.3 + 0.002 * i, 0.001});
    const Picture picture = draw(crowd, false);
    const std::vector<Box> boxes = nameBoxes(picture);
    EXPECT_GE(boxes.size(), 20u);
    for (std::size_t i = 0; i < boxes.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(boxes[i].overlaps(boxes[j])) << i << " " << j;
    const std::string svg = toSvg(picture);
    for (const ParetoPoint& p : crowd.points) EXPECT_THAT(svg, HasSubstr(p.label)); // beside its point, or named below
}

TEST(Plot, isWrittenWholeOrNotAtAll) {
    const test::TempFolder folder;
    const std::string path = (folder.path() / "map.svg").string(), image = (folder.path() / "map.png").string();
    writePlot(someHeatmap(), {path, false, 1, false});
    writePlot(someHeatmap(), {image, true, 2, false});
    std::ifstream in(path);
    EXPECT_EQ(std::string({std::istreambuf_iterator<char>(in), {}}), svgOf(someHeatmap()));
    test::expectError(ErrorCode::targetExists, [&] { writePlot(someHeatmap(), {path, false, 1, false}); });
    writePlot(somePareto(), {path, false, 1, true});
    test::expectError(ErrorCode::usage, [&] { writePlot(somePareto(), {(folder.path() / "map.pdf").string(), false, 1, false}); });
    test::expectError(ErrorCode::usage, [&] { writePlot(somePareto(), {image, false, 0, true}); });
    test::expectError(ErrorCode::usage, [&] { writePlot(somePareto(), {image, false, static_cast<double>(NAN), true}); });
    test::expectError(ErrorCode::fileNotFound, [&] { writePlot(somePareto(), {(folder.path() / "none" / "a.png").string(), false, 1, false}); });
    fs::create_directory(folder.path() / "folder.svg");
    test::expectError(ErrorCode::notRegularFile, [&] { writePlot(somePareto(), {(folder.path() / "folder.svg").string(), false, 1, true}); });
    const std::uintmax_t before = fs::file_size(image);
    bool failed = true;
    for (int k = 1; failed && k < 20; ++k) {
        const test::FailingIo io(k);
        bool threw = false;
        try {
            writePlot(someAgreement(), {image, false, 1, true});
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::diskFull);
            threw = true;
        }
        failed = io.failed();
        if (threw) { // all but the folder's own flush, after which the file is there
            EXPECT_EQ(fs::file_size(image), before);
            EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 3);
        }
    }
    EXPECT_FALSE(failed);
}

TEST(Plot, refusesWhatNobodyCouldRead) {
    HeatmapData huge = someHeatmap(1, 1);
    huge.panels[0].cells.resize(200'001);
    test::expectError(ErrorCode::usage, [&] { draw(huge, false); });
    Picture large{40'000, 10, {}, {}, {}};
    test::expectError(ErrorCode::usage, [&] { toPng(large, 1); });
    large = {20'000, 20'000, {}, {}, {}};
    test::expectError(ErrorCode::usage, [&] { toPng(large, 1); });
}

TEST(PlotAxis, ticksStandAtRoundValues) {
    const auto labels = [](const Scale& scale, int wanted) {
        std::vector<std::string> out;
        for (const Tick& tick : scale.ticks(wanted))
            if (!tick.label.empty()) out.push_back(tick.label);
        return out;
    };
    EXPECT_THAT(labels({0, 10, false, true}, 5), testing::ElementsAre("0", "2", "4", "6", "8", "10"));
    EXPECT_THAT(labels({-0.3, 0.3, false, true}, 4), testing::ElementsAre("−0.2", "0.0", "0.2"));
    EXPECT_THAT(labels({0.0009, 2, true, true}, 6), testing::ElementsAre("0.001", "0.01", "0.1", "1"));
    EXPECT_THAT(labels({1e-9, 1e-3, true, true}, 3), testing::ElementsAre("10⁻⁸", "10⁻⁶", "10⁻⁴"));
    EXPECT_THAT(labels({0.95, 6, true, true}, 8), testing::ElementsAre("1", "2", "3", "4", "5", "6"));
    for (const Scale& scale : {Scale::fit(std::vector<double>{}, true), Scale::fit(std::vector<double>{5, 5}, false), Scale::fit(std::vector<double>{0}, false), Scale::fit(std::vector<double>{1e-300, 1e300}, true)}) {
        EXPECT_LT(scale.low, scale.high);
        EXPECT_LT(scale.ticks(5).size(), 100u);
    }
    const Scale fitted = Scale::fit(std::vector<double>{NAN, -1, 0, 0.01, 10, INFINITY}, true);
    EXPECT_EQ(fitted.low, 0.01);
    EXPECT_EQ(fitted.high, 10);
    EXPECT_NEAR(fitted.position(std::sqrt(0.1)), 0.5, 1e-12);
    EXPECT_EQ(fitted.position(-1), -INFINITY);
}

TEST(PlotAxis, figuresReadWell) {
    EXPECT_EQ(figure(0.00123456, 3), "0.00123");
    EXPECT_EQ(figure(-12.3456, 3), "−12.3");
    EXPECT_EQ(figure(3.14e-6, 2), "3.1e-6");
    EXPECT_EQ(figure(0, 3), "0");
    EXPECT_EQ(figure(NAN, 3), "n/a");
}

TEST(PlotText, widthsAreThoseOfTheFont) {
    EXPECT_DOUBLE_EQ(textWidth("AAA", 2048), 3 * 1401);
    EXPECT_DOUBLE_EQ(textWidth("A", 2048, true), 1585);
    EXPECT_GT(textWidth("→", 10), textWidth("i", 10));
    EXPECT_EQ(elided("short", 100, 10), "short");
    EXPECT_LE(textWidth(elided(std::string(100, 'w'), 80, 10), 10), 80);
    EXPECT_GT(textWidth("\xff\xfe", 10), 0); // no valid UTF-8: some width, no crash
}

} // namespace
} // namespace bw
