// SPDX-License-Identifier: GPL-3.0-or-later
// Both checkpoints become lists of views (a tensor, or one expert's rows of a stack); views of the same name are decoded
// piece by piece and compared. Sums are per row, in f64, added in row order.
#include "core/checkpoint/verify.h"

#include "core/base/parallel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

namespace bw {
namespace {

constexpr std::int64_t kPieceElements = 1 << 22; ///< 16 MiB of f32

/// A whole tensor, or `rows` rows of a stack.
struct View {
    std::string name;
    const TensorInfo* tensor = nullptr;
    std::int64_t firstRow = 0, rows = 0;
    std::vector<std::int64_t> shape;
    float offset = 0; ///< added to every value: what is stored is the value less this
};

bool decodes(const TensorInfo& tensor) { return tensor.packed || (tensor.type != StorageType::unknown && storageTypeInfo(tensor.type).decodes); }

std::string typeText(const TensorInfo& tensor) { return tensor.packed ? tensor.packed->name() : tensor.typeName; }

/// Gemma's checkpoints of Hugging Face hold norms less one, GGUF holds them whole.
float normOffset(const Checkpoint& checkpoint, const TensorInfo& tensor) {
    return tensor.canonical.ends_with("norm.weight") ? static_cast<float>(checkpoint.config().normOffset) : 0.0f;
}

std::vector<View> viewsOf(const Checkpoint& checkpoint) {
    constexpr std::string_view kStack = "_exps.weight";
    std::vector<View> views;
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        const std::string& name = tensor.canonical.empty() ? tensor.name : tensor.canonical;
        if (!name.ends_with(kStack) || tensor.shape.size() != 3) {
            views.push_back({name, &tensor, 0, tensor.rows(), tensor.shape, normOffset(checkpoint, tensor)});
            continue;
        }
        const std::string stem = name.substr(0, name.size() - kStack.size());
        for (std::int64_t e = 0; e < tensor.shape[0]; ++e)
            views.push_back({stem + ".e" + std::to_string(e) + ".weight", &tensor, e * tensor.shape[1], tensor.shape[1], {tensor.shape[1], tensor.shape[2]}, 0.0f});
    }
    return views;
}

struct RowSums {
    double absolute = 0, squared = 0, a2 = 0, b2 = 0, ab = 0, maxAbs = 0;
    std::int64_t col = -1, nonFinite = 0;
    double valueA = 0, valueB = 0;
};

RowSums compareRow(const float* a, const float* b, std::int64_t cols, float offsetA, float offsetB) {
    RowSums sums;
    for (std::int64_t c = 0; c < cols; ++c) {
        const double x = static_cast<double>(a[c] + offsetA), y = static_cast<double>(b[c] + offsetB);
        if (!std::isfinite(x) || !std::isfinite(y)) {
            const bool same = (std::isnan(x) && std::isnan(y)) || x == y;
            sums.nonFinite += same ? 0 : 1;
            continue;
        }
        const double difference = std::abs(x - y);
        sums.absolute += difference;
        sums.squared += difference * difference;
        sums.a2 += x * x;
        sums.b2 += y * y;
        sums.ab += x * y;
        if (difference > sums.maxAbs) {
            sums.maxAbs = difference;
            sums.col = c;
            sums.valueA = x;
            sums.valueB = y;
        }
    }
    return sums;
}

class Comparer {
public:
    Comparer(const Checkpoint& a, const Checkpoint& b, double tolerance, JobContext& job) : a_(a), b_(b), tolerance_(tolerance), job_(job) {}

    TensorDifference compare(const View& a, const View& b) {
        TensorDifference out;
        out.name = a.name;
        out.typeA = typeText(*a.tensor);
        out.typeB = typeText(*b.tensor);
        out.shapeA = a.shape;
        out.shapeB = b.shape;
        if (a.shape != b.shape) {
            out.verdict = TensorVerdict::shapeMismatch;
        } else if (!decodes(*a.tensor) || !decodes(*b.tensor)) {
            out.verdict = TensorVerdict::notDecoded;
        } else {
            compareValues(a, b, out);
            out.verdict = out.nonFinite > 0 ? TensorVerdict::different
                          : out.maxAbs == 0 ? TensorVerdict::equal
                          : out.relativeRms <= tolerance_ ? TensorVerdict::close
                                                          : TensorVerdict::different;
        }
        return out;
    }

private:
    void compareValues(const View& a, const View& b, TensorDifference& out) {
        const std::int64_t cols = a.tensor->cols();
        if (a.rows == 0 || cols == 0) return;
        const std::int64_t piece = std::clamp<std::int64_t>(kPieceElements / cols, 1, a.rows);
        std::vector<float> left(static_cast<std::size_t>(piece * cols)), right(left.size());
        std::vector<RowSums> rows(static_cast<std::size_t>(piece));
        RowSums total;
        for (std::int64_t first = 0; first < a.rows; first += piece) {
            job_.checkpoint();
            const std::int64_t count = std::min(piece, a.rows - first);
            a_.readRows(*a.tensor, a.firstRow + first, {left.data(), count, cols});
            b_.readRows(*b.tensor, b.firstRow + first, {right.data(), count, cols});
            parallelFor(count, std::max<std::int64_t>(1, (1 << 16) / cols), [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t r = begin; r < end; ++r) rows[static_cast<std::size_t>(r)] = compareRow(left.data() + r * cols, right.data() + r * cols, cols, a.offset, b.offset);
            });
            for (std::int64_t r = 0; r < count; ++r) add(total, rows[static_cast<std::size_t>(r)], first + r, out);
            job_.advance(count * cols);
        }
        out.meanAbs = total.absolute / static_cast<double>(a.rows * cols);
        out.nonFinite = total.nonFinite;
        out.relativeRms = total.squared == 0 ? 0.0 : total.a2 > 0 ? std::sqrt(total.squared / total.a2) : std::numeric_limits<double>::infinity();
        out.cosine = total.a2 > 0 && total.b2 > 0 ? total.ab / std::sqrt(total.a2 * total.b2) : total.a2 == total.b2 ? 1.0 : 0.0;
    }
    static void add(RowSums& total, const RowSums& row, std::int64_t number, TensorDifference& out) {
        total.absolute += row.absolute;
        total.squared += row.squared;
        total.a2 += row.a2;
        total.b2 += row.b2;
        total.ab += row.ab;
        total.nonFinite += row.nonFinite;
        if (row.maxAbs <= out.maxAbs) return;
        out.maxAbs = row.maxAbs;
        out.row = number;
        out.col = row.col;
        out.valueA = row.valueA;
        out.valueB = row.valueB;
    }

    const Checkpoint& a_;
    const Checkpoint& b_;
    double tolerance_;
    JobContext& job_;
};

TensorDifference missing(const View& view, bool inA) {
    TensorDifference out;
    out.name = view.name;
    out.verdict = inA ? TensorVerdict::missingInA : TensorVerdict::missingInB;
    (inA ? out.typeB : out.typeA) = typeText(*view.tensor);
    (inA ? out.shapeB : out.shapeA) = view.shape;
    return out;
}

} // namespace

const char* verdictName(TensorVerdict verdict) {
    switch (verdict) {
    case TensorVerdict::equal: return "equal";
    case TensorVerdict::close: return "close";
    case TensorVerdict::different: return "different";
    case TensorVerdict::shapeMismatch: return "other shape";
    case TensorVerdict::missingInA: return "missing in A";
    case TensorVerdict::missingInB: return "missing in B";
    case TensorVerdict::notDecoded: return "not decoded";
    }
    return "";
}

std::int64_t VerifyReport::count(TensorVerdict verdict) const {
    return std::count_if(tensors.begin(), tensors.end(), [&](const TensorDifference& t) { return t.verdict == verdict; });
}

const TensorDifference* VerifyReport::worst() const {
    const TensorDifference* found = nullptr;
    for (const TensorDifference& tensor : tensors) {
        if (tensor.verdict != TensorVerdict::equal && tensor.verdict != TensorVerdict::close && tensor.verdict != TensorVerdict::different) continue;
        if (!found || tensor.relativeRms > found->relativeRms) found = &tensor;
    }
    return found;
}

bool VerifyReport::same() const {
    return std::all_of(tensors.begin(), tensors.end(), [](const TensorDifference& t) { return t.verdict == TensorVerdict::equal || t.verdict == TensorVerdict::close; });
}

VerifyReport verifyCheckpoints(const Checkpoint& a, const Checkpoint& b, double tolerance, JobContext& job) {
    const std::vector<View> viewsA = viewsOf(a), viewsB = viewsOf(b);
    std::unordered_map<std::string_view, const View*> inB, inA;
    for (const View& view : viewsB) inB.emplace(view.name, &view);
    for (const View& view : viewsA) inA.emplace(view.name, &view);
    std::int64_t weights = 0;
    for (const View& view : viewsA) weights += view.rows * view.tensor->cols();
    job.beginStage("verify", weights, "weights");
    const bool otherKind = a.kind() != b.kind();
    VerifyReport report;
    Comparer comparer(a, b, tolerance, job);
    const auto lacks = [&](const View& view, bool inFirst) {
        if (otherKind && view.tensor->canonical.empty()) report.leftOut.push_back(view.name);
        else report.tensors.push_back(missing(view, inFirst));
    };
    for (const View& view : viewsA) {
        if (const auto found = inB.find(view.name); found != inB.end()) report.tensors.push_back(comparer.compare(view, *found->second));
        else lacks(view, false);
    }
    for (const View& view : viewsB)
        if (!inA.contains(view.name)) lacks(view, true);
    return report;
}

} // namespace bw
