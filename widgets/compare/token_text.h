// SPDX-License-Identifier: GPL-3.0-or-later
// The evaluated text, each token coloured by which run moved further from the baseline there: blue where A did, amber where B
// did. Only what is on screen is drawn, so that hundreds of thousands of tokens scroll as a page does.
#pragma once

#include "core/evaluate/top_tokens.h"
#include "core/experiment/log.h"
#include "core/tokenizer/tokenizer.h"
#include "widgets/compare/candidates.h"

#include <QAbstractScrollArea>
#include <QHash>
#include <QVector>
#include <memory>

namespace bw {

class TokenText final : public QAbstractScrollArea {
    Q_OBJECT
public:
    explicit TokenText(QWidget* parent = nullptr);
    /// @param tokenizer null: ids are shown instead of words.
    void setScores(const TokenScoreRow& a, const TokenScoreRow& b, std::shared_ptr<const Tokenizer> tokenizer);
    void setTokenizer(std::shared_ptr<const Tokenizer> tokenizer);
    void setCurrent(qsizetype token);
    /// What a diagnosis says of tokens ("A caused by blk.9.attn_v 54 %"); they get a mark below.
    void setCauses(const QHash<qsizetype, QString>& causes);
    /// Token with the largest difference of KL; −1 without scores.
    qsizetype worst() const;
    QString tokenText(qsizetype token) const;
    /// In words, a line each: scores, cause, candidates.
    QString describe(qsizetype token) const;
    /// The same as rich text with a table of the candidates.
    QString popup(qsizetype token) const;
    /// Tokens that came into question there: probabilities under A, B and the original. Empty where neither run kept any.
    QVector<CandidateLine> candidates(qsizetype token) const;
    qsizetype lines() const { return lines_.size(); }
    /// Where a token is on screen; empty when it is not.
    QRect tokenRect(qsizetype token) const;
    QSize sizeHint() const override { return {600, 140}; }
    QSize minimumSizeHint() const override { return {240, 60}; }

Q_SIGNALS:
    void tokenChosen(qsizetype token);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool viewportEvent(QEvent* event) override;

private:
    struct Word { QString text; float width = 0; bool breaks = false; };
    qsizetype count() const { return qsizetype(a_.kl.size()); }
    double difference(qsizetype token) const;
    const Word& wordOf(qsizetype token) const;
    void layOut();
    void setBars();
    qsizetype lineOf(qsizetype token) const;
    qsizetype endOf(qsizetype line) const { return line + 1 < lines_.size() ? lines_[line + 1] : count(); }
    /// Calls use(token, rectangle) for each token of the visible lines from the first on.
    template <class Use>
    void eachVisible(Use use) const;
    qsizetype tokenAt(const QPointF& position) const;
    QString noCandidates() const;
    QStringList heads() const;

    TokenScoreRow a_, b_;
    TopTokenTable topA_, topB_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    mutable QHash<TokenId, Word> words_; ///< every token that occurs, measured once
    QVector<qsizetype> lines_;           ///< first token of each
    QHash<qsizetype, QString> causes_;
    qsizetype current_ = -1, hovered_ = -1;
    double scale_ = 1; ///< difference that gets the full colour
};

} // namespace bw
