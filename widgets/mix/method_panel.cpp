// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/method_panel.h"

#include "core/base/error.h"
#include "core/experiment/method_trial.h"
#include "widgets/session/session.h"
#include "widgets/theme/panel.h"

#include <QAbstractItemView>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QGridLayout>
#include <QLabel>
#include <QVBoxLayout>

namespace bw {
namespace {

constexpr int kValue = Qt::UserRole, kAbout = Qt::UserRole + 1;
constexpr int kStrengthMerge = 7201; ///< undo: turning the box is one step

/// The one number of a transform that is worth turning by hand.
struct Strength {
    QString label, prefix; ///< prefix of the recipe's text, the number follows
    double low, high, step;
};

const Strength* strengthOf(const std::string& transform) {
    static const Strength alpha{QStringLiteral("α"), QStringLiteral("smooth:alpha="), 0.0, 1.0, 0.05};
    static const Strength threshold{QStringLiteral("|x| >"), QStringLiteral("outliers:threshold="), 0.5, 100.0, 0.5};
    for (const Strength* s : {&alpha, &threshold})
        if (QString::fromStdString(transform).startsWith(s->prefix)) return s;
    return nullptr;
}

QString runtimeHelp() { return MethodPanel::tr("Kernels round more than the weights. Perplexity and KL are measured as this runtime computes."); }

/// Does this program run recipes with this value?
bool canRun(std::string& (*field)(Recipe&), const std::string& value) {
    Recipe recipe;
    field(recipe) = value;
    try {
        Recipe::fromJson(recipe.toJson());
        return true;
    } catch (const Error&) {
        return false;
    }
}

std::string& transformOf(Recipe& recipe) { return recipe.transform; }
std::string& rounderOf(Recipe& recipe) { return recipe.rounder; }
std::string& activationsOf(Recipe& recipe) { return recipe.activations; }
std::string& kvCacheOf(Recipe& recipe) { return recipe.kvCache; }
std::string& runtimeOf(Recipe& recipe) { return recipe.evaluation.runtime; }

QLabel* muted(const QString& text, QWidget* parent) {
    auto* label = new QLabel(text, parent);
    label->setProperty("role", QStringLiteral("muted"));
    label->setTextFormat(Qt::PlainText);
    return label;
}

} // namespace

MethodPanel::MethodPanel(Session* session, QWidget* parent) : QWidget(parent), session_(session), panel_(new Panel(tr("Method"), this)) {
    setAccessibleName(tr("Method"));
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(12);
    grid->setVerticalSpacing(6);
    grid->setColumnStretch(1, 1);
    grid_ = grid;
    strength_ = new QDoubleSpinBox(panel_);
    strength_->setDecimals(2);
    strength_->setMinimumWidth(64);
    strength_->setObjectName(QStringLiteral("method.strength"));
    addPart(grid, tr("Transform"), tr("Function-preserving: before rounding, the model computes what it did before"), &transformOf,
            {{tr("none"), tr("weights are rounded as they are"), "none"},
             {tr("SmoothQuant, α fixed"), tr("moves outliers of activations into weights: s = max|x|^α / max|w|^(1−α)"), "smooth:alpha=0.50"},
             {tr("SmoothQuant, α searched"), tr("α of each layer is the one that leaves the least output error"), "smooth:search"},
             {tr("AWQ scale search"), tr("scales up channels with large activations: s = mean|x|^r, r searched per layer"), "awq"},
             {tr("Hadamard rotation"), tr("mixes channels so that none stands out; folded into the weights"), "rotate"},
             {tr("rotation, then AWQ"), tr("what is left uneven after mixing is scaled"), "rotate+awq"},
             {tr("outlier channels in 16 bits"), tr("LLM.int8(): channels with large activations are not rounded"), "outliers:threshold=6.00"},
             {tr("outlier weights in 16 bits"), tr("the most important 0.5 % of the weights are kept beside the grid"), "outliers:weights=0.005"}});
    addPart(grid, tr("Rounder"), tr("Which grid point a weight goes to"), &rounderOf,
            {{tr("nearest"), tr("the nearest grid point; needs no calibration text"), "nearest"},
             {tr("importance-weighted"), tr("scales are searched so that columns with large inputs lose least"), "weighted"},
             {tr("GPTQ"), tr("each column makes up for the rounding of those before it"), "gptq"},
             {tr("stochastic"), tr("up or down by chance so that the mean is right; a yardstick, not a choice"), "stochastic"}});
    addPart(grid, tr("Activations"), tr("What enters the linears at run time"), &activationsOf,
            {{tr("16 or 32 bits"), tr("not rounded"), "none"},
             {tr("int8 per token"), tr("a scale for every token, found at run time"), "a8:token"},
             {tr("int8 per tensor"), tr("one scale from calibration; outliers hurt here"), "a8:tensor:percentile=99.9"},
             {tr("fp8 per token"), tr("E4M3, a scale for every token"), "fp8:token"},
             {tr("llama.cpp's 8 bits"), tr("blocks of 32, as its CPU kernels round"), "q8_0"},
             {tr("int4 per token"), tr("for W4A4 kernels; needs rotation or smoothing"), "a4:token"}});
    addPart(grid, tr("KV cache"), tr("Keys and values kept for later tokens"), &kvCacheOf,
            {{tr("16 bits"), tr("not rounded"), "none"},
             {tr("8 bits per token"), tr("half the memory of a long context"), "kv8:token"},
             {tr("fp8 per token"), tr("E4M3, as vLLM keeps it"), "fp8:token"},
             {tr("4 bits, groups of 64"), tr("a quarter of the memory"), "kv4:token:g64"},
             {tr("K per channel, V per token, 4 bits"), tr("keys have outlier channels; the newest 64 tokens stay in 16 bits"), "k4:channel:g32,v4:token:g64,recent=64"}});
    addPart(grid, tr("Judged as"), runtimeHelp(), &runtimeOf,
            {{tr("exact arithmetic"), tr("only what the recipe rounds is rounded"), "ideal"},
             {tr("llama.cpp on a CPU"), tr("inputs rounded to 8 bits as the weight types ask, cache in 16 bits; exact figures are given beside"), "llama.cpp-cpu"},
             {tr("int8 kernels (W8A8)"), tr("inputs of every layer rounded to int8 for each token; exact figures are given beside"), "w8a8"}});
    if (!parts_.isEmpty() && parts_.last().field == &runtimeOf) runtime_ = parts_.last().box;
    panel_->body()->addLayout(grid);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    connect(strength_, qOverload<double>(&QDoubleSpinBox::valueChanged), this, &MethodPanel::takeStrength);
    connect(session_, &Session::recipeChanged, this, &MethodPanel::show);
    setNarrow(false);
    show();
}

void MethodPanel::addPart(QGridLayout* grid, const QString& title, const QString& help, Field field, const QVector<Choice>& choices) {
    QVector<Choice> offered;
    for (const Choice& choice : choices)
        if (canRun(field, choice.value)) offered << choice;
    if (offered.size() < 2) return; // nothing to choose
    const int row = 2 * int(parts_.size());
    auto* name = muted(title, panel_);
    name->setToolTip(help);
    auto* box = new QComboBox(panel_);
    box->setAccessibleName(title);
    box->setToolTip(help);
    box->setObjectName(QStringLiteral("method.%1").arg(parts_.size() + 1));
    for (const Choice& choice : std::as_const(offered)) {
        box->addItem(choice.text, QString::fromStdString(choice.value));
        box->setItemData(box->count() - 1, choice.about, kAbout);
        box->setItemData(box->count() - 1, choice.about, Qt::ToolTipRole);
    }
    box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    box->setMinimumContentsLength(14);
    box->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    box->view()->setMinimumWidth(box->view()->sizeHintForColumn(0) + 24);
    auto* about = muted({}, panel_);
    about->setWordWrap(true);
    grid->addWidget(name, row, 0);
    grid->addWidget(box, row, 1);
    if (parts_.isEmpty()) grid->addWidget(strength_, row, 2);
    const Part part{field, box, about};
    parts_ << part;
    connect(box, &QComboBox::activated, this, [this, part](int index) { take(part, index); });
}

void MethodPanel::setNarrow(bool narrow) {
    if (narrow_ == narrow) return;
    narrow_ = narrow;
    for (int i = 0; i < parts_.size(); ++i) {
        QLabel* about = parts_[i].about;
        grid_->removeWidget(about);
        if (narrow) grid_->addWidget(about, 2 * i + 1, 1, 1, 2);
        else grid_->addWidget(about, 2 * i, 3);
    }
    grid_->setColumnStretch(1, narrow ? 1 : 0);
    grid_->setColumnStretch(3, narrow ? 0 : 1);
}

void MethodPanel::take(const Part& part, int index) {
    Recipe changed = session_->recipe();
    part.field(changed) = part.box->itemData(index, kValue).toString().toStdString();
    if (changed.activations != "none") changed.evaluation.runtime = "ideal"; // inputs are rounded once
    session_->editRecipe(tr("Method: %1").arg(part.box->itemText(index)), std::move(changed));
}

void MethodPanel::takeStrength(double value) {
    const Strength* strength = strengthOf(session_->recipe().transform);
    if (showing_ || !strength) return;
    Recipe changed = session_->recipe();
    changed.transform = (strength->prefix + QString::number(value, 'f', 2)).toStdString();
    session_->editRecipe(tr("%1 %2").arg(strength->label).arg(value, 0, 'f', 2), std::move(changed), kStrengthMerge);
}

void MethodPanel::show() {
    showing_ = true;
    Recipe recipe = session_->recipe();
    for (const Part& part : std::as_const(parts_)) {
        const QString value = QString::fromStdString(part.field(recipe));
        const Strength* strength = part.field == &transformOf ? strengthOf(recipe.transform) : nullptr;
        int at = -1;
        for (int i = 0; i < part.box->count() && at < 0; ++i) {
            const QString offered = part.box->itemData(i, kValue).toString();
            if (offered == value || (strength && !value.contains(QLatin1Char('+')) && offered.startsWith(strength->prefix))) at = i;
        }
        if (at < 0) { // a recipe may say more than the box offers
            part.box->addItem(value, value);
            at = part.box->count() - 1;
            part.box->setItemData(at, tr("as the recipe says"), kAbout);
        }
        part.box->setCurrentIndex(at);
        const QString about = part.box->itemData(at, kAbout).toString();
        part.about->setText(about);
        if (part.field != &transformOf) continue;
        strength_->setVisible(strength != nullptr);
        if (!strength) continue;
        strength_->setRange(strength->low, strength->high);
        strength_->setSingleStep(strength->step);
        strength_->setPrefix(strength->label + QLatin1Char(' '));
        strength_->setAccessibleName(strength->label);
        strength_->setValue(value.mid(strength->prefix.size()).toDouble());
    }
    if (runtime_) {
        const bool free = recipe.activations == "none";
        runtime_->setEnabled(free);
        runtime_->setToolTip(free ? runtimeHelp() : tr("The activations above are rounded already. Choose 16 or 32 bits for them to judge by a runtime."));
    }
    panel_->setHint(QString::fromStdString(methodName(recipe)));
    showing_ = false;
}

} // namespace bw
