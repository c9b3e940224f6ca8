#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each command has a page, the page has each option of --help and no other, and
# mandoc, where installed, finds nothing to complain of.
top=${TOP_SRCDIR:-.} bragg=${TOP_BUILDDIR:-.}/bragg
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0
commands=$("$bragg" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
[ -n "$commands" ] || { echo "bragg --help lists no command"; exit 99; }
check() { # page, command and its words
    page=$top/man/$1.1
    shift
    [ -e "$page" ] || { echo "bragg $*: no page $page"; bad=1; return; }
    "$bragg" "$@" --help | sed -n 's/^  \(-[a-zA-Z],\|   \) --\([a-z0-9-]*\).*/\2/p' | grep -vx help | sort >"$work/help"
    sed -n 's/^\.It \(Fl [a-zA-Z] , \)\?Fl -\([a-z0-9-]*\).*/\2/p' "$page" | sort >"$work/page"
    diff "$work/help" "$work/page" >"$work/diff" && return
    echo "$page: options differ from bragg $* --help (<: help only, >: page only)"
    grep '^[<>]' "$work/diff"
    bad=1
}
for command in $commands; do
    check "bragg-$command" "$command"
    for sub in "$top/man/bragg-$command-"*.1; do
        [ -e "$sub" ] || continue
        name=$(basename "$sub" .1)
        check "$name" "$command" "${name#bragg-"$command"-}"
    done
done
for page in "$top"/man/*.[0-9]; do
    grep -qw "man/$(basename "$page")" "$top/man/Makefile.inc" || { echo "$page: not installed by man/Makefile.inc"; bad=1; }
    [ "$page" = "$top/man/bragg.1" ] || grep -q "Xr $(basename "$page" | sed 's/\.\([0-9]\)$/ \1/;s/-cards-.*/-cards 1/')" "$top/man/bragg.1" ||
        { echo "$page: not named in man/bragg.1"; bad=1; }
done
if command -v mandoc >/dev/null 2>&1; then
    mandoc -T lint -W warning "$top"/man/*.[0-9] || bad=1
fi
exit $bad
