#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Demos end to end: nothing of the truth reaches the analysis, what is compared is
# within a few esd, a run of few frames finds its phases, wrong names are refused.
top=${TOP_SRCDIR:-.} bragg=${TOP_BUILDDIR:-.}/bragg
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0
fail() { echo "$*"; bad=1; }
# of every object whose name matches $2: its number $3
numbers() { awk -v name="$2" -v key="\"$3\":" '/"name":/ { hit = $0 ~ name } hit && $1 == key { sub(",", "", $2); print $2 }' "$1"; }

# each example is listed by its name
"$bragg" demo --list >"$work/list" || fail "--list failed"
for truth in "$top"/examples/*/truth.yaml; do
    name=$(basename "$(dirname "$truth")")
    grep -q "^$name " "$work/list" || fail "$name is not listed"
done

# total scattering: all distances move as in the truth, cells within four esd
"$bragg" demo bisnsb-pdf -o "$work/pdf" --json >"$work/pdf.json" 2>"$work/err" || { fail "bisnsb-pdf failed"; cat "$work/err"; }
ls "$work"/pdf/truth* >/dev/null 2>&1 && fail "the truth file was copied into the analysis"
pulls=$(numbers "$work/pdf.json" 'cell\\.|uiso|shift of the' pull)
[ "$(echo "$pulls" | wc -l)" -ge 12 ] || fail "bisnsb-pdf compared $(echo "$pulls" | wc -l) cells and distances"
for p in $pulls; do
    awk -v p="$p" 'BEGIN { exit !(p > -4 && p < 4) }' || fail "bisnsb-pdf: pull $p"
done

# one pattern: its phases are named by the cards and neither is missed
"$bragg" demo cote2-znte -o "$work/two" --json >"$work/two.json" 2>"$work/err" || { fail "cote2-znte failed"; cat "$work/err"; }
pulls=$(numbers "$work/two.json" '(ZnTe|CoTe2)\\.[abcw]' pull)
[ "$(echo "$pulls" | wc -l)" = 6 ] || fail "cote2-znte compared '$pulls'"
for p in $pulls; do
    awk -v p="$p" 'BEGIN { exit !(p > -4 && p < 4) }' || fail "cote2-znte: pull $p"
done
shares=$(numbers "$work/two.json" 'named|worse' share | tr '\n' ' ')
[ "$shares" = "1.0 1.0 1.0 1.0 " ] || fail "cote2-znte: shares '$shares' of phases named, there, and missed when left out"
[ -s "$work/two/CoTe2-ZnTe-rietveld.pdf" ] && [ -s "$work/two/CoTe2-ZnTe.json" ] || fail "cote2-znte drew no fit"

# a run of few frames, from a folder of data of its own
data=$work/data
mkdir -p "$data/examples/short"
ln -s "$(cd "$top/cif" && pwd)" "$data/cif"
sed 's/frames: 200/frames: 8/; s/every_s: 300/every_s: 2500/' "$top/examples/bi-k-operando/truth.yaml" >"$data/examples/short/truth.yaml"
cp "$top/examples/bi-k-operando/experiment.yaml" "$data/examples/short/"
BRAGG_DATADIR=$data "$bragg" demo short -o "$work/short" --json >"$work/short.json" 2>"$work/err" || { fail "the short run failed"; cat "$work/err"; }
for file in results/series.csv results/series.json results/map.png cycler.mpt; do
    [ -s "$work/short/$file" ] || fail "the short run left no $file"
done
# bismuth, whose peaks stand out, is right in most
share=$(numbers "$work/short.json" '"Bi.weight within' share)
awk -v s="${share:-0}" 'BEGIN { exit !(s >= 0.7) }' || fail "weight of bismuth right in a share of '$share'"

# frames of two states on a small detector, after one of a calibrant
mkdir "$data/examples/states"
cp "$top"/examples/bisnsb-sxrd/[MS]-BiSnSb.yaml "$top/examples/bisnsb-sxrd/BiSnSb.cif" "$data/examples/states"
cat >"$data/examples/states/truth.yaml" <<'END'
title: two states and a calibrant on a small detector
seed: 71
radiation: {wavelength: 0.24125, polarization: 0.99}
detector: {name: Pilatus300K, distance_m: 0.2137, poni1_m: 0.0137, poni2_m: 0.0168, rot1_rad: 0.0051, rot2_rad: -0.0037, gaps: true, dead_pixels: 40}
instrument: {u: 0.002, v: -0.0003, w: 0.0004, x: 0.0008, y: 0.002}
frames:
  - {name: LaB6, counts: 4000, background: 0.03, phases: [{card: LaB6, weight: 1, size_nm: 300}]}
  - name: M-BiSnSb
    counts: 2500
    background: 0.06
    phases: [{card: BiSnSb.cif, weight: 1, cell: {a: 4.4073, c: 11.7094}, size_nm: 26, strain: 2900, uiso: 0.0131}]
  - name: S-BiSnSb
    counts: 2200
    background: 0.06
    phases: [{card: BiSnSb.cif, weight: 1, cell: {a: 4.5327, c: 11.7903}, size_nm: 38, strain: 1200, uiso: 0.0117}]
END
BRAGG_DATADIR=$data "$bragg" demo states -o "$work/states" >"$work/states.txt" 2>"$work/err" || { fail "the states failed"; cat "$work/err"; }
# name, truth, found: an angle of a pixel that is not a bin moves cells by 50 ppm or so
awk '/BiSnSb\.[ac] / { n++; r = $3 / $2 - 1; if (r < 0) r = -r; if (!(r < 2e-4)) bad = 1 } END { exit bad || n != 4 }' "$work/states.txt" ||
    fail "cells of the states: $(grep 'BiSnSb\.[ac] ' "$work/states.txt")"
change=$(sed -n 's/.*volume change.* pull *\([-+0-9.]*\).*/\1/p' "$work/states.txt")
awk -v p="${change:-9}" 'BEGIN { exit !(p > -4 && p < 4) }' || fail "volume change of the states: pull '$change'"
[ -s "$work/states/S-BiSnSb-rietveld.svg" ] && grep -q 'rings.*rms' "$work/states/calibrate.txt" || fail "the states left no figure or were not calibrated"

"$bragg" demo no-such-demo -o "$work/none" 2>"$work/err" && fail "a demo of no name ran"
grep -q "bragg demo --list" "$work/err" || fail "a wrong name is not helped: $(cat "$work/err")"
"$bragg" demo ../cif -o "$work/none" 2>"$work/err" && fail "a path was taken for a name"
exit $bad
