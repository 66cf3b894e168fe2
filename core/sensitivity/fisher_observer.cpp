// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/fisher_observer.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <array>

namespace bw::detail {
namespace {

constexpr std::int64_t kTile = 32;            ///< transposing: both sides of a tile in the first cache
constexpr std::int64_t kTileValues = 4 << 20; ///< of a weight's gradient at once: 16 MiB, near the last cache
constexpr std::int64_t kRowsOfDots = 32;

void transpose(MatrixView<const float> x, MatrixView<float> y) {
    parallelFor((x.cols + kTile - 1) / kTile, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t c0 = begin * kTile; c0 < std::min(end * kTile, x.cols); c0 += kTile)
            for (std::int64_t r0 = 0; r0 < x.rows; r0 += kTile)
                for (std::int64_t c = c0; c < std::min(c0 + kTile, x.cols); ++c)
                    for (std::int64_t r = r0; r < std::min(r0 + kTile, x.rows); ++r) y(c, r) = x(r, c);
    });
}

} // namespace

double dot(const float* a, const float* b, std::int64_t n) {
    constexpr std::int64_t kLanes = 16, kRun = 512;
    double total = 0;
    std::int64_t i = 0;
    while (i < n) {
        const std::int64_t run = std::min(kRun, n - i), whole = run / kLanes * kLanes;
        std::array<float, kLanes> lanes{};
        for (std::int64_t j = 0; j < whole; j += kLanes)
            for (std::int64_t l = 0; l < kLanes; ++l) lanes[static_cast<std::size_t>(l)] += a[i + j + l] * b[i + j + l];
        for (std::int64_t j = whole; j < run; ++j) lanes[0] += a[i + j] * b[i + j];
        for (const float lane : lanes) total += static_cast<double>(lane);
        i += run;
    }
    return total;
}

FisherObserver::FisherObserver(const Model& model, const Windows& windows, const FisherLayout& layout,
                               FisherCells& cells, WeightChanges& changes,
                               const std::function<void(const FisherRow&)>& onRow, JobContext& job)
    : model_(model), windows_(windows), layout_(layout), cells_(cells), changes_(changes), onRow_(onRow), job_(job) {}

MatrixView<float> FisherObserver::room(Matrix& matrix, std::int64_t rows, std::int64_t cols) {
    if (matrix.size() < rows * cols) matrix = Matrix(1, rows * cols);
    return {matrix.data(), rows, cols};
}

double& FisherObserver::sum(FisherFormat& format, std::int64_t window, std::size_t draw, std::int64_t segment) {
    if (format.sums.empty()) format.sums.assign(layout_.size(), 0.0);
    const std::int64_t probe = window * layout_.draws + static_cast<std::int64_t>(draw);
    return format.sums[static_cast<std::size_t>(probe * layout_.segments + segment)];
}

void FisherObserver::addDots(FisherFormat& format, const WindowRows& windows, MatrixView<const float> a,
                             Gradients gradients) {
    const std::int64_t rows = a.rows;
    parts_.assign(static_cast<std::size_t>(rows) * gradients.size(), 0.0);
    parallelFor(static_cast<std::int64_t>(parts_.size()), kRowsOfDots, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            parts_[static_cast<std::size_t>(i)] =
                dot(a.row(i % rows), gradients[static_cast<std::size_t>(i / rows)].row(i % rows), a.cols);
    });
    for (std::size_t d = 0; d < gradients.size(); ++d)
        for (std::int64_t b = 0; b < windows.count(); ++b) {
            const std::int64_t first = windows.starts[static_cast<std::size_t>(b)],
                               n = windows.starts[static_cast<std::size_t>(b) + 1] - first;
            for (std::int64_t s = 0; s < layout_.segments; ++s) {
                double& to = sum(format, windows.first + b, d, s);
                for (std::int64_t r = first + segmentStart(n, s); r < first + segmentStart(n, s + 1); ++r)
                    to += parts_[d * static_cast<std::size_t>(rows) + static_cast<std::size_t>(r)];
            }
        }
}

bool FisherObserver::multipliesChanges(std::int64_t rows, std::int64_t windows, std::size_t draws,
                                       std::size_t formats) {
    // Per weight: a product takes 2 flops a row; a dot with a formed gradient is bound by memory, as much as some 12
    // rows.
    const double d = static_cast<double>(draws), f = static_cast<double>(formats), n = static_cast<double>(rows);
    return f * n <= d * (n + 12.0 * f * static_cast<double>(windows));
}

void FisherObserver::onSite(const SiteGradients& g) {
    FisherPlace* place = cells_.site(g.site.id);
    if (place == nullptr || g.input.rows == 0) return;
    place->tokens += g.input.rows;
    changes_.prepare(g.site, place->choices());
    if (!changes_.keeps(g.site) ||
        multipliesChanges(g.input.rows, g.windows.count() * layout_.segments, g.outputGradients.size(),
                          place->formats.size()))
        byProducts(*place, g);
    else
        byWeightGradients(*place, g);
}

void FisherObserver::byProducts(FisherPlace& place, const SiteGradients& g) {
    const MatrixView<float> product = room(product_, g.input.rows, g.site.rows);
    for (std::size_t f = 0; f < place.formats.size(); ++f) {
        job_.checkpoint();
        gemmTransposed(g.input, changes_.of(g.site, f), product);
        job_.checkpoint();
        addDots(place.formats[f], g.windows, product, g.outputGradients);
    }
}

void FisherObserver::byWeightGradients(FisherPlace& place, const SiteGradients& g) {
    const std::int64_t outputs = g.site.rows, inputs = g.site.cols;
    const std::int64_t tile = std::clamp<std::int64_t>(kTileValues / inputs, 1, outputs);
    for (std::int64_t piece = 0; piece < g.windows.count() * layout_.segments; ++piece) {
        const std::int64_t b = piece / layout_.segments, segment = piece % layout_.segments,
                           begin = g.windows.starts[static_cast<std::size_t>(b)],
                           count = g.windows.starts[static_cast<std::size_t>(b) + 1] - begin,
                           first = begin + segmentStart(count, segment),
                           rows = begin + segmentStart(count, segment + 1) - first;
        if (rows == 0) continue;
        const MatrixView<float> x = room(inputTurned_, inputs, rows), dy = room(outputTurned_, outputs, rows);
        transpose(g.input.middleRows(first, rows), x);
        for (std::size_t d = 0; d < g.outputGradients.size(); ++d) {
            transpose(g.outputGradients[d].middleRows(first, rows), dy);
            for (std::int64_t o = 0; o < outputs; o += tile) {
                job_.checkpoint();
                const std::int64_t some = std::min(tile, outputs - o);
                const MatrixView<float> gradient = room(gradient_, some, inputs);
                gemmTransposed(dy.middleRows(o, some), x, gradient);
                parts_.assign(static_cast<std::size_t>(some), 0.0);
                for (std::size_t f = 0; f < place.formats.size(); ++f) {
                    const MatrixView<const float> change = changes_.of(g.site, f);
                    parallelFor(some, kRowsOfDots, [&](std::int64_t from, std::int64_t end) {
                        for (std::int64_t r = from; r < end; ++r)
                            parts_[static_cast<std::size_t>(r)] = dot(gradient.row(r), change.row(o + r), inputs);
                    });
                    double& to = sum(place.formats[f], g.windows.first + b, d, segment);
                    for (const double part : parts_) to += part;
                }
            }
        }
    }
}

void FisherObserver::byRounding(FisherPlace& place, const WindowRows& windows, MatrixView<const float> x,
                                Gradients gradients) {
    place.tokens += x.rows;
    const MatrixView<float> change = room(product_, x.rows, x.cols);
    EncodeOptions plain;
    plain.search = BlockSearch::reference; // at run time nobody searches long for an activation's scale
    for (FisherFormat& format : place.formats) {
        job_.checkpoint();
        for (std::int64_t b = 0; b < windows.count(); ++b) { // each by itself: a grid over all rows is one of a window
            const std::int64_t first = windows.starts[static_cast<std::size_t>(b)],
                               rows = windows.starts[static_cast<std::size_t>(b) + 1] - first;
            if (rows > 0) format.choice.format->roundTrip(x.middleRows(first, rows), plain, change.middleRows(first, rows));
        }
        parallelFor(x.rows, kRowsOfDots, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = begin; r < end; ++r)
                for (std::int64_t c = 0; c < x.cols; ++c) change.row(r)[c] = x.row(r)[c] - change.row(r)[c];
        });
        addDots(format, windows, change, gradients);
    }
}

void FisherObserver::onInput(const InputGradients& g) {
    if (FisherPlace* place = cells_.input(g.group); place != nullptr && g.input.rows > 0)
        byRounding(*place, g.windows, g.input, g.gradients);
}

void FisherObserver::onCache(const CacheGradients& g) {
    if (FisherPlace* place = cells_.keys(g.block)) byRounding(*place, g.windows, g.keys, g.keyGradients);
    if (FisherPlace* place = cells_.values(g.block)) byRounding(*place, g.windows, g.values, g.valueGradients);
}

void FisherObserver::onEmbedding(const EmbeddingGradients& g) {
    const Site& site = model_.sites().front();
    FisherPlace* place = cells_.site(site.id);
    if (place == nullptr || site.kind != SiteKind::tokenEmbedding) return;
    changes_.prepare(site, place->choices(), true);
    changes_.loadWeight(site);
    const auto rows = static_cast<std::int64_t>(g.ids.size());
    if (site.inputGroup < 0) // a tied head has counted them
        place->tokens += rows;
    const MatrixView<float> looked = room(product_, rows, site.cols);
    for (std::size_t f = 0; f < place->formats.size(); ++f) {
        job_.checkpoint();
        parallelFor(rows, kRowsOfDots, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = begin; r < end; ++r) {
                const std::span<float> row = looked.rowSpan(r);
                changes_.row(site, f, g.ids[static_cast<std::size_t>(r)], row);
                for (float& value : row) value *= g.scale;
            }
        });
        addDots(place->formats[f], g.windows, looked, g.gradients);
    }
}

void FisherObserver::hand(FisherPlace& place) {
    for (const FisherRow& row : fisherRows(place, layout_, windows_.length))
        if (onRow_) onRow_(row);
    for (FisherFormat& format : place.formats) format.sums = {};
}

void FisherObserver::endBlock(BlockIndex block) {
    changes_.endBlock();
    for (const int index : cells_.ofBlock(block)) {
        FisherPlace& place = cells_.place(index);
        if (place.site == nullptr || place.site->kind != SiteKind::tokenEmbedding) hand(place);
    }
}

void FisherObserver::finish() {
    for (const int index : cells_.ofBlock(BlockIndex{-1})) {
        FisherPlace& place = cells_.place(index);
        if (place.site != nullptr && place.site->kind == SiteKind::tokenEmbedding) hand(place);
    }
}

} // namespace bw::detail
