#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Lines executed so far in a build configured with --enable-coverage, a row a folder of
# src/ and, with FILES=1, a row a file.
cd "${TOP_BUILDDIR:-.}" || exit 99
find . -name '*.gcda' | grep -q . || { echo "no counts here: configure with --enable-coverage and run make check"; exit 77; }
# objects of shared libraries and of programs may hold the same file: the best counts
find . -name '*.gcda' -path '*src*' | while read -r counts; do
    gcov -n "$counts" 2>/dev/null
done | awk -v files="${FILES-}" '
    /^File / {file = $0; sub(/^File ./, "", file); sub(/.$/, "", file); sub(/^.*\/src\//, "src/", file)}
    /^Lines executed:/ && file ~ /^src\/[a-z]+\/.*\.c$/ {
        split($0, part, /[:% ]+/)
        n = $NF; hit = part[3] * n / 100
        if (hit > best[file] || !(file in lines)) best[file] = hit
        lines[file] = n; file = ""
    }
    END {
        for (f in lines) {
            split(f, at, "/")
            total[at[2]] += lines[f]; done[at[2]] += best[f]; all += lines[f]; good += best[f]
            if (files) printf "%-40s %6d %6.1f\n", f, lines[f], 100 * best[f] / (lines[f] ? lines[f] : 1)
        }
        for (d in total) printf "%-40s %6d %6.1f\n", d, total[d], 100 * done[d] / total[d]
        printf "%-40s %6d %6.1f\n", "whole", all, 100 * good / all
    }' | sort
