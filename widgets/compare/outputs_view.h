// SPDX-License-Identifier: GPL-3.0-or-later
// What the original, A, B and further runs wrote to the same prompt, in columns; a button to have them write.
#pragma once

#include "core/tokenizer/tokenizer.h"
#include "widgets/compare/output_texts.h"

#include <QWidget>
#include <memory>

class QHBoxLayout;
class QLabel;
class QPushButton;
class QStackedWidget;

namespace bw {

class OutputColumn;

class OutputsView final : public QWidget {
    Q_OBJECT
public:
    explicit OutputsView(QWidget* parent = nullptr);
    void setPrompts(const QVector<OutputPrompt>& prompts);
    void setTokenizer(std::shared_ptr<const Tokenizer> tokenizer);
    int prompts() const { return int(prompts_.size()); }
    QVector<OutputColumn*> columns() const { return columns_; }
    void step(int by);
    /// First character at which the texts part; −1: they don't.
    static qsizetype firstDifference(const QString& a, const QString& b);

Q_SIGNALS:
    void promptsWanted(); ///< the person wants outputs (more, or of other prompts)

private:
    void refresh();
    QVector<OutputPrompt> prompts_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    int current_ = 0;
    QLabel* head_;
    QWidget* bar_;
    QStackedWidget* stack_;
    QHBoxLayout* row_;
    QVector<OutputColumn*> columns_;
};

} // namespace bw
