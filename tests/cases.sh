# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# For scripts that run the command case by case: a folder of their own, in which they now are, and
# what says that a case went wrong. Source it first, call "end" last.
top=$(cd "${TOP_SRCDIR:-.}" && pwd) bragg=$(cd "${TOP_BUILDDIR:-.}" && pwd)/bragg
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
bad=0
fail() { echo "$*: $(tail -2 err 2>/dev/null)"; bad=1; }
run() { "$bragg" "$@" >out 2>err; }
end() { [ $bad = 0 ] && echo "all were as they should be"; exit $bad; }
# the number behind "key": in an object of JSON, or its value
number() { tr -d '\n ' <out | grep -o "\"$1\":\({\"value\":\)\{0,1\}[-0-9.e+]*" | head -1 | sed 's/.*://'; }
near() { awk -v a="$1" -v b="$2" -v by="$3" 'BEGIN { exit !(a - b < by && b - a < by && a != "") }'; }
