// SPDX-License-Identifier: GPL-3.0-or-later
// Data for the plots' tests, and looks at what came out.
#pragma once

#include "core/plot/plot.h"

#include <cctype>
#include <cmath>
#include <string>
#include <vector>

namespace bw::test {

inline plot::HeatmapData someHeatmap(std::size_t blocks = 6, std::size_t panels = 2) {
    plot::HeatmapData data;
    data.heading = {"Sensitivity of <model> & \"friends\"", "run 3 · measured KL"};
    data.unit = "nats per token";
    data.columns = {"attn_q", "attn_k", "ffn_up.e0", "ffn_up.e1", "ffn_down"};
    data.extraRows = {"token_embd"};
    for (std::size_t b = 0; b < blocks; ++b) data.rows.push_back(std::to_string(b));
    for (std::size_t p = 0; p < panels; ++p) {
        plot::HeatmapPanel panel{"q" + std::to_string(p + 3) + "_0", static_cast<int>(p) + 3, {}, {}};
        for (std::size_t i = 0; i < blocks * data.columns.size(); ++i) {
            plot::HeatmapCell cell{1e-4 * std::exp(0.2 * static_cast<double>(i)), 1e-5, false, {}};
            panel.cells.push_back(cell);
        }
        panel.extra.push_back({0.004, 0, false, {}});
        data.panels.push_back(std::move(panel));
    }
    return data;
}

inline plot::ParetoData somePareto() {
    plot::ParetoData data;
    data.heading = {"Size and damage", "run 4"};
    data.weights = 1e8;
    data.budgetBytes = 6e7;
    for (int i = 0; i < 64; ++i) data.front.push_back({4e7 + 1e6 * i, 2 * std::exp(-0.1 * i), 0.1 * std::exp(-0.1 * i)});
    using Kind = plot::ParetoPoint::Kind;
    data.points.push_back({Kind::mix, "mix 4.5bpw", 6e7, 0.27, 0.02, 0.29, 0.03});
    data.points.push_back({Kind::uniform, "uniform q4_0", 6e7, 0.4, 0.02, 0.44, 0.03});
    data.points.push_back({Kind::uniform, "uniform iq4_nl", 6.01e7, 0.41, 0.02, 0.42, 0.03});
    data.points.push_back({Kind::ruleList, "Q4_K_M", 6.1e7, plot::kUnknown, 0, 0.33, 0.02});
    data.points.push_back({Kind::ruleList, "Q4_K_S", 6.05e7, plot::kUnknown, 0, 0.34, 0.02});
    data.points.push_back({Kind::other, "run 31", 6.02e7, plot::kUnknown, 0, 0.335, 0.02});
    return data;
}

inline plot::AgreementData someAgreement(std::size_t pairs = 40) {
    plot::AgreementData data;
    data.heading = {"Agreement", "run 1 · run 2"};
    data.xTitle = "run 1: Fisher estimate, nats per token";
    data.yTitle = "run 2: measured KL, nats per token";
    for (const int bits : {3, 4}) {
        plot::AgreementSeries series{"q" + std::to_string(bits) + "_0", bits, {}, 0.987, 1.04};
        for (std::size_t i = 0; i < pairs; ++i) {
            const double x = 1e-4 * std::exp(0.1 * static_cast<double>(i));
            series.pairs.push_back({"blk." + std::to_string(i) + ".attn_q", x, x * (1 + 0.1 * std::sin(static_cast<double>(i))), x / 10, x / 20});
        }
        data.series.push_back(std::move(series));
    }
    data.all.spearman = 0.991;
    return data;
}

inline std::size_t countOf(const std::string& text, const std::string& what) {
    std::size_t count = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++count;
    return count;
}

/// Why a text is no well-formed XML document (elements, attributes, the five entities); empty when it is one.
inline std::string xmlFault(const std::string& text) {
    std::vector<std::string> open;
    std::size_t at = 0, roots = 0;
    const auto isName = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == ':'; };
    while (at < text.size()) {
        if (text[at] != '<') {
            if (text[at] == '&') {
                bool known = false;
                for (const char* entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"}) known = known || text.compare(at, std::string(entity).size(), entity) == 0;
                if (!known) return "an & that is no entity at " + std::to_string(at);
            }
            if (open.empty() && std::isspace(static_cast<unsigned char>(text[at])) == 0) return "text outside the root at " + std::to_string(at);
            if (static_cast<unsigned char>(text[at]) < 0x20 && text[at] != '\n') return "a control character at " + std::to_string(at);
            ++at;
            continue;
        }
        if (text.compare(at, 5, "<?xml") == 0) {
            at = text.find("?>", at) + 2;
            continue;
        }
        const bool closing = text.at(at + 1) == '/';
        std::size_t begin = at + (closing ? 2 : 1), end = begin;
        while (end < text.size() && isName(text[end])) ++end;
        const std::string name = text.substr(begin, end - begin);
        if (name.empty()) return "a tag without a name at " + std::to_string(at);
        while (true) { // attributes
            while (end < text.size() && text[end] == ' ') ++end;
            if (end >= text.size()) return "the document ends inside <" + name;
            if (text[end] == '>' || text[end] == '/') break;
            const std::size_t equals = text.find("=\"", end);
            if (equals == std::string::npos) return "an attribute without a value in <" + name;
            for (std::size_t i = end; i < equals; ++i)
                if (!isName(text[i])) return "a broken attribute in <" + name;
            const std::size_t quote = text.find('"', equals + 2);
            if (quote == std::string::npos || text.substr(equals + 2, quote - equals - 2).find_first_of("<") != std::string::npos) return "a broken value in <" + name;
            end = quote + 1;
        }
        const bool empty = text[end] == '/';
        if (closing) {
            if (open.empty() || open.back() != name) return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
            open.pop_back();
        } else if (!empty) {
            if (open.empty()) ++roots;
            open.push_back(name);
        }
        at = text.find('>', end) + 1;
    }
    return open.empty() && roots == 1 ? "" : "not one closed root element";
}

} // namespace bw::test
