// SPDX-License-Identifier: GPL-3.0-or-later
// The tiny checkpoints of tests/data/families as folders that can be opened, and logits of opened models.
#pragma once

#include "core/base/matrix.h"
#include "core/model/model.h"
#include "tests/support/families.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace bw::test {

/// What transformers computed: see make_families.py.
struct Reference {
    std::vector<TokenId> ids;
    Matrix logits; ///< T×V
};
Reference readReference(const std::string& name);

/// A temporary folder that is removed at the end.
class FamilyFolder {
public:
    /// A Hugging Face folder: weights, tokenizer, and config.json from the file of that name ("config.v4.json").
    explicit FamilyFolder(const std::string& name, const std::string& config = "config.json");
    ~FamilyFolder();
    FamilyFolder(const FamilyFolder&) = delete;
    FamilyFolder& operator=(const FamilyFolder&) = delete;
    std::string model() const { return (root_ / "model").string(); }
    std::string file(const std::string& name) const { return (root_ / name).string(); }

private:
    std::filesystem::path root_;
};

std::shared_ptr<const Model> openModel(const std::string& path);

/// All tokens as one window.
Matrix windowLogits(const Model& model, const std::vector<TokenId>& ids);
/// The same through a KV cache, one token at a time.
Matrix stepwiseLogits(const Model& model, const std::vector<TokenId>& ids);

/// Largest |a−b|; infinite when the shapes differ or a value is no number.
double largestDifference(const Matrix& a, const Matrix& b);

/// Writes the model with the values that it has (no site quantized), audits and closes the file.
void exportUnquantized(const Model& model, const std::string& path);

} // namespace bw::test
