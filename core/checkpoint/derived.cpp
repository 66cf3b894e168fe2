// SPDX-License-Identifier: GPL-3.0-or-later
// Laying a derivation over a checkpoint's directory, and changing rows on their way out.
#include "core/checkpoint/derived.h"

#include "core/base/error.h"
#include "core/base/matrix.h"
#include "core/base/parallel.h"
#include "core/base/text.h"
#include "core/checkpoint/checkpoint_impl.h"
#include "core/checkpoint/derived_rows.h"
#include "core/checkpoint/tensor_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

namespace bw {
namespace {

constexpr std::int64_t kElementsPerPiece = 1 << 16; ///< tens of µs of multiplying
constexpr std::int64_t kColumnsAtOnce = 16;         ///< of rows that are mixed: one cache line

void mixRowsOf(const ChannelMixing& mixing, MatrixView<float> weight) {
    const std::int64_t n = weight.rows;
    parallelFor((weight.cols + kColumnsAtOnce - 1) / kColumnsAtOnce, 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> turned(static_cast<std::size_t>(n * kColumnsAtOnce));
        for (std::int64_t piece = begin; piece < end; ++piece) {
            const std::int64_t first = piece * kColumnsAtOnce, count = std::min(kColumnsAtOnce, weight.cols - first);
            for (std::int64_t r = 0; r < n; ++r)
                for (std::int64_t c = 0; c < count; ++c)
                    turned[static_cast<std::size_t>(c * n + r)] = weight(r, first + c);
            for (std::int64_t c = 0; c < count; ++c)
                mixing.mix(std::span(turned).subspan(static_cast<std::size_t>(c * n), static_cast<std::size_t>(n)));
            for (std::int64_t r = 0; r < n; ++r)
                for (std::int64_t c = 0; c < count; ++c)
                    weight(r, first + c) = turned[static_cast<std::size_t>(c * n + r)];
        }
    });
}

/// Everything but the mixing of rows, on rows [first, first + out.rows) of a tensor of `rows` rows.
void scaleAndMixColumns(const TensorEdit& edit, std::int64_t rows, std::int64_t first, MatrixView<float> out) {
    const std::int64_t cols = out.cols;
    const std::int64_t sets = static_cast<std::int64_t>(edit.columnScale.size()) / std::max<std::int64_t>(1, cols);
    const std::int64_t rowsPerSet = sets > 0 ? rows / sets : rows;
    parallelFor(out.rows, std::max<std::int64_t>(1, kElementsPerPiece / std::max<std::int64_t>(1, cols)),
                [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            float* row = out.row(r);
            const float scale = edit.rowScale.empty() ? 1.0f : edit.rowScale[static_cast<std::size_t>(first + r)];
            if (sets > 0) {
                const float* columns = edit.columnScale.data() + (first + r) / rowsPerSet * cols;
                for (std::int64_t c = 0; c < cols; ++c) row[c] *= columns[c] * scale;
            } else if (!edit.rowScale.empty()) {
                for (std::int64_t c = 0; c < cols; ++c) row[c] *= scale;
            }
            if (!edit.columns) continue;
            const std::int64_t run = edit.columns->width();
            for (std::int64_t c = 0; c < cols; c += run) edit.columns->mix({row + c, static_cast<std::size_t>(run)});
        }
    });
}

} // namespace

/// The base, the edits by the tensor's own name, and the one mixed tensor that was read in parts last.
class DerivedRows::State {
public:
    State(std::shared_ptr<const Checkpoint> base, std::string identity)
        : base_(std::move(base)), identity_(std::move(identity)) {}

    struct Entry {
        TensorEdit edit;
        TensorInfo from; ///< of the base
    };
    std::map<std::string, Entry> entries;
    const Checkpoint& base() const { return *base_; }
    const std::string& identity() const { return identity_; }

    void read(const Entry& entry, const TensorInfo& tensor, std::int64_t first, MatrixView<float> out) const {
        if (!entry.edit.values.empty()) {
            for (std::int64_t r = 0; r < out.rows; ++r)
                std::copy_n(entry.edit.values.data() + (first + r) * out.cols, out.cols, out.row(r));
            return;
        }
        if (!entry.edit.rows) {
            base_->readRows(entry.from, first, out);
            return scaleAndMixColumns(entry.edit, tensor.rows(), first, out);
        }
        if (wholeRuns(entry.edit, first, out.rows)) return readRuns(entry, tensor, first, out);
        const std::shared_ptr<const Matrix> whole = kept(entry, tensor);
        for (std::int64_t r = 0; r < out.rows; ++r) std::copy_n(whole->row(first + r), out.cols, out.row(r));
    }

private:
    /// Does [first, first + count) hold no part of a run without the rest of it?
    static bool wholeRuns(const TensorEdit& edit, std::int64_t first, std::int64_t count) {
        const std::int64_t run = edit.rows->width(), begin = edit.firstMixedRow, end = begin + edit.rowRuns * run;
        const auto divides = [&](std::int64_t row) { return row > begin && row < end && (row - begin) % run != 0; };
        return !divides(first) && !divides(first + count);
    }

    void readRuns(const Entry& entry, const TensorInfo& tensor, std::int64_t first, MatrixView<float> out) const {
        base_->readRows(entry.from, first, out);
        scaleAndMixColumns(entry.edit, tensor.rows(), first, out);
        const std::int64_t run = entry.edit.rows->width();
        for (std::int64_t i = 0; i < entry.edit.rowRuns; ++i) {
            const std::int64_t row = entry.edit.firstMixedRow + i * run - first;
            if (row >= 0 && row + run <= out.rows) mixRowsOf(*entry.edit.rows, out.middleRows(row, run));
        }
    }

    std::shared_ptr<const Matrix> kept(const Entry& entry, const TensorInfo& tensor) const {
        {
            const std::scoped_lock lock(mutex_);
            if (keptName_ == tensor.name) return kept_;
        }
        // Not under the lock: the loops below may run other readers' pieces on this thread.
        auto whole = std::make_shared<Matrix>(tensor.rows(), tensor.cols());
        readRuns(entry, tensor, 0, whole->view());
        const std::scoped_lock lock(mutex_);
        keptName_ = tensor.name;
        kept_ = std::move(whole);
        return kept_;
    }

    std::shared_ptr<const Checkpoint> base_;
    std::string identity_;
    mutable std::mutex mutex_;
    mutable std::string keptName_;
    mutable std::shared_ptr<const Matrix> kept_;
};

const Checkpoint& DerivedRows::base() const { return state_->base(); }
const std::string& DerivedRows::identity() const { return state_->identity(); }

void DerivedRows::readRows(const TensorInfo& tensor, std::int64_t first, MatrixView<float> out) const {
    const auto found = state_->entries.find(tensor.name);
    if (found == state_->entries.end()) return state_->base().readRows(tensor, first, out);
    state_->read(found->second, tensor, first, out);
}

namespace {

void checkSize(const TensorInfo& tensor, const char* what, std::int64_t size, bool fits) {
    if (fits) return;
    throw Error(ErrorCode::shapeMismatch,
                fmt::format("{} {} don't fit the tensor '{}' of {}×{}", size, what, escapeForDisplay(tensor.name),
                            tensor.rows(), tensor.cols()));
}

void checkEdit(const TensorEdit& edit, const TensorInfo& tensor) {
    const std::int64_t rows = tensor.rows(), cols = tensor.cols();
    const auto count = [](const std::vector<float>& values) { return static_cast<std::int64_t>(values.size()); };
    if (!edit.values.empty())
        return checkSize(tensor, "values", count(edit.values), count(edit.values) == tensor.elements());
    checkSize(tensor, "row scales", count(edit.rowScale), edit.rowScale.empty() || count(edit.rowScale) == rows);
    const std::int64_t sets = cols > 0 ? count(edit.columnScale) / cols : 0;
    checkSize(tensor, "column scales", count(edit.columnScale),
              edit.columnScale.empty() || (sets > 0 && sets * cols == count(edit.columnScale) && rows % sets == 0));
    if (edit.columns)
        checkSize(tensor, "mixed channels", edit.columns->width(), cols % edit.columns->width() == 0);
    if (edit.rows)
        checkSize(tensor, "mixed rows", edit.rows->width(),
                  edit.firstMixedRow >= 0 && edit.rowRuns >= 1 &&
                      edit.firstMixedRow + edit.rowRuns * edit.rows->width() <= rows);
}

void untieHead(ModelConfig& config, Json& json) {
    config.tiedHead = false;
    if (!json.is_object()) return;
    json["tie_word_embeddings"] = false;
    if (json.contains("text_config") && json["text_config"].is_object()) json["text_config"]["tie_word_embeddings"] = false;
}

} // namespace

std::shared_ptr<const Checkpoint> deriveCheckpoint(std::shared_ptr<const Checkpoint> base, Derivation derivation) {
    const std::shared_ptr<Checkpoint> result(new Checkpoint);
    Checkpoint::Impl& impl = *result->impl_;
    impl.kind = base->kind();
    impl.path = base->path();
    impl.folder = base->folder();
    impl.displayName = base->displayName();
    impl.config = base->config();
    impl.tensors = base->tensors();
    impl.metadata = base->metadata();
    impl.configJson = base->configJson();
    impl.warnings = base->warnings();
    if (derivation.untiedHead) untieHead(impl.config, impl.configJson);
    auto state = std::make_shared<DerivedRows::State>(base, std::move(derivation.identity));
    for (auto& [name, edit] : derivation.edits) {
        const TensorInfo& from = base->require(edit.source.empty() ? name : edit.source);
        TensorInfo tensor = from;
        tensor.changed = true;
        if (!edit.source.empty()) {
            tensor.canonical = name;
            tensor.name = name;
            if (impl.kind == CheckpointKind::safetensors) {
                const std::string usual = huggingFaceTensorName(name, impl.config.family);
                if (!usual.empty()) tensor.name = usual;
            }
        }
        checkEdit(edit, tensor);
        const bool added = !edit.source.empty();
        state->entries[tensor.name] = {std::move(edit), from};
        if (added) {
            impl.tensors.push_back(std::move(tensor));
        } else {
            const auto same = [&](const TensorInfo& t) { return t.name == tensor.name; };
            *std::find_if(impl.tensors.begin(), impl.tensors.end(), same) = std::move(tensor);
        }
    }
    impl.derived = std::make_shared<const DerivedRows>(std::move(state));
    impl.buildIndex();
    return result;
}

} // namespace bw
