#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The twins of examples/ through their demos, as a section of RESULTS.md on standard
# output.  TWINS: only these; runs of frames take minutes each.
bragg=${TOP_BUILDDIR:-.}/bragg
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
printf 'Simulated, analysed blind, compared with the truth by `bragg demo`: quantities within three esd, and what is counted\n'
printf 'over frames or states (weights within 2 %% or three esd, cells within three esd, onsets within one frame, phases named).\n\n'
printf '| twin | what | good | of | enough |\n|---|---|---|---|---|\n'
for name in ${TWINS:-$("$bragg" demo --list | cut -d' ' -f1)}; do
    if ! "$bragg" demo "$name" -o "$work/$name" --json >"$work/json" 2>"$work/err"; then
        echo "| $name | $(tail -1 "$work/err") | | | no |"
        continue
    fi
    awk -v twin="$name" '
        { sub(/,$/, "") }
        /"comparisons":/ { part = 1 } /"summary":/ { part = 2 }
        $1 == "\"pull\":" && part == 1 { n++; good += $2 != "null" && $2 <= 3 && $2 >= -3 }
        part == 2 && /"name":/ { what = $0; sub(/.*"name": "/, "", what); sub(/"$/, "", what) }
        part == 2 { value[$1] = $2 }
        part == 2 && /"worst":/ { rows[++m] = "| " twin " | " what " | " value["\"good\":"] " | " value["\"of\":"] " | " (value["\"enough\":"] == "true" ? "yes" : "no") " |" }
        END { print "| " twin " | quantities within three esd | " good " | " n " | |"; for (k = 1; k <= m; k++) print rows[k] }' "$work/json"
done
