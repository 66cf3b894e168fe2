// SPDX-License-Identifier: GPL-3.0-or-later
// Writing a GGUF model as several files, "NAME-00001-of-00003.gguf", none longer than asked: the first holds the metadata,
// each says which part of how many it is. Not for: finding and checking parts (split_gguf.h).
#pragma once

#include "core/checkpoint/temporary_folder.h"
#include "core/checkpoint/writer.h"

#include <memory>

namespace bw {

struct GgufPartLayout {
    std::string path; ///< final
    GgufMetadata metadata;
    std::vector<OutputTensor> tensors;
    std::uint64_t bytes = 0; ///< of the file, exact
};

/// Tensors in order, a new part where the next one would make the file longer than `partBytes`; a tensor that is longer
/// by itself gets a part of its own. One part when all fits: then it is `path` itself, without keys of a split.
/// @param path ends in ".gguf". @throws Error(usage) when there would be more parts than readers take; and those of GgufWriter.
std::vector<GgufPartLayout> divideGguf(const std::string& path, GgufMetadata metadata, const std::vector<OutputTensor>& tensors, std::uint64_t partBytes);

/// Parts grow in a temporary folder beside their places, under their final names, so that they can be opened and checked
/// there; commit() moves all of them out, or none. Use as GgufWriter.
class SplitGgufWriter {
public:
    /// @param path the name without part numbers, as given to divideGguf(). @throws Error targetExists, notRegularFile, diskFull.
    SplitGgufWriter(const std::string& path, std::vector<GgufPartLayout> parts, AtomicFile::Replace replace);
    void writeTensorPart(std::span<const std::byte> part);
    void finish();
    const std::string& temporaryPath() const { return folder_.path(); } ///< the folder
    std::string temporaryFirstPart() const;
    /// The first part appears last: whoever finds it finds the whole model. @throws Error targetExists, writeFailed; parts
    /// that were moved already are moved back.
    void commit();

private:
    std::string temporaryOf(const GgufPartLayout& part) const;
    std::string path_;
    std::vector<GgufPartLayout> parts_;
    AtomicFile::Replace replace_;
    TemporaryFolder folder_;
    std::size_t next_ = 0; ///< part to be opened next
    std::unique_ptr<GgufWriter> writer_;
};

} // namespace bw
