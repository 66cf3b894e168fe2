// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/help_window.h"

#include "widgets/theme/theme.h"

#include <QAbstractTextDocumentLayout>
#include <QAction>
#include <QDesktopServices>
#include <QDir>
#include <QFile>
#include <QHBoxLayout>
#include <QImageReader>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QRegularExpression>
#include <QSplitter>
#include <QTextBlock>
#include <QTextBrowser>
#include <QTextFrame>
#include <QTextTable>
#include <QTimer>
#include <QToolBar>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {
namespace {

constexpr qreal kLeastRoom = 100; ///< px; before the first layout there is none
constexpr qreal kTableEdge = 8;   ///< px: a table as wide as the page gets its borders on top of that
constexpr int kFileRole = Qt::UserRole;
constexpr qint64 kMostBytes = 1 << 20; ///< of a page

QString titleOf(const QString& text, const QString& file) {
    static const QRegularExpression heading(QStringLiteral("^#\\s+(.+)$"), QRegularExpression::MultilineOption);
    const auto match = heading.match(text);
    return match.hasMatch() ? match.captured(1).trimmed() : file;
}

/// Headings become anchors as on the web: lower case, words joined by hyphens.
QString anchorOf(const QString& heading) {
    QString anchor = heading.toLower();
    anchor.remove(QRegularExpression(QStringLiteral("[^\\p{L}\\p{N} _-]")));
    return anchor.simplified().replace(QLatin1Char(' '), QLatin1Char('-'));
}

QStringList wordsOf(const QString& query) { return query.simplified().split(QLatin1Char(' '), Qt::SkipEmptyParts); }

/// How well a page answers: words in the title weigh most, then how often they stand in the text; 0 when one is missing.
int scoreOf(const HelpPage& page, const QStringList& words) {
    int score = 0;
    for (const QString& word : words) {
        const int times = int(page.text.count(word, Qt::CaseInsensitive));
        if (times == 0) return 0;
        score += std::min(times, 20) + (page.title.contains(word, Qt::CaseInsensitive) ? 100 : 0);
    }
    return score;
}

} // namespace

QList<HelpPage> readHelp(const QString& folder) {
    QList<HelpPage> pages;
    const QDir dir(folder);
    QStringList names = dir.entryList({QStringLiteral("*.md")}, QDir::Files, QDir::Name);
    const auto take = [&](const QString& name) {
        QFile file(dir.filePath(name));
        if (!names.removeOne(name) || !file.open(QIODevice::ReadOnly)) return;
        const QString text = QString::fromUtf8(file.read(kMostBytes));
        pages << HelpPage{name, titleOf(text, name), text};
    };
    take(QStringLiteral("index.md"));
    if (!pages.isEmpty()) {
        static const QRegularExpression link(QStringLiteral("\\]\\(([\\w-]+\\.md)"));
        auto found = link.globalMatch(QString(pages.first().text));
        while (found.hasNext()) take(found.next().captured(1));
    }
    for (const QString& name : QStringList(names)) take(name);
    return pages;
}

HelpWindow::HelpWindow(const QString& folder, QWidget* parent)
    : QMainWindow(parent), folder_(folder), pages_(readHelp(folder)), search_(new QLineEdit(this)), contents_(new QListWidget(this)),
      browser_(new QTextBrowser(this)), hits_(new QLabel(this)) {
    setObjectName(QStringLiteral("help"));
    setWindowTitle(tr("Bitwright manual"));
    setWindowFlag(Qt::Window);
    resize(1120, 800);
    setMinimumSize(560, 360);
    buildBar();
    contents_->setAccessibleName(tr("Contents"));
    contents_->setMinimumWidth(180);
    contents_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff); // a long title ends in …
    contents_->setStyleSheet(QStringLiteral("QListWidget::item { padding: 5px 12px; }"));
    browser_->setAccessibleName(tr("Page"));
    browser_->setOpenLinks(false);
    browser_->setFrameShape(QFrame::NoFrame);
    browser_->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOn); // pages are long, and the width must not change as one is laid out
    browser_->viewport()->installEventFilter(this);
    auto* split = new QSplitter(this);
    split->addWidget(contents_);
    split->addWidget(browser_);
    split->setStretchFactor(1, 1);
    split->setSizes({250, 870});
    split->setChildrenCollapsible(false);
    setCentralWidget(split);
    fillContents();
    connect(contents_, &QListWidget::currentItemChanged, this, [this](QListWidgetItem* item) {
        if (item && item->data(kFileRole).toString() != currentPage()) showPage(item->data(kFileRole).toString());
    });
    connect(browser_, &QTextBrowser::anchorClicked, this, [this](const QUrl& link) {
        if (link.scheme().startsWith(QStringLiteral("http"))) QDesktopServices::openUrl(link);
        else if (link.path().isEmpty()) browser_->scrollToAnchor(link.fragment());
        else showPage(link.toString());
    });
    connect(browser_, &QTextBrowser::historyChanged, this, [this] { // source() is the new one by then
        for (int i = 0; i < contents_->count(); ++i)
            if (contents_->item(i)->data(kFileRole).toString() == currentPage()) contents_->setCurrentRow(i);
        style();
        markHits();
    });
    connect(&Theme::instance(), &Theme::changed, this, [this] { render(currentPage()); });
    showPage({});
}

void HelpWindow::buildBar() {
    auto* bar = addToolBar(tr("Navigation"));
    bar->setMovable(false);
    back_ = bar->addAction(QStringLiteral("←"), browser_, &QTextBrowser::backward);
    back_->setToolTip(tr("Back (Alt+Left)"));
    back_->setShortcut(QKeySequence::Back);
    forward_ = bar->addAction(QStringLiteral("→"), browser_, &QTextBrowser::forward);
    forward_->setToolTip(tr("Forward (Alt+Right)"));
    forward_->setShortcut(QKeySequence::Forward);
    back_->setEnabled(false);
    forward_->setEnabled(false);
    connect(browser_, &QTextBrowser::backwardAvailable, back_, &QAction::setEnabled);
    connect(browser_, &QTextBrowser::forwardAvailable, forward_, &QAction::setEnabled);
    search_->setPlaceholderText(tr("Search the manual"));
    search_->setAccessibleName(search_->placeholderText());
    search_->setClearButtonEnabled(true);
    search_->addAction(Theme::instance().icon(QStringLiteral("search")), QLineEdit::LeadingPosition);
    hits_->setProperty("role", QStringLiteral("muted"));
    bar->addWidget(search_);
    bar->addWidget(hits_);
    connect(search_, &QLineEdit::textChanged, this, &HelpWindow::search);
    connect(search_, &QLineEdit::returnPressed, this, [this] { nextHit(false); });
    const auto key = [this](const QKeySequence& keys, auto&& act) {
        auto* action = new QAction(this);
        action->setShortcut(keys);
        addAction(action);
        connect(action, &QAction::triggered, this, act);
    };
    key(QKeySequence::Find, [this] {
        search_->setFocus();
        search_->selectAll();
    });
    key(QKeySequence::FindNext, [this] { nextHit(false); });
    key(QKeySequence::FindPrevious, [this] { nextHit(true); });
    key(QKeySequence(Qt::Key_Escape), [this] { search_->text().isEmpty() ? static_cast<void>(close()) : search_->clear(); });
}

void HelpWindow::fillContents() {
    contents_->clear();
    for (const HelpPage& page : std::as_const(pages_)) {
        auto* item = new QListWidgetItem(page.title, contents_);
        item->setData(kFileRole, page.file);
    }
}

/// Only pages with all the words stay in the list, the best answer first.
void HelpWindow::search(const QString& query) {
    const QStringList words = wordsOf(query);
    const QString before = currentPage();
    const QSignalBlocker quiet(contents_);
    fillContents();
    if (!words.isEmpty()) {
        QList<QPair<int, int>> found; // score, row
        for (int i = 0; i < pages_.size(); ++i)
            if (const int score = scoreOf(pages_[i], words)) found << qMakePair(-score, i);
        std::sort(found.begin(), found.end());
        contents_->clear();
        for (const auto& [score, row] : std::as_const(found)) {
            auto* item = new QListWidgetItem(pages_[row].title, contents_);
            item->setData(kFileRole, pages_[row].file);
        }
        hits_->setText(found.isEmpty() ? tr("not found") : QString());
        const bool here = std::any_of(found.begin(), found.end(), [&](const auto& f) { return pages_[f.second].file == before; });
        if (!found.isEmpty() && !here) showPage(contents_->item(0)->data(kFileRole).toString());
    } else {
        hits_->clear();
    }
    for (int i = 0; i < contents_->count(); ++i)
        if (contents_->item(i)->data(kFileRole).toString() == currentPage()) contents_->setCurrentRow(i);
    markHits();
}

QString HelpWindow::currentPage() const { return browser_->source().path(); }

void HelpWindow::showPage(const QString& file) {
    if (pages_.isEmpty()) {
        browser_->setPlainText(tr("The manual is not installed: there is no folder help in the program's resources."));
        return;
    }
    const QString name = file.section(QLatin1Char('#'), 0, 0), anchor = file.section(QLatin1Char('#'), 1);
    const bool known = std::any_of(pages_.begin(), pages_.end(), [&](const HelpPage& p) { return p.file == name; });
    render(known ? name : pages_.first().file);
    if (!anchor.isEmpty()) browser_->scrollToAnchor(anchor);
}

void HelpWindow::render(const QString& file) {
    browser_->setSearchPaths({folder_});
    browser_->setSource(QUrl(file), QTextDocument::MarkdownResource);
    if (browser_->source() == QUrl(file)) style();
}

/// What Markdown leaves open: room around headings and tables, a ground under code, anchors at headings.
void HelpWindow::style() {
    const Tokens& t = Theme::instance().tokens();
    QTextDocument* document = browser_->document();
    document->setDocumentMargin(24);
    for (QTextBlock block = document->begin(); block.isValid(); block = block.next()) {
        QTextCursor cursor(block);
        QTextBlockFormat format = block.blockFormat();
        if (format.headingLevel() > 0) {
            format.setTopMargin(format.headingLevel() == 1 ? 4 : 18);
            format.setBottomMargin(6);
            cursor.select(QTextCursor::BlockUnderCursor);
            QTextCharFormat letters;
            letters.setAnchor(true);
            letters.setAnchorNames({anchorOf(block.text())});
            cursor.mergeCharFormat(letters);
        } else if (format.hasProperty(QTextFormat::BlockCodeFence) || format.hasProperty(QTextFormat::BlockCodeLanguage) || format.nonBreakableLines()) {
            format.setBackground(t.raised);
            format.setLeftMargin(12);
            format.setNonBreakableLines(false); // a long line goes on in the next rather than out of the page
        } else if (!cursor.currentTable()) {
            const bool item = block.textList() != nullptr, more = item && block.next().textList() == block.textList();
            format.setBottomMargin(more ? 3 : 9);
            format.setLineHeight(item ? 118 : 125, QTextBlockFormat::ProportionalHeight);
        }
        QTextCursor(block).setBlockFormat(format);
    }
    for (QTextFrame* frame : document->rootFrame()->childFrames()) {
        if (auto* table = qobject_cast<QTextTable*>(frame)) {
            QTextTableFormat format = table->format();
            format.setBorder(1);
            format.setBorderCollapse(true);
            format.setBorderBrush(t.line);
            format.setCellPadding(5);
            format.setBottomMargin(12);
            table->setFormat(format);
        }
    }
    browser_->moveCursor(QTextCursor::Start);
    fit();
}

/// Nothing is wider than the page: pictures shrink, wide tables break their cells.
void HelpWindow::fit() {
    QTextDocument* document = browser_->document();
    const qreal room = browser_->viewport()->width() - 2 * document->documentMargin();
    if (room < kLeastRoom) return;
    struct Picture { int at, length; QTextImageFormat format; };
    QVector<Picture> pictures;
    for (QTextBlock block = document->begin(); block.isValid(); block = block.next())
        for (auto part = block.begin(); !part.atEnd(); ++part)
            if (const QTextFragment f = part.fragment(); f.charFormat().isImageFormat()) pictures << Picture{f.position(), f.length(), f.charFormat().toImageFormat()};
    for (Picture& picture : pictures) {
        const qreal own = QImageReader(QDir(folder_).filePath(picture.format.name())).size().width(), width = std::min(own, room);
        if (own <= 0 || qFuzzyCompare(picture.format.width(), width)) continue;
        picture.format.setWidth(width);
        QTextCursor cursor(document);
        cursor.setPosition(picture.at);
        cursor.setPosition(picture.at + picture.length, QTextCursor::KeepAnchor);
        cursor.setCharFormat(picture.format);
    }
    for (QTextFrame* frame : document->rootFrame()->childFrames()) {
        auto* table = qobject_cast<QTextTable*>(frame);
        if (!table) continue;
        QTextTableFormat format = table->format();
        if (format.width().type() != QTextLength::VariableLength) { // how wide would it be by itself?
            format.setWidth(QTextLength());
            table->setFormat(format);
        }
        if (document->documentLayout()->frameBoundingRect(table).width() <= room - kTableEdge) continue;
        format.setWidth(QTextLength(QTextLength::FixedLength, room - kTableEdge));
        table->setFormat(format);
    }
}

bool HelpWindow::eventFilter(QObject* watched, QEvent* event) {
    if (watched == browser_->viewport() && event->type() == QEvent::Resize) QTimer::singleShot(0, this, &HelpWindow::fit); // laid out by then
    return QMainWindow::eventFilter(watched, event);
}

/// Every hit of the words on this page is marked; the first comes into view.
void HelpWindow::markHits() {
    QList<QTextEdit::ExtraSelection> marks;
    QColor ground = Theme::instance().tokens().amber;
    ground.setAlpha(90);
    for (const QString& word : wordsOf(search_->text())) {
        QTextCursor at(browser_->document());
        while (!(at = browser_->document()->find(word, at)).isNull() && marks.size() < 500) {
            QTextEdit::ExtraSelection mark;
            mark.cursor = at;
            mark.format.setBackground(ground);
            marks << mark;
        }
    }
    browser_->setExtraSelections(marks);
    if (!search_->text().isEmpty() && !marks.isEmpty()) hits_->setText(tr("%1 here").arg(marks.size()));
}

void HelpWindow::nextHit(bool backwards) {
    const QStringList words = wordsOf(search_->text());
    if (words.isEmpty()) return;
    const QTextDocument::FindFlags flags = backwards ? QTextDocument::FindBackward : QTextDocument::FindFlags();
    if (browser_->find(words.first(), flags)) return;
    browser_->moveCursor(backwards ? QTextCursor::End : QTextCursor::Start); // round again
    browser_->find(words.first(), flags);
}

} // namespace bw
