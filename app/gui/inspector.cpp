// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/inspector.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "widgets/model/mini_plots.h"
#include "widgets/plots/histogram_plot.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/theme.h"

#include <QFormLayout>
#include <QLabel>
#include <QPushButton>
#include <QRegularExpression>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

QLabel* label(const char* role, QWidget* parent) {
    auto* made = new QLabel(parent);
    made->setProperty("role", QString::fromLatin1(role));
    made->setTextFormat(Qt::PlainText);
    return made;
}

/// The format of this name for a site, after fallback; null for "keep" and for names that are no format.
FormatPtr formatFor(const QString& name, const Site& site) {
    if (name.isEmpty() || name == QLatin1String("keep")) return nullptr;
    try {
        return fallbackFormat(parseFormat(name.toStdString()), site.rows, site.cols);
    } catch (const Error&) {
        return nullptr;
    }
}

QString percent(double share) {
    return share > 0 && share < 1e-5 ? QStringLiteral("< 0.001 %") : QStringLiteral("%1 %").arg(share * 100, 0, 'g', 3);
}

/// "q, k": the other sites that read the same activations.
QString companions(const Model& model, const Site& site) {
    if (site.inputGroup < 0) return {};
    QStringList names;
    for (const SiteId id : model.inputGroups()[static_cast<std::size_t>(site.inputGroup)].sites) {
        if (id == site.id) continue;
        const QString kind = QString::fromStdString(std::string(siteKindName(model.site(id).kind)));
        names << kind.section(QLatin1Char('_'), 1);
    }
    return names.join(QStringLiteral(", "));
}

} // namespace

Inspector::Inspector(Session& session, QWidget* parent) : QScrollArea(parent), session_(session) {
    setWidgetResizable(true);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setFrameShape(QFrame::NoFrame);
    setMinimumWidth(248);
    setAccessibleName(tr("Inspector"));
    content_ = new QWidget(this);
    content_->setProperty("role", QStringLiteral("bar"));
    content_->setAttribute(Qt::WA_StyledBackground);
    setWidget(content_);
    build();
    connect(&session_, &Session::siteSelected, this, &Inspector::showSite);
    connect(&session_, &Session::checkpointChanged, this, &Inspector::readLog);
    connect(&session_, &Session::recipeChanged, this, &Inspector::showSite);
    connect(&session_, &Session::logChanged, this, &Inspector::readLog);
    const auto refresh = [this](const QString& site) {
        if (site == session_.selectedSite()) showSite();
    };
    connect(&session_, &Session::weightViewChanged, this, refresh);
    connect(&session_, &Session::siteFactsChanged, this, refresh);
    readLog();
}

QLabel* Inspector::fact(QFormLayout* form, const QString& name) {
    auto* key = label("muted", content_);
    key->setText(name);
    auto* value = label("figures", content_);
    value->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    value->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    value->setTextInteractionFlags(Qt::TextSelectableByMouse);
    value->setAccessibleName(name);
    form->addRow(key, value);
    whenSite_ << key << value;
    return value;
}

QLabel* Inspector::section(const QString& title) {
    auto* made = label("title", content_);
    made->setText(title);
    whenSite_ << made;
    return made;
}

void Inspector::build() {
    auto* column = new QVBoxLayout(content_);
    column->setContentsMargins(16, 16, 16, 16);
    column->setSpacing(8);
    name_ = label("heading", content_);
    name_->setObjectName(QStringLiteral("inspector.site"));
    pinned_ = label("warn", content_);
    auto* head = new QHBoxLayout;
    head->addWidget(name_, 1);
    head->addWidget(pinned_);
    shape_ = label("muted", content_);
    empty_ = label("muted", content_);
    empty_->setWordWrap(true);
    column->addLayout(head);
    column->addWidget(shape_);
    column->addWidget(empty_);
    auto* form = new QFormLayout;
    form->setContentsMargins(0, 4, 0, 8);
    form->setVerticalSpacing(6);
    form->setFieldGrowthPolicy(QFormLayout::ExpandingFieldsGrow);
    format_ = fact(form, tr("format"));
    bytes_ = fact(form, tr("bytes"));
    damage_ = fact(form, tr("damage"));
    error_ = fact(form, tr("weight error"));
    outliers_ = fact(form, tr("outlier share"));
    kurtosis_ = fact(form, tr("kurtosis"));
    error_->setToolTip(tr("‖W − Ŵ‖² / ‖W‖² at this format, nearest rounding"));
    outliers_->setToolTip(tr("share of weights beyond six standard deviations"));
    column->addLayout(form);

    weightsTitle_ = section(tr("Weights and grid"));
    weights_ = new HistogramPlot(content_);
    weights_->setLogCounts(true);
    weights_->setFixedHeight(116);
    weightsRange_ = label("muted", content_);
    column->addWidget(weightsTitle_);
    column->addWidget(weights_);
    column->addWidget(weightsRange_);
    column->addSpacing(8);
    costsTitle_ = section(tr("Cost of each format"));
    costs_ = new BarList(content_);
    costs_->setAccessibleName(tr("Cost of each format"));
    column->addWidget(costsTitle_);
    column->addWidget(costs_);
    column->addSpacing(8);
    inputsTitle_ = section(tr("Inputs (calibration)"));
    inputs_ = new ChannelBars(content_);
    inputs_->setAccessibleName(tr("Largest input of each channel"));
    inputsText_ = label("muted", content_);
    inputsText_->setWordWrap(true);
    column->addWidget(inputsTitle_);
    column->addWidget(inputs_);
    column->addWidget(inputsText_);
    column->addSpacing(8);
    const auto link = [&](const QString& text, const char* workspace) {
        auto* button = new QPushButton(text, content_);
        button->setProperty("role", QStringLiteral("link"));
        connect(button, &QPushButton::clicked, this,
                [this, workspace] { Q_EMIT session_.workspaceRequested(QString::fromLatin1(workspace)); });
        column->addWidget(button, 0, Qt::AlignLeft);
        whenSite_ << button;
    };
    link(tr("Open histogram"), "model");
    link(tr("Show activations"), "calibrate");
    link(tr("Show in the mix"), "mix");
    column->addStretch(1);
    whenSite_ << weights_ << weightsRange_ << costs_ << inputs_ << inputsText_ << shape_;
}

void Inspector::readLog() {
    const LogReader* log = session_.log();
    sensitivities_.clear();
    comparison_.clear();
    statistics_.clear();
    if (log) {
        try {
            readSweeps(*log);
            if (session_.calibrationRun().value() != 0) statistics_ = log->siteStatistics(session_.calibrationRun());
        } catch (const Error& e) {
            Q_EMIT session_.messageRequested(QString::fromStdString(escapeForDisplay(e.message())));
        }
    }
    showSite();
}

void Inspector::readSweeps(const LogReader& log) {
    const RunId shown = session_.sweepRun();
    if (shown.value() == 0) return;
    const auto read = [&log](RunId run) {
        QHash<QString, QList<SensitivityRow>> bySite;
        for (const SensitivityRow& row : log.sensitivities(run)) bySite[QString::fromStdString(row.site)].append(row);
        return bySite;
    };
    const auto formats = [](const QHash<QString, QList<SensitivityRow>>& bySite) {
        qsizetype most = 0;
        for (const auto& rows : bySite) most = std::max(most, rows.size());
        return most;
    };
    sensitivities_ = read(shown);
    if (formats(sensitivities_) > 1) return;
    // Measured KL often covers one format only; an output-error sweep of the same checkpoint compares them all.
    const std::string name = session_.checkpoint() ? log.run(shown).summary.checkpoint : std::string();
    for (const RunSummary& run : log.runs(100)) {
        if (run.kind != "sweep" || run.id == shown || run.checkpoint != name) continue;
        comparison_ = read(run.id);
        if (formats(comparison_) > 1) return;
    }
    comparison_.clear();
}

void Inspector::showSite() {
    const auto model = session_.model();
    const Site* site = model ? model->findSite(session_.selectedSite().toStdString()) : nullptr;
    for (QWidget* widget : std::as_const(whenSite_)) widget->setVisible(site != nullptr);
    empty_->setVisible(site == nullptr);
    pinned_->clear();
    if (!site) {
        name_->setText(tr("Nothing selected"));
        empty_->setText(model ? tr("Select a site in any workspace to see its weights, errors and inputs.")
                              : tr("Open a checkpoint to look at its sites."));
        return;
    }
    name_->setText(QString::fromStdString(escapeForDisplay(site->name, 60)));
    const QString with = companions(*model, *site);
    shape_->setText(QStringLiteral("%1 × %2").arg(site->rows).arg(site->cols) +
                    (with.isEmpty() ? QString() : tr(" · shares input with %1").arg(with)));
    for (const auto& [pattern, format] : session_.recipe().assignment.pins)
        if (globMatches(pattern, site->name)) pinned_->setText(tr("pinned"));

    const QString asked = session_.siteFormat(session_.selectedSite());
    const FormatPtr used = formatFor(asked, *site);
    if (used) {
        const QString name = QString::fromStdString(used->name());
        format_->setText(QStringLiteral("%1 · %2 bpw").arg(name).arg(used->bitsPerWeight(site->rows, site->cols), 0, 'f', 2));
        format_->setToolTip(name == asked ? QString() : tr("%1 does not fit this shape").arg(asked));
        bytes_->setText(bytesText(static_cast<double>(used->bytes(site->rows, site->cols))));
    } else {
        format_->setText(asked);
        bytes_->setText(QStringLiteral("–"));
    }
    const SiteFacts facts = session_.siteFacts(session_.selectedSite());
    outliers_->setText(facts.known ? percent(facts.outlierShare) : QStringLiteral("…"));
    kurtosis_->setText(facts.known ? QString::number(facts.kurtosis, 'f', 2) : QStringLiteral("…"));
    showWeights();
    showCosts();
    showInputs();
}

void Inspector::showWeights() {
    const WeightView* view = session_.weightView(session_.selectedSite());
    if (!view) {
        weights_->clear();
        weights_->setEmptyText(tr("reading…"));
        weightsRange_->clear();
        error_->setText(QStringLiteral("…"));
        return;
    }
    weights_->setHistogram(view->statistics.histogram);
    QVector<double> ticks(view->gridLevels.begin(), view->gridLevels.end());
    weights_->setTicksBelow(ticks);
    weightsRange_->setText(tr("max |w| %1 · %2 levels").arg(figureText(view->statistics.maximum)).arg(ticks.size()));
    error_->setText(view->format.isEmpty() ? QStringLiteral("–") : figureText(view->relativeError));
}

void Inspector::showCosts() {
    const QString asked = session_.siteFormat(session_.selectedSite());
    damage_->setText(QStringLiteral("–"));
    for (const SensitivityRow& row : sensitivities_.value(session_.selectedSite())) {
        if (QString::fromStdString(row.format) != asked) continue;
        damage_->setText(withError(row.value, row.standardError));
        damage_->setToolTip(row.metric == "kl" ? tr("KL to the original, nats per token, this site alone")
                                               : tr("relative error of this site's output"));
    }
    for (const SensitivityRow& row : comparison_.value(session_.selectedSite())) {
        if (QString::fromStdString(row.format) != asked || damage_->text() != QStringLiteral("–")) continue;
        damage_->setText(tr("output %1").arg(figureText(row.value, 2)));
        damage_->setToolTip(tr("relative error of this site's output; its KL was not measured at this format"));
    }
    QList<SensitivityRow> rows = comparison_.isEmpty() ? sensitivities_.value(session_.selectedSite())
                                                       : comparison_.value(session_.selectedSite());
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
    double top = 0;
    for (const SensitivityRow& row : rows) top = std::max(top, row.value);
    QList<BarList::Bar> bars;
    for (const SensitivityRow& row : rows) {
        const QString format = QString::fromStdString(row.format);
        const bool current = format == asked;
        int bits = 16;
        if (const auto model = session_.model())
            if (const Site* site = model->findSite(row.site))
                if (const FormatPtr used = formatFor(format, *site)) bits = used->codeBits();
        const QString value = withError(row.value, row.standardError);
        bars << BarList::Bar{format, figureText(row.value, 2),
                             QStringLiteral("%1: %2, %3").arg(format, value, bytesText(static_cast<double>(row.bytes))),
                             top > 0 ? row.value / top : 0, Theme::instance().formatColor(bits), current};
    }
    const bool kl = !rows.isEmpty() && rows.first().metric == "kl";
    costsTitle_->setText(kl ? tr("Cost of each format, nats") : tr("Output error of each format"));
    costsTitle_->setVisible(!bars.isEmpty());
    costs_->setVisible(!bars.isEmpty());
    costs_->setBars(bars);
}

void Inspector::showInputs() {
    const std::string name = session_.selectedSite().toStdString();
    const SiteStatisticsRow* found = nullptr;
    for (const SiteStatisticsRow& row : statistics_) {
        // `sites` lists names separated by commas or spaces.
        const QStringList names = QString::fromStdString(row.sites).split(QRegularExpression(QStringLiteral("[,\\s]+")));
        if (names.contains(QString::fromStdString(name))) found = &row;
    }
    const bool there = found && !found->channelMax.empty();
    inputsTitle_->setVisible(there);
    inputs_->setVisible(there);
    inputsText_->setVisible(there);
    if (!there) return;
    std::vector<float> sorted = found->channelMax;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
    // The same rule as the log's outlier_channels: 20 × the median channel's maximum.
    inputs_->setValues(found->channelMax, 20.0F * sorted[sorted.size() / 2]);
    inputsText_->setText(tr("max |x| · %1").arg(counted(found->outlierChannels, tr("1 outlier channel"), tr("%1 outlier channels"))));
}

} // namespace bw
