// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/method_guide.h"

#include "core/base/error.h"
#include "widgets/session/session.h"
#include "widgets/theme/panel.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

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
    target_->addItem(tr("llama.cpp, any CPU"), QStringLiteral("cpu"));
    target_->addItem(tr("vLLM and kin, NVIDIA"), QStringLiteral("nvidia"));
    target_->addItem(tr("llama.cpp, Apple"), QStringLiteral("apple"));
    target_->setObjectName(QStringLiteral("guide.target"));
    kind_->setAccessibleName(tr("What is rounded"));
    kind_->addItem(tr("weights only"), QStringLiteral("weight-only"));
    kind_->addItem(tr("weights and activations"), QStringLiteral("w8a8"));
    kind_->setObjectName(QStringLiteral("guide.kind"));
    try_->setObjectName(QStringLiteral("guide.try"));
    try_->setToolTip(tr("Runs every proposal on your texts; the table below ranks them as they finish"));
    note_->setWordWrap(true);
    auto* head = new QHBoxLayout;
    head->setSpacing(8);
    head->addWidget(target_);
    head->addWidget(kind_);
    head->addStretch(1);
    head->addWidget(try_);
    rows_ = new QVBoxLayout;
    rows_->setSpacing(8);
    panel_->body()->addLayout(head);
    panel_->body()->addWidget(note_);
    panel_->body()->addLayout(rows_);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    for (QComboBox* box : {target_, kind_}) connect(box, &QComboBox::currentIndexChanged, this, &MethodGuide::reload);
    connect(try_, &QPushButton::clicked, this, &MethodGuide::tryAll);
    connect(session_, &Session::checkpointChanged, this, &MethodGuide::reload);
    connect(session_, &Session::recipeChanged, this, &MethodGuide::reload); // texts and budget are the recipe's
    reload();
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
    proposals_.clear();
    QString note;
    const auto model = session_->model();
    if (!model || !session_->whyNoForward().isEmpty()) {
        note = model ? tr("%1: rounding can be done, but not judged.").arg(session_->whyNoForward()) : tr("Open a checkpoint first.");
    } else {
        try {
            const Recipe& recipe = session_->recipe();
            proposals_ = proposeMethods(*model, {target_->currentData().toString().toStdString(), kind_->currentData().toString().toStdString(), recipe.assignment.budget}, recipe);
        } catch (const Error& e) {
            note = QString::fromStdString(e.hint().empty() ? e.message() : e.message() + ". " + e.hint());
        }
    }
    for (const GuideProposal& proposal : proposals_) addCard(proposal);
    if (note.isEmpty() && session_->recipe().evaluation.files.empty()) note = tr("To rank them, add an evaluation text (Data ▾).");
    note_->setText(note);
    note_->setVisible(!note.isEmpty());
    try_->setEnabled(!proposals_.empty() && !session_->recipe().evaluation.files.empty());
}

void MethodGuide::addCard(const GuideProposal& proposal) {
    auto* card = new QWidget(cards_);
    auto* text = new QVBoxLayout;
    text->setSpacing(2);
    text->addWidget(label(QString::fromStdString(proposal.name), "title", card));
    auto* why = label(QString::fromStdString(proposal.why), "muted", card);
    why->setWordWrap(true);
    text->addWidget(why);
    auto* use = new QPushButton(tr("Use"), card);
    use->setAccessibleName(tr("Use %1").arg(QString::fromStdString(proposal.name)));
    auto* row = new QHBoxLayout(card);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(12);
    row->addLayout(text, 1);
    row->addWidget(use, 0, Qt::AlignTop);
    cards_->layout()->addWidget(card);
    connect(use, &QPushButton::clicked, this, [this, recipe = proposal.recipe, name = QString::fromStdString(proposal.name)] {
        Recipe changed = recipe;
        session_->editRecipe(tr("Use %1").arg(name), std::move(changed));
    });
}

void MethodGuide::tryAll() {
    for (const GuideProposal& proposal : proposals_) Q_EMIT session_->runRequested(proposal.recipe, RunId());
}

} // namespace bw
