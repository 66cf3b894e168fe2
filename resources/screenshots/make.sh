#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the README's pictures: every workspace, light and dark, of the real program with real results of the demo model. Needs no
# display; the person's own log and settings are not touched. ImageMagick brings the pictures to a palette (a third of the size).
#   resources/screenshots/make.sh [PROGRAM] [FOLDER]    (default: build/release/bin/bitwright, this folder)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=${1:-$here/../../build/release/bin/bitwright}
out=${2:-$here}
mkdir -p "$out"
work=/var/tmp/bitwright-demo # its name stands in the pictures
mkdir "$work"
trap 'rm -rf "$work"' EXIT
ln -s "$(cd "$here/../demo" && pwd)" "$work/demo"
ln -s "$(cd "$here/../texts" && pwd)" "$work/texts"
mkdir "$work/config" "$work/data" "$work/cache" "$work/state"
export XDG_CONFIG_HOME="$work/config" XDG_DATA_HOME="$work/data" XDG_CACHE_HOME="$work/cache" XDG_STATE_HOME="$work/state"
export QT_QPA_PLATFORM=offscreen BITWRIGHT_RESOURCES="$work"
# The first picture waits for the whole road: calibrate, measure, mix, quantize, compare. The others find its results in the log.
for workspace in model calibrate mix runs compare; do
    for theme in light dark; do
        "$program" --language en --demo --log "$work/demo.db" --workspace "$workspace" --theme "$theme" --screenshot "$work/shot.png"
        convert "$work/shot.png" +dither -colors 256 -strip -define png:compression-level=9 "PNG8:$out/$workspace-$theme.png"
    done
done
ls -l "$out"/*.png
