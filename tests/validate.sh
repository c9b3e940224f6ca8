#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# make validate: run tests/validation/*.yaml on real data and write RESULTS.md.
# By hand: it takes longer than a test may.
src=$(cd "${TOP_SRCDIR:-.}" && pwd)
BRAGG_SHARED=${BRAGG_SHARED:-$src/../shared}
BRAGG_DATADIR=${BRAGG_DATADIR:-$src}
export BRAGG_SHARED BRAGG_DATADIR
[ -d "$BRAGG_SHARED/data" ] || { echo "skipped: no measurements in '$BRAGG_SHARED'"; exit 77; }
top=$(cd "${TOP_BUILDDIR:-.}" && pwd)
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
    if ! "${TOP_BUILDDIR:-.}"/bragg refine "$file" >"$work/fit" 2>"$work/err"; then
        echo "| $name | | | | | | $(cat "$work/err") | |" >>"$out"
        bad=1
        continue
    fi
    stop=$(date +%s.%N)
    awk -v name="$name" -v reference="$(sed -n '1s/^# reference: //p' "$file")" -v seconds="$(awk "BEGIN {printf \"%.2f\", $stop - $start}")" '
        / points, / { sub(/.*: /, ""); split($0, n, /[ ,]+/); points = n[1]; variables = n[5] }
        / variables/ && !variables { variables = $(NF - 1) }
        /^Rwp / { rwp = $2; for (k = 1; k < NF; k++) if ($k == "GOF") gof = $(k + 1) }
        / R_Bragg / { text = text (text ? "; " : "") $1 }
        /^    (a|b|c) / { text = text " " $1 " " $2 }
        /^    weight fraction / { text = text " w " $3 }
        END { printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", name, points, variables, rwp, gof, seconds, text, reference }
    ' "$work/fit" >>"$out"
done

# weighed mixtures: fractions found beside those weighed, which the names of the files carry
if [ -d "$src/tests/validation/mixtures" ]; then
    {
        printf '\n# Weighed mixtures\n\nWeight per cent weighed, found (esd of counting alone) and their difference; Brindley microabsorption is\n'
        printf 'not corrected.  The experiments stand in tests/validation/mixtures.\n\n| pattern | phase | weighed | found | difference | Rwp %% |\n|---|---|---|---|---|---|\n'
    } >>"$out"
    for file in "$src"/tests/validation/mixtures/*.yaml; do
        name=$(basename "$file" .yaml)
        "${TOP_BUILDDIR:-.}"/bragg refine "$file" >"$work/fit" 2>"$work/err" || { echo "| $name | $(head -1 "$work/err") | | | | |" >>"$out"; [ -s "$work/fit" ] || continue; }
        awk -v name="$name" -v weighed="$(sed -n '1s/^# weighed: //p' "$file")" '
            BEGIN { n = split(weighed, w, " "); for (k = 1; k < n; k += 2) { truth[w[k]] = w[k + 1]; total += w[k + 1] } }
            /^Rwp / { rwp = $2 }
            / R_Bragg / { phase = $1; sub(/,$/, "", phase) }
            /^    weight fraction / {
                found = $3; sub(/\(.*/, "", found)
                esd = $3; sub(/.*\(/, "", esd); sub(/\)/, "", esd); digits = found; sub(/.*\./, "", digits)
                if (esd !~ /\./) esd = esd / 10 ^ length(digits)
                t = 100 * truth[phase] / total
                printf "| %s | %s | %.2f | %.2f(%.2f) | %+.2f | %s |\n", name, phase, t, 100 * found, 100 * esd, 100 * found - t, rwp
            }' "$work/fit" >>"$out"
    done
fi

# simulated data: pulls of 200 realizations, strategy auto from 2 x 200 bad starts
if [ -x "${TOP_BUILDDIR:-.}/tests/test_pulls" ] && [ -x "${TOP_BUILDDIR:-.}/tests/test_trials" ]; then
    {
        printf '\n# Simulated data\n\nPulls of every refined parameter over 200 noise realizations (mean 0 and width 1 are right; those beyond 0.2 and\n'
        printf '0.1 are listed), and how often `strategy: auto` ends in the minimum from cells wrong by up to 1 %%, widths by\n30 %% and 0.2 mm of displacement.\n\n```\n'
        BRAGG_PULLS=200 "${TOP_BUILDDIR:-.}"/tests/test_pulls | grep -v '^Running\|Checks:\|:F:\|:E:'
        for seed in 0 7; do
            BRAGG_TRIALS=200 BRAGG_SEED=$seed OMP_NUM_THREADS=1 "${TOP_BUILDDIR:-.}"/tests/test_trials >"$work/trials.$seed" &
        done
        wait
        grep -h '^strategy auto\|^trial' "$work"/trials.*
        printf '```\n'
    } >>"$out"
fi

# cards and identification
if [ -x "${TOP_BUILDDIR:-.}/tests/validation/cards" ]; then
    (cd "$work" && TOP_SRCDIR="$src" "$top/tests/validation/cards") >>"$out" || bad=1
fi
# unit cells from lists and patterns
if [ -x "${TOP_BUILDDIR:-.}/tests/validation/index" ]; then
    {
        printf '\n# Indexing\n\n'
        TOP_SRCDIR=$src "${TOP_BUILDDIR:-.}"/tests/validation/index
    } >>"$out"
fi

{ echo; "$src"/tests/twins.sh; } >>"$out"
{
    printf '\n# Real space\n\nFits of measured G(r), `bragg pdf fit tests/validation/pdf/*.yaml`; Rw of all points in the range.\n\n'
    echo "| case | Rw % | parameters | reference |"
    echo "|---|---|---|---|"
} >>"$out"
for file in "$src"/tests/validation/pdf/*.yaml; do
    name=$(basename "$file" .yaml)
    if ! "${TOP_BUILDDIR:-.}"/bragg pdf fit "$file" >"$work/fit.txt" 2>"$work/err"; then
        echo "| $name | | $(cat "$work/err") | |" >>"$out"
        bad=1
        continue
    fi
    awk -v name="$name" -v reference="$(sed -n '1s/^# reference: //p' "$file")" '
        function flush() { if (rw != "") printf "| %s%s | %s | %s | %s |\n", name, label, rw, text, reference; text = "" }
        / after [0-9]* cycles: / {
            flush()
            label = $1 ~ /converged/ ? "" : " " substr($1, 1, length($1) - 1)
            rw = $0
            sub(/.* variables, /, "", rw)
            gsub(/Rw /, "", rw)
            gsub(/ %/, "", rw)
        }
        /^  .*(cell|uiso|spdiameter|delta2)/ { key = $1; sub(/.*phase[.][^.]*[.]/, "", key); sub(/cell[.]|atom[.]/, "", key); text = text (text ? ", " : "") key " " $2 }
        END { flush() }
    ' "$work/fit.txt" >>"$out"
done
{
    printf '\n# Errors of G(r)\n\n'
    echo '```'
    "${TOP_BUILDDIR:-.}"/tests/pdf_pulls 400 || bad=1
    echo '```'
} >>"$out"
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
