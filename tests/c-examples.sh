#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The programs of examples/c do what their first lines say.  With PREFIX they are compiled
# against what is installed there (make installcheck), DESTDIR being what stands before the
# folders that it will have.
top=${TOP_SRCDIR:-.} built=${TOP_BUILDDIR:-.}/examples/c
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0
if [ -n "${PREFIX-}" ]; then
    if [ -n "${DESTDIR-}" ]; then # what bragg.pc names is not there yet
        found=$(pkg-config --variable=pcfiledir bragg) || exit 99
        sed "s,^\([a-z_]*\)=/,\1=$DESTDIR/," "$found/bragg.pc" >"$work/bragg.pc"
        PKG_CONFIG_PATH=$work:${PKG_CONFIG_PATH-}
        export PKG_CONFIG_PATH
    fi
    flags=$(pkg-config --cflags --libs bragg) || exit 99
    for source in "$top"/examples/c/*.c; do
        # shellcheck disable=SC2086 # several words
        ${CC:-cc} -std=gnu11 "$source" $flags -lm -o "$work/$(basename "$source" .c)" || bad=1
    done
    built=$work
fi
"$built/refine-loop" "$top/cif/Ni.cif" >"$work/out" || bad=1
# within five standard deviations of the truth each, and a fit that the noise explains
awk '{split($4, v, /[()]/); d = (v[1] - $7) / v[2]; n++; if (!(d * d < 25 && $9 > 0.9 && $9 < 1.1)) bad = 1}
     END {exit bad || n != 10}' "$work/out" || { echo "refine-loop:"; cat "$work/out"; bad=1; }
"$built/refine-loop" "$top/cif/no-such.cif" 2>"$work/said" && bad=1
grep -q no-such.cif "$work/said" || { echo "refine-loop: no message for a missing file"; bad=1; }
"$built/cluster-pdf" "$top/cif/Ni.cif" 28 >"$work/out" || bad=1
# the cell to 0.02 %, the diameter and what the atoms tremble to 1 %, of 1000 atoms
awk '/cell.a/ {a = $2} /spdiameter/ {d = $2} /uiso/ {u = $2} /^atoms/ {n = $2}
     END {exit !(a > 3.5230 && a < 3.5250 && d > 27.7 && d < 28.3 && u > 0.00614 && u < 0.00626 && n > 900 && n < 1200)}' "$work/out" ||
    { echo "cluster-pdf:"; cat "$work/out"; bad=1; }
"$built/cluster-pdf" "$top/cif/no-such.cif" 2>"$work/said" && bad=1
grep -q no-such.cif "$work/said" || { echo "cluster-pdf: no message for a missing file"; bad=1; }
frames=${BRAGG_SHARED:-$top/../shared}/data/frames
if [ -e "$frames/CeO2_Pilatus1M.tif" ]; then
    "$built/integrate-stack" "$frames/CeO2_Pilatus1M.poni" "$frames/CeO2_Pilatus1M.tif" >"$work/out" || bad=1
    awk '$2 > 0 && $4 > 0 && $6 > 0 {n++} END {exit n != 1}' "$work/out" || { echo "integrate-stack:"; cat "$work/out"; bad=1; }
else
    echo "no frames in $frames: integrate-stack not run"
fi
exit $bad
