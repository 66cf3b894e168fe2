#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds everything and runs all tests on any Debian 12 machine: the engine's tests under the address and undefined-
# behaviour sanitizers first, then each reader of foreign files against half a minute of mangled ones, then every test of the
# optimized build (offscreen window, software Vulkan), whose ctest summary is the last thing printed.
#   ./packaging/test.sh [--fast]   (--fast: only tests labelled fast, no sanitizers, no mangled files)
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/dependencies.sh
ensure_packages $BUILD_PACKAGES $TEST_PACKAGES

jobs=$(nproc)
# Lets clones of the same sources share what ccache holds, wherever they lie.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
export QT_QPA_PLATFORM=offscreen
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
select=()
if [ "${1:-}" = "--fast" ]; then
  select=(-L fast)
else
  echo "== sanitizers: engine and its unit tests"
  cmake --preset asan >/dev/null
  cmake --build --preset asan -j "$jobs" --target unit_tests -- --quiet
  # Tests of quality that take a sanitizer half a minute each, over code that shorter tests run too; the optimized build
  # runs them all.
  long='Methods\.(GptqKeeps|GptqBeats|AreRanked)|Runner\.MixBeats|Pareto\.FillsTheStretches|OneMebibyteThroughOtherModels'
  long+='|Transform\.threadsChangeNothing|Runtime(Estimates|Schemes\.SparseOutliers)|Clip\.AModels|GptqKl\.TheRest|GptqCells\.DoNotDepend'
  long+='|ResultWarnings\.InversionOf'
  ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    ctest --preset asan -R '^unit_' -E "$long" -L fast -j "$jobs" --timeout 600 --progress
  echo "== mangled files, half a minute for each reader"
  tests/fuzz/run.sh 30
fi
echo "== optimized build and all tests"
cmake --preset release >/dev/null
cmake --build --preset release -j "$jobs" -- --quiet
ctest --preset release "${select[@]}" -j "$jobs" --timeout 600 --progress
