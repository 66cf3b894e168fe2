// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/job_error.h"

#include "app/common/diagnostics.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <QCoreApplication>
#include <QStringList>
#include <new>

namespace bw {
namespace {

// Long enough for a path and a sentence; an attacker's megabyte of name is cut.
constexpr std::size_t kMessageLimit = 1200;

QString clean(const std::string& text) { return QString::fromStdString(escapeForDisplay(text, kMessageLimit)); }

QString tr(const char* text) { return QCoreApplication::translate("bw", text); }

JobError make(const char* code, QString message, QString hint) {
    JobError error{QString::fromLatin1(code), std::move(message), std::move(hint), {}, false};
    error.details = QStringLiteral("%1: %2\n%3").arg(error.code, error.message, error.hint).trimmed();
    return error;
}

/// As `make`, and into the diary.
JobError noted(JobError error) {
    noteError(error.details.toStdString());
    return error;
}

} // namespace

JobError describeError(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const Error& e) {
        JobError error = make(errorCodeName(e.code()), clean(e.message()), clean(e.hint()));
        error.cancelled = e.code() == ErrorCode::cancelled;
        QStringList lines{QStringLiteral("%1: %2").arg(error.code, error.message)};
        for (const auto& [key, value] : e.context()) lines << QStringLiteral("  %1: %2").arg(clean(key), clean(value));
        if (!error.hint.isEmpty()) lines << error.hint;
        error.details = lines.join(QLatin1Char('\n'));
        return noted(std::move(error));
    } catch (const std::bad_alloc&) {
        return noted(make(errorCodeName(ErrorCode::outOfMemory), tr("There was not enough memory."),
                          tr("Use fewer samples or a shorter length, or close other programs.")));
    } catch (const std::exception& e) {
        return noted(make(errorCodeName(ErrorCode::internal), clean(e.what()),
                          tr("This is a fault of the program. Please copy the details and report them.")));
    }
}

} // namespace bw
