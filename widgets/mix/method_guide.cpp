// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/method_guide.h"

#include "core/assign/budget.h"
#include "core/base/error.h"
#include "core/experiment/guide.h"
#include "widgets/session/engine_words.h"
#include "widgets/session/session.h"
#include "widgets/session/shown_refresh.h"
#include "widgets/theme/panel.h"

#include <QAbstractItemView>
#include <QComboBox>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {
namespace {

QLabel* label(const QString& text, const char* role, QWidget* parent) {
    auto* made = new QLabel(text, parent);
    made->setProperty("role", QLatin1String(role));
    made->setTextFormat(Qt::PlainText);
    return made;
}

} // namespace

MethodGuide::MethodGuide(Session* session, QWidget* parent)
    : QWidget(parent), session_(session), panel_(new Panel(tr("Which method?"), this)), target_(new QComboBox(panel_)), kind_(new QComboBox(panel_)),
      try_(new QPushButton(tr("Try all"), panel_)), note_(label({}, "muted", panel_)) {
    setAccessibleName(tr("Method guide"));
    target_->setAccessibleName(tr("Where the model will run"));
    target_->addItem(tr("llama.cpp, CPU"), QStringLiteral("cpu"));
    target_->addItem(tr("vLLM, NVIDIA"), QStringLiteral("nvidia"));
    target_->addItem(tr("llama.cpp, Apple"), QStringLiteral("apple"));
    target_->setObjectName(QStringLiteral("guide.target"));
    kind_->setAccessibleName(tr("What is rounded"));
    kind_->addItem(tr("weights only"), QStringLiteral("weight-only"));
    kind_->addItem(tr("weights and inputs"), QStringLiteral("w8a8"));
    kind_->setObjectName(QStringLiteral("guide.kind"));
    for (QComboBox* box : {target_, kind_}) {
        box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
        box->setMinimumContentsLength(10);
        box->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
        box->view()->setMinimumWidth(box->view()->sizeHintForColumn(0) + 24);
    }
    try_->setObjectName(QStringLiteral("guide.try"));
    try_->setToolTip(tr("Runs every proposal on your texts, as one job that can be stopped and gone on with;\nthe table below ranks them as they finish"));
    note_->setWordWrap(true);
    auto* rest = new QHBoxLayout;
    rest->setSpacing(8);
    rest->addWidget(kind_, 1);
    rest->addWidget(try_);
    head_ = new QBoxLayout(QBoxLayout::LeftToRight);
    head_->setSpacing(8);
    head_->addWidget(target_, 2);
    head_->addLayout(rest, 3);
    rows_ = new QVBoxLayout;
    rows_->setSpacing(8);
    panel_->body()->addLayout(head_);
    panel_->body()->addWidget(note_);
    panel_->body()->addLayout(rows_);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    connect(try_, &QPushButton::clicked, this, &MethodGuide::tryAll);
    auto* news = new ShownRefresh(this, [this] { reload(); }); // the recipe changes with every cell that is painted
    for (QComboBox* box : {target_, kind_}) connect(box, &QComboBox::currentIndexChanged, news, &ShownRefresh::request);
    connect(session_, &Session::checkpointChanged, news, &ShownRefresh::request);
    connect(session_, &Session::recipeChanged, news, &ShownRefresh::request); // texts and budget are the recipe's
    news->request();
}

/// Fills proposals_ and says what stands in the way.
void MethodGuide::propose() {
    proposals_.clear();
    const auto model = session_->model();
    const Recipe& recipe = session_->recipe();
    QString note;
    if (!model) {
        note = tr("Open a checkpoint first.");
    } else if (const QString why = session_->whyNoForward(); !why.isEmpty()) {
        note = tr("%1: rounding can be done, but not judged.").arg(why);
    } else {
        try {
            const std::string& budget = recipe.assignment.budget;
            const bool isSize = !budget.empty() && parseBudget(budget).kind != Budget::Kind::cost;
            proposals_ = proposeMethods(*model, {target_->currentData().toString().toStdString(), kind_->currentData().toString().toStdString(), isSize ? budget : ""}, recipe);
        } catch (const Error& e) {
            note = QString::fromStdString(e.hint().empty() ? e.message() : e.message() + "; " + e.hint());
        }
    }
    const bool judged = !recipe.evaluation.files.empty();
    const auto needsText = [](const MethodTrial& trial) { return trial.recipe.needsText() || trial.recipe.needsCalibration(); };
    const bool taught = !recipe.calibration.files.empty() || std::none_of(proposals_.begin(), proposals_.end(), needsText);
    if (note.isEmpty() && !judged) note = tr("To rank them, add an evaluation text (Data ▾).");
    else if (note.isEmpty() && !taught) note = tr("They look at calibration text: add some (Data ▾).");
    note_->setText(note);
    note_->setVisible(!note.isEmpty());
    try_->setEnabled(!proposals_.empty() && judged && taught);
}

void MethodGuide::reload() {
    if (cards_) { // a button on it may be what called
        cards_->hide();
        rows_->removeWidget(cards_);
        cards_->deleteLater();
    }
    cards_ = new QWidget(panel_);
    auto* list = new QVBoxLayout(cards_);
    list->setContentsMargins(0, 0, 0, 0);
    list->setSpacing(10);
    rows_->addWidget(cards_);
    propose();
    for (const MethodTrial& proposal : proposals_) addCard(proposal);
    cards_->setVisible(!proposals_.empty());
}

void MethodGuide::addCard(const MethodTrial& proposal) {
    const QString name = QString::fromStdString(proposal.name);
    auto* card = new QWidget(cards_);
    auto* title = label(name, "title", card);
    title->setWordWrap(true);
    auto* why = label(engineText(proposal.why), "muted", card);
    why->setWordWrap(true);
    auto* bits = label(tr("%1 bits").arg(proposedBits(*session_->model(), proposal.recipe), 0, 'f', 2), "figures", card);
    bits->setToolTip(tr("bits per weight of the sites, scales included"));
    auto* use = new QPushButton(tr("Use"), card);
    use->setAccessibleName(tr("Use %1").arg(name));
    use->setToolTip(tr("Takes formats and method into the recipe; can be undone"));
    auto* rows = new QGridLayout(card); // the reason runs under the button: a narrow card keeps all of it
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setHorizontalSpacing(12);
    rows->setVerticalSpacing(2);
    rows->addWidget(title, 0, 0);
    rows->addWidget(bits, 0, 1);
    rows->addWidget(use, 0, 2);
    rows->addWidget(why, 1, 0, 1, 3);
    rows->setColumnStretch(0, 1);
    cards_->layout()->addWidget(card);
    connect(use, &QPushButton::clicked, this, [this, recipe = proposal.recipe, name] {
        Recipe changed = recipe;
        session_->editRecipe(tr("Use %1").arg(name), std::move(changed));
    });
}

void MethodGuide::setNarrow(bool narrow) { head_->setDirection(narrow ? QBoxLayout::TopToBottom : QBoxLayout::LeftToRight); }

void MethodGuide::tryAll() { Q_EMIT session_->methodsRequested(proposals_); }

} // namespace bw
