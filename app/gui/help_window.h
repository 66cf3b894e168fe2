// SPDX-License-Identifier: GPL-3.0-or-later
// The manual: Markdown pages of resources/help with a list of contents, search over all pages, and a way back.
#pragma once

#include <QMainWindow>

class QAction;
class QLabel;
class QLineEdit;
class QListWidget;
class QTextBrowser;

namespace bw {

struct HelpPage {
    QString file;  ///< "mix.md"
    QString title; ///< its first heading
    QString text;  ///< Markdown
};

/// Pages of a folder: those that index.md links to, in its order, then the rest by name. Empty when there is no manual.
QList<HelpPage> readHelp(const QString& folder);

class HelpWindow final : public QMainWindow {
    Q_OBJECT
public:
    explicit HelpWindow(const QString& folder, QWidget* parent = nullptr);
    /// @param file "mix.md" or "methods.md#gptq"; one that is not there opens the first page.
    void showPage(const QString& file);
    QString currentPage() const;
    QLineEdit* searchField() const { return search_; }
    QListWidget* contents() const { return contents_; }
    QTextBrowser* browser() const { return browser_; }

private:
    void buildBar();
    void fillContents();
    void search(const QString& words);
    void render(const QString& file);
    void markHits();
    void nextHit(bool backwards);
    void style();
    void fit();
    bool eventFilter(QObject* watched, QEvent* event) override;

    QString folder_;
    QList<HelpPage> pages_;
    QLineEdit* search_;
    QListWidget* contents_;
    QTextBrowser* browser_;
    QLabel* hits_;
    QAction *back_, *forward_;
};

} // namespace bw
