// SPDX-License-Identifier: GPL-3.0-or-later
// One text of several to the same prompt: tokens coloured by how much their probability moved, where it parts from the
// original's, the candidates there, and whether it still holds together.
#pragma once

#include "core/tokenizer/tokenizer.h"
#include "widgets/compare/candidates.h"
#include "widgets/compare/output_texts.h"

#include <QFrame>
#include <QPair>
#include <memory>

class QLabel;
class QTextBrowser;

namespace bw {

class ElidedLabel;

class OutputColumn final : public QFrame {
    Q_OBJECT
public:
    explicit OutputColumn(QWidget* parent = nullptr);
    /// @param tokenizer null: the text as a whole, candidates by number. @param partsAt character from which an unjudged text is
    /// marked; −1: nowhere.
    void setText(const OutputText& text, std::shared_ptr<const Tokenizer> tokenizer, qsizetype partsAt);
    /// What is said of the token at a character of the text; empty where nothing is known.
    QString describe(qsizetype character) const;
    QString figures() const;   ///< the lines below the text
    QString shownText() const;

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void refresh();
    QString tokensHtml();
    /// The likeliest of both models where the texts part.
    QVector<CandidateLine> candidatesThere(TokenId came) const;
    QString candidatesText(const QVector<OutputText::Candidate>& candidates) const;
    QString wordOf(TokenId id) const;

    OutputText text_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    qsizetype partsAt_ = -1;
    QVector<QPair<qsizetype, QString>> tips_; ///< one past a token's last character → what is said of it
    ElidedLabel* title_;
    QTextBrowser* body_;
    QVector<ElidedLabel*> foot_; ///< a line each
};

} // namespace bw
