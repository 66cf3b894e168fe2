// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/plot_export.h"

#include "widgets/plots/custom_plot.h"

#include <QApplication>
#include <QBuffer>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QMenu>
#include <QMessageBox>
#include <QMimeData>
#include <QPageSize>
#include <QPdfWriter>
#include <QSaveFile>
#include <QSvgGenerator>

namespace bw {
namespace {

constexpr int kPngScale = 2;
constexpr int kLargestSide = 20000; // px; a larger picture would need gigabytes

QString tr(const char* text) { return QCoreApplication::translate("bw", text); }

/// Paints the plot into `device` as vectors where the device can.
void paintOn(QWidget* plot, QPaintDevice* device, double scale) {
    if (auto* custom = qobject_cast<QCustomPlot*>(plot)) {
        QCPPainter painter;
        if (!painter.begin(device)) return;
        painter.scale(scale, scale);
        painter.setMode(QCPPainter::pmVectorized);
        painter.setMode(QCPPainter::pmNoCaching);
        painter.fillRect(QRect({0, 0}, plot->size()), custom->palette().window());
        custom->toPainter(&painter, plot->width(), plot->height());
        painter.end();
        return;
    }
    QPainter painter(device);
    painter.scale(scale, scale);
    plot->render(&painter, QPoint(), QRegion(), QWidget::DrawWindowBackground | QWidget::DrawChildren);
}

QImage picture(QWidget* plot) {
    QImage image(plot->size() * kPngScale, QImage::Format_ARGB32_Premultiplied);
    image.setDevicePixelRatio(kPngScale);
    image.fill(Qt::transparent);
    if (auto* custom = qobject_cast<QCustomPlot*>(plot)) {
        return custom->toPixmap(plot->width(), plot->height(), kPngScale).toImage();
    }
    paintOn(plot, &image, 1);
    return image;
}

QByteArray svg(QWidget* plot) {
    QBuffer buffer;
    QSvgGenerator generator;
    generator.setOutputDevice(&buffer);
    generator.setResolution(96); // otherwise the width is written in mm at 72 dpi
    generator.setSize(plot->size());
    generator.setViewBox(QRect({0, 0}, plot->size()));
    generator.setTitle(plot->accessibleName());
    paintOn(plot, &generator, 1);
    return buffer.data();
}

QByteArray pdf(QWidget* plot) {
    QBuffer buffer;
    buffer.open(QIODevice::WriteOnly);
    QPdfWriter writer(&buffer);
    writer.setCreator(QStringLiteral("Bitwright"));
    writer.setResolution(96);
    writer.setPageSize(QPageSize(QSizeF(plot->size()) * 72.0 / 96.0, QPageSize::Point));
    writer.setPageMargins(QMarginsF());
    paintOn(plot, &writer, 1);
    return buffer.data();
}

QString writeWhole(const QByteArray& bytes, const QString& path) {
    QSaveFile file(path);
    if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size() || !file.commit()) {
        return tr("%1 could not be written: %2. Choose a folder you may write to.").arg(path, file.errorString());
    }
    return {};
}

void report(QWidget* plot, const QString& problem) {
    if (!problem.isEmpty()) QMessageBox::warning(plot->window(), tr("Not saved"), problem);
}

void choosePath(QWidget* plot, const QString& title, const QString& name, const QString& suffix, const QString& filter,
                const std::function<QString(const QString&)>& save) {
    QString path = QFileDialog::getSaveFileName(plot->window(), title, name + suffix, filter);
    if (path.isEmpty()) return;
    if (QFileInfo(path).suffix().isEmpty()) path += suffix;
    report(plot, save(path));
}

/// As its own type for drawing programs and tables, and as text for everything else.
void copyTyped(const QString& type, const QByteArray& bytes) {
    auto* mime = new QMimeData;
    mime->setData(type, bytes);
    mime->setText(QString::fromUtf8(bytes));
    QApplication::clipboard()->setMimeData(mime);
}

/// Opens the menu on right click and on the menu key.
class MenuFilter final : public QObject {
public:
    MenuFilter(QWidget* plot, QString name, std::function<QString()> csv)
        : QObject(plot), plot_(plot), name_(std::move(name)), csv_(std::move(csv)) {}

    bool eventFilter(QObject* object, QEvent* event) override {
        if (event->type() != QEvent::ContextMenu) return QObject::eventFilter(object, event);
        auto* menu = new QMenu(plot_);
        menu->setAttribute(Qt::WA_DeleteOnClose);
        fillExportMenu(menu, plot_, name_, csv_);
        menu->popup(static_cast<QContextMenuEvent*>(event)->globalPos());
        return true;
    }

private:
    QWidget* plot_;
    QString name_;
    std::function<QString()> csv_;
};

} // namespace

QString savePlot(QWidget* plot, const QString& path) {
    if (plot->width() * kPngScale > kLargestSide || plot->height() * kPngScale > kLargestSide) {
        return tr("The picture would be larger than %1 pixels. Make the window smaller.").arg(kLargestSide);
    }
    const QString kind = QFileInfo(path).suffix().toLower();
    if (kind == QLatin1String("svg")) return writeWhole(svg(plot), path);
    if (kind == QLatin1String("pdf")) return writeWhole(pdf(plot), path);
    if (kind != QLatin1String("png")) {
        return tr("“%1” is no picture type known here. Use .png, .svg or .pdf.").arg(kind);
    }
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (!picture(plot).save(&buffer, "PNG")) return tr("The picture could not be encoded.");
    return writeWhole(bytes, path);
}

QString saveText(const QString& text, const QString& path) { return writeWhole(text.toUtf8(), path); }

QString csvField(const QString& text) {
    const bool quote = text.contains(QLatin1Char(',')) || text.contains(QLatin1Char('"')) || text.contains(QLatin1Char('\n'));
    if (!quote) return text;
    QString doubled = text;
    doubled.replace(QLatin1Char('"'), QStringLiteral("\"\""));
    return QLatin1Char('"') + doubled + QLatin1Char('"');
}

void fillExportMenu(QMenu* menu, QWidget* plot, const QString& name, const std::function<QString()>& csv) {
    const auto pictureEntry = [&](const QString& label, const QString& suffix, const QString& filter) {
        menu->addAction(label, plot, [plot, label, name, suffix, filter] {
            choosePath(plot, label, name, suffix, filter, [plot](const QString& path) { return savePlot(plot, path); });
        });
    };
    pictureEntry(tr("Save as PNG (2×)…"), QStringLiteral(".png"), tr("PNG picture (*.png)"));
    pictureEntry(tr("Save as SVG…"), QStringLiteral(".svg"), tr("SVG drawing (*.svg)"));
    pictureEntry(tr("Save as PDF…"), QStringLiteral(".pdf"), tr("PDF document (*.pdf)"));
    menu->addAction(tr("Save data as CSV…"), plot, [plot, name, csv] {
        choosePath(plot, tr("Save data as CSV"), name, QStringLiteral(".csv"), tr("CSV table (*.csv)"),
                   [csv](const QString& path) { return saveText(csv(), path); });
    });
    menu->addSeparator();
    menu->addAction(tr("Copy as PNG"), plot, [plot] { QApplication::clipboard()->setImage(picture(plot)); });
    menu->addAction(tr("Copy as SVG"), plot, [plot] { copyTyped(QStringLiteral("image/svg+xml"), svg(plot)); });
    menu->addAction(tr("Copy data as CSV"), plot, [csv] { copyTyped(QStringLiteral("text/csv"), csv().toUtf8()); });
}

void addExportMenu(QWidget* plot, const QString& name, std::function<QString()> csv) {
    plot->installEventFilter(new MenuFilter(plot, name, std::move(csv)));
}

} // namespace bw
