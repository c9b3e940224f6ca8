#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Files, folders, cards and titles of any name: blanks, quotes, commas, dots, other scripts.
top=$(cd "${TOP_SRCDIR:-.}" && pwd) bragg=$(cd "${TOP_BUILDDIR:-.}" && pwd)/bragg
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
bad=0
fail() { echo "$*: $(tail -2 err 2>/dev/null)"; bad=1; }
run() { "$bragg" "$@" >out 2>err; }

# an experiment that identify has written is one that refine takes, whatever cards and files are called
folder='a "b", c'
mkdir "$folder" cifs && cp "$top/tests/chaos/nickel.xye" "$folder/ni < ck & el.xye" && cp "$top/cif/Ni.cif" 'cifs/Ni (fcc) 1.5.cif'
run identify "$folder/ni < ck & el.xye" -w 0.4066 --cards cifs -o "$folder/my run.1.yaml" || fail "identify"
run refine "$folder/my run.1.yaml" -o "$folder/out put" || fail "refine what identify has written"
[ -s "$folder/out put/fit.json" ] || fail "no fit.json"
run report "$folder/out put" -o "$folder/report.html" || fail "report"

[ $bad = 0 ] && echo "all were as they should be"
exit $bad
