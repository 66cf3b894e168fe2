// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/fisher_observer.h"

#include "core/base/parallel.h"
#include "core/compute/gradient_dots.h"

#include <algorithm>
#include <array>

namespace bw::detail {
namespace {

constexpr std::int64_t kDecodedBytes = 64 << 20; ///< of changes that are decoded anew, at once
constexpr std::int64_t kRowsOfDots = 32;

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
                               const std::function<void(const FisherRow&)>& onRow, bool halfGradients,
                               JobContext& job)
    : model_(model), windows_(windows), layout_(layout), cells_(cells), changes_(changes), onRow_(onRow), job_(job),
      halfGradients_(halfGradients) {}

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

void FisherObserver::onSite(const SiteGradients& g) {
    FisherPlace* place = cells_.site(g.site.id);
    if (place == nullptr || g.input.rows == 0) return;
    place->tokens += g.input.rows;
    changes_.prepare(g.site, place->choices());
    const std::vector<std::int64_t> starts = segmentStarts(g.windows);
    const std::size_t pieces = starts.size() - 1, formats = place->formats.size();
    std::int64_t tile = g.site.rows;
    if (!changes_.keeps(g.site)) {
        const std::int64_t rowBytes = g.site.cols * static_cast<std::int64_t>(sizeof(float) * formats);
        tile = std::clamp<std::int64_t>(kDecodedBytes / rowBytes, 1, tile);
    }
    for (std::int64_t first = 0; first < g.site.rows; first += tile) {
        job_.checkpoint();
        const std::int64_t some = std::min(tile, g.site.rows - first);
        const std::vector<MatrixView<const float>> changes = changes_.rows(g.site, first, some);
        for (std::size_t d = 0; d < g.outputGradients.size(); ++d) {
            parts_.assign(pieces * formats, 0.0);
            addGradientDots(g.input, g.outputGradients[d].middleCols(first, some), starts, changes, parts_,
                            halfGradients_);
            for (std::size_t p = 0; p < pieces; ++p)
                for (std::size_t f = 0; f < formats; ++f) {
                    const auto piece = static_cast<std::int64_t>(p);
                    sum(place->formats[f], g.windows.first + piece / layout_.segments, d, piece % layout_.segments) +=
                        parts_[p * formats + f];
                }
        }
    }
}

std::vector<std::int64_t> FisherObserver::segmentStarts(const WindowRows& windows) const {
    std::vector<std::int64_t> starts;
    for (std::int64_t b = 0; b < windows.count(); ++b) {
        const std::int64_t first = windows.starts[static_cast<std::size_t>(b)],
                           rows = windows.starts[static_cast<std::size_t>(b) + 1] - first;
        for (std::int64_t s = 0; s < layout_.segments; ++s) starts.push_back(first + segmentStart(rows, s));
    }
    starts.push_back(windows.starts.back());
    return starts;
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
            if (rows > 0)
                format.choice.format->roundTrip(x.middleRows(first, rows), plain, change.middleRows(first, rows));
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
