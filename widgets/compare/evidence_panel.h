// SPDX-License-Identifier: GPL-3.0-or-later
// The lower half of Compare, a tab each: the text with its tokens coloured, outputs side by side, why the loss came about, and the
// warnings of both runs.
#pragma once

#include "widgets/compare/comparison.h"
#include "widgets/compare/diagnosis.h"

#include "core/tokenizer/tokenizer.h"
#include "widgets/session/run_list.h"

#include <QFrame>
#include <memory>

class QLabel;
class QStackedWidget;
class QTabBar;

namespace bw {

class DiagnosisView;
class ElidedLabel;
class OutputsView;
class Session;
class TokenText;
class WarningsTable;

class EvidencePanel final : public QFrame {
    Q_OBJECT
public:
    explicit EvidencePanel(Session* session, QWidget* parent = nullptr);
    void setComparison(const Comparison& comparison, std::shared_ptr<const Tokenizer> tokenizer);
    void setTokenizer(std::shared_ptr<const Tokenizer> tokenizer);
    /// Outputs, diagnoses and warnings, which come to a run after it was made. @param runs newest first.
    void refreshFindings(const RunList& runs);
    void showToken(qsizetype token);
    TokenText* text() const { return text_; }

Q_SIGNALS:
    void tokenChosen(qsizetype token);

private:
    void readFindings(const RunList& runs);
    void showCauses();
    void askForOutputs();
    void raise(RunId run, const QStringList& sites, const QString& format);

    Session* session_;
    Comparison comparison_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    Diagnosis causeA_, causeB_;
    QTabBar* tabs_;
    QStackedWidget* shown_;
    ElidedLabel* hint_;
    TokenText* text_;
    OutputsView* outputs_;
    DiagnosisView* diagnosis_;
    WarningsTable* warnings_;
    QLabel* noWarnings_;
};

} // namespace bw
