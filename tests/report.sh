#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The report of a small run, of a refinement and of a fit to G(r), opened in a headless
# Chromium: a program acts as a reader would (tests/report/check.js), nothing is written to
# the console, in light and in dark, and the page prints.
set -u
src=$(cd "${TOP_SRCDIR:-.}" && pwd) bragg=$(cd "${TOP_BUILDDIR:-.}" && pwd)/bragg
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0
fail() { echo "$*"; bad=1; }
"$bragg" --version | grep -q 'no HDF5' && { echo "skipped: this build has no HDF5"; exit 77; }
"$bragg" simulate "$src/tests/report/truth.yaml" -o "$work/run" 2>"$work/err" || fail "simulate: $(cat "$work/err")"
cp "$src/tests/report/experiment.yaml" "$work/run"
"$bragg" operando "$work/run/experiment.yaml" -o "$work/series" --cif 2,9 >"$work/out" 2>"$work/err" || fail "operando: $(cat "$work/err")"
# one electron a copper is 421.8 mAh/g, on the map against capacity and beside it in electrons
awk -F, 'NR > 1 && $1 > top { top = $1 } END { exit !(top > 380 && top < 424) }' "$work/series/map-capacity.csv" || fail "another capacity"
awk -F, '/electrons/ && $3 > top { top = $3 } END { exit !(top > 0.98 && top < 1.02) }' "$work/series/map-capacity.curves.csv" || fail "not one electron"
# a chosen fit as pdCIF has the numbers of the table
rwp=$(awk -F, 'NR == 1 { for (k = 1; k <= NF; k++) if ($k == "rwp") c = k } NR == 11 { print $c }' "$work/series/series.csv")
grep -q "_pd_proc_ls_prof_wR_factor *$rwp" "$work/series/frame-00009.cif" && [ -s "$work/series/frame-00002.cif" ] || fail "no pdCIF with Rwp $rwp"
grep -q ',VI,' "$work/series/states.csv" || fail "states are not named"
"$bragg" report "$work/series" -o "$work/series.html" 2>"$work/err" || fail "report: $(cat "$work/err")"
"$bragg" refine "$src/tests/chaos/nickel.yaml" -o "$work/fit" >"$work/out" 2>"$work/err" || fail "refine: $(cat "$work/err")"
"$bragg" report "$work/fit" -o "$work/fit.html" 2>"$work/err" || fail "report: $(cat "$work/err")"
grep -q '<td>phase.Ni.cell.a = b = c</td>' "$work/fit.html" || fail "what is tied stands in rows of its own"
# asked to end twice while it draws it leaves nothing
mkdir "$work/tmp"
TMPDIR=$work/tmp "$bragg" report "$work/series" -o "$work/late.html" 2>"$work/err" &
late=$!
for k in $(seq 500); do
    [ -z "$(ls "$work/tmp")" ] || break
    sleep 0.01
done
kill -TERM $late 2>/dev/null && sleep 0.02 && kill -TERM $late 2>/dev/null
wait $late
[ -z "$(ls "$work/tmp")" ] || fail "a report that was stopped leaves $(ls "$work/tmp")"
"$bragg" pdf debye Ni --diameter 40 --uiso 0.006 -o "$work/nickel" >"$work/out" 2>"$work/err" || fail "pdf debye: $(cat "$work/err")"
cp "$src/tests/report/nickel-gr.yaml" "$work"
"$bragg" pdf fit "$work/nickel-gr.yaml" -o "$work/gr" >"$work/out" 2>"$work/err" || fail "pdf fit: $(cat "$work/err")"
"$bragg" report "$work/gr" -o "$work/gr.html" 2>"$work/err" || fail "report: $(cat "$work/err")"
for page in series fit gr; do
    grep -q '<title>' "$work/$page.html" || fail "$page.html has no title"
    grep -Eq '(src|href)="?https?:' "$work/$page.html" && fail "$page.html asks the network"
done
sed 's/<[^>]*>//g' "$work/series.html" | grep -q 'wt% at frame 11, 57 min' || fail "the time of a frame is written otherwise"
grep -q 'copper to &lt;bismuth&gt; &amp; back' "$work/series.html" || fail "the title is not escaped"
"$bragg" report "$work/series" -o "$work/series.html" 2>"$work/err" && fail "an existing page was overwritten"
[ $bad = 0 ] || exit 1
"$bragg" --version | grep -q 'no uPlot' && { echo "skipped: this build has no uPlot, reports are still"; exit 77; }
chromium=
for name in ${CHROMIUM:-chromium chromium-browser google-chrome}; do
    command -v "$name" >/dev/null 2>&1 && { chromium=$name; break; }
done
[ -n "$chromium" ] || { echo "skipped: no Chromium to open the pages with"; exit 77; }
browse() { # options
    "$chromium" --headless --disable-gpu --no-first-run --disable-background-networking --disable-dev-shm-usage \
        --user-data-dir="$work/profile" $([ "$(id -u)" = 0 ] && echo --no-sandbox) --window-size=1200,900 \
        --enable-logging=stderr --virtual-time-budget=60000 "$@" 2>"$work/console"
}
browse --dump-dom about:blank >"$work/dom" || { echo "skipped: Chromium does not start here: $(tail -1 "$work/console")"; exit 77; }
look() { # page, what to expect, options of the browser
    page=$1 hash=$2
    shift 2
    { sed 's,</body></html>,,' "$work/$page.html"; echo '<script>'; cat "$src/tests/report/check.js"; echo '</script></body></html>'; } >"$work/checked.html"
    browse "$@" --dump-dom "file://$work/checked.html#$hash" >"$work/dom"
    sed -n '/<pre id="check">/,/<\/pre>/p' "$work/dom" | sed 's/.*<pre id="check">//;s,</pre>.*,,' >"$work/lines"
    grep -q '^end' "$work/lines" || fail "$page $hash: the check did not end"
    grep '^FAIL' "$work/lines" && fail "$page $hash: $(grep -c '^ok' "$work/lines") were good"
    grep ':CONSOLE' "$work/console" && fail "$page $hash: something was written to the console"
    echo "$page $hash: $(grep -c '^ok' "$work/lines") checks"
    [ -z "${VERBOSE:-}" ] || cat "$work/lines"
}
look series kind=series
look series 'kind=series&dark=1' --blink-settings=preferredColorScheme=0
look fit 'kind=fits&axis=tth'
look gr 'kind=fits&axis=r'
browse --print-to-pdf="$work/series.pdf" "file://$work/series.html" >/dev/null
[ "$(head -c 4 "$work/series.pdf")" = %PDF ] || fail "the page does not print"
exit $bad
