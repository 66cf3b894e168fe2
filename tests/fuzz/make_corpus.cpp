// SPDX-License-Identifier: GPL-3.0-or-later
// Writes the seed corpora that lie in corpus/: the generated bad files of at most 2 kB, small right files, and the
// documents of each kind.   fuzz_make_corpus OUTPUT-FOLDER
#include "core/checkpoint/imatrix.h"
#include "core/experiment/recipe.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace {
namespace fs = std::filesystem;
using namespace bw;
using namespace bw::test;

constexpr std::uintmax_t kMostBytes = 2048; ///< a fuzzer grows its inputs itself

fs::path output;

void write(const std::string& kind, const std::string& name, const std::string& bytes) {
    fs::create_directories(output / kind);
    std::ofstream(output / kind / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string contents(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void copyBad(const std::string& kind, const std::string& row, const BadFiles& files) {
    int number = 0;
    for (const BadFile& file : files)
        if (std::error_code ignored; fs::is_regular_file(file.path, ignored) && fs::file_size(file.path) <= kMostBytes)
            write(kind, row + "-" + std::to_string(number++), contents(file.path));
}

/// GGUF with every value type, an array of each, and one tensor of several types.
std::string fullGguf() {
    GgufBytes file(3, 12);
    file.string("general.architecture", "llama").u32("llama.block_count", 1).u32("llama.embedding_length", 32).u32("llama.attention.head_count", 2);
    file.u32("llama.feed_forward_length", 64).key("llama.attention.layer_norm_rms_epsilon", GgufType::f32).number(1e-5f);
    file.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "gpt-2");
    file.key("tokenizer.ggml.tokens", GgufType::array).number<std::uint32_t>(8).number<std::uint64_t>(3).text("a").text("b").text("ab");
    file.key("tokenizer.ggml.merges", GgufType::array).number<std::uint32_t>(8).number<std::uint64_t>(1).text("a b");
    file.key("tokenizer.ggml.token_type", GgufType::array).number<std::uint32_t>(5).number<std::uint64_t>(3).number(1).number(1).number(1);
    file.u32("tokenizer.ggml.bos_token_id", 1);
    file.tensor("token_embd.weight", {32, 3}, 0, 0).tensor("blk.0.attn_q.weight", {32, 32}, 2, 384).tensor("blk.0.ffn_down.weight", {256, 1}, 12, 960);
    return file.pad().data(960 + 144).bytes();
}

void writeImportance(const TempFolder& folder) {
    ImportanceMatrix matrix;
    matrix.datasets = {"text"};
    matrix.chunks = 2;
    matrix.entries["blk.0.attn_q.weight"] = {4, {1, 2, 3, 4}, {1024}};
    matrix.entries["blk.0.ffn_up_exps.weight"] = {2, {1, 2, 3, 4}, {512, 0}};
    matrix.write(folder.file("m.gguf"), AtomicFile::Replace::yes);
    matrix.write(folder.file("m.dat"), AtomicFile::Replace::yes);
    write("imatrix", "gguf", contents(folder.file("m.gguf")));
    write("imatrix", "dat", contents(folder.file("m.dat")));
    write("imatrix", "cut", contents(folder.file("m.dat")).substr(0, 30));
}

void writeTokenizers() {
    const std::string bpe = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3,"<s>":4},"merges":["a b"]})";
    write("tokenizer", "byte-level", R"({"version":"1.0","added_tokens":[{"id":4,"content":"<s>","special":true,"lstrip":false,"rstrip":true,"normalized":false,"single_word":false}],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[4],"tokens":["<s>"]}}},"decoder":{"type":"ByteLevel"},"model":)" + bpe + "}");
    write("tokenizer", "regex", R"({"added_tokens":[],"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t)|\\p{L}+|\\p{N}{1,3}| ?[^\\s]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},"model":)" + bpe + "}");
    write("tokenizer", "sentencepiece", R"({"added_tokens":[{"id":0,"content":"<unk>","special":true}],"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":null,"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},"model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"vocab":{"<unk>":0,"<0x41>":1,"▁":2,"a":3,"▁a":4},"merges":[["▁","a"]]}})");
    write("tokenizer", "unigram", R"({"added_tokens":[],"normalizer":{"type":"NFKC"},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["▁",-1.5],["a",-2.0],["▁a",-2.5]],"byte_fallback":false}})");
    write("tokenizer", "digits", R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false}]},"model":)" + bpe + "}");
    write("tokenizer", "unknown", R"({"model":{"type":"WordPiece","vocab":{}}})");
}

/// A protocol buffer by hand.
class ProtoBytes {
public:
    ProtoBytes& bytes(int field, const std::string& value) {
        varint(static_cast<unsigned>(field) << 3 | 2u);
        varint(static_cast<unsigned>(value.size()));
        out_ += value;
        return *this;
    }
    ProtoBytes& number(int field, unsigned value) {
        varint(static_cast<unsigned>(field) << 3);
        varint(value);
        return *this;
    }
    ProtoBytes& real(int field, float value) {
        varint(static_cast<unsigned>(field) << 3 | 5u);
        put(out_, value);
        return *this;
    }
    const std::string& bytes() const { return out_; }

private:
    void varint(unsigned value) {
        for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
        out_ += static_cast<char>(value);
    }
    std::string out_;
};

/// A double array that maps "A" to "a": root, the child of 'A' (place 0x42 ^ 'A' = 3), its value (place 3 ^ 7 = 4).
std::string smallCharsmap() {
    std::string map;
    put<std::uint32_t>(map, 5 * 4);
    for (const std::uint32_t unit : {0x42u << 10, 0u, 0u, 7u << 10 | 0x100u | 'A', 0x80000000u}) put(map, unit);
    return map + std::string("a\0", 2);
}

void writeSentencePiece() {
    struct Piece {
        const char* text;
        float score;
        unsigned type; // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
    };
    for (const unsigned model : {1u, 2u}) { // unigram, BPE
        ProtoBytes file;
        for (const Piece& p : {Piece{"<unk>", 0, 2}, Piece{"<s>", 0, 3}, Piece{"</s>", 0, 3}, Piece{"<0xFF>", 0, 6}, Piece{"[INST]", 0, 4}, Piece{"▁", -1, 1},
                               Piece{"e", -2, 1}, Piece{"h", -3, 1}, Piece{"he", -1.5f, 1}, Piece{"▁T", -4, 1}, Piece{"T", -5, 1}, Piece{"qu", -6, 5}})
            file.bytes(1, ProtoBytes().bytes(1, p.text).real(2, p.score).number(3, p.type).bytes());
        file.bytes(2, ProtoBytes().number(3, model).number(35, model - 1).number(40, 0).number(41, 1).number(42, 2).bytes());
        file.bytes(3, ProtoBytes().bytes(2, model == 1 ? smallCharsmap() : "").number(3, 1).number(4, 2 - model).number(5, 1).bytes());
        write("tokenizer_model", model == 1 ? "unigram" : "bpe", file.bytes());
        write("tokenizer_model", model == 1 ? "unigram-cut" : "bpe-cut", file.bytes().substr(0, file.bytes().size() - 9));
    }
    write("tokenizer_model", "suffix", ProtoBytes().bytes(1, ProtoBytes().bytes(1, "a").bytes()).bytes(2, ProtoBytes().number(24, 1).bytes()).bytes());
    write("tokenizer_model", "characters", ProtoBytes().bytes(2, ProtoBytes().number(3, 4).bytes()).bytes());
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) return std::fputs("usage: fuzz_make_corpus OUTPUT-FOLDER\n", stderr), 2;
    output = argv[1];
    const TempFolder folder;
    using Make = BadFiles (*)(const TempFolder&);
    const std::pair<const char*, Make> safetensors[] = {{"S01", s01TooShort}, {"S02", s02HugeHeaderLength}, {"S03", s03HeaderPastEnd}, {"S04", s04HeaderNoJson}, {"S07", s07DuplicateTensor},
                                                        {"S08", s08BadOffsets}, {"S09", s09OverlapAndHole}, {"S10", s10EndOfFile}, {"S11", s11ShapeOverflow}, {"S12", s12OddSubByte}, {"S13", s13BadMetadata}};
    const std::pair<const char*, Make> gguf[] = {{"G01", g01MagicAndVersion}, {"G02", g02HugeCounts}, {"G03", g03BadKeys}, {"G04", g04BadValues}, {"G05", g05DeepArrays}, {"G06", g06BadNames},
                                                 {"G07", g07BadAlignment}, {"G08", g08BadDimensions}, {"G10", g10RowNoMultiple}, {"G11", g11BadOffsets}, {"G14", g14Split}};
    for (const auto& [row, make] : safetensors) copyBad("safetensors", row, make(folder));
    for (const auto& [row, make] : gguf) copyBad("gguf", row, make(folder));
    write("gguf", "right", fullGguf());
    write("safetensors", "right", safetensorsBytes(R"({"__metadata__":{"format":"pt"},)" + f32Entry("model.norm.weight", 0, 8) + R"(,"b":{"dtype":"BF16","shape":[2,2],"data_offsets":[32,40]}})", std::string(40, '\1')));
    write("safetensors", "packed", safetensorsBytes(R"({"l.weight_packed":{"dtype":"I32","shape":[2,1],"data_offsets":[0,8]},"l.weight_scale":{"dtype":"F16","shape":[2,1],"data_offsets":[8,12]},"l.weight_shape":{"dtype":"I32","shape":[2],"data_offsets":[12,20]}})",
                                                    std::string(12, '\1') + std::string("\2\0\0\0\10\0\0\0", 8)));
    write("safetensors", "gptq", safetensorsBytes(R"({"l.qweight":{"dtype":"I32","shape":[4,8],"data_offsets":[0,128]},"l.qzeros":{"dtype":"I32","shape":[1,1],"data_offsets":[128,132]},"l.scales":{"dtype":"F16","shape":[1,8],"data_offsets":[132,148]},"l.g_idx":{"dtype":"I32","shape":[32],"data_offsets":[148,276]}})",
                                                  std::string(148, '\1') + std::string(128, '\0')));
    writeImportance(folder);
    writeTokenizers();
    writeSentencePiece();
    Recipe recipe;
    write("recipe", "default", recipe.toJson().dump());
    recipe.assignment.rules = {{"blk.*.attn_v", "q8_0"}};
    recipe.assignment.pins = {{"output", "int8:g64:sym"}};
    recipe.assignment.budget = "4.5bpw";
    recipe.kind = "assign";
    write("recipe", "assign", recipe.toJson().dump());
    write("recipe", "short", R"({"version":1,"kind":"evaluate","evaluation":{"protocol":"llama.cpp:512"}})");
    return 0;
}
