#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# make validate: what the program answers on real and simulated data, by hand: it takes
# longer than a test may.  PARTS (default: all) names the parts to run; each leaves its
# section in tests/validation/results/, and RESULTS.md is all of them, one behind the other.
all="refine robust certified mixtures simulated cards index twins pdf times"
src=$(cd "${TOP_SRCDIR:-.}" && pwd)
top=$(cd "${TOP_BUILDDIR:-.}" && pwd)
BRAGG_SHARED=${BRAGG_SHARED:-$src/../shared}
BRAGG_DATADIR=${BRAGG_DATADIR:-$src}
export BRAGG_SHARED BRAGG_DATADIR TOP_BUILDDIR="$top" TOP_SRCDIR="$src"
[ -d "$BRAGG_SHARED/data" ] || { echo "skipped: no measurements in '$BRAGG_SHARED'"; exit 77; }
bragg=$top/bragg
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0

measured() { # when, and of which source
    printf '*%s, commit %s.*\n\n' "$(date -u +%Y-%m-%d)" "$(git -C "$src" describe --always --dirty=+ 2>/dev/null)"
}

# CPU seconds of the commands between two calls of times.
spent() {
    awk -F'[ms ]+' 'FNR == 2 { t[++n] = 60 * ($1 + $3) + $2 + $4 } END { printf "%.2f", t[2] - t[1] }' "$work/before" "$work/after"
}

part_refine() {
    printf '# Rietveld, Le Bail and Pawley fits of real data\n\n'
    measured
    echo "Every case starts from the structure's card or file; \`strategy: auto\` finds the minimum. The reference's figures stand"
    echo "in the first line of each experiment file of tests/validation.  CPU seconds of the whole command, on one thread."
    echo
    echo "| case | points | variables | Rwp % | GOF | CPU s | cells and fractions | reference |"
    echo "|---|---|---|---|---|---|---|---|"
    for file in "$src"/tests/validation/*.yaml; do
        name=$(basename "$file" .yaml)
        times >"$work/before"
        if ! OMP_NUM_THREADS=1 "$bragg" refine "$file" >"$work/fit" 2>"$work/err"; then
            echo "| $name | | | | | | $(cat "$work/err") | |"
            bad=1
            continue
        fi
        times >"$work/after"
        awk -v name="$name" -v reference="$(sed -n '1s/^# reference: //p' "$file")" -v seconds="$(spent)" '
            / points, / { sub(/.*: /, ""); split($0, n, /[ ,]+/); points = n[1]; variables = n[5] }
            / variables/ && !variables { variables = $(NF - 1) }
            /^Rwp / { rwp = $2; for (k = 1; k < NF; k++) if ($k == "GOF") gof = $(k + 1) }
            / R_Bragg / { text = text (text ? "; " : "") $1 }
            /^    (a|b|c) / { text = text " " $1 " " $2 }
            /^    weight fraction / { text = text " w " $3 }
            END { printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", name, points, variables, rwp, gof, seconds, text, reference }
        ' "$work/fit"
    done
}

part_robust() {
    printf '# From the supplied start in one go\n\n'
    measured
    echo "The seven cases in which GSAS-II fails (reference/gsas2/ROBUSTNESS.txt): widths, cells and atoms as supplied, every scale 1,"
    echo "all that the reference refines named at once (tests/validation/robust), \`strategy: auto\`.  The reference got to its minimum in"
    echo "five to ten steps by hand.  The pattern of anatase and ZnO is not among the data: three are made with the reference's cells and"
    echo "counts, and their minimum is where a fit from the truth ends.  By tests/test_robust; CPU seconds of the fit alone, one thread."
    echo
    echo "| case | Rwp % of the start | variables | chi2, Rwp % reached | reference's | Rwp % without the strategy | CPU s |"
    echo "|---|---|---|---|---|---|---|"
    OMP_NUM_THREADS=1 "$top"/tests/test_robust >"$work/robust" || bad=1
    grep '^|' "$work/robust"
}

part_certified() {
    printf '# Certified cells\n\n'
    measured
    echo "Patterns of 11-BM from 20 degrees on, the profile that of LaB6 660a (tests/validation/certified).  What goes into the uncertainty u"
    echo "(one, not two deviations) is told in tests/validation/certified.c; asked are 50 ppm and three u."
    echo
    "$top"/tests/validation/certified || bad=1
}

part_mixtures() {
    printf '# Weighed mixtures\n\n'
    measured
    printf 'Weight per cent weighed, found (esd of counting alone) and their difference; a rough surface (Q) is refined in all, Brindley\n'
    printf 'microabsorption is not corrected.  The experiments stand in tests/validation/mixtures.\n\n| pattern | phase | weighed | found | difference | Rwp %% |\n|---|---|---|---|---|---|\n'
    for file in "$src"/tests/validation/mixtures/*.yaml; do
        name=$(basename "$file" .yaml)
        "$bragg" refine "$file" >"$work/fit" 2>"$work/err" || { echo "| $name | $(head -1 "$work/err") | | | | |" ; [ -s "$work/fit" ] || continue; }
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
            }' "$work/fit"
    done
}

part_simulated() {
    printf '# Simulated data\n\n'
    measured
    printf 'Pulls of every refined parameter over 200 noise realizations (mean 0 and width 1 are right; those beyond 0.2 and\n'
    printf '0.1 are listed), and how often `strategy: auto` ends in the minimum from cells wrong by up to 1 %%, widths by\n30 %% and 0.2 mm of displacement.\n\n```\n'
    BRAGG_PULLS=200 "$top"/tests/test_pulls | grep -v '^Running\|Checks:\|:F:\|:E:'
    for seed in 0 7; do
        BRAGG_TRIALS=200 BRAGG_SEED=$seed OMP_NUM_THREADS=1 "$top"/tests/test_trials >"$work/trials.$seed" &
    done
    wait
    grep -h '^strategy auto\|^trial' "$work"/trials.*
    printf '```\n'
}

part_cards() {
    (cd "$work" && "$top/tests/validation/cards") >"$work/cards.md" || bad=1
    sed '/^# /q' "$work/cards.md"
    echo
    measured
    sed '1,/^# /d' "$work/cards.md" | sed '/./,$!d'
}

part_index() {
    printf '# Indexing\n\n'
    measured
    "$top"/tests/validation/index || bad=1
}

part_twins() {
    printf '# Twins\n\n'
    measured
    "$src"/tests/twins.sh
}

part_pdf() {
    printf '# Real space\n\n'
    measured
    printf 'Fits of measured G(r), `bragg pdf fit tests/validation/pdf/*.yaml`; Rw of all points in the range.\n\n'
    echo "| case | Rw % | parameters | reference |"
    echo "|---|---|---|---|"
    for file in "$src"/tests/validation/pdf/*.yaml; do
        name=$(basename "$file" .yaml)
        if ! "$bragg" pdf fit "$file" >"$work/fit.txt" 2>"$work/err"; then
            echo "| $name | | $(cat "$work/err") | |"
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
        ' "$work/fit.txt"
    done
    printf '\nErrors of G(r):\n\n```\n'
    "$top"/tests/pdf_pulls 400 || bad=1
    echo '```'
}

part_times() { # of the last make bench here
    [ -f "$top/bench.tsv" ] || { echo "no bench.tsv: run make bench first" >&2; return 1; }
    printf '# Times\n\n'
    measured
    printf 'By `make bench` on one machine; a ratio above 1: faster than the peer.\n\n'
    awk -F'\t' '{print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " |"} NR == 1 {print "|---|---|---|---|---|"}' "$top/bench.tsv"
}

results=$src/tests/validation/results
mkdir -p "$results"
for part in ${PARTS:-$all}; do
    echo "$part" >&2
    "part_$part" >"$work/part.md" && cp "$work/part.md" "$results/$part.md"
done
{
    printf '# Validation\n\nWritten by `make validate` (`PARTS` names the parts to run again): sections of tests/validation/results,\n'
    printf 'and behind them what was measured by hand, tests/validation/by-hand.md.\n'
    for part in $all; do
        [ -f "$results/$part.md" ] && echo && sed 's/^#/##/' "$results/$part.md"
    done
    echo
    sed 's/^#/##/' "$src/tests/validation/by-hand.md"
} >"$work/RESULTS.md"
cp "$work/RESULTS.md" "$src/tests/validation/RESULTS.md"
exit $bad
