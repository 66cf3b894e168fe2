// SPDX-License-Identifier: GPL-3.0-or-later
// Lines under the top bar that say what is missing or went wrong, or what can be done next, with a button for it; they stay until
// closed. Not for passing messages (job strip) or failed actions (error dialog).
#pragma once

#include <QWidget>
#include <functional>

class QVBoxLayout;

namespace bw {

class NoticeBar final : public QWidget {
    Q_OBJECT
public:
    explicit NoticeBar(QWidget* parent = nullptr);
    /// Shows a line; one with the same `id` is replaced. @param actionText empty for no button; the button closes the line.
    void add(const QString& id, const QString& text, const QString& actionText = {}, std::function<void()> action = {}) {
        addLine(id, text, actionText, std::move(action), false);
    }
    /// The same for what is no trouble: a result, a way to begin.
    void addTip(const QString& id, const QString& text, const QString& actionText, std::function<void()> action) {
        addLine(id, text, actionText, std::move(action), true);
    }
    void remove(const QString& id);
    QStringList texts() const;

private:
    void addLine(const QString& id, const QString& text, const QString& actionText, std::function<void()> action, bool tip);
    QVBoxLayout* lines_;
};

} // namespace bw
