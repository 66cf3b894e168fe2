// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/expected_shapes.h"

#include <algorithm>

namespace bw {
namespace {

using Shape = std::vector<std::int64_t>;
using Has = std::function<bool(const std::string&)>;

class Expectations {
public:
    Expectations(const ModelConfig& config, const Has& has) : c_(config), has_(has) {}

    std::vector<ExpectedShape> all() {
        add("token_embd.weight", {c_.vocabulary, c_.width});
        if (c_.learnedPositions) add("position_embd.weight", {c_.context, c_.width});
        norm("output_norm");
        if (has_("output.weight")) add("output.weight", {c_.vocabulary, c_.width});
        for (std::int64_t b = 0; b < c_.blocks; ++b) {
            prefix_ = "blk." + std::to_string(b) + ".";
            attention();
            if (c_.layers[static_cast<std::size_t>(b)].experts)
                experts();
            else
                feedForward(c_.feedForward);
        }
        return std::move(shapes_);
    }

private:
    void add(const std::string& name, Shape shape) { shapes_.push_back({prefix_ + name, std::move(shape)}); }

    void norm(const std::string& name) {
        add(name + ".weight", {c_.width});
        if (c_.norm == NormKind::layer) add(name + ".bias", {c_.width});
    }

    void linear(const std::string& name, std::int64_t rows, std::int64_t cols, Bias bias) {
        add(name + ".weight", {rows, cols});
        if (bias == Bias::required || (bias == Bias::asStored && has_(prefix_ + name + ".bias")))
            add(name + ".bias", {rows});
    }

    void attention() {
        const std::int64_t q = c_.queryWidth(), kv = c_.kvWidth();
        norm("attn_norm");
        if (c_.fusedQkv) {
            linear("attn_qkv", q + 2 * kv, c_.width, c_.qkvBias);
        } else {
            linear("attn_q", q, c_.width, c_.qkvBias);
            linear("attn_k", kv, c_.width, c_.qkvBias);
            linear("attn_v", kv, c_.width, c_.qkvBias);
        }
        headNorm("attn_q_norm", c_.heads);
        headNorm("attn_k_norm", c_.kvHeads);
        linear("attn_output", c_.width, q, c_.outputBias);
        if (c_.postNorms) norm("post_attention_norm");
        if (!c_.parallelResidual) norm("ffn_norm");
        if (c_.postNorms) norm("post_ffw_norm");
    }

    void headNorm(const std::string& name, std::int64_t heads) {
        switch (c_.qkNorm) {
        case QkNorm::none:
            return;
        case QkNorm::head:
            return add(name + ".weight", {c_.headDim});
        case QkNorm::width:
            return add(name + ".weight", {heads * c_.headDim});
        case QkNorm::perHead:
            return add(name + ".weight", {heads, c_.headDim});
        }
    }

    void feedForward(std::int64_t width, const std::string& suffix = "") {
        if (c_.gated && !c_.fusedGateUp) linear("ffn_gate" + suffix, width, c_.width, c_.feedForwardBias);
        linear("ffn_up" + suffix, c_.fusedGateUp ? 2 * width : width, c_.width, c_.feedForwardBias);
        linear("ffn_down" + suffix, c_.width, width, c_.feedForwardBias);
    }

    void experts() {
        const std::int64_t e = c_.experts, f = c_.expertFeedForward;
        add("ffn_gate_inp.weight", {e, c_.width});
        if (has_(prefix_ + "ffn_gate_up_exps.weight")) {
            add("ffn_gate_up_exps.weight", {e, 2 * f, c_.width});
            add("ffn_down_exps.weight", {e, c_.width, f});
        } else if (has_(prefix_ + "ffn_up.e0.weight")) {
            for (std::int64_t i = 0; i < e; ++i) {
                const std::string suffix = ".e" + std::to_string(i) + ".weight";
                add("ffn_gate" + suffix, {f, c_.width});
                add("ffn_up" + suffix, {f, c_.width});
                add("ffn_down" + suffix, {c_.width, f});
            }
        } else {
            add("ffn_gate_exps.weight", {e, f, c_.width});
            add("ffn_up_exps.weight", {e, f, c_.width});
            add("ffn_down_exps.weight", {e, c_.width, f});
        }
        if (c_.sharedFeedForward == 0) return;
        add("ffn_gate_inp_shexp.weight", {1, c_.width});
        feedForward(c_.sharedFeedForward, "_shexp");
    }

    const ModelConfig& c_;
    const Has& has_;
    std::string prefix_;
    std::vector<ExpectedShape> shapes_;
};

} // namespace

std::vector<ExpectedShape> expectedShapes(const ModelConfig& config, const Has& has) {
    return Expectations(config, has).all();
}

bool sameShape(const Shape& a, const Shape& b) {
    const auto significant = [](const Shape& shape) {
        return std::find_if(shape.begin(), shape.end(), [](std::int64_t d) { return d != 1; });
    };
    return std::equal(significant(a), a.end(), significant(b), b.end());
}

} // namespace bw
