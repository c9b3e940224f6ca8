#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Each allocation of ours fails once: the command must end with a message and the status of
# an internal error, or give the same answer as ever; never die, never leave a half file nor
# memory that it would have freed.
# CHAOS_STEP=K tries every Kth allocation (1: all, as make chaos does; places: the first and
# the last of those that are reached from the same place by the same way), CHAOS_ONLY='refine
# plot' these commands only (blanks in their names are hyphens there: cards-show).
top=$(cd "${TOP_SRCDIR:-.}" && pwd) build=$(cd "${TOP_BUILDDIR:-.}" && pwd)
bragg=$build/.libs/bragg chaos=$build/tests/chaos/.libs/chaos.so
[ -x "$bragg" ] && [ -e "$chaos" ] || { echo "no shared build to preload into"; exit 77; }
nm -D "$bragg" | grep -q __asan && { echo "a sanitizer has malloc already"; exit 77; }
nm "$bragg" | grep -q __gcov && { echo "gcov has no word on memory that it lacks at the end: it dies, and spoils its counts"; exit 77; }
export LC_ALL=C LD_LIBRARY_PATH=$build/.libs BRAGG_DATADIR=${BRAGG_DATADIR:-$top} OMP_NUM_THREADS=1
shared=${BRAGG_SHARED:-$top/../shared}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
bad=0 tried=0
export CHAOS_COUNT=$work/count
# the command with its allocations counted, the CHAOS_FAILth of them failing; a function of
# this script preloads what it means itself
with() {
    rm -rf out "$CHAOS_COUNT" && mkdir out
    if [ "$(type -t "$1")" = function ]; then "$@"; else timeout 120 env LD_PRELOAD="$chaos" "$@"; fi
}
wanted() { # name
    case " ${CHAOS_ONLY:-$1} " in *" $1 "*) ;; *) false ;; esac
}
counted() { # into the caller's total and left
    read -r total left 2>/dev/null <count && [ "${left:--1}" -ge 0 ]
}
# all, step, command: the numbers of the calls that fail
calls_of() {
    local all=$1 step=$2
    shift 2
    [ "$step" = places ] || { seq 1 "$step" "$all"; return; }
    CHAOS_FAIL=0 CHAOS_PLACES=$work/places with "$@" >again 2>/dev/null
    awk '!($2 in first) { first[$2] = $1 } { last[$2] = $1 } END { for (p in first) print first[p] "\n" last[p] }' places | sort -nu
}
# name, step, command: writes only below out/
try() {
    local name=$1 step=${CHAOS_STEP:-$2} total kept left all n=0 k rc
    wanted "${name// /-}" || return 0
    shift 2
    CHAOS_FAIL=0 with "$@" >plain 2>/dev/null || { echo "$name: failed without chaos"; bad=1; return; }
    counted && [ "$total" -gt 0 ] || { echo "$name: its allocations were not counted"; bad=1; return; }
    kept=$left all=$total
    for k in $(calls_of "$all" "$step" "$@"); do
        n=$((n + 1))
        CHAOS_FAIL=$k with "$@" >got 2>said
        rc=$?
        tried=$((tried + 1))
        if [ $rc = 0 ]; then
            grep -v '"seconds"' plain | cmp -s - <(grep -v '"seconds"' got) || { echo "$name: allocation $k of $all failed, yet another answer came with status 0"; bad=1; }
        elif [ $rc -ge 124 ]; then
            echo "$name: died of allocation $k of $all (status $rc)"
            bad=1
        elif [ $rc != 1 ]; then
            echo "$name: allocation $k of $all failed with status $rc, expected 1: $(tail -1 said)"
            bad=1
        elif ! [ -s said ]; then
            echo "$name: allocation $k of $all failed without a word"
            bad=1
        elif [ -n "$(find out -name '*.tmp*' -o -name '.*.??????')" ]; then
            echo "$name: allocation $k of $all left $(ls -A out)"
            bad=1
        fi
        [ $rc -lt 124 ] || continue
        if ! counted; then
            echo "$name: allocation $k of $all failed, and what was not freed was not counted"
            bad=1
        elif [ "$left" -gt "$kept" ]; then
            echo "$name: allocation $k of $all left $left blocks that nobody freed, $kept without chaos"
            bad=1
        fi
    done
    echo "$name: $n of $all allocations tried"
    [ "$n" -gt 0 ] || bad=1
}
inputs=$top/tests/chaos
try convert 1 "$bragg" convert "$inputs/nickel.xye" -w 0.4066 -u q_A^-1 out/x.xye
try refine 29 "$bragg" refine "$inputs/nickel.yaml" -o out/fit
mkdir run
for k in 1 2 3; do # nickel's first lines on a liquid
    awk -v k=$k 'BEGIN { print "# unit: q_A^-1"
        for (i = 1; i <= 700; i++) { q = 0.5 + 0.034 * i; y = 7e4 * (784 * exp(-0.12 * q) + 9) / 784 * (1 + 1.5 * sin(2.49 * q) / (2.49 * q))
            for (j = 1; j <= 3; j++) y += 4e4 / k * exp(-((q - (j < 2 ? 3.0877 : j < 3 ? 3.5654 : 5.0422)) / 0.05) ^ 2)
            printf "%.4f %.0f\n", q, y } }' >run/n$k.xye
done
cat >run.yaml <<'END'
radiation: {wavelength: 0.2066}
data: {patterns: "run/*.xye", range: [2, 6]}
phases: [{card: Ni, refine: [scale, cell]}]
refine: {background: {type: chebyshev, terms: 4}, parameters: [w]}
pdf: {composition: Ni, qmax: 20, rmax: 8}
END
try operando 53 "$bragg" operando run.yaml -o out/run --no-figures
[ -e "$shared/data/frames/CeO2_Pilatus1M.tif" ] &&
    try integrate 47 "$bragg" integrate "$shared/data/frames/CeO2_Pilatus1M.tif" --poni "$shared/data/frames/CeO2_Pilatus1M.poni" -o out/x.xye
[ -e "$shared/data/frames/CeO2_Pilatus1M.tif" ] &&
    try calibrate 331 "$bragg" calibrate "$shared/data/frames/CeO2_Pilatus1M.tif" --calibrant CeO2 --wavelength 0.4066 --detector Pilatus1M -o out/x.poni --json
try identify 2339 "$bragg" identify "$inputs/nickel.xye" --wavelength 0.4066 --elements Ni,O --json
try simulate 397 "$bragg" simulate "$top/tests/report/truth.yaml" -o out/run
try 'cards build' 97 "$bragg" cards build "$top/cif/Ni.cif" "$top/cif/Bi.cif" -o out/set.db
try 'cards show' 2339 "$bragg" cards show Ni
try 'pdf debye' 23 "$bragg" pdf debye Ni --diameter 17 -o out/ni
"$bragg" pdf debye Ni --diameter 17 -o ball >plain 2>said
try pdf 41 "$bragg" pdf ball.iq -c Ni --qmax 20 --all -o out/ni.gr --json
try 'pdf fit' 251 "$bragg" pdf fit ball.gr --card Ni -o out/ni.fgr
for s in 1 2 3 4 5 6 8 9 10 11 12 13 14 16 17 18; do awk -v s=$s 'BEGIN { printf "%.5f\n", 4.1569 / sqrt(s) }'; done >lab6.d
try index 2339 "$bragg" index lab6.d --unit d_A --wavelength 1.5406 --systems cubic --json
try plot 37 "$bragg" plot "$inputs/nickel.xye" -o out/nickel.svg
# A question to the server; after an allocation has failed the answer may be an error in
# words or a closed connection, but the same question is answered the next time.
ask() { # url, path
    local status again
    for again in once twice; do
        status=$(env -u LD_LIBRARY_PATH curl -s -o answer -w '%{http_code}' --max-time 20 "$1$2")
        [ "$status" = 200 ] && break
        { [ "$status" = 503 ] && [ -s answer ]; } || [ "$status" = 000 ] || break
    done
    echo "/${2%%\?*} $status $(sed 's/"\(epoch\|version\)":[0-9]*//g' answer | cksum)"
}
# what the page asks of bragg serve, and that it ends when it is told to
page() {
    local server url= k epoch
    : >url
    timeout --foreground 120 env LD_PRELOAD="$chaos" "$bragg" serve results --port 0 >url &
    server=$!
    for ((k = 0; k < 2000; k++)); do
        read -r url <url
        [ -z "$url" ] && kill -0 $server 2>/dev/null || break
        sleep 0.02
    done
    if [ -n "$url" ]; then
        ask "$url" ''
        for k in 1 2 3 4; do # a frame that is brighter than those before begins a new epoch
            ask "$url" run
            epoch=$(tr -d '\000' <answer | sed -n 's/.*"epoch":\([0-9]*\).*/\1/p' | head -1)
            ask "$url" "changes?after=0&epoch=$epoch"
            [ "$(wc -c <answer)" -lt 1000 ] || break
        done
        ask "$url" 'frame?k=1'
        kill -TERM $server
    fi
    wait $server
}
if "$bragg" --version | grep -q 'no HDF5'; then
    echo "report: skipped, this build has no HDF5"
else
    "$bragg" operando run.yaml -o results --no-figures >plain 2>said
    try report 173 "$bragg" report results -o out/x.html
    if ! command -v curl >plain; then
        echo "serve: skipped, no curl to ask with"
    elif "$bragg" --version | grep -qE 'no (uPlot|libmicrohttpd)'; then
        echo "serve: skipped, this build has no uPlot or no libmicrohttpd"
    else
        try serve 29 page
    fi
fi
[ "$tried" -gt 0 ] || exit 99
exit $bad
