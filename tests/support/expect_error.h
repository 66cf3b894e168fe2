// SPDX-License-Identifier: GPL-3.0-or-later
// Expects that a call throws bw::Error with a code, and gives the error back for a look at its words.
#pragma once

#include "core/base/error.h"

#include <gtest/gtest.h>

namespace bw::test {

template <class Call>
Error expectError(ErrorCode code, Call&& call) {
    try {
        call();
    } catch (const Error& e) {
        EXPECT_STREQ(errorCodeName(code), errorCodeName(e.code())) << e.oneLine();
        return e;
    }
    ADD_FAILURE() << "no error; expected " << errorCodeName(code);
    return Error(ErrorCode::internal, "no error was thrown");
}

} // namespace bw::test
