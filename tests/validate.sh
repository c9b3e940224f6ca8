#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# make validate: run tests/validation/*.yaml on real data and write RESULTS.md.
# By hand: it takes longer than a test may.
src=$(cd "${TOP_SRCDIR:-.}" && pwd)
BRAGG_SHARED=${BRAGG_SHARED:-$src/../shared}
BRAGG_DATADIR=${BRAGG_DATADIR:-$src}
export BRAGG_SHARED BRAGG_DATADIR
[ -d "$BRAGG_SHARED/data" ] || { echo "skipped: no measurements in '$BRAGG_SHARED'"; exit 77; }
work=$(mktemp -d)
out=$work/RESULTS.md
{
    echo "# Validation on real data"
    echo
    echo "$(date -u +%Y-%m-%d), commit $(git -C "$src" log -1 --format=%h 2>/dev/null), by \`make validate\`. Every case starts from the structure's card or"
    echo "file; \`strategy: auto\` finds the minimum. The reference's figures stand in the first line of each experiment file."
    echo
    echo "| case | points | variables | Rwp % | GOF | seconds | cells and fractions | reference |"
    echo "|---|---|---|---|---|---|---|---|"
} >"$out"
bad=0
for file in "$src"/tests/validation/*.yaml; do
    name=$(basename "$file" .yaml)
    start=$(date +%s.%N)
    if ! "${TOP_BUILDDIR:-.}"/bragg refine "$file" --json >"$work/fit.json" 2>"$work/err"; then
        echo "| $name | | | | | | $(cat "$work/err") | |" >>"$out"
        bad=1
        continue
    fi
    stop=$(date +%s.%N)
    awk -v name="$name" -v reference="$(sed -n '1s/^# reference: //p' "$file")" -v seconds="$(awk "BEGIN {printf \"%.2f\", $stop - $start}")" '
        function number(s) { sub(/.*: /, "", s); sub(/,.*/, "", s); return s }
        /^  "points"/ { points = number($0) }
        /^  "variables"/ { variables = number($0) }
        /^  "rwp"/ { rwp = 100 * number($0) }
        /^  "gof"/ { gof = number($0) }
        /^  "phases"/ { phases = 1 }
        phases && /^      "name"/ { text = text (text ? "; " : "") substr($2, 2, length($2) - 3) }
        phases && /^        "(a|b|c)": / { key = substr($1, 2, 1) }
        phases && /^      "weight_fraction"/ { key = "w" }
        phases && /^ *"value"/ { value = number($0) }
        phases && /^ *"esd"/ {
            esd = number($0)
            if (key != "" && esd != "null" && !(key != "a" && value == last)) text = text sprintf(key == "w" ? " %s %.4f(%.4f)" : " %s %.5f(%.5f)", key, value, esd)
            if (key == "a") last = value
            key = ""
        }
        END { printf "| %s | %s | %s | %.3f | %.3f | %s | %s | %s |\n", name, points, variables, rwp, gof, seconds, text, reference }
    ' "$work/fit.json" >>"$out"
done
if [ -f "${TOP_BUILDDIR:-.}/bench.tsv" ]; then # of the last make bench here
    {
        printf '\n# Times\n\nThe last `make bench` on the same machine (ratio above 1: faster than the peer).\n\n'
        awk -F'\t' 'NR == 1 {print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " |\n|---|---|---|---|---|"} NR > 1 {print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " |"}' "${TOP_BUILDDIR:-.}/bench.tsv"
    } >>"$out"
fi
cat "$out"
cp "$out" "$src/tests/validation/RESULTS.md"
rm -rf "$work"
exit $bad
