// SPDX-License-Identifier: GPL-3.0-or-later
// Text to token ids and back: tokenize, detokenize.
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "core/base/error.h"

namespace bw::cli {
namespace {

constexpr std::uint64_t kTextLimit = 1ull << 30;

struct TokenizeOptions {
    std::string path, text, file, lines, ids;
    bool noSpecial = false, hasText = false;
};

std::shared_ptr<const Tokenizer> openTokenizer(const std::string& path) { return Tokenizer::open(*Checkpoint::open(path)); }

Json idsOf(const Tokenizer& tokenizer, const std::string& text, const TokenizeOptions& options) {
    return tokenizer.encode(text, !options.noSpecial);
}

/// One JSON string a line in, one JSON array a line out.
int tokenizeLines(Context& context, const Tokenizer& tokenizer, const TokenizeOptions& options) {
    const std::string all = readTextFile(options.lines, kTextLimit);
    std::size_t begin = 0, number = 0;
    Json collected = Json::array();
    while (begin < all.size()) {
        const std::size_t end = std::min(all.find('\n', begin), all.size());
        const std::string line = all.substr(begin, end - begin);
        begin = end + 1;
        ++number;
        if (line.empty())
            continue;
        context.job.checkpoint();
        const Json text = parseJson(line, options.lines + " line " + std::to_string(number));
        if (!text.is_string())
            throw Error(ErrorCode::invalidHeader, options.lines + " line " + std::to_string(number) + " is no JSON string", "write one JSON string a line");
        Json ids = idsOf(tokenizer, text.get<std::string>(), options);
        if (context.common.json)
            collected.push_back(std::move(ids));
        else
            printLine(ids.dump());
    }
    if (context.common.json)
        printJson({{"ids", collected}});
    return 0;
}

int runTokenize(Context& context, const TokenizeOptions& options) {
    if (static_cast<int>(options.hasText) + static_cast<int>(!options.file.empty()) + static_cast<int>(!options.lines.empty()) != 1)
        throw Error(ErrorCode::usage, "give exactly one of --text, --file and --lines");
    const std::shared_ptr<const Tokenizer> tokenizer = openTokenizer(options.path);
    if (!options.lines.empty())
        return tokenizeLines(context, *tokenizer, options);
    const Json ids = idsOf(*tokenizer, options.hasText ? options.text : readTextFile(options.file, kTextLimit), options);
    if (context.common.json)
        printJson({{"ids", ids}, {"count", ids.size()}});
    else
        printLine(ids.dump());
    return 0;
}

int runDetokenize(Context& context, const TokenizeOptions& options) {
    const std::shared_ptr<const Tokenizer> tokenizer = openTokenizer(options.path);
    const std::vector<TokenId> ids = parseIds(options.ids);
    for (const TokenId id : ids)
        if (id >= tokenizer->vocabulary())
            throw Error(ErrorCode::usage, "token id " + std::to_string(id) + " is past the vocabulary of " + std::to_string(tokenizer->vocabulary()));
    const std::string text = tokenizer->decode(ids, !options.noSpecial);
    if (context.common.json)
        printJson({{"text", text}});
    else
        printLine(text);
    return 0;
}

} // namespace

void addTextCommands(CLI::App& app, Context& context) {
    auto options = std::make_shared<TokenizeOptions>();
    CLI::App* tokenize = app.add_subcommand("tokenize", "Turn text into token ids");
    tokenize->add_option("PATH", options->path, "checkpoint")->required();
    CLI::Option* text = tokenize->add_option("--text", options->text, "this text");
    tokenize->add_option("--file", options->file, "the whole of this file")->type_name("FILE");
    tokenize->add_option("--lines", options->lines, "one JSON string a line; prints one JSON array a line")->type_name("FILE");
    tokenize->add_flag("--no-special", options->noSpecial, "add no BOS or other special tokens");
    addCommon(*tokenize, context.common);
    tokenize->footer("Examples:\n  bitwright-cli tokenize model.gguf --text 'Hello world'\n  bitwright-cli tokenize model.gguf --lines strings.jsonl --no-special");
    tokenize->callback([&context, options, text] {
        options->hasText = text->count() > 0;
        context.action = [&context, options] { return runTokenize(context, *options); };
    });

    auto back = std::make_shared<TokenizeOptions>();
    CLI::App* detokenize = app.add_subcommand("detokenize", "Turn token ids into text");
    detokenize->add_option("PATH", back->path, "checkpoint")->required();
    detokenize->add_option("--ids", back->ids, "like 1,2,3")->required();
    detokenize->add_flag("--no-special", back->noSpecial, "leave out the text of special tokens");
    addCommon(*detokenize, context.common);
    detokenize->footer("Examples:\n  bitwright-cli detokenize model.gguf --ids 504,216,338");
    detokenize->callback([&context, back] { context.action = [&context, back] { return runDetokenize(context, *back); }; });
}

} // namespace bw::cli
