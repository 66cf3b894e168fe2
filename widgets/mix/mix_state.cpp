// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/mix_state.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <QDir>
#include <QRegularExpression>
#include <QTimer>

#include <algorithm>
#include <cmath>
#include <utility>

namespace bw {
namespace {

constexpr const char* kKeep = "keep";

/// Formats in use when the map has none of these bits.
QString defaultFormat(int bits) {
    switch (bits) {
    case 2: return QStringLiteral("int2:g32:asym");
    case 3: return QStringLiteral("int3:g32:asym");
    case 4: return QStringLiteral("q4_0");
    case 5: return QStringLiteral("q5_0");
    case 6: return QStringLiteral("int6:g64:asym");
    case 8: return QStringLiteral("q8_0");
    default: return QStringLiteral("f16");
    }
}

/// Names that no family knows mostly number their blocks too: "model.layers.3.mlp.zz_proj" is "mlp_zz_proj" of block 3.
void placeByName(MixSite& site, qsizetype sites) {
    const QStringList parts = site.name.split(QLatin1Char('.'));
    for (qsizetype i = 1; i + 1 < parts.size(); ++i) {
        bool number = false;
        const int block = parts[i].toInt(&number);
        if (!number || block < 0 || block >= sites) continue;
        site.block = block;
        site.kind = parts.mid(i + 1).join(QLatin1Char('_')); // a dot would set experts off from their role
        return;
    }
}

/// Bytes of an exported GGUF that are no site: header, tokenizer, norms, padding; 0 when it can't be planned. `stacked`: it
/// keeps the experts of a block in one tensor, which has one type.
quint64 plannedOverhead(const Model& model, bool& stacked) {
    stacked = false;
    try {
        const auto formats = resolveFormats(model, "q8_0", {}, {});
        const std::string path = QDir::temp().filePath(QStringLiteral("bitwright-mix.gguf")).toStdString(); // never written
        const ExportPlan plan = planExport(model, formats, path, true);
        quint64 inSites = 0;
        for (const PlannedTensor& tensor : plan.tensors) {
            if (tensor.site.value() >= 0) inSites += tensor.bytes;
            stacked = stacked || tensor.sites.size() > 1;
        }
        return plan.fileBytes > inSites ? plan.fileBytes - inSites : 0;
    } catch (const Error&) {
        return 0;
    }
}

} // namespace

int MixState::formatBits(const QString& format) {
    if (format == QLatin1String(kKeep)) return 16;
    try {
        return parseChoice(format.toStdString()).format->codeBits();
    } catch (const Error&) {
        return 16;
    }
}

MixState::MixState(Session* session, QObject* parent) : QObject(parent), session_(session) {
    connect(session_, &Session::checkpointChanged, this, [this] {
        readModel();
        takeNews();
        publish();
    });
    connect(session_, &Session::recipeChanged, this, &MixState::readMix);
    readModel();
    takeNews();
    publish();
}

QString MixState::unit() const { return comparable() ? tr("nats per token") : tr("relative output error"); }

int MixState::siteAt(int block, int kind) const { return places_.value({block, kinds_.value(kind)}, -1); }

const MixSite* MixState::selected() const {
    const int i = indexOf(session_->selectedSite());
    return i < 0 ? nullptr : &sites_[i];
}

double MixState::bitsPerWeight(quint64 bytes) const {
    return siteWeights_ > 0 && bytes > otherBytes_ ? 8.0 * double(bytes - otherBytes_) / double(siteWeights_) : 0;
}

void MixState::readModel() {
    sites_.clear();
    index_.clear();
    places_.clear();
    kinds_.clear();
    heads_.clear();
    blocks_ = 0;
    otherBytes_ = 0;
    const auto model = session_->model();
    if (!model) return;
    siteWeights_ = 0;
    std::map<std::string, bool> isSite;
    for (const Site& site : model->sites()) {
        MixSite s;
        s.name = QString::fromStdString(site.name);
        s.kind = s.name.section(QLatin1Char('.'), site.block.value() < 0 ? 0 : 2);
        s.block = site.block.value();
        if (s.block < 0) placeByName(s, qsizetype(model->sites().size()));
        if (places_.contains({s.block, s.kind})) s.block = -1; // two names for one place: below the blocks, not on top of each other
        s.rows = site.rows;
        s.cols = site.cols;
        siteWeights_ += site.rows * site.cols;
        index_.insert(s.name, int(sites_.size()));
        places_.insert({s.block, s.kind}, int(sites_.size()));
        if (s.block < 0) heads_ << int(sites_.size());
        else if (!kinds_.contains(s.kind)) kinds_ << s.kind;
        blocks_ = std::max(blocks_, s.block + 1);
        isSite[site.tensor] = true;
        sites_ << s;
    }
    gatherExperts();
    otherBytes_ = plannedOverhead(*model, stacked_);
    if (otherBytes_ > 0) return;
    // No container can hold this model: norms and the like, as f32.
    for (const TensorInfo& tensor : model->checkpoint().tensors()) {
        if (!isSite.contains(tensor.canonical)) otherBytes_ += quint64(tensor.elements()) * 4;
    }
}

void MixState::gatherExperts() {
    QStringList roles;
    for (const QString& kind : std::as_const(kinds_))
        if (!roles.contains(roleOf(kind))) roles << roleOf(kind);
    std::stable_sort(kinds_.begin(), kinds_.end(),
                     [&](const QString& a, const QString& b) { return roles.indexOf(roleOf(a)) < roles.indexOf(roleOf(b)); });
}

bool MixState::takeNews() {
    bool changed = mapRevision_ != session_->mapRevision();
    mapRevision_ = session_->mapRevision();
    try {
        if (session_->log() && session_->checkpoint())
            changed |= measured_.update(*session_->log(), session_->runs(), session_->logPath(), session_->checkpoint()->path());
    } catch (const Error& error) {
        Q_EMIT session_->messageRequested(QString::fromStdString(error.oneLine()));
    }
    if (measured_.more()) QTimer::singleShot(0, this, &MixState::readLog); // between events: thousands of runs take seconds
    return changed;
}

void MixState::readLog() {
    newMixes_ |= takeNews();
    if (!measured_.more() && std::exchange(newMixes_, false)) publish();
}

void MixState::publish() {
    readMix();
    Q_EMIT mapChanged();
    Q_EMIT brushChanged();
}

void MixState::fillSite(MixSite& site, const QString& format) const {
    site.format = format;
    site.damage = std::numeric_limits<double>::quiet_NaN();
    site.standardError = 0;
    site.inMap = false;
    site.doubt.clear();
    const auto checkpoint = session_->checkpoint();
    const TensorInfo* tensor = checkpoint ? checkpoint->find(site.name.toStdString() + ".weight") : nullptr;
    if (format == QLatin1String(kKeep)) {
        site.codeBits = 16;
        site.bytes = tensor ? tensor->bytes : 0;
        site.damage = 0;
        return;
    }
    try {
        const FormatPtr asked = parseChoice(format.toStdString()).format;
        const FormatPtr used = fallbackFormat(asked, site.rows, site.cols);
        site.codeBits = used->codeBits();
        site.bytes = used->bytes(site.rows, site.cols);
    } catch (const Error&) { // a recipe from a file may ask for anything; running it says so
        site.codeBits = 16;
        site.bytes = tensor ? tensor->bytes : 0;
    }
    if (const DamageOption* option = map().find(site.name, format)) {
        site.bytes = option->bytes;
        site.damage = option->damage;
        site.standardError = option->standardError;
        site.source = option->source;
        site.doubt = option->doubt;
        site.inMap = true;
    } else if (site.codeBits >= 16) {
        site.damage = 0; // 16 bits against 16 bits: below what any sweep can measure
    }
}

void MixState::readMix() {
    const Recipe& recipe = session_->recipe();
    rebuildPredictor();
    totals_ = {};
    totals_.bytes = otherBytes_;
    for (int i = 0; i < sites_.size(); ++i) {
        MixSite& site = sites_[i];
        const QString format = session_->siteFormat(site.name);
        if (format != site.format || filledFor_ != mapRevision_) fillSite(site, format);
        const std::string name = site.name.toStdString();
        site.pinned = std::any_of(recipe.assignment.pins.begin(), recipe.assignment.pins.end(),
                                  [&](const auto& pin) { return globMatches(pin.first, name); });
        totals_.bytes += site.bytes;
        if (std::isnan(site.damage)) ++totals_.unknown;
        if (const int at = predictorSite_.value(i, -1); at >= 0) {
            const int option = optionOf(at, format);
            if (state_->choice()[std::size_t(at)] != option) state_->set(std::size_t(at), option);
        }
    }
    filledFor_ = mapRevision_;
    if (state_) totals_.prediction = state_->prediction();
    totals_.damage = totals_.prediction.kl;
    totals_.standardError = totals_.prediction.klSe;
    totals_.bitsPerWeight = bitsPerWeight(totals_.bytes);
    rebuildProblem();
    Q_EMIT mixChanged();
}

/// The recipe's tie, and what the container ties besides, as `assign` has it: without a path GGUF types are planned as
/// a GGUF.
std::string MixState::tieOfTarget() const {
    const Recipe& recipe = session_->recipe();
    const bool blocks = std::ranges::any_of(map().formats, [](const QString& format) {
        try {
            return parseChoice(format.toStdString()).format->storage() != StorageType::unknown;
        } catch (const Error&) {
            return false;
        }
    });
    const bool gguf = recipe.exporting.path.empty() ? blocks : recipe.exporting.path.ends_with(".gguf");
    return stacked_ && gguf ? withStacks(recipe.assignment.tie) : recipe.assignment.tie;
}

/// Pins, ties and the map make the problem; only their change makes it anew.
void MixState::rebuildProblem() {
    const auto& assignment = session_->recipe().assignment;
    quint64 fixed = otherBytes_;
    for (const MixSite& site : sites_) {
        if (!map().sites.contains(site.name)) fixed += site.bytes; // not decided by the solver
    }
    const std::string tie = tieOfTarget();
    std::string key = tie + '|' + std::to_string(fixed) + '|' + std::to_string(mapRevision_) + '|';
    for (const auto& [site, format] : assignment.pins) key += site + '=' + format + ';';
    for (const std::string& format : assignment.forbid) key += '!' + format;
    for (const Recipe::Assignment::PartBudget& part : assignment.budgets) key += '<' + part.sites + '=' + part.budget;
    if (key == problemKey_) return;
    problemKey_ = key;
    problem_.reset();
    front_.clear();
    frontPredictions_.clear();
    range_ = {};
    if (predictor_ || map().empty()) problemError_.clear();
    if (map().empty() || sites_.isEmpty()) return;
    if (!predictor_) return; // says why
    std::vector<CostCell> cells;
    for (int i = 0; i < sites_.size(); ++i) {
        if (predictorSite_[i] < 0) continue;
        const auto& options = predictor_->sites()[std::size_t(predictorSite_[i])].options;
        const QVector<DamageOption> known = map().sites.value(sites_[i].name); // in the order of `options`
        for (qsizetype o = 0; o < known.size(); ++o)
            cells.push_back({sites_[i].name.toStdString(), known[o].format.toStdString(), known[o].bytes, options[std::size_t(o)].value, known[o].standardError,
                             sites_[i].rows * sites_[i].cols});
    }
    try {
        ProblemOptions options;
        options.tie = tie;
        options.pins = assignment.pins;
        options.forbid = assignment.forbid;
        for (const Recipe::Assignment::PartBudget& part : assignment.budgets) options.limits.push_back({part.sites, part.budget});
        problem_ = std::make_shared<const AssignProblem>(makeProblem(cells, fixed, options));
        range_ = budgetRange(*problem_);
        front_ = paretoFront(*problem_);
        predictFront();
    } catch (const Error& error) {
        problem_.reset();
        front_.clear();
        problemError_ = QString::fromStdString(error.oneLine());
    }
}

int MixState::frontIndex(quint64 bytes) const {
    if (front_.empty()) return -1;
    const auto above = std::upper_bound(front_.begin(), front_.end(), bytes,
                                        [](quint64 b, const ParetoPoint& p) { return b < p.bytes; });
    return std::max(0, int(above - front_.begin()) - 1);
}

const MeasuredMix* MixState::measuredNow() const {
    const Recipe& now = session_->recipe();
    for (const MeasuredMix& mix : measured_.mixes()) {
        if (sites_.isEmpty() || !sameMethod(mix.recipe, now)) continue;
        // A named mix may give other types once texts are at hand, so asking for the same counts too.
        const bool same = asksAlike(mix.recipe, now) || std::all_of(sites_.begin(), sites_.end(), [&](const MixSite& site) {
            return mix.asked.value(site.name) == site.format;
        });
        if (same) return &mix;
    }
    return nullptr;
}

bool MixState::isSolved() const {
    return !solvedMix_.isEmpty() && std::all_of(sites_.begin(), sites_.end(), [&](const MixSite& site) {
        return !solvedMix_.contains(site.name) || solvedMix_.value(site.name) == site.format;
    });
}

QStringList MixState::formatsForBits(int bits) const {
    QStringList result;
    for (const QString& format : map().formats) {
        if (formatBits(format) == bits) result << format;
    }
    if (!result.contains(defaultFormat(bits))) result << defaultFormat(bits);
    return result;
}

QString MixState::formatForBits(int bits) const {
    const QStringList all = formatsForBits(bits);
    const QString chosen = chosenFormats_.value(bits);
    return all.contains(chosen) ? chosen : all.first();
}

void MixState::setFormatForBits(int bits, const QString& format) {
    chosenFormats_.insert(bits, format);
    Q_EMIT brushChanged();
}

void MixState::setFormats(const QStringList& sites, const QString& format, const QString& text) {
    QHash<QString, QString> changes;
    for (const QString& site : sites) {
        if (indexOf(site) >= 0 && session_->siteFormat(site) != format) changes.insert(site, format);
    }
    if (changes.isEmpty()) return;
    Recipe changed = session_->recipe();
    bool pinsChange = false;
    for (auto& [pin, pinnedTo] : changed.assignment.pins) {
        // A hand-set format on a pinned site moves the pin with it, else the next solve would take it back.
        if (!changes.contains(QString::fromStdString(pin))) continue;
        pinnedTo = format.toStdString();
        pinsChange = true;
    }
    if (!pinsChange) return session_->setSiteFormats(changes, text);
    session_->undoStack()->beginMacro(text);
    session_->editRecipe(text, changed);
    session_->setSiteFormats(changes, text);
    session_->undoStack()->endMacro();
}

/// Writes a whole mix as briefly as it can be said: the commonest format as default, rules for the rest.
void MixState::takeMix(const QHash<QString, QString>& formats, const QString& text, const QString& budget, const QString& rounder,
                       int mergeId) {
    QHash<QString, QString> whole;
    QHash<QString, int> uses;
    for (const MixSite& site : std::as_const(sites_)) {
        whole.insert(site.name, formats.value(site.name, site.format));
        ++uses[whole.value(site.name)];
    }
    QString common;
    for (const MixSite& site : std::as_const(sites_)) { // model order makes equal counts a defined choice
        const QString& format = whole[site.name];
        if (common.isEmpty() || uses.value(format) > uses.value(common)) common = format;
    }
    if (common.isEmpty()) return;
    Recipe changed = session_->recipe();
    changed.assignment.format = common.toStdString();
    changed.assignment.head.clear();
    changed.assignment.rules.clear();
    if (!budget.isEmpty()) changed.assignment.budget = budget.toStdString();
    if (!rounder.isEmpty()) changed.rounder = rounder.toStdString();
    setMap(changed.assignment);
    for (const MixSite& site : std::as_const(sites_)) {
        if (whole[site.name] != common) changed.assignment.rules.push_back({site.name.toStdString(), whole[site.name].toStdString()});
    }
    session_->editRecipe(text, std::move(changed), mergeId);
}

void MixState::takeChoice(const std::vector<int>& choice, quint64 budgetBytes, const QString& text, int mergeId) {
    if (!problem_ || choice.size() != problem_->items.size()) return;
    QHash<QString, QString> formats;
    for (std::size_t i = 0; i < choice.size(); ++i) {
        const AssignItem& item = problem_->items[i];
        const QString format = QString::fromStdString(item.options[std::size_t(choice[i])].format);
        for (const std::string& member : item.members) formats.insert(QString::fromStdString(member), format);
    }
    solvedMix_ = formats;
    const bool chosen = session_->recipe().rounder == "gptq"; // by hand, and no map is made with it as a rule
    takeMix(formats, text, QStringLiteral("%1B").arg(budgetBytes), chosen ? QString() : map().rounder, mergeId);
}

void MixState::takeRun(const MeasuredMix& run) {
    const MeasuredMix copy = run; // the list may be read again meanwhile
    const QString text = tr("Mix of run %1 · %2").arg(copy.run.value()).arg(copy.name);
    session_->undoStack()->beginMacro(text);
    Recipe changed = session_->recipe();
    copyMethod(copy.recipe, changed);
    if (!(changed == session_->recipe())) session_->editRecipe(text, std::move(changed));
    takeMix(copy.asked, text, {}, copy.rounder);
    session_->undoStack()->endMacro();
}

void MixState::takeUniform(const QString& format) {
    QHash<QString, QString> formats;
    for (const MixSite& site : std::as_const(sites_)) formats.insert(site.name, site.pinned ? site.format : format);
    takeMix(formats, tr("All sites to %1").arg(format));
}

void MixState::takeNamed(const QString& mix) {
    Recipe changed = session_->recipe();
    changed.assignment.format = "mix:" + mix.toStdString();
    changed.assignment.rules.clear();
    changed.assignment.tensorTypes.clear();
    changed.assignment.head.clear();
    changed.assignment.output.clear();
    changed.assignment.embedding.clear();
    changed.name.clear();
    session_->editRecipe(tr("Mix %1 of llama.cpp").arg(mix), std::move(changed));
}

void MixState::togglePin(const QString& name) {
    const int i = indexOf(name);
    if (i < 0) return;
    Recipe changed = session_->recipe();
    const std::string site = name.toStdString();
    if (sites_[i].pinned) {
        std::erase_if(changed.assignment.pins, [&](const auto& pin) { return globMatches(pin.first, site); });
        session_->editRecipe(tr("Unpin %1").arg(name), std::move(changed));
    } else {
        changed.assignment.pins[site] = sites_[i].format.toStdString();
        session_->editRecipe(tr("Pin %1").arg(name), std::move(changed));
    }
}

Recipe MixState::sweepRecipe(const std::string& metric) const {
    Recipe recipe = session_->recipe();
    recipe.kind = "sweep";
    recipe.name = "sweep " + metric;
    recipe.sweep.metric = metric;
    recipe.exporting = {};
    if (recipe.sweep.formats.empty()) {
        for (const int bits : {3, 4, 5, 8}) recipe.sweep.formats.push_back(defaultFormat(bits).toStdString());
    }
    // A sweep that is stopped early has then measured what matters most.
    if (metric == "kl") recipe.sweep.orderRun = session_->damageTable().column(DamageBy::fisher).run.value();
    return recipe;
}

Recipe MixState::assignRecipe() const {
    Recipe recipe = session_->recipe();
    recipe.kind = "assign";
    recipe.name = "solve " + QString::number(totals_.bitsPerWeight, 'f', 2).toStdString() + " bpw";
    recipe.rounder = map().rounder.toStdString();
    recipe.exporting = {};
    setMap(recipe.assignment);
    recipe.assignment.budget = std::to_string(totals_.bytes) + 'B';
    return recipe;
}

/// The runs that the map shown is made of.
void MixState::setMap(Recipe::Assignment& assignment) const {
    assignment.sweepRun = map().run.value();
    assignment.scaleRun = map().scaleRun.value();
    assignment.measuredRuns.clear();
    for (const RunId run : map().measuredRuns)
        if (session_->damageTable().finished(run)) assignment.measuredRuns.push_back(run.value()); // others are refused
}

Recipe MixState::verifyRecipe() const {
    Recipe recipe = session_->recipe();
    recipe.kind = "quantize"; // without an export path: simulated, and scored against the checkpoint
    recipe.exporting = {};
    recipe.name = "mix " + QString::number(totals_.bitsPerWeight, 'f', 2).toStdString() + " bpw";
    return recipe;
}

QString MixState::command() const {
    const auto& a = session_->recipe().assignment;
    const auto quoted = [](const QString& text) {
        return text.contains(QRegularExpression(QStringLiteral("[^A-Za-z0-9_./=:*-]")))
                   ? QLatin1Char('\'') + QString(text).replace(QLatin1Char('\''), QStringLiteral("'\\''")) + QLatin1Char('\'')
                   : text;
    };
    if (isSolved() && map().run != RunId(0)) {
        QString line = QStringLiteral("bitwright-cli assign --run %1").arg(map().run.value());
        if (map().scaleRun != RunId(0)) line += QStringLiteral(" --scale-run %1").arg(map().scaleRun.value());
        for (const RunId run : map().measuredRuns)
            if (session_->damageTable().finished(run)) line += QStringLiteral(" --measured %1").arg(run.value());
        line += QStringLiteral(" --budget ") + QString::fromStdString(a.budget);
        for (const std::string& format : a.forbid) line += QStringLiteral(" --forbid ") + quoted(QString::fromStdString(format));
        if (!a.interactions) line += QStringLiteral(" --additive");
        if (a.tie != "none") line += QStringLiteral(" --tie ") + QString::fromStdString(a.tie);
        for (const auto& [site, format] : a.pins) {
            line += QStringLiteral(" --pin ") + quoted(QString::fromStdString(site + '=' + format));
        }
        return line + QStringLiteral(" --out recipe.json");
    }
    const auto checkpoint = session_->checkpoint();
    QString line = QStringLiteral("bitwright-cli quantize %1 --out model.gguf --format %2")
                       .arg(quoted(checkpoint ? QString::fromStdString(checkpoint->path()) : QStringLiteral("CHECKPOINT")),
                            QString::fromStdString(a.format));
    for (const FormatRule& rule : a.rules) {
        line += QStringLiteral(" --set ") + quoted(QString::fromStdString(rule.pattern + '=' + rule.format));
    }
    const Recipe& recipe = session_->recipe();
    if (recipe.evaluation.runtime != "ideal") line += QStringLiteral(" --runtime ") + QString::fromStdString(recipe.evaluation.runtime);
    if (recipe.device != "cpu") line += QStringLiteral(" --device ") + QString::fromStdString(recipe.device);
    return line;
}

} // namespace bw
