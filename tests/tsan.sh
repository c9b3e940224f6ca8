#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The parallel parts under ThreadSanitizer, by make tsan: bragg is built with clang in
# ./tsan-build, because the OpenMP of LLVM tells the sanitizer, through Archer, how its
# threads wait for each other; GCC's does not, and each loop would look like a race.
top=$(cd "${TOP_SRCDIR:-.}" && pwd) build=$(cd "${TOP_BUILDDIR:-.}" && pwd)/tsan-build
shared=${BRAGG_SHARED:-$top/../shared}/data
archer=$(ls /usr/lib/llvm-*/lib/libarcher.so 2>/dev/null | tail -1)
command -v clang >/dev/null 2>&1 && [ -n "$archer" ] || { echo "skipped: no clang with Archer (clang, libomp-dev)"; exit 77; }
mkdir -p "$build" && cd "$build" || exit 99
if [ ! -e Makefile ]; then # a function for each processor is chosen before the sanitizer is up
    bragg_cv_clones=no "$top/configure" CC=clang CFLAGS='-O1 -g -fsanitize=thread' LDFLAGS=-fsanitize=thread \
        --disable-shared --enable-static --without-mpi >configure.log || { tail -5 configure.log; exit 99; }
fi
export BRAGG_DATADIR="$top" OMP_NUM_THREADS=4 OMP_TOOL_LIBRARIES="$archer" # make runs it, too, for the cards
export TSAN_OPTIONS='ignore_noninstrumented_modules=1 history_size=5 exitcode=66'
make >make.log 2>&1 || { tail -5 make.log; exit 99; }
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0
try() { # name, command
    name=$1
    shift
    "$build/bragg" "$@" >"$work/out" 2>"$work/said" && { echo "$name: no race"; return; }
    echo "$name: ended with $?"
    grep -A 12 'WARNING: ThreadSanitizer' "$work/said" | head -40
    bad=1
}
try simulate simulate "$top/tests/report/truth.yaml" -o "$work/run"
cp "$top/tests/report/experiment.yaml" "$work/run"
try operando operando "$work/run/experiment.yaml" -o "$work/results" --no-figures
try 'operando --follow' operando "$work/run/experiment.yaml" -o "$work/live" --follow --idle 5 --no-figures
try refine refine "$top/tests/chaos/nickel.yaml" -o "$work/fit"
try identify identify "$top/tests/chaos/nickel.xye" --wavelength 0.4066 --elements Ni,O
try 'pdf debye' pdf debye Ni --diameter 25 -o "$work/ni"
try 'pdf fit' pdf fit "$work/ni.gr" --card Ni -o "$work/ni.fgr"
frame=$shared/frames/CeO2_Pilatus1M
if [ -e "$frame.tif" ]; then
    try integrate integrate "$frame.tif" --poni "$frame.poni" --flip vertical -o "$work/x.xye"
    try calibrate calibrate "$frame.tif" --calibrant CeO2 --wavelength 0.4066 --detector Pilatus1M -o "$work/setup.poni"
fi
exit $bad
