#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every "volume (year) page" that a comment or a table of src/ cites is in doc/sources.tsv.
top=${TOP_SRCDIR:-.}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
# comments may break the line inside a citation
cat "$top"/src/*/*.[ch] "$top"/src/bragg.h | tr '\n' ' ' | sed 's/  *\* */ /g' |
    grep -oE '[A-Z]?[0-9]+ \((18|19|20)[0-9]{2}\) [A-Z]?[0-9]+' | sort -u >"$work/cited"
[ "$(wc -l <"$work/cited")" -gt 40 ] || { echo "hardly a citation was found: is TOP_SRCDIR right?"; exit 99; }
cut -f4 "$top/doc/sources.tsv" | sort -u >"$work/known"
comm -23 "$work/cited" "$work/known" >"$work/missing"
[ -s "$work/missing" ] || exit 0
echo "cited in src/, not in doc/sources.tsv:"
cat "$work/missing"
exit 1
