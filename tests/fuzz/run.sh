#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the libFuzzer targets (clang, address and undefined-behaviour sanitizers) and runs each for SECONDS, two at a
# time, from the committed corpora. New inputs go to build/fuzz/found/TARGET; a finding ends the script with exit 1 and
# lies in build/fuzz/crashes.   tests/fuzz/run.sh [SECONDS=60] [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds="${1:-60}"
shift || true
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(safetensors gguf tokenizer tokenizer_model imatrix recipe)
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
cmake --preset asan >/dev/null
cmake --build --preset asan -j "$(nproc)" --target fuzzers -- --quiet
mkdir -p build/fuzz/crashes
# Inputs become files in memory, so that one costs microseconds.
BITWRIGHT_FUZZ_FOLDER=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" bitwright-fuzz-XXXXXX)
export BITWRIGHT_FUZZ_FOLDER
trap 'rm -rf "$BITWRIGHT_FUZZ_FOLDER"' EXIT

run_one() {
  local target="$1" work="build/fuzz/found/$1" log="build/fuzz/$1.log"
  mkdir -p "$work"
  # 25 s and 2 GB: far above what any input may cost.
  if ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
      "build/asan/bin/fuzz_$target" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/crashes/$target-" "$work" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
    echo "fuzz $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
  else
    echo "fuzz $target: FOUND, see $log"
    grep -m1 -E "ERROR|runtime error" "$log" || true
    return 1
  fi
}

failed=0
for ((i = 0; i < ${#targets[@]}; i += 2)); do
  run_one "${targets[i]}" & first=$!
  second=""
  if [ $((i + 1)) -lt ${#targets[@]} ]; then run_one "${targets[i + 1]}" & second=$!; fi
  wait "$first" || failed=1
  if [ -n "$second" ]; then wait "$second" || failed=1; fi
done
exit "$failed"
