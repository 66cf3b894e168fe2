// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/top_bar.h"

#include "core/base/text.h"
#include "widgets/model/format_names.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/theme.h"

#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QToolButton>
#include <algorithm>
#include <tuple>

namespace bw {
namespace {

QString shown(const std::string& text, std::size_t limit = 60) {
    return QString::fromStdString(escapeForDisplay(text, limit));
}

/// "135 M", "2.1 M", "7.2 B".
QString countText(std::int64_t count) {
    const double n = static_cast<double>(count);
    if (n >= 1e9) return QStringLiteral("%1 B").arg(n / 1e9, 0, 'f', 1);
    if (n >= 1e6) return QStringLiteral("%1 M").arg(n / 1e6, 0, 'f', n < 1e8 ? 1 : 0);
    return QStringLiteral("%1 k").arg(n / 1e3, 0, 'f', 0);
}

QString factsOf(const Session& session) {
    const auto checkpoint = session.checkpoint();
    if (!checkpoint) return {};
    const ModelConfig& config = checkpoint->config();
    QStringList parts;
    if (!config.family.empty()) parts << shown(config.family);
    if (config.blocks > 0) parts << Session::tr("%1 blocks").arg(config.blocks);
    if (session.model()) parts << Session::tr("%1 sites").arg(session.model()->sites().size());
    if (!session.whyNoForward().isEmpty()) parts << Session::tr("weights only");
    parts << Session::tr("%1 weights").arg(countText(checkpoint->parameters()));
    parts << Session::tr("%1 bits/weight").arg(checkpoint->bitsPerWeight(), 0, 'f', 2);
    parts << QString::fromStdString(formatBytes(checkpoint->totalBytes()));
    return parts.join(QStringLiteral(" · "));
}

QString filesText(const std::vector<std::string>& files) {
    if (files.empty()) return Session::tr("none");
    QStringList names;
    for (const std::string& file : files) names << shown(QFileInfo(QString::fromStdString(file)).completeBaseName().toStdString(), 18);
    if (names.size() > 2) return Session::tr("%1 texts").arg(names.size());
    return names.join(QStringLiteral(" + "));
}

QToolButton* barButton(const QString& name, QWidget* parent) {
    auto* button = new QToolButton(parent);
    button->setProperty("role", QStringLiteral("button"));
    button->setObjectName(name);
    button->setToolButtonStyle(Qt::ToolButtonTextOnly);
    return button;
}

} // namespace

TopBar::TopBar(Session& session, QWidget* parent)
    : QWidget(parent), session_(session), dataMenu_(new QMenu(this)), recipeMenu_(new QMenu(this)) {
    setProperty("role", QStringLiteral("bar"));
    setAttribute(Qt::WA_StyledBackground);
    setFixedHeight(48);
    name_ = new QLabel(this);
    name_->setProperty("role", QStringLiteral("heading"));
    name_->setTextFormat(Qt::PlainText);
    name_->setObjectName(QStringLiteral("bar.name"));
    facts_ = new ElidedLabel(this);
    facts_->setProperty("role", QStringLiteral("muted"));
    data_ = barButton(QStringLiteral("bar.data"), this);
    data_->setMenu(dataMenu_);
    data_->setPopupMode(QToolButton::InstantPopup);
    data_->setAccessibleName(tr("Calibration and evaluation texts"));
    recipe_ = barButton(QStringLiteral("bar.recipe"), this);
    recipe_->setMenu(recipeMenu_);
    recipe_->setPopupMode(QToolButton::InstantPopup);
    recipe_->setAccessibleName(tr("Recipe"));
    run_ = barButton(QStringLiteral("bar.run"), this);
    run_->setProperty("role", QStringLiteral("accent"));
    run_->setPopupMode(QToolButton::MenuButtonPopup);
    palette_ = barButton(QStringLiteral("bar.palette"), this);
    palette_->setText(tr("Ctrl+K"));
    palette_->setToolTip(tr("Every action, site and run by name"));
    palette_->setAccessibleName(tr("Command palette"));

    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(20, 0, 16, 0);
    row->setSpacing(10);
    row->addWidget(name_);
    row->addSpacing(8);
    row->addWidget(facts_, 1);
    for (QToolButton* button : {data_, recipe_, run_, palette_}) row->addWidget(button);

    connect(run_, &QToolButton::clicked, this, &TopBar::runClicked);
    connect(palette_, &QToolButton::clicked, this, &TopBar::paletteClicked);
    connect(dataMenu_, &QMenu::aboutToShow, this, &TopBar::fillDataMenu);
    connect(recipeMenu_, &QMenu::aboutToShow, this, &TopBar::fillRecipeMenu);
    connect(&session_, &Session::checkpointChanged, this, &TopBar::showCheckpoint);
    connect(&session_, &Session::recipeChanged, this, &TopBar::showRecipe);
    showCheckpoint();
    showRecipe();
}

void TopBar::setRunMenu(QMenu* menu) { run_->setMenu(menu); }

void TopBar::setRunText(const QString& text, const QString& toolTip) {
    run_->setText(QStringLiteral("▶  ") + text);
    run_->setAccessibleName(text);
    run_->setToolTip(toolTip);
}

void TopBar::setRunEnabled(bool enabled) { run_->setEnabled(enabled); }

void TopBar::showCheckpoint() {
    const auto checkpoint = session_.checkpoint();
    name_->setText(checkpoint ? shown(checkpoint->displayName(), 40) : tr("Bitwright"));
    name_->setToolTip(checkpoint ? shown(checkpoint->path(), 400) : QString());
    facts_->setText(checkpoint ? factsOf(session_) : tr("no checkpoint open"));
}

void TopBar::showRecipe() {
    const Recipe& r = session_.recipe();
    data_->setText(tr("calib: %1  ▾").arg(filesText(r.calibration.files)));
    QString what = shown(r.assignment.format, 20).remove(QStringLiteral("mix:"));
    if (!r.name.empty())
        what = shown(r.name, 24);
    else if (!r.assignment.rules.empty())
        what = QStringLiteral("%1 + %2").arg(what, counted(static_cast<qint64>(r.assignment.rules.size()), tr("1 rule"), tr("%1 rules")));
    recipe_->setText(tr("recipe: %1  ▾").arg(what));
}

void TopBar::addTextEntries(QMenu* menu, bool evaluation) {
    const Recipe& r = session_.recipe();
    const auto& files = evaluation ? r.evaluation.files : r.calibration.files;
    menu->addSection(evaluation ? tr("Evaluation texts") : tr("Calibration texts"));
    if (files.empty()) menu->addAction(tr("none yet: drop text files on the window"))->setEnabled(false);
    constexpr std::size_t kMostEntries = 20; // a menu longer than the screen helps nobody
    if (files.size() > kMostEntries) menu->addAction(tr("%1 texts, the first %2:").arg(files.size()).arg(kMostEntries))->setEnabled(false);
    for (std::size_t i = 0; i < std::min(files.size(), kMostEntries); ++i) {
        const QString path = QString::fromStdString(files[i]);
        QAction* entry = menu->addAction(shown(QFileInfo(path).fileName().toStdString()));
        entry->setToolTip(tr("Remove"));
        entry->setCheckable(true);
        entry->setChecked(true);
        connect(entry, &QAction::triggered, this, [this, evaluation, file = files[i]] {
            Recipe changed = session_.recipe();
            auto& list = evaluation ? changed.evaluation.files : changed.calibration.files;
            std::erase(list, file);
            session_.editRecipe(tr("Remove a text"), std::move(changed));
        });
    }
    QAction* add = menu->addAction(evaluation ? tr("Add evaluation text…") : tr("Add calibration text…"));
    connect(add, &QAction::triggered, this, [this, evaluation] { Q_EMIT addTextsRequested(evaluation); });
}

void TopBar::fillDataMenu() {
    dataMenu_->clear();
    addTextEntries(dataMenu_, false);
    addTextEntries(dataMenu_, true);
    dataMenu_->addSeparator();
    connect(dataMenu_->addAction(tr("Use the demo texts")), &QAction::triggered, this, &TopBar::demoTextsRequested);
}

/// What every evaluation rounds besides the weights.
void TopBar::addRuntimeEntries() {
    recipeMenu_->addSection(tr("Judged as"));
    recipeMenu_->setToolTipsVisible(true);
    const Recipe& now = session_.recipe();
    for (const auto& [name, words, tip] :
         {std::tuple("ideal", tr("Exact arithmetic"), tr("Only what the recipe rounds is rounded.")),
          std::tuple("llama.cpp-cpu", tr("llama.cpp on a CPU"), tr("Inputs are rounded to 8 bits as the weight types ask, and the cache is kept in 16 bits.")),
          std::tuple("w8a8", tr("int8 kernels (W8A8)"), tr("Inputs of every layer are rounded to int8 for each token."))}) {
        QAction* entry = recipeMenu_->addAction(words);
        entry->setObjectName(QStringLiteral("runtime.") + QLatin1String(name));
        entry->setToolTip(tip);
        entry->setCheckable(true);
        entry->setChecked(now.evaluation.runtime == name);
        entry->setEnabled(now.activations == "none" || std::string_view(name) == "ideal"); // inputs are rounded once
        const std::string runtime = name;
        const QString text = words;
        connect(entry, &QAction::triggered, this, [this, runtime, text] {
            Recipe changed = session_.recipe();
            changed.evaluation.runtime = runtime;
            session_.editRecipe(tr("Judge as %1").arg(text), std::move(changed));
        });
    }
}

void TopBar::fillRecipeMenu() {
    recipeMenu_->clear();
    qDeleteAll(recipeMenu_->findChildren<QMenu*>(QString(), Qt::FindDirectChildrenOnly));
    const Recipe& r = session_.recipe();
    recipeMenu_->addSection(tr("One format everywhere"));
    const QString now = r.assignment.rules.empty() ? QString::fromStdString(r.assignment.format) : QString();
    for (const FormatFamily& family : formatFamilies()) {
        QMenu* menu = recipeMenu_->addMenu(family.title);
        for (const OfferedFormat& format : family.formats) {
            QAction* entry = menu->addAction(QStringLiteral("%1\t%2 bpw").arg(format.name).arg(format.bitsPerWeight, 0, 'f', 2));
            entry->setCheckable(true);
            entry->setChecked(format.name == now);
            if (format.name == now) menu->setTitle(tr("%1 · %2").arg(family.title, now));
            connect(entry, &QAction::triggered, this, [this, name = format.name] {
                Recipe changed = session_.recipe();
                changed.assignment.format = name.toStdString();
                changed.assignment.rules.clear();
                changed.name.clear();
                session_.editRecipe(tr("All sites to %1").arg(name), std::move(changed));
            });
        }
    }
    recipeMenu_->addSection(tr("Rounding"));
    const auto toggle = [this](const QString& text, bool on, auto change) {
        QAction* entry = recipeMenu_->addAction(text);
        entry->setCheckable(true);
        entry->setChecked(on);
        connect(entry, &QAction::triggered, this, [this, text, change] {
            Recipe changed = session_.recipe();
            change(changed);
            session_.editRecipe(text, std::move(changed));
        });
    };
    toggle(tr("Weigh by calibration importance"), r.rounder == "weighted",
           [](Recipe& x) { x.rounder = x.rounder == "weighted" ? "nearest" : "weighted"; });
    toggle(tr("Search the clip of each group"), r.clipSearch, [](Recipe& x) { x.clipSearch = !x.clipSearch; });
    addRuntimeEntries();
    recipeMenu_->addSeparator();
    connect(recipeMenu_->addAction(tr("Open recipe…")), &QAction::triggered, this, &TopBar::openRecipeRequested);
    connect(recipeMenu_->addAction(tr("Save recipe as…")), &QAction::triggered, this, &TopBar::saveRecipeRequested);
    connect(recipeMenu_->addAction(tr("Copy as command")), &QAction::triggered, this, &TopBar::copyCommandRequested);
}

} // namespace bw
