// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/evidence_panel.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "widgets/compare/diagnosis_view.h"
#include "widgets/compare/output_texts.h"
#include "widgets/compare/outputs_view.h"
#include "widgets/compare/prompts_dialog.h"
#include "widgets/compare/token_text.h"
#include "widgets/runs/warnings_table.h"
#include "widgets/session/session.h"
#include "widgets/theme/elided_label.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QStackedWidget>
#include <QTabBar>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {
namespace {

enum Tab { kText, kOutputs, kCause, kWarnings };

bool canAnswer(const RunSummary& run) {
    return run.status == runStatusName(RunStatus::done) && (run.kind == "quantize" || run.kind == "evaluate") && run.tags.end() == std::find_if(run.tags.begin(), run.tags.end(), [](const std::string& tag) { return tag.starts_with("outputs-of-"); });
}

/// Why no diagnosis of this run can be asked for; empty when one can.
QString whyNotDiagnosed(const RunSummary& run) {
    if (run.kind != "quantize" && run.kind != "evaluate") return EvidencePanel::tr("Only quantized or evaluated runs can be diagnosed.");
    const bool kl = std::any_of(run.metrics.begin(), run.metrics.end(), [](const MetricRow& m) { return m.name == "kl_mean"; });
    return kl ? QString() : EvidencePanel::tr("This run was not held against its original: evaluate it with a baseline first.");
}

} // namespace

EvidencePanel::EvidencePanel(Session* session, QWidget* parent) : QFrame(parent), session_(session) {
    setProperty("role", QStringLiteral("panel"));
    setAccessibleName(tr("Evidence"));
    tabs_ = new QTabBar(this);
    tabs_->setObjectName(QStringLiteral("compare.evidence"));
    tabs_->setAccessibleName(tr("Evidence"));
    tabs_->setDrawBase(false);
    tabs_->setExpanding(false);
    for (const QString& name : {tr("Text"), tr("Outputs"), tr("Cause"), tr("Warnings")}) tabs_->addTab(name);
    tabs_->setTabToolTip(kText, tr("Tokens coloured where one run moved further from the original"));
    tabs_->setTabToolTip(kOutputs, tr("What the original and the runs write to the same prompts"));
    tabs_->setTabToolTip(kCause, tr("Which sites cost what was lost"));
    hint_ = new ElidedLabel(this);
    hint_->setProperty("role", QStringLiteral("muted"));
    hint_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    text_ = new TokenText(this);
    outputs_ = new OutputsView(this);
    diagnosis_ = new DiagnosisView(this);
    auto* warnings = new QWidget(this);
    warnings_ = new WarningsTable(warnings);
    noWarnings_ = new QLabel(tr("Neither run raised a warning."), warnings);
    noWarnings_->setProperty("role", QStringLiteral("muted"));
    noWarnings_->setAlignment(Qt::AlignCenter);
    auto* list = new QVBoxLayout(warnings);
    list->setContentsMargins(0, 0, 0, 0);
    list->addWidget(warnings_);
    list->addWidget(noWarnings_);
    shown_ = new QStackedWidget(this);
    for (QWidget* page : {static_cast<QWidget*>(text_), static_cast<QWidget*>(outputs_), static_cast<QWidget*>(diagnosis_), warnings}) shown_->addWidget(page);
    auto* head = new QHBoxLayout;
    head->addWidget(tabs_);
    head->addWidget(hint_, 1);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 6, 16, 12);
    all->setSpacing(6);
    all->addLayout(head);
    all->addWidget(shown_, 1);
    connect(tabs_, &QTabBar::currentChanged, this, [this](int tab) {
        shown_->setCurrentIndex(tab);
        hint_->setVisible(tab == kText);
    });
    connect(text_, &TokenText::tokenChosen, this, &EvidencePanel::tokenChosen);
    connect(outputs_, &OutputsView::promptsWanted, this, &EvidencePanel::askForOutputs);
    connect(diagnosis_, &DiagnosisView::diagnoseWanted, session_, &Session::diagnoseRequested);
    connect(diagnosis_, &DiagnosisView::raiseWanted, this, &EvidencePanel::raise);
}

void EvidencePanel::setComparison(const Comparison& comparison, std::shared_ptr<const Tokenizer> tokenizer) {
    comparison_ = comparison;
    tokenizer_ = std::move(tokenizer);
    if (comparison_.sameTokens) text_->setScores(comparison_.tokensA, comparison_.tokensB, tokenizer_);
    else text_->setScores({}, {}, tokenizer_);
    outputs_->setTokenizer(tokenizer_);
    hint_->clear();
    refreshFindings(session_->runs());
    // What the runs hold decides what is seen first; the person's choice stays while both kinds are there.
    if (tabs_->currentIndex() == kText && !comparison_.sameTokens && outputs_->prompts() > 0) tabs_->setCurrentIndex(kOutputs);
}

void EvidencePanel::setTokenizer(std::shared_ptr<const Tokenizer> tokenizer) {
    tokenizer_ = std::move(tokenizer);
    text_->setTokenizer(tokenizer_);
    outputs_->setTokenizer(tokenizer_);
}

void EvidencePanel::refreshFindings(const RunList& runs) {
    if (comparison_.empty() || !session_->log()) return;
    try {
        readFindings(runs);
    } catch (const Error& error) {
        Q_EMIT session_->messageRequested(QString::fromStdString(escapeForDisplay(error.message())));
    }
}

void EvidencePanel::readFindings(const RunList& runs) {
    const LogReader& log = *session_->log();
    outputs_->setPrompts(readOutputs(log, runs, comparison_.a, comparison_.b));
    causeA_ = Diagnosis::read(log, runs, comparison_.a);
    causeB_ = Diagnosis::read(log, runs, comparison_.b);
    diagnosis_->setSides({runTitle(comparison_.summaryA), causeA_, whyNotDiagnosed(comparison_.summaryA)}, {runTitle(comparison_.summaryB), causeB_, whyNotDiagnosed(comparison_.summaryB)});
    showCauses();
    std::vector<DataWarning> warnings = log.warnings(comparison_.a);
    QStringList of(qsizetype(warnings.size()), QStringLiteral("A"));
    if (comparison_.a != comparison_.b) {
        for (DataWarning& warning : log.warnings(comparison_.b)) {
            warnings.push_back(std::move(warning));
            of << QStringLiteral("B");
        }
    }
    warnings_->setWarnings(warnings, of);
    warnings_->setVisible(!warnings.empty());
    noWarnings_->setVisible(warnings.empty());
    tabs_->setTabText(kOutputs, outputs_->prompts() > 0 ? tr("Outputs (%1)").arg(outputs_->prompts()) : tr("Outputs"));
    tabs_->setTabText(kWarnings, warnings.empty() ? tr("Warnings") : tr("Warnings (%1)").arg(warnings.size()));
}

void EvidencePanel::showCauses() {
    QHash<qsizetype, QString> words;
    if (comparison_.sameTokens) {
        const auto add = [&](const Diagnosis& cause, const TokenScoreRow& scores, const QString& side) {
            const auto causes = cause.causes(scores);
            for (auto it = causes.cbegin(); it != causes.cend(); ++it) {
                QString& line = words[it.key()];
                if (!line.isEmpty()) line += QLatin1Char('\n');
                line += tr("%1 caused by %2").arg(side, Diagnosis::text(it.value()));
            }
        };
        add(causeA_, comparison_.tokensA, QStringLiteral("A"));
        add(causeB_, comparison_.tokensB, QStringLiteral("B"));
    }
    text_->setCauses(words);
}

void EvidencePanel::showToken(qsizetype token) {
    text_->setCurrent(token);
    hint_->setText(text_->describe(token).replace(QLatin1Char('\n'), QStringLiteral(" · ")));
}

void EvidencePanel::askForOutputs() {
    RunList runs;
    for (std::size_t i = 0; i < session_->runs().size(); ++i)
        if (canAnswer(session_->runs()[i])) runs.append(session_->runs().pointer(i));
    auto* dialog = new PromptsDialog(runs, comparison_.a, comparison_.b, window());
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &QDialog::accepted, this, [this, dialog] { Q_EMIT session_->outputsRequested(dialog->wish()); });
    dialog->open();
}

/// The run's own mix with these sites raised, whatever the recipe held before.
void EvidencePanel::raise(RunId run, const QStringList& sites, const QString& format) {
    try {
        const RunDetail detail = session_->log()->run(run);
        if (!session_->checkpoint() || session_->checkpoint()->path() != detail.checkpoint.path) {
            Q_EMIT session_->messageRequested(tr("Open %1 first: the mix is of its sites.").arg(QString::fromStdString(detail.checkpoint.name)));
            return;
        }
        QHash<QString, QString> formats;
        for (const AssignmentRow& row : detail.assignments) formats.insert(QString::fromStdString(row.site), QString::fromStdString(row.used.empty() ? row.asked : row.used));
        for (const QString& site : sites) formats.insert(site, format);
        session_->setSiteFormats(formats, tr("Mix of run %1 with %2 in %3").arg(run.value()).arg(sites.join(QStringLiteral(", ")), format));
        Q_EMIT session_->messageRequested(tr("The recipe has the mix of run %1 with %2 in %3. Ctrl+Z takes it back.").arg(run.value()).arg(sites.join(QStringLiteral(", ")), format));
        Q_EMIT session_->workspaceRequested(QStringLiteral("mix"));
    } catch (const Error& error) {
        Q_EMIT session_->messageRequested(QString::fromStdString(escapeForDisplay(error.message())));
    }
}

} // namespace bw
