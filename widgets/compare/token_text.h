// SPDX-License-Identifier: GPL-3.0-or-later
// The evaluated text around one token, each token coloured by which run moved further from the baseline there: blue
// where A did, amber where B did.
#pragma once

#include "core/experiment/log.h"
#include "core/tokenizer/tokenizer.h"

#include <QHash>
#include <QVector>
#include <QWidget>
#include <memory>

namespace bw {

class TokenText final : public QWidget {
    Q_OBJECT
public:
    explicit TokenText(QWidget* parent = nullptr);
    /// @param tokenizer null: ids are shown instead of words.
    void setScores(const TokenScoreRow& a, const TokenScoreRow& b, std::shared_ptr<const Tokenizer> tokenizer);
    void setTokenizer(std::shared_ptr<const Tokenizer> tokenizer);
    void setCurrent(qsizetype token);
    /// Token with the largest difference of KL; −1 without scores.
    qsizetype worst() const;
    QString tokenText(qsizetype token) const;
    QString describe(qsizetype token) const;
    QSize sizeHint() const override { return {600, 140}; }
    QSize minimumSizeHint() const override { return {240, 60}; }

Q_SIGNALS:
    void tokenChosen(qsizetype token);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    struct Piece { qsizetype token; QRectF rect; QString text; };
    qsizetype count() const { return qsizetype(a_.kl.size()); }
    double difference(qsizetype token) const;
    void layOut();
    qsizetype tokenAt(const QPointF& position) const;

    TokenScoreRow a_, b_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    QVector<Piece> pieces_;
    qsizetype first_ = 0, current_ = -1;
    double scale_ = 1; ///< difference that gets the full colour
};

} // namespace bw
