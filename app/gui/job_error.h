// SPDX-License-Identifier: GPL-3.0-or-later
// What a failed piece of work says to people: the engine's error, or a foreign exception turned into one.
#pragma once

#include <QString>
#include <exception>

namespace bw {

struct JobError {
    QString code, message, hint;
    QString details; ///< code, message, context and hint as lines, to be copied
    bool cancelled = false;
    bool isEmpty() const { return code.isEmpty(); }
};

/// All texts come out escaped: names from files hold no control or direction characters any more.
JobError describeError(const std::exception_ptr& failure);

} // namespace bw
