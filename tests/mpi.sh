#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# One run on one, two and four processes: the same rows bit for bit, one that writes, one
# that talks; a run that was stopped goes on with another number of them.
set -u
src=$(cd "${TOP_SRCDIR:-.}" && pwd) bragg=$(cd "${TOP_BUILDDIR:-.}" && pwd)/bragg
"$bragg" --version | grep -q 'no MPI' && { echo "skipped: this build has no MPI"; exit 77; }
"$bragg" --version | grep -q 'no HDF5' && { echo "skipped: this build has no HDF5"; exit 77; }
command -v mpirun >/dev/null 2>&1 || { echo "skipped: no mpirun"; exit 77; }
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0
fail() { echo "$*"; bad=1; }
# Open MPI asks for leave to run as root, and to start more than there are cores; its own
# leaks are not ours
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMP_NUM_THREADS=1
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
run() { timeout "${MPI_PATIENCE:-300}" mpirun "$@"; } # a rank that waits in vain must not hold up the others' tests
run -n 2 true >"$work/out" 2>&1 || { echo "skipped: mpirun does not start here: $(head -3 "$work/out")"; exit 77; }
"$bragg" simulate "$src/tests/report/truth.yaml" -o "$work/run" 2>"$work/err" || fail "simulate: $(cat "$work/err")"
{ grep -v '^sequence:' "$src/tests/report/experiment.yaml"; echo 'sequence: {direction: both, block: 2}'; echo 'analysis: {peaks: none, components: none}'; } >"$work/run/e.yaml"
"$bragg" operando "$work/run/e.yaml" -o "$work/alone" --no-figures >"$work/said" 2>"$work/err" || fail "alone: $(cat "$work/err")"
for n in 1 2 4; do
    run -n $n "$bragg" operando "$work/run/e.yaml" -o "$work/by$n" --no-figures >"$work/out" 2>"$work/err" || fail "$n: $(cat "$work/err")"
    cmp "$work/alone/series.csv" "$work/by$n/series.csv" || fail "$n processes: another series.csv"
    cmp "$work/said" "$work/out" || fail "$n processes say something else"
    "$bragg" report "$work/by$n" -o "$work/by$n.html" 2>"$work/err" || fail "$n: its store cannot be read: $(cat "$work/err")"
done
cmp "$work/by1.html" "$work/by4.html" >"$work/out" || fail "another store: $(cat "$work/out")"
run -n 3 "$bragg" operando "$work/run/e.yaml" -o "$work/by2" --no-figures --resume >"$work/out" 2>"$work/err" || fail "resume: $(cat "$work/err")"
cmp "$work/alone/series.csv" "$work/by2/series.csv" || fail "gone on with three: another series.csv"
run -n 2 "$bragg" operando "$work/run/e.yaml" -o "$work/by2" >"$work/out" 2>"$work/err" && fail "an existing run was overwritten"
[ "$(grep -c '^bragg operando:' "$work/err")" = 1 ] || fail "not said once: $(cat "$work/err")"
run -n 2 "$bragg" operando "$work/run/e.yaml" -o "$work/live" --follow >"$work/out" 2>"$work/err" && fail "two processes follow"
grep -q 'expected one process, found 2' "$work/err" || fail "--follow: $(cat "$work/err")"
exit $bad
