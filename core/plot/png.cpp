// SPDX-License-Identifier: GPL-3.0-or-later
// The picture as PNG, painted by cairo. Fonts are taken from their files, so that no set-up of fontconfig is needed.
#include "core/plot/picture.h"

#include "core/base/error.h"
#include "core/plot/text_width.h"

#include <algorithm>
#include <array>
#include <cairo-ft.h>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <ft2build.h>
#include FT_FREETYPE_H
#include <map>
#include <memory>
#include <numbers>

namespace bw::plot {
namespace fs = std::filesystem;

namespace {

constexpr double kMostPixels = 1e8;    ///< 400 MB while it is painted
constexpr int kMostFontFiles = 5000;   ///< looked at; a folder full of other things must not hold up a plot
constexpr double kFitTolerance = 0.01; ///< of the width; beyond it letters are narrowed to the layout's width

/// Regular and bold of families that have the signs of the plots, best first.
constexpr std::array<std::array<const char*, 2>, 3> kFamilies{{{"DejaVuSans.ttf", "DejaVuSans-Bold.ttf"},
                                                               {"NotoSans-Regular.ttf", "NotoSans-Bold.ttf"},
                                                               {"LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf"}}};

/// Font files of this machine by name; the first of a name wins.
std::map<std::string, std::string> fontFiles() {
    std::map<std::string, std::string> files;
    int seen = 0;
    const char* home = std::getenv("HOME");
    for (const std::string& folder : {std::string(home ? home : "") + "/.local/share/fonts", std::string("/usr/local/share/fonts"), std::string("/usr/share/fonts")}) {
        std::error_code failure;
        for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, failure), end; !failure && it != end && seen < kMostFontFiles;
             it.increment(failure), ++seen)
            files.emplace(it->path().filename().string(), it->path().string());
    }
    return files;
}

struct Release {
    void operator()(cairo_surface_t* p) const { cairo_surface_destroy(p); }
    void operator()(cairo_t* p) const { cairo_destroy(p); }
    void operator()(cairo_font_face_t* p) const { cairo_font_face_destroy(p); }
};
template <class T>
using Handle = std::unique_ptr<T, Release>;

/// The faces of text; lives as long as the process, as FreeType's faces must outlive cairo's.
class Fonts {
public:
    Fonts() {
        if (FT_Init_FreeType(&library_) == 0) {
            const std::map<std::string, std::string> files = fontFiles();
            for (const auto& family : kFamilies)
                if (faces_[0] == nullptr)
                    for (std::size_t i = 0; i < 2; ++i)
                        if (const auto file = files.find(family[i]); file != files.end()) open(i, file->second);
        }
        asciiOnly_ = !faces_[0]; // whatever is found then
        if (asciiOnly_) faces_[0].reset(cairo_toy_font_face_create("sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL));
        if (!faces_[1]) faces_[1].reset(cairo_font_face_reference(faces_[0].get()));
    }
    cairo_font_face_t* face(bool bold) const { return faces_[bold ? 1 : 0].get(); }
    bool asciiOnly() const { return asciiOnly_; }

private:
    void open(std::size_t index, const std::string& path) {
        FT_Face face = nullptr;
        if (FT_New_Face(library_, path.c_str(), 0, &face) == 0) faces_[index].reset(cairo_ft_font_face_create_for_ft_face(face, FT_LOAD_NO_HINTING));
    }
    FT_Library library_ = nullptr;
    bool asciiOnly_ = false;
    std::array<Handle<cairo_font_face_t>, 2> faces_;
};

/// For cairo's built-in letters, which end at ASCII: "5·10⁻⁴" → "5e-4".
std::string inAscii(std::string text) {
    static constexpr std::array<std::pair<const char*, const char*>, 24> kSigns{
        {{"·10⁻", "e-"}, {"10⁻", "1e-"}, {"⁰", "0"}, {"¹", "1"}, {"²", "2"}, {"³", "3"}, {"⁴", "4"}, {"⁵", "5"}, {"⁶", "6"}, {"⁷", "7"}, {"⁸", "8"}, {"⁹", "9"},
         {"·", "-"}, {"−", "-"}, {"–", "-"}, {"—", "-"}, {"±", "+-"}, {"×", "x"}, {"…", ".."}, {"→", "->"}, {"ρ", "r"}, {"½", "1/2"}, {"≤", "<="}, {"≥", ">="}}};
    for (const auto& [sign, plain] : kSigns)
        for (std::size_t at = text.find(sign); at != std::string::npos; at = text.find(sign, at)) text.replace(at, std::string_view(sign).size(), plain);
    return text;
}

class Painter {
public:
    Painter(cairo_t* cairo, const Fonts& fonts) : cairo_(cairo), fonts_(fonts) {
        cairo_font_options_t* const options = cairo_font_options_create();
        cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF); // the same layout at every scale
        cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
        cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
        cairo_set_font_options(cairo, options);
        cairo_font_options_destroy(options);
    }
    void operator()(const Rectangle& r) const {
        const double x = r.box.x, y = r.box.y, w = r.box.width, h = r.box.height, rr = std::min({r.radius, w / 2, h / 2});
        if (rr > 0) {
            constexpr double kQuarter = std::numbers::pi / 2;
            cairo_new_sub_path(cairo_);
            cairo_arc(cairo_, x + w - rr, y + rr, rr, -kQuarter, 0);
            cairo_arc(cairo_, x + w - rr, y + h - rr, rr, 0, kQuarter);
            cairo_arc(cairo_, x + rr, y + h - rr, rr, kQuarter, 2 * kQuarter);
            cairo_arc(cairo_, x + rr, y + rr, rr, 2 * kQuarter, 3 * kQuarter);
            cairo_close_path(cairo_);
        } else {
            cairo_rectangle(cairo_, x, y, w, h);
        }
        paint(r.fill, r.stroke);
    }
    void operator()(const Circle& c) const {
        cairo_new_sub_path(cairo_);
        cairo_arc(cairo_, c.center.x, c.center.y, c.radius, 0, 2 * std::numbers::pi);
        paint(c.fill, c.stroke);
    }
    void operator()(const Path& p) const {
        for (const Point& point : p.points) cairo_line_to(cairo_, point.x, point.y);
        if (p.closed) cairo_close_path(cairo_);
        paint(p.fill, p.stroke);
    }
    void operator()(const Text& t) const {
        if (t.text.empty()) return;
        cairo_set_font_face(cairo_, fonts_.face(t.bold));
        cairo_set_font_size(cairo_, t.size);
        const std::string text = fonts_.asciiOnly() ? inAscii(t.text) : t.text;
        cairo_text_extents_t extents;
        cairo_text_extents(cairo_, text.c_str(), &extents);
        const double width = textWidth(t.text, t.size, t.bold);
        const double fit = extents.x_advance > 0 && std::abs(extents.x_advance - width) > kFitTolerance * width ? width / extents.x_advance : 1;
        cairo_save(cairo_);
        cairo_translate(cairo_, t.at.x, t.at.y);
        cairo_rotate(cairo_, t.degrees * std::numbers::pi / 180);
        cairo_translate(cairo_, t.anchor == Anchor::start ? 0 : t.anchor == Anchor::middle ? -width / 2 : -width, 0);
        cairo_scale(cairo_, fit, 1);
        cairo_move_to(cairo_, 0, 0);
        if (t.halo) {
            cairo_text_path(cairo_, text.c_str());
            cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_ROUND);
            paint({}, Stroke{*t.halo, 3});
            cairo_move_to(cairo_, 0, 0);
        }
        use(t.color);
        cairo_show_text(cairo_, text.c_str());
        cairo_new_path(cairo_); // it leaves a point behind
        cairo_restore(cairo_);
    }
    void operator()(const Clip& c) const {
        cairo_save(cairo_);
        cairo_rectangle(cairo_, c.box.x, c.box.y, c.box.width, c.box.height);
        cairo_clip(cairo_);
    }
    void operator()(const Unclip&) const { cairo_restore(cairo_); }

private:
    void use(const Color& c) const { cairo_set_source_rgba(cairo_, c.r / 255.0, c.g / 255.0, c.b / 255.0, c.alpha); }
    void paint(const std::optional<Color>& fill, const std::optional<Stroke>& stroke) const {
        if (fill) {
            use(*fill);
            cairo_fill_preserve(cairo_);
        }
        if (stroke) {
            use(stroke->color);
            cairo_set_line_width(cairo_, stroke->width);
            cairo_set_dash(cairo_, stroke->dash.data(), static_cast<int>(stroke->dash.size()), 0);
            cairo_stroke_preserve(cairo_);
        }
        cairo_new_path(cairo_);
    }
    cairo_t* cairo_;
    const Fonts& fonts_;
};

cairo_status_t append(void* out, const unsigned char* data, unsigned int count) {
    static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(data), count);
    return CAIRO_STATUS_SUCCESS;
}

void require(cairo_status_t status) {
    if (status == CAIRO_STATUS_NO_MEMORY) throw Error(ErrorCode::outOfMemory, "there is not enough memory to paint the plot", "use a smaller --scale, or an .svg");
    if (status != CAIRO_STATUS_SUCCESS) throw Error(ErrorCode::internal, fmt::format("the plot could not be painted: {}", cairo_status_to_string(status)));
}

} // namespace

std::string toPng(const Picture& picture, double scale) {
    const double width = std::ceil(picture.width * scale), height = std::ceil(picture.height * scale);
    if (!(width * height <= kMostPixels) || width > 32767 || height > 32767) // the latter: cairo's own limit
        throw Error(ErrorCode::usage, fmt::format("the plot would be {:.0f} × {:.0f} pixels large", width, height), "use a smaller --scale, or an .svg");
    static const Fonts fonts;
    const Handle<cairo_surface_t> surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(width), static_cast<int>(height)));
    require(cairo_surface_status(surface.get()));
    std::string png;
    {
        const Handle<cairo_t> cairo(cairo_create(surface.get()));
        cairo_set_source_rgb(cairo.get(), picture.ground.r / 255.0, picture.ground.g / 255.0, picture.ground.b / 255.0);
        cairo_paint(cairo.get());
        cairo_scale(cairo.get(), scale, scale);
        const Painter painter(cairo.get(), fonts);
        for (const Shape& shape : picture.shapes) std::visit(painter, shape.what);
        require(cairo_status(cairo.get()));
    }
    require(cairo_surface_write_to_png_stream(surface.get(), append, &png));
    return png;
}

} // namespace bw::plot
