// SPDX-License-Identifier: GPL-3.0-or-later
// What scales of one fold point cost at the output of the linears that read it. Private to core/quantize.
#pragma once

#include "core/calibrate/group_input.h"
#include "core/quantize/transform.h"

namespace bw {

/// One fold point and the weights behind it, read once.
class ScaleTrial {
public:
    ScaleTrial(const Model& model, const FoldPoint& point, const std::map<std::string, FormatPtr>& formats, const TransformInputs& inputs);
    /// Reads the weights of one group's sites. @param input must live as long as the trial; without its Gram matrix there is no
    /// error() of these sites.
    void add(int inputGroup, const GroupInput& input);
    /// max |w_j| over all rows of all sites.
    const std::vector<float>& weightMaxima() const { return weightMax_; }
    /// Is there a site with a format and tokens?
    bool measures() const { return !readers_.empty(); }
    /// Σ over tokens of the squared outputs of the rows looked at.
    double power(JobContext& job) const;
    /// Σ over tokens of the squared output error with these scales: of the rounded weights, and of rounded inputs where the
    /// recipe rounds them. Cost: rounding and O·I² for the rows looked at.
    double error(std::span<const float> scales, JobContext& job) const;

private:
    struct Reader {
        Matrix weight; ///< the rows looked at
        FormatPtr format;
        const GroupInput* input;
    };
    double inputError(const Reader& reader, std::span<const float> scales, MatrixView<const float> rounded) const;
    bool wholeWeight(const Format& format, std::int64_t rows, std::int64_t cols) const;

    const Model& model_;
    const std::map<std::string, FormatPtr>& formats_;
    const TransformInputs& inputs_;
    std::int64_t rowStep_ = 1; ///< every so many rows is looked at
    std::vector<float> weightMax_;
    std::vector<Reader> readers_;
};

} // namespace bw
