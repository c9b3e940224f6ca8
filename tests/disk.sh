#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A disk that fails (tests/chaos/disk.c) under the readers, the writers and the stores: reads
# and writes that do half of what was asked change nothing; an interrupted call, a read or
# write error, a full disk and a network folder that went away end in the same answer or in a
# message and the status of bad data, and what stands in the output folder is whole.
# DISK_STEP=1 fails each call there is, as make chaos does.
top=$(cd "${TOP_SRCDIR:-.}" && pwd) build=$(cd "${TOP_BUILDDIR:-.}" && pwd)
bragg=$build/.libs/bragg disk=$build/tests/chaos/.libs/disk.so
[ -x "$bragg" ] && [ -e "$disk" ] || { echo "no shared build to preload into"; exit 77; }
nm -D "$bragg" | grep -q __asan && { echo "a sanitizer has read and write already"; exit 77; }
export LD_LIBRARY_PATH=$build/.libs BRAGG_DATADIR=${BRAGG_DATADIR:-$top} OMP_NUM_THREADS=1
aside=$(mktemp -d) work=$(mktemp -d) || exit 99
trap 'rm -rf "$work" "$aside"' EXIT
cd "$work" || exit 99
bad=0 tried=0
fail() { echo "$*"; bad=1; }
hdf5=yes
"$bragg" --version | grep -q 'no HDF5' && hdf5=
run() { # how, number of the call, command: into out/
    rm -rf out && mkdir out
    timeout 120 env DISK_HOW=$1 DISK_AT=$2 DISK_UNDER=$work DISK_COUNT=$aside/count LD_PRELOAD=$disk "${@:3}" >"$aside/got" 2>"$aside/said"
}
# what stands in out/ stands so in the folder of the good run as well
whole() {
    local file
    (cd out && find . -type f ! -name '.*') | while read -r file; do
        case $file in *.db | *.db-journal | */series.h5) continue ;; esac # stores: looked at by their own checks
        case $how$file in gone*.lock | gone*.new) continue ;; esac # nobody can remove them
        cmp -s "out/$file" "$aside/good/$file" || echo "$file"
    done
}
one() { # name, how, call, command
    local name=$1 how=$2 at=$3 rc
    shift 3
    run "$how" "$at" "$@"
    rc=$? ended=$rc
    tried=$((tried + 1))
    if [ $rc = 0 ] && grep -qs ',corrupt,.*cannot read' out/run/series.csv; then
        : # a run goes on without a frame that cannot be read, and says so
    elif [ $rc = 0 ]; then
        cmp -s "$aside/got" "$aside/plain" || fail "$name: $how at call $at: another answer with status 0"
        diff -rq out "$aside/good" >"$aside/diff" || fail "$name: $how at call $at: other files with status 0: $(head -1 "$aside/diff")"
    elif [ $rc -ge 124 ]; then
        fail "$name: $how at call $at: died with $rc"
    elif ! [ -s "$aside/said" ]; then
        fail "$name: $how at call $at: ended with $rc without a word"
    else
        [ $rc = 3 ] || fail "$name: $how at call $at: expected status 3, found $rc: $(cat "$aside/said")"
        [ -z "$(whole)" ] || fail "$name: $how at call $at: half a file: $(whole)"
        [ "$how" = gone ] || [ -z "$(find out -name '*.tmp*' -o -name '.*.??????')" ] || fail "$name: $how at call $at: left $(ls -A out)"
        [ -z "$check" ] || $check || fail "$name: $how at call $at: $check"
    fi
}
try() { # name, step, command
    local name=$1 step=${DISK_STEP:-$2} how total k counts=
    shift 2
    run none 0 "$@" || { fail "$name: failed on a good disk: $(cat "$aside/said")"; return; }
    rm -rf "$aside/good"
    cp -r out "$aside/good"
    cp "$aside/got" "$aside/plain"
    one "$name" short 0 "$@"
    [ "$ended" = 0 ] || fail "$name: reads and writes that do half: $(cat "$aside/said")"
    for how in eintr eio enospc gone; do
        run $how 0 "$@"
        total=$(cat "$aside/count")
        counts="$counts $how $total"
        for ((k = 1; k <= total; k += step)); do
            one "$name" $how $k "$@"
        done
    done
    echo "$name:$counts calls, every ${step}th failed"
}
check=
# a disk that is good again goes on with what the bad one left
resumes() {
    "$bragg" operando in/run/experiment.yaml -o out/run --no-figures $([ -e out/run/series.h5 ] && echo --resume) --force >"$aside/got" 2>"$aside/said" &&
        cmp -s out/run/series.csv "$aside/good/run/series.csv" && return
    echo "does not resume: $(tail -1 "$aside/said")"
    false
}
builds() {
    "$bragg" cards build "$top/cif/Ni.cif" "$top/cif/Bi.cif" -o out/set.db >"$aside/got" 2>"$aside/said" &&
        "$bragg" cards list --cards out/set.db 2>&1 | grep -q Bi && return
    echo "does not build: $(tail -1 "$aside/said")"
    false
}
corpus=$top/tests/fuzz/corpus
cp -r "$corpus" in
# a sample of the corpus that shows what is broken
broken() {
    "$bragg" convert "$1" "$aside/x.edf" --force >"$aside/got" 2>&1
    [ $? = 3 ]
}
for file in in/{brml,bruker,columns,gsas,pdcif,ras,rasx,rigaku_text,steps,stoe,udf,uxd,xrdml}/*; do
    [ -z "$DISK_STEP" ] && [ "$file" != in/rasx/x.rasx ] && [ "$file" != in/gsas/esd.gsas ] && continue
    try "$file" 2 "$bragg" convert $file -w 1.5406 -u q_A^-1 out/x.xye
done
for file in in/{cbf,edf,fits,ge,mar345,npy,tiff}/* ${hdf5:+in/hdf5/stack.h5}; do
    [ -n "$DISK_STEP" ] && broken "$file" && continue
    case $DISK_STEP$file in
    [0-9]* | in/edf/big.edf.gz | in/fits/rice.fits | in/tiff/lzw.tif) try "$file" 5 "$bragg" convert $file out/x.edf ;;
    in/hdf5*) try "$file" 53 "$bragg" convert $file out/x.edf ;;
    esac
done
for to in tif ${hdf5:+h5}; do
    try "writing $to" 13 "$bragg" convert in/edf/long.edf out/x.$to
done
cp "$top/tests/chaos/nickel.xye" "$top/tests/chaos/nickel.yaml" in
try refine 23 "$bragg" refine in/nickel.yaml -o out/fit
"$bragg" pdf debye Ni --diameter 20 -o in/ni >"$aside/got" 2>&1
try 'pdf fit' 17 "$bragg" pdf fit in/ni.gr --card Ni -o out/ni.fgr
check=builds
try 'cards build' 61 "$bragg" cards build "$top/cif/Ni.cif" "$top/cif/Bi.cif" -o out/set.db
check=
if [ "$hdf5" ]; then
    "$bragg" simulate "$top/tests/report/truth.yaml" -o in/run >"$aside/got" 2>&1
    cp "$top/tests/report/experiment.yaml" in/run
    rm in/run/frames/*[5-9].xye
    check=resumes
    try operando 331 "$bragg" operando in/run/experiment.yaml -o out/run --no-figures
    check=
    cp -r "$aside/good/run" in/results
    try report 149 "$bragg" report in/results -o out/x.html
fi
[ "$tried" -gt 0 ] || exit 99
echo "$tried runs"
exit $bad
