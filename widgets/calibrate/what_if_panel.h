// SPDX-License-Identifier: GPL-3.0-or-later
// What smoothing, keeping outlier channels apart, a rotation or a clip would do to the selected site's input: sliders move the
// histogram and the predicted errors at once, from stored statistics. Runs nothing.
#pragma once

#include "core/calibrate/what_if.h"

#include <QList>
#include <QWidget>
#include <memory>

class QComboBox;
class QGridLayout;
class QLabel;
class QPushButton;
class QSlider;

namespace bw {

class ElidedLabel;
class Panel;
class Session;
class WhatIfPlot;

class WhatIfPanel final : public QWidget {
    Q_OBJECT
public:
    explicit WhatIfPanel(Session* session, QWidget* parent = nullptr);
    /// What the controls ask now.
    WhatIf question() const;
    /// The plot beside the figures instead of above them.
    void setWide(bool wide);

Q_SIGNALS:
    void asked(const bw::WhatIf& question); ///< the controls moved

private:
    void buildControls();
    void buildTable();
    void startFromRecipe();
    void chooseMethod(int method);
    void request();
    void take();
    void show();
    void showFigures(const WhatIfResult& after, bool changed);
    void useIt();
    void copyCommand();
    QString groupOfSite() const;

    Session* session_;
    std::shared_ptr<const WhatIfInput> input_;
    WhatIfResult before_;            ///< of input_, as it is
    QString wanted_;                 ///< group that was asked for
    Panel* panel_;
    QGridLayout* parts_;             ///< questions, figures and the plot
    QWidget *questions_, *figures_;
    QComboBox* method_;
    QSlider *strength_, *clip_;
    QLabel *strengthText_, *clipText_;
    ElidedLabel* facts_;
    QPushButton *use_, *copy_;
    WhatIfPlot* plot_;
    QList<QList<QLabel*>> cells_;    ///< row → as it is, after, change
};

} // namespace bw
