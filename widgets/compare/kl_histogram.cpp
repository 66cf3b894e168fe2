// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/kl_histogram.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QToolTip>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr int kPerDecade = 10;
constexpr double kLow = -8, kHigh = 2; ///< powers of ten; what is smaller is round-off, what is larger can't be
constexpr int kBins = int(kHigh - kLow) * kPerDecade;

double edge(int bin) { return kLow + double(bin) / kPerDecade; }
int binOf(double log10Kl) { return int(std::clamp(std::floor((log10Kl - kLow) * kPerDecade), 0.0, double(kBins - 1))); } // KL may be infinite

/// Share of the tokens by bin, the smallest with everything below it.
std::vector<double> shares(const std::vector<float>& kl) {
    std::vector<double> bins;
    if (kl.empty()) return bins;
    bins.assign(kBins, 0);
    for (const float v : kl)
        if (!std::isnan(v)) bins[std::size_t(v > 0 ? binOf(std::log10(double(v))) : 0)] += 1.0 / double(kl.size());
    return bins;
}

/// 10ⁿ for people: the axis counts powers.
class PowerTicker final : public QCPAxisTicker {
protected:
    QString getTickLabel(double tick, const QLocale&, QChar, int) override {
        if (std::abs(tick - std::round(tick)) > 1e-9) return {};
        static const QString kRaised = QStringLiteral("⁰¹²³⁴⁵⁶⁷⁸⁹");
        const int power = int(std::round(tick));
        return QStringLiteral("10") + (power < 0 ? QStringLiteral("⁻") : QString()) + kRaised[std::abs(power) % 10];
    }
    double getTickStep(const QCPRange& range) override { return range.size() > 4 ? 2 : 1; }
};

} // namespace

KlHistogram::KlHistogram(QWidget* parent) : Plot(parent) {
    b_ = addGraph();
    a_ = addGraph();
    for (QCPGraph* graph : {a_, b_}) graph->setLineStyle(QCPGraph::lsStepLeft);
    message_ = new PlotMessage(this);
    setNavigation(Qt::Horizontal);
    setAccessibleName(tr("Tokens by their KL"));
    xAxis->setTicker(QSharedPointer<QCPAxisTicker>(new PowerTicker));
    xAxis->setLabel(tr("KL, nats"));
    yAxis->setLabel(tr("% of tokens"));
    xAxis->grid()->setVisible(false);
    addExportMenu(this, QStringLiteral("kl-of-tokens"), [this] { return csv(); });
    connect(&Theme::instance(), &Theme::changed, this, &KlHistogram::recolor);
    setScores({}, {});
    recolor();
}

void KlHistogram::setScores(const std::vector<float>& a, const std::vector<float>& b) {
    shareA_ = shares(a);
    shareB_ = shares(b);
    double most = 0;
    int first = kBins, last = 0;
    for (const auto& [graph, bins] : {std::pair(a_, &shareA_), std::pair(b_, &shareB_)}) {
        QVector<double> x, y;
        for (int i = 0; i < int(bins->size()); ++i) {
            const double share = 100 * (*bins)[std::size_t(i)];
            x << edge(i);
            y << share;
            most = std::max(most, share);
            if (share > 0) {
                first = std::min(first, i);
                last = std::max(last, i);
            }
        }
        graph->setData(x, y, true);
    }
    const bool any = first <= last;
    message_->setText(any ? QString() : tr("Neither run was scored against a baseline."));
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setVisible(any);
    if (any) setHome({edge(first) - 0.1, edge(last + 1) + 0.1}, {0, most * 1.08}, false);
    replot(rpQueuedReplot);
}

void KlHistogram::recolor() {
    const Tokens& t = Theme::instance().tokens();
    for (QCPGraph* graph : {a_, b_}) {
        QColor color = graph == a_ ? t.accent : t.amber;
        graph->setPen(QPen(color, 1.6));
        color.setAlpha(56);
        graph->setBrush(color);
    }
    replot(rpQueuedReplot);
}

QString KlHistogram::textAt(double log10Kl) const {
    if (log10Kl < kLow || log10Kl >= kHigh || (shareA_.empty() && shareB_.empty())) return {};
    const int bin = binOf(log10Kl);
    QStringList parts;
    for (const auto& [name, bins] : {std::pair("A", &shareA_), std::pair("B", &shareB_)})
        if (!bins->empty()) parts << QStringLiteral("%1 %2 %").arg(QLatin1String(name)).arg(100 * (*bins)[std::size_t(bin)], 0, 'f', 1);
    return tr("KL %1 … %2: %3 of the tokens").arg(figureText(std::pow(10.0, edge(bin))), figureText(std::pow(10.0, edge(bin + 1))), parts.join(QStringLiteral(", ")));
}

bool KlHistogram::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return Plot::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const QString words = axisRect()->rect().contains(help->pos()) ? textAt(xAxis->pixelToCoord(help->pos().x())) : QString();
    if (words.isEmpty()) QToolTip::hideText();
    else QToolTip::showText(help->globalPos(), words, this);
    return true;
}

QString KlHistogram::csv() const {
    QString text = QStringLiteral("kl_low,kl_high,share_a,share_b\n");
    for (int i = 0; i < kBins; ++i) {
        const auto cell = [&](const std::vector<double>& bins) { return bins.empty() ? QString() : QString::number(bins[std::size_t(i)], 'g', 9); };
        text += QStringList{QString::number(std::pow(10.0, edge(i)), 'g', 9), QString::number(std::pow(10.0, edge(i + 1)), 'g', 9), cell(shareA_), cell(shareB_)}.join(QLatin1Char(',')) + QLatin1Char('\n');
    }
    return text;
}

} // namespace bw
