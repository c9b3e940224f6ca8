#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Samples of each format are read as they are and damaged, by one target a reader; a
# target that dies leaves the file it died of.  SECONDS_EACH: so long each, by make fuzz.
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
fuzz=$(cd "${TOP_BUILDDIR:-.}" && pwd)/tests/fuzz/fuzz
[ -x "$fuzz" ] || { echo "no $fuzz"; exit 99; }
export TOP_SRCDIR="$top" UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export ASAN_OPTIONS="${ASAN_OPTIONS:-max_allocation_size_mb=4096:allocator_may_return_null=0}"
work=$(mktemp -d) || exit 99
cd "$work" || exit 99
bad=0
# HDF5 does not free all that it had read of a damaged object, and asks for as much memory
# as such a one says, which is refused
{ cat "$top/tests/lsan.supp"; echo leak:libhdf5; } >leaks
for format in ${FORMAT:-$("$fuzz")}; do
    case $format in
    hdf5 | nxazint | store) more="env LSAN_OPTIONS=suppressions=$work/leaks:print_suppressions=0 ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=4096" ;;
    *) more= ;;
    esac
    if [ -n "$SECONDS_EACH" ]; then
        nice -n 10 $more "$fuzz" -s "$SECONDS_EACH" "$format" 2>said
    else
        $more "$fuzz" -n "${COUNT:-40}" "$format" >said 2>&1
    fi
    rc=$?
    [ $rc = 0 ] && continue
    cat said
    echo "$format: the target ended with $rc; what it read is in $work"
    bad=1
done
[ $bad = 1 ] || rm -rf "$work"
exit $bad
