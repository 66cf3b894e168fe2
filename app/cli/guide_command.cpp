// SPDX-License-Identifier: GPL-3.0-or-later
// guide: two or three recipes worth trying for where the model will run, and with --try their ranking.
#include "app/cli/methods_command.h"
#include "app/cli/mix_words.h"
#include "app/cli/output.h"
#include "app/cli/signals.h"
#include "app/common/devices.h"
#include "core/experiment/guide.h"

#include <fmt/format.h>

#include <filesystem>

namespace bw::cli {
namespace {

struct GuideArguments {
    MethodsArguments trials;
    GuideRequest request;
    std::string save;
    bool tryAll = false;
};

/// TRANSFORM / ROUNDER / FORMAT as `methods` takes them, with the activations where they are rounded too.
std::string partsOf(const Recipe& r) {
    return r.transform + "/" + r.rounder + "/" + r.assignment.format + (r.activations == "none" ? "" : "/" + r.activations);
}

Json proposalJson(const Model& model, const MethodTrial& proposal) {
    return {{"name", proposal.name},
            {"why", proposal.why},
            {"method", methodName(proposal.recipe)},
            {"parts", partsOf(proposal.recipe)},
            {"bits_per_weight", proposedBits(model, proposal.recipe)},
            {"recipe", proposal.recipe.toJson()}};
}

/// "1-q4_k_m-with-gptq.json": the place in the list, then letters and digits of the name.
std::string fileNameOf(std::size_t place, const std::string& name) {
    std::string words;
    for (const char c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (plain || (c >= 'A' && c <= 'Z'))
            words += plain ? c : static_cast<char>(c - 'A' + 'a');
        else if (!words.empty() && words.back() != '-')
            words += '-';
    }
    return fmt::format("{}-{}.json", place, words.substr(0, words.find_last_not_of('-') + 1));
}

std::vector<std::string> saveAll(const GuideArguments& given, const std::vector<MethodTrial>& proposals) {
    std::vector<std::string> files;
    for (const MethodTrial& proposal : proposals) {
        const std::string file = (std::filesystem::path(given.save) / fileNameOf(files.size() + 1, proposal.name)).string();
        writeRecipe(file, proposal.recipe.toJson(), given.trials.replace);
        files.push_back(file);
    }
    return files;
}

void print(const GuideArguments& given, const Json& proposals) {
    Table table({{"proposal", false}, {"bits/weight"}, {"transform/rounder/format", false}, {"written as", false}});
    for (const Json& p : proposals) {
        const std::string layout = p.at("recipe").at("export").at("layout").get<std::string>();
        table.add({p.at("name"), number(p.at("bits_per_weight"), 3), p.at("parts"), layout.empty() ? "gguf" : layout});
    }
    printLine(table.text());
    for (const Json& p : proposals)
        printLine(fmt::format("{}: {}", p.at("name").get<std::string>(), p.at("why").get<std::string>()));
    if (given.save.empty())
        printLine("To rank them on your texts: the same command with --try --text FILE --eval-text FILE");
}

int runGuide(Context& context, const GuideArguments& given) {
    const auto model = Model::openWeights(Checkpoint::open(given.trials.path), makeDevice("cpu"));
    const std::vector<MethodTrial> proposals = proposeMethods(*model, given.request, sharedRecipe(context, given.trials));
    if (given.tryAll) {
        std::vector<MethodTrial> trials = proposals;
        for (MethodTrial& trial : trials)
            trial.recipe.exporting = {}; // measured, not written
        return runTrials(context, given.trials, trials);
    }
    const std::vector<std::string> files = given.save.empty() ? std::vector<std::string>() : saveAll(given, proposals);
    Json rows = Json::array();
    for (const MethodTrial& proposal : proposals)
        rows.push_back(proposalJson(*model, proposal));
    if (context.common.json) {
        printJson({{"target", given.request.target}, {"kind", given.request.kind}, {"proposals", rows}, {"files", files}});
        return kExitOk;
    }
    print(given, rows);
    for (const std::string& file : files)
        printLine("written: " + file);
    return kExitOk;
}

} // namespace

void addGuideCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<GuideArguments>();
    CLI::App* command = app.add_subcommand("guide", "Which methods are worth trying for where the model will run, and why");
    addTrialOptions(*command, given->trials, context);
    command->add_option("--target", given->request.target, "cpu (llama.cpp), nvidia (vLLM and kin) or apple (llama.cpp on Metal)")->capture_default_str();
    command->add_option("--kind", given->request.kind, "weight-only, or w8a8: activations are rounded too")->capture_default_str();
    command->add_option("--size", given->request.size, "the most it may take, like 4.5bpw or 1.2GiB (default: about 4 bits)")->type_name("SIZE");
    command->add_option("--save", given->save, "write each proposal's recipe into this folder")->type_name("FOLDER");
    command->add_flag("--try", given->tryAll, "run them all on your texts and rank them by measured KL and size");
    command->footer("Examples:\n  bitwright-cli guide model.gguf --target cpu --size 4.8bpw\n"
                    "  bitwright-cli guide ./hf-folder --target nvidia --try --text calib.txt --eval-text test.txt");
    command->callback([&context, given] { context.action = [&context, given] { return runGuide(context, *given); }; });
}

} // namespace bw::cli
