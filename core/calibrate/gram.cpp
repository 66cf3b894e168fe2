// SPDX-License-Identifier: GPL-3.0-or-later
// Sums of outer products and quadratic forms with them, on one triangle only: half the work and half the writing.
#include "core/calibrate/gram.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/compute/half_product.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace bw {
namespace {

/// Rows of A and columns of G per product: enough for full speed, little scratch, a few ms between two looks for a stop.
constexpr std::int64_t kRows = 2048, kColumns = 384;
/// From so many tokens a call the rounding of inputs to bf16, 2⁻⁹ of each and of either sign, is lost in what one token more
/// would change; the products take half the time.
constexpr std::int64_t kManyTokens = 128;
/// Rows of a triangle that one task copies.
constexpr std::int64_t kCopyRows = 32;

/// Σ over all elements of a∘b, in f64; pieces follow from the shape alone.
double innerProduct(MatrixView<const float> a, MatrixView<const float> b) {
    std::vector<double> sums(static_cast<std::size_t>(a.rows));
    parallelFor(a.rows, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            const float *p = a.row(r), *q = b.row(r);
            double sum = 0;
            for (std::int64_t c = 0; c < a.cols; ++c) sum += static_cast<double>(p[c]) * static_cast<double>(q[c]);
            sums[static_cast<std::size_t>(r)] = sum;
        }
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    return total;
}

/// The lower triangle of a tile on the diagonal, mirrored.
void symmetricTile(MatrixView<const float> lower, std::int64_t first, MatrixView<float> tile) {
    for (std::int64_t i = 0; i < tile.rows; ++i)
        for (std::int64_t j = 0; j <= i; ++j) tile(i, j) = tile(j, i) = lower(first + i, first + j);
}

} // namespace

void Gram::add(MatrixView<const float> x, Device* device) {
    if (x.cols != width_)
        throw Error(ErrorCode::usage, fmt::format("a Gram matrix of {} channels is given inputs of {}", width_, x.cols));
    if (lower_.size() == 0) {
        lower_ = Matrix(width_, width_);
        lower_.fill(0.0f);
    }
    const bool onDevice = device != nullptr && device->keepsResults();
    if (device != nullptr && !onDevice) device->toHost(x);
    if (onDevice)
        device->gram(x, lower_.view());
    else if (x.rows >= kManyTokens && hasHalfProducts())
        accumulateGramHalf(x, lower_.view());
    else
        accumulateGram(x, lower_.view(), false);
    tokens_ += x.rows;
}

void Gram::merge(const Gram& other) {
    if (other.width_ != width_)
        throw Error(ErrorCode::usage, fmt::format("Gram matrices of {} and of {} channels can't be added", width_, other.width_));
    if (other.tokens_ == 0) return;
    if (lower_.size() == 0) {
        lower_ = Matrix(width_, width_);
        lower_.fill(0.0f);
    }
    parallelFor(width_, kCopyRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            for (std::int64_t j = 0; j <= i; ++j) lower_.row(i)[j] += other.lower_.row(i)[j];
    });
    tokens_ += other.tokens_;
}

Matrix Gram::full() const {
    Matrix both(width_, width_);
    if (lower_.size() == 0) {
        both.fill(0.0f);
        return both;
    }
    parallelFor(width_, kCopyRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            std::copy_n(lower_.row(i), i + 1, both.row(i));
            for (std::int64_t j = i + 1; j < width_; ++j) both.row(i)[j] = lower_.row(j)[i];
        }
    });
    return both;
}

std::vector<float> Gram::diagonal() const {
    std::vector<float> values(static_cast<std::size_t>(width_), 0.0f);
    for (std::int64_t i = 0; i < width_ && lower_.size() > 0; ++i) values[static_cast<std::size_t>(i)] = lower_.row(i)[i];
    return values;
}

double Gram::quadratic(MatrixView<const float> a, JobContext& job) const {
    if (a.cols != width_)
        throw Error(ErrorCode::usage, fmt::format("a weight of {} columns is measured with a Gram matrix of {}", a.cols, width_));
    if (lower_.size() == 0 || a.rows == 0) return 0;
    const JobScope scope(&job);
    const std::int64_t columns = std::min(kColumns, width_);
    Matrix product(std::min(kRows, a.rows), columns), tile(columns, columns);
    double sum = 0;
    for (std::int64_t c = 0; c < width_; c += columns) {
        const std::int64_t count = std::min(columns, width_ - c), below = width_ - c - count;
        const MatrixView<float> diagonal(tile.data(), count, count);
        symmetricTile(lower_.view(), c, diagonal);
        for (std::int64_t first = 0; first < a.rows; first += kRows) {
            job.checkpoint();
            const auto rows = a.middleRows(first, std::min(kRows, a.rows - first)), mine = rows.middleCols(c, count);
            const MatrixView<float> y(product.data(), rows.rows, count);
            gemmTransposed(mine, diagonal, y);
            sum += innerProduct(y, mine);
            if (below == 0) continue;
            // What stands below the diagonal counts for both triangles.
            gemmTimes(rows.middleCols(c + count, below), lower_.view().middleRows(c + count, below).middleCols(c, count), y);
            sum += 2 * innerProduct(y, mine);
        }
    }
    return std::max(0.0, sum); // rounding can leave a sum of squares a hair below zero
}

void Gram::clear() {
    lower_ = Matrix();
    tokens_ = 0;
}

void Gram::encode(std::string& out) const {
    detail::putBytes(out, tokens_);
    for (std::int64_t i = 0; i < width_ && tokens_ > 0; ++i)
        out.append(reinterpret_cast<const char*>(lower_.row(i)), static_cast<std::size_t>(i + 1) * sizeof(float));
}

std::optional<Gram> Gram::decode(std::string_view& in, std::int64_t width) {
    Gram out(width);
    if (!detail::takeBytes(in, out.tokens_) || out.tokens_ < 0) return std::nullopt;
    if (out.tokens_ == 0) return out;
    const std::uint64_t values = in.size() / sizeof(float), n = static_cast<std::uint64_t>(width);
    if (width <= 0 || n > (1u << 30) || values < n * (n + 1) / 2) return std::nullopt;
    out.lower_ = Matrix(width, width);
    out.lower_.fill(0.0f);
    for (std::int64_t i = 0; i < width; ++i) {
        const std::size_t bytes = static_cast<std::size_t>(i + 1) * sizeof(float);
        std::memcpy(out.lower_.row(i), in.data(), bytes);
        in.remove_prefix(bytes);
    }
    return out;
}

void GramObserver::watch(const std::vector<int>& inputGroups) {
    grams_.clear();
    for (const int group : inputGroups)
        grams_.emplace(group, Gram(model_.inputGroups()[static_cast<std::size_t>(group)].width));
}

void GramObserver::onInput(int inputGroup, std::int64_t, MatrixView<const float> x) {
    if (const auto found = grams_.find(inputGroup); found != grams_.end()) found->second.add(x, &model_.device());
}

const Gram& GramObserver::of(int inputGroup) const {
    const auto found = grams_.find(inputGroup);
    if (found == grams_.end())
        throw Error(ErrorCode::usage, fmt::format("no Gram matrix was collected for input group {}", inputGroup));
    return found->second;
}

} // namespace bw
