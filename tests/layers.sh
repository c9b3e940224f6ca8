#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A file includes its own module and lower floors, never a sibling or a higher one.
cd "${TOP_SRCDIR:-.}" || exit 99
floor() {
    case $1 in
    array | bytes | csv | datetime | zip | error | number | units | base | arena | yaml | json | hash | hdf5 | path | observer | output | thread | text) echo "0 base" ;;
    param | lsq | numeric) echo "1 numeric" ;;
    frame) echo "2 frame" ;; pattern | nxazint) echo "2 pattern" ;; crystal) echo "2 crystal" ;; log) echo "2 log" ;;
    detector | calibrate | integrate) echo "3 detector" ;; refine | profile | experiment | instrument) echo "3 refine" ;;
    cards | index) echo "4 cards" ;; pdf) echo "4 pdf" ;;
    operando | analysis) echo "5 operando" ;; simulate) echo "5 simulate" ;;
    plot) echo "6 plot" ;; cli) echo "7 cli" ;;
    *) echo "? $1" ;;
    esac
}
bad=0 seen=0
for file in src/*/*.c src/*/*.h; do
    [ -e "$file" ] || continue
    case $file in
    src/bragg/*) own=$(floor "$(basename "$file" .h)") ;;
    *) own=$(floor "$(basename "$(dirname "$file")")") ;;
    esac
    for header in $(sed -n 's|^ *# *include *[<"]bragg/\([a-z0-9_]*\)\.h[>"].*|\1|p' "$file"); do
        seen=$((seen + 1))
        its=$(floor "$header")
        case $own$its in *\?*) echo "$file: $own includes <bragg/$header.h>: floor unknown"; bad=1 ;; esac
        case $own$its in *\?*) continue ;; esac
        if [ "${its%% *}" -gt "${own%% *}" ] || { [ "${its%% *}" -eq "${own%% *}" ] && [ "$its" != "$own" ]; }; then
            echo "$file (floor $own) includes <bragg/$header.h> (floor $its)"
            bad=1
        fi
    done
done
[ "$seen" -gt 0 ] || { echo "no include was read: is TOP_SRCDIR right?"; exit 99; }
# a test that is written runs
for file in tests/test_*.c; do
    for name in $(sed -n 's/^START_TEST(\([a-z0-9_]*\))$/\1/p' "$file"); do
        grep -q "tcase_add.*[^a-z0-9_]$name[,)]" "$file" || { echo "$file: $name is in no list of tests"; bad=1; }
    done
done
exit $bad
