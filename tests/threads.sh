#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every engine answers the same on one thread and on three, and the same again: what it
# prints and each file it writes, byte for byte.  (Indexing takes its time: tests/test_index.c.)
top=$(cd "${TOP_SRCDIR:-.}" && pwd) bragg=$(cd "${TOP_BUILDDIR:-.}" && pwd)/bragg shared=${BRAGG_SHARED:-$top/../shared}/data
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
bad=0 compared=0
same() { # name, command: writes into out/
    name=$1
    shift
    for run in 1 3 3-again; do
        rm -rf out "kept-$run" && mkdir out
        OMP_NUM_THREADS=${run%-again} "$@" >out/stdout 2>said || { echo "$name with $run threads: $(cat said)"; bad=1; return; }
        # the date of a reduction is not its answer
        [ ! -e out/x.h5 ] || LC_ALL=C sed -i 's/20[0-9-]*T[0-9:]*Z/date/' out/x.h5
        mv out "kept-$run"
    done
    compared=$((compared + 1))
    for run in 3 3-again; do
        diff -rq kept-1 "kept-$run" >said || { echo "$name: $(head -1 said)"; bad=1; }
    done
}
"$bragg" simulate "$top/tests/report/truth.yaml" -o run 2>said || { cat said; exit 1; }
cp "$top/tests/report/experiment.yaml" run
cp "$top/tests/chaos/nickel.xye" "$top/tests/chaos/nickel.yaml" .
"$bragg" pdf debye Ni --diameter 20 -o ni >said 2>&1 || { cat said; exit 1; }
"$bragg" simulate "$top/examples/bisnsb-pdf/truth.yaml" -o total >said 2>&1 || { cat said; exit 1; }
cp "$top/examples/bisnsb-pdf/BiSnSb.cif" .
same simulate "$bragg" simulate "$top/tests/report/truth.yaml" -o out/twin
same refine "$bragg" refine nickel.yaml -o out/fit --json
"$bragg" --version | grep -q 'no HDF5' || same operando "$bragg" operando run/experiment.yaml -o out/run --no-figures
same identify "$bragg" identify nickel.xye --wavelength 0.4066 --elements Ni,O --json
same pdf "$bragg" pdf total/M-BiSnSb.xye --background total/capillary.xye --composition BiSnSb --qmax 24 -o out/x.gr --json
same 'pdf debye' "$bragg" pdf debye Ni --diameter 30 -o out/ni
same 'pdf fit' "$bragg" pdf fit ni.gr --card Ni -o out/ni.fgr --json
same 'cards build' "$bragg" cards build "$top/cif/Ni.cif" "$top/cif/Bi.cif" "$top/cif/Cu.cif" -o out/set.db
frame=$shared/frames/CeO2_Pilatus1M.tif
if [ -e "$frame" ]; then
    same integrate "$bragg" integrate "$frame" --poni "${frame%.tif}.poni" --flip vertical -o out/x.xye
    "$bragg" --version | grep -q 'no HDF5' ||
        same 'integrate, a cake' "$bragg" integrate "$frame" --poni "${frame%.tif}.poni" --flip vertical --azimuth 12 --clip 4 -o out/x.h5
    same calibrate "$bragg" calibrate "$frame" --calibrant CeO2 --wavelength 0.4066 --detector Pilatus1M -o out/setup.poni --json
else
    echo "no $frame: integrate and calibrate not compared"
fi
echo "$compared engines compared"
exit $bad
