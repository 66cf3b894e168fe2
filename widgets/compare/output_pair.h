// SPDX-License-Identifier: GPL-3.0-or-later
// What both runs wrote to the same prompt, side by side, with everything after the first difference marked.
#pragma once

#include "core/experiment/log.h"

#include <QWidget>

class QLabel;
class QTextBrowser;

namespace bw {

class OutputPair final : public QWidget {
    Q_OBJECT
public:
    explicit OutputPair(QWidget* parent = nullptr);
    /// Prompts that both have; others are left out.
    void setOutputs(const std::vector<OutputRow>& a, const std::vector<OutputRow>& b);
    int prompts() const { return int(pairs_.size()); }
    /// First character at which the texts part; −1: they don't.
    static qsizetype firstDifference(const QString& a, const QString& b);

private:
    void step(int by);
    void refresh();
    struct Texts { QString prompt, a, b; };
    QVector<Texts> pairs_;
    int current_ = 0;
    QLabel* head_;
    QTextBrowser* left_;
    QTextBrowser* right_;
};

} // namespace bw
