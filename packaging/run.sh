#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds Bitwright on any Debian 12 machine and runs the main job on the embedded demo model: calibrate, sweep, solve,
# quantize, export, evaluate, compare. Prints the report, then opens the window on its log when there is a display.
#   ./packaging/run.sh [FOLDER]     results go to FOLDER (default: build/demo)
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/dependencies.sh
ensure_packages $BUILD_PACKAGES

export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1 # clones of the same sources share what ccache holds
cmake --preset release >/dev/null
cmake --build --preset release -j "$(nproc)" --target bitwright bitwright-cli -- --quiet

out="${1:-build/demo}"
mkdir -p "$out"
build/release/bin/bitwright-cli demo --out "$out" --log "$out/experiments.db"
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  exec build/release/bin/bitwright --demo --log "$out/experiments.db" --workspace mix
fi
echo "No display here. To look at the results in the window: build/release/bin/bitwright --demo --log $out/experiments.db"
