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
        return fallbackFormat(parseChoice(name.toStdString()).format, site.rows, site.cols);
    } catch (const Error&) {
        return nullptr;
    }
}

/// Bits of the codes that this format has at a site; 16 where it names none.
int codeBits(const Session& session, const QString& format, const QString& siteName) {
    const auto model = session.model();
    const Site* site = model ? model->findSite(siteName.toStdString()) : nullptr;
    const FormatPtr used = site ? formatFor(format, *site) : nullptr;
    return used ? used->codeBits() : 16;
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
    connect(&session_, &Session::checkpointChanged, this, &Inspector::showSite);
    connect(&session_, &Session::recipeChanged, this, &Inspector::showSite);
    connect(&session_, &Session::statisticsChanged, this, &Inspector::showInputs);
    connect(&session_, &Session::logChanged, this, [this] {
        if (mapRevision_ == session_.mapRevision()) return;
        mapRevision_ = session_.mapRevision();
        showSite();
    });
    const auto refresh = [this](const QString& site) {
        if (site == session_.selectedSite()) showSite();
    };
    connect(&session_, &Session::weightViewChanged, this, refresh);
    connect(&session_, &Session::siteFactsChanged, this, refresh);
    showSite();
}

QLabel* Inspector::fact(QFormLayout* form, const QString& name, QLabel** keyLabel) {
    auto* key = label("muted", content_);
    key->setText(name);
    if (keyLabel) *keyLabel = key;
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
    shape_->setWordWrap(true);
    empty_ = label("muted", content_);
    empty_->setWordWrap(true);
    column->addLayout(head);
    column->addWidget(shape_);
    column->addWidget(empty_);
    auto* form = new QFormLayout;
    form->setContentsMargins(0, 4, 0, 8);
    form->setVerticalSpacing(6);
    form->setHorizontalSpacing(4);
    form->setFieldGrowthPolicy(QFormLayout::ExpandingFieldsGrow);
    form->setRowWrapPolicy(QFormLayout::WrapLongRows); // in the narrowest window figures go below their names
    format_ = fact(form, tr("format"));
    bytes_ = fact(form, tr("bytes"));
    measured_ = fact(form, tr("KL, measured"), &measuredName_);
    fisher_ = fact(form, tr("KL, Fisher"), &fisherName_);
    output_ = fact(form, tr("output error"), &outputName_);
    error_ = fact(form, tr("weight error"));
    outliers_ = fact(form, tr("outlier share"));
    kurtosis_ = fact(form, tr("kurtosis"));
    error_->setToolTip(tr("‖W − Ŵ‖² / ‖W‖² at this format, nearest rounding"));
    outliers_->setToolTip(tr("share of weights beyond six standard deviations"));
    column->addLayout(form);
    doubt_ = label("warn", content_);
    doubt_->setObjectName(QStringLiteral("inspector.doubt"));
    doubt_->setWordWrap(true);
    column->addWidget(doubt_);

    weightsTitle_ = section(tr("Weights and grid"));
    weights_ = new HistogramPlot(content_);
    weights_->setLogCounts(true);
    weights_->setFixedHeight(116);
    weightsRange_ = label("muted", content_);
    weightsRange_->setWordWrap(true);
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
    whenSite_ << weights_ << weightsRange_ << costs_ << inputs_ << inputsText_ << shape_ << doubt_;
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

/// This cell in every column of the table: the figures that the person may compare.
void Inspector::showCosts() {
    const QString site = session_.selectedSite(), asked = session_.siteFormat(site);
    const DamageTable& table = session_.damageTable();
    const bool full = codeBits(session_, asked, site) >= 16; // nothing that a sweep could measure is lost
    QStringList doubts;
    const auto show = [&](QLabel* key, QLabel* value, DamageBy by, const QString& what) {
        const DamageMap& map = table.column(by);
        key->setVisible(!map.empty());
        value->setVisible(!map.empty());
        const DamageOption* option = map.find(site, asked);
        if (!option) {
            value->setText(full && !map.empty() ? QStringLiteral("≈ 0") : QStringLiteral("–"));
            value->setToolTip(tr("this format was not tried at this site"));
            return;
        }
        // Small figures by their power of ten: with all their zeros they would not fit beside the name.
        const bool small = option->damage != 0 && std::abs(option->damage) < 1e-3;
        const QString text = !small ? withError(option->damage, option->standardError)
                             : option->standardError > 0 ? QStringLiteral("%1 ± %2").arg(figureText(option->damage, 2), figureText(option->standardError, 1))
                                                         : figureText(option->damage, 3);
        const bool scaled = option->source == CellSource::scaled;
        value->setText(scaled ? QStringLiteral("≈ ") + text : text);
        value->setToolTip(scaled ? tr("%1; scaled from the output error, not measured").arg(what) : what);
        if (!option->doubt.isEmpty()) doubts << tr("%1 is doubtful: %2").arg(key->text(), option->doubt);
    };
    show(measuredName_, measured_, DamageBy::measured, tr("KL to the original, nats per token, this site alone quantized"));
    show(fisherName_, fisher_, DamageBy::fisher, tr("the same, estimated from gradients, nats per token"));
    show(outputName_, output_, DamageBy::output, tr("relative squared error of this site's output"));
    doubt_->setText(doubts.join(QLatin1Char('\n')));
    doubt_->setVisible(!doubts.isEmpty());
    showBars(site, asked);
}

void Inspector::showBars(const QString& site, const QString& asked) {
    const DamageMap& map = session_.damageMap();
    const QVector<DamageOption> options = map.sites.value(site);
    double top = 0;
    for (const DamageOption& option : options) top = std::max(top, option.damage);
    QList<BarList::Bar> bars;
    for (const DamageOption& option : options) {
        QString tip = QStringLiteral("%1: %2 (%3), %4").arg(option.format, withError(option.damage, option.standardError), sourceText(option.source),
                                                           bytesText(static_cast<double>(option.bytes)));
        if (!option.doubt.isEmpty()) tip += QLatin1Char('\n') + option.doubt;
        bars << BarList::Bar{option.format, figureText(option.damage, 2), tip, top > 0 ? option.damage / top : 0,
                             Theme::instance().formatColor(codeBits(session_, option.format, site)), option.format == asked};
    }
    costsTitle_->setText(map.inNats() ? tr("KL of each format") : tr("Output error of each format"));
    costsTitle_->setToolTip(map.inNats() ? tr("nats per token, this site alone") : QString());
    costsTitle_->setVisible(!bars.isEmpty());
    costs_->setVisible(!bars.isEmpty());
    costs_->setBars(bars);
}

void Inspector::showInputs() {
    const std::string name = session_.selectedSite().toStdString();
    const SiteStatisticsRow* found = nullptr;
    for (const SiteStatisticsRow& row : session_.statistics()) {
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
