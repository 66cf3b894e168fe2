// SPDX-License-Identifier: GPL-3.0-or-later
// The bar above the workspace: what is open, which texts and which recipe it will be worked on with, and Run.
#pragma once

#include <QWidget>

class QLabel;
class QMenu;
class QToolButton;

namespace bw {

class Session;

class TopBar final : public QWidget {
    Q_OBJECT
public:
    explicit TopBar(Session& session, QWidget* parent = nullptr);
    /// Menu behind the small arrow of Run; its first action is what Run does.
    void setRunMenu(QMenu* menu);
    void setRunText(const QString& text, const QString& toolTip);
    void setRunEnabled(bool enabled);

Q_SIGNALS:
    void runClicked();
    void paletteClicked();
    void addTextsRequested(bool evaluation);
    void demoTextsRequested();
    void openRecipeRequested();
    void saveRecipeRequested();
    void copyCommandRequested();

private:
    void showCheckpoint();
    void showRecipe();
    void fillDataMenu();
    void fillRecipeMenu();
    void addRuntimeEntries();
    void addTextEntries(QMenu* menu, bool evaluation);

    Session& session_;
    QLabel *name_, *facts_;
    QToolButton *data_, *recipe_, *run_, *palette_;
    QMenu *dataMenu_, *recipeMenu_;
};

} // namespace bw
