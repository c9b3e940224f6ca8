#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Bad input ends in one clear line, the right exit status and no new file.
# tests/invalid/CASE/run is a shell line; expected its status and its message (a pattern).
SRC=$(cd "${TOP_SRCDIR:-.}" && pwd)
BRAGG=$(cd "${TOP_BUILDDIR:-.}" && pwd)/bragg
export SRC BRAGG
bad=0 seen=0
for case in "$SRC"/tests/invalid/*/run; do
    seen=$((seen + 1))
    name=$(basename "$(dirname "$case")")
    work=$(mktemp -d)
    (cd "$work" && sh "$case" >out.txt 2>err.txt; echo $? >status.txt)
    want=$(sed -n 's/^exit //p' "$(dirname "$case")/expected")
    pattern=$(sed 1d "$(dirname "$case")/expected")
    got=$(cat "$work/status.txt") text=$(cat "$work/err.txt")
    [ "$got" = "$want" ] || { echo "$name: exit $got, expected $want: $text"; bad=1; }
    # shellcheck disable=SC2254
    case $text in
    $pattern) ;;
    *) echo "$name: says '$text', expected '$pattern'"; bad=1 ;;
    esac
    [ "$(wc -l <"$work/err.txt")" -le 1 ] || { echo "$name: more than one line: $text"; bad=1; }
    left=$(cd "$work" && ls -A | grep -E '^(out[.]xye|[.].*|.*[.]part.*|.*~)$')
    [ "$name" = output-exists ] || [ ! -e "$work/q.xye" ] || left="$left q.xye"
    [ -z "$left" ] || { echo "$name: leaves $left"; bad=1; }
    rm -rf "$work"
done
[ "$seen" -gt 10 ] || { echo "no case was found: is TOP_SRCDIR right?"; exit 99; }
exit $bad
