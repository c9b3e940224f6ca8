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

"$bragg" demo no-such-demo -o "$work/none" 2>"$work/err" && fail "a demo of no name ran"
grep -q "bragg demo --list" "$work/err" || fail "a wrong name is not helped: $(cat "$work/err")"
"$bragg" demo ../cif -o "$work/none" 2>"$work/err" && fail "a path was taken for a name"
exit $bad
