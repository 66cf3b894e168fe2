// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/prompts.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/calibrate/text_reader.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <initializer_list>
#include <set>

namespace bw {
namespace {

const Json* member(const Json& object, std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (const auto found = object.find(name); found != object.end() && !found->is_null()) return &*found;
    return nullptr;
}

std::string textMember(const Json& object, std::initializer_list<const char*> names) {
    const Json* found = member(object, names);
    return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> texts(const Json& list, const std::string& where, const char* what) {
    std::vector<std::string> out;
    for (const Json& text : list) {
        if (!text.is_string() || text.get_ref<const std::string&>().empty())
            throw Error(ErrorCode::invalidHeader, where + ": one of its " + what + " is empty or no text");
        out.push_back(text.get<std::string>());
    }
    return out;
}

/// An index, "2", a letter, or one of the labels.
std::size_t answerIndex(const Json& answer, const std::vector<std::string>& labels, std::size_t choices, const std::string& where) {
    const auto refuse = [&]() -> Error {
        return {ErrorCode::invalidHeader, fmt::format("{}: its answer {} is none of its {} choices", where, escapeForDisplay(answer.dump(-1, ' ', false, Json::error_handler_t::replace), 40), choices),
                "give the number of the right choice, from 0, or its letter"};
    };
    if (answer.is_number_integer()) {
        const auto index = answer.get<std::int64_t>();
        if (index < 0 || index >= static_cast<std::int64_t>(choices)) throw refuse();
        return static_cast<std::size_t>(index);
    }
    if (!answer.is_string()) throw refuse();
    const std::string text = answer.get<std::string>();
    if (const auto label = std::find(labels.begin(), labels.end(), text); label != labels.end()) return static_cast<std::size_t>(label - labels.begin());
    if (text.size() == 1 && text[0] >= 'A' && text[0] < static_cast<char>('A' + std::min<std::size_t>(26, choices))) return static_cast<std::size_t>(text[0] - 'A');
    if (text.size() == 1 && text[0] >= '0' && text[0] < static_cast<char>('0' + std::min<std::size_t>(10, choices))) return static_cast<std::size_t>(text[0] - '0');
    throw refuse();
}

void readChoices(const Json& choices, const Json& object, PromptItem& item, const std::string& where) {
    std::vector<std::string> labels;
    const Json* list = &choices;
    if (choices.is_object()) { // ARC: {"text": […], "label": […]}
        list = member(choices, {"text"});
        if (const Json* given = member(choices, {"label"}); given != nullptr && given->is_array()) labels = texts(*given, where, "labels");
    }
    if (list == nullptr || !list->is_array() || list->size() < 2) throw Error(ErrorCode::invalidHeader, where + ": a question needs at least two choices", "\"choices\": [\"…\", \"…\"]");
    item.kind = TaskKind::choice;
    item.choices = texts(*list, where, "choices");
    const Json* answer = member(object, {"answer", "answerKey", "label", "gold"});
    if (answer == nullptr) throw Error(ErrorCode::invalidHeader, where + ": it does not say which choice is right", "\"answer\": 0 is the first");
    item.answer = answerIndex(*answer, labels, item.choices.size(), where);
}

PromptItem itemOf(const Json& object, const std::string& where) {
    if (!object.is_object()) throw Error(ErrorCode::invalidHeader, where + ": no object in this line", "give one object a line: {\"prompt\": \"…\"}");
    PromptItem item;
    const Json* id = member(object, {"id", "ind", "key"});
    if (id != nullptr) item.id = id->is_string() ? id->get<std::string>() : id->dump(-1, ' ', false, Json::error_handler_t::replace);
    item.domain = textMember(object, {"domain", "subject", "category"});
    item.prompt = textMember(object, {"prompt", "question", "ctx", "query", "text"});
    if (item.prompt.find_first_not_of(" \t\r\n") == std::string::npos)
        throw Error(ErrorCode::invalidHeader, where + ": there is no prompt, or it is empty", "name it \"prompt\", \"question\", \"ctx\", \"query\" or \"text\"");
    if (item.prompt.size() > kLongestPrompt)
        throw Error(ErrorCode::usage, fmt::format("{}: a prompt of {} bytes", where, item.prompt.size()), fmt::format("prompts may have up to {} bytes", kLongestPrompt));
    const Json* choices = member(object, {"choices", "endings", "options"});
    const std::string target = textMember(object, {"target", "completion"}), check = textMember(object, {"check"});
    if (choices != nullptr) {
        readChoices(*choices, object, item, where);
    } else if (!target.empty()) {
        item.kind = TaskKind::cloze;
        item.target = target;
    } else if (const Json* references = member(object, {"references", "reference"})) {
        item.kind = TaskKind::references;
        item.references = references->is_string() ? std::vector<std::string>{references->get<std::string>()} : texts(*references, where, "references");
        if (item.references.empty() || item.references.front().empty()) throw Error(ErrorCode::invalidHeader, where + ": it has no reference");
    } else if (!check.empty()) {
        if (check != "python" && check != "json") throw Error(ErrorCode::invalidHeader, where + ": \"check\" is '" + escapeForDisplay(check, 40) + "'", "it can be python or json");
        item.kind = TaskKind::syntax;
        item.syntax = check;
    } else if (const std::string answer = textMember(object, {"answer"}); !answer.empty()) {
        item.kind = TaskKind::exact;
        item.target = answer;
    }
    return item;
}

} // namespace

std::string_view taskName(TaskKind kind) {
    switch (kind) {
    case TaskKind::choice: return "choice";
    case TaskKind::cloze: return "cloze";
    case TaskKind::exact: return "exact";
    case TaskKind::references: return "references";
    case TaskKind::syntax: return "syntax";
    case TaskKind::open: break;
    }
    return "open";
}

PromptSet loadPrompts(const std::string& path, JobContext& job) {
    detail::TextReader reader(path);
    PromptSet out;
    out.path = path;
    out.name = std::filesystem::path(path).filename().string();
    out.bytes = reader.size();
    Sha256 digest;
    std::set<std::string> ids, prompts;
    std::size_t twice = 0;
    for (std::int64_t number = 1; !reader.atEnd(); ++number) {
        job.checkpoint();
        std::string_view line = reader.nextLine();
        digest.update(std::as_bytes(std::span(line.data(), line.size())));
        digest.update(std::as_bytes(std::span("\n", 1)));
        if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        const std::string where = fmt::format("{}, line {}", path, number);
        if (!isValidUtf8(line)) throw Error(ErrorCode::binaryText, where + " is no UTF-8 text", "save the file as UTF-8");
        if (out.items.size() == kMostPrompts) throw Error(ErrorCode::usage, fmt::format("{} has more than {} prompts", path, kMostPrompts), "split it");
        PromptItem item = itemOf(parseJson(line, where), where);
        if (item.id.empty() || !ids.insert(item.id).second) {
            item.id = fmt::format("line {}", number);
            ids.insert(item.id);
        }
        std::string key = item.prompt;
        for (const std::string& choice : item.choices) key += '\0' + choice;
        twice += prompts.insert(std::move(key)).second ? 0U : 1U;
        out.items.push_back(std::move(item));
    }
    if (out.items.empty()) throw Error(ErrorCode::textTooShort, path + " has no prompts", "one object a line: {\"prompt\": \"…\"}");
    if (twice > 0) out.warnings.push_back(fmt::format("{} of {} prompts of '{}' stand there twice: they count twice", twice, out.items.size(), out.name));
    out.sha256 = digest.hex();
    return out;
}

} // namespace bw
