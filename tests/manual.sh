#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each command has a page, the page has each option of --help and no other, mandoc, where
# installed, finds nothing to complain of, the examples of each page run, and so does the
# program of libbragg(3).
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
# each key that an experiment may have stands in its page
keys=$({ sed -n 's/^    { \("[a-z_]*"\), offsetof(bragg_pdf_options.*/\1/p;s/.*others\[\] = //p' "$top/src/pdf/recipe.c" | tr ',' '\n'; cat "$top"/src/refine/*.c "$top"/src/pdf/*.c "$top"/src/operando/*.c "$top"/src/log/options.c | tr '\n' ' ' |
    grep -oE 'const char \*const (keys|known)\[\] = \{[^}]*\}'; } | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u)
[ "$(echo "$keys" | wc -l)" -gt 100 ] || { echo "expected a hundred keys of experiments at least, found $(echo "$keys" | wc -l)"; bad=1; }
known=$keys
for key in $keys; do
    grep -qw -- "$key" "$top/man/bragg-experiment.5" || { echo "man/bragg-experiment.5 does not tell of the key $key"; bad=1; }
done
if command -v mandoc >/dev/null 2>&1; then
    mandoc -T lint -W warning "$top"/man/*.[0-9] || bad=1
fi

# The examples.  Lines ".Dl bragg …" below EXAMPLES are run one after the other in a folder
# with the files they name; what follows a comment "not run: why" is not, and neither is what
# needs a file that is not there (measured frames and foreign formats, from $BRAGG_SHARED).
# So are the lines of the README's first ten minutes.
bragg=$(cd "${TOP_BUILDDIR:-.}" && pwd)/bragg top=$(cd "$top" && pwd) shared=${BRAGG_SHARED:-$top/../shared}/data
sample=$work/sample
mkdir -p "$sample/run" "$sample/cod"
sample() { # every example's files, under the names the pages use
    set -e
    "$bragg" simulate "$top/tests/manual/ceria.yaml" -o ceria
    cp ceria/frames/*.xye frame.xye
    cp "$top/tests/manual/frame.yaml" "$top/tests/manual/truth.yaml" .
    "$bragg" simulate "$top/tests/report/truth.yaml" -o series
    cp series/frames/*.xye run
    cp series/cycler.mpt .
    sed 's,frames/,run/,' "$top/tests/report/experiment.yaml" >run.yaml
    "$bragg" pdf debye Ni --diameter 40 --uiso 0.006 -o ni
    cp ni.gr pristine.gr
    "$bragg" pdf debye Ni --diameter 40 --uiso 0.009 -o charged
    sed 's,nickel.gr,ni.gr,' "$top/tests/report/nickel-gr.yaml" >nickel.yaml
    cp "$top/examples/bisnsb-pdf/BiSnSb.cif" .
    "$bragg" simulate "$top/examples/bisnsb-pdf/truth.yaml" -o total
    cp total/M-BiSnSb.xye sample.xye
    cp total/capillary.xye .
    cp "$top/tests/manual/lines.txt" .
    cp "$top/cif/Ni.cif" mine.cif
    cp "$top/cif/Ni.cif" "$top/cif/Bi.cif" "$top/cif/Cu.cif" cod
    tar -czf cod.tar.gz cod
    if "$bragg" convert "$top/tests/invalid/frame.tif" run_0001.cbf; then # needs CBFlib
        cp run_0001.cbf run_0002.cbf
    fi
    "$bragg" refine frame.yaml -o results
    if [ -e "$shared/frames/CeO2_Pilatus1M.tif" ]; then
        cp "$shared/frames/CeO2_Pilatus1M.tif" ceria.tif
        cp ceria.tif frame.tif
        cp ceria.tif standard.tif # the README's names
        cp ceria.tif sample.tif
        "$bragg" convert ceria.tif run/ceria.cbf || true
        cp "$shared/frames/CeO2_Pilatus1M.poni" setup.poni
    fi
    [ ! -e "$shared/formats/patterns/Scan_C1.xrdml" ] || cp "$shared/formats/patterns/Scan_C1.xrdml" lab6.xrdml
}
(cd "$sample" && sample) >"$work/out" 2>&1
[ $? -eq 0 ] || { echo "the examples' files cannot be made:"; tail -5 "$work/out"; exit 1; }
ran=0 left_out=0
run_lines() { # name; the lines are in $work/examples
    page=$1
    here=$work/here
    rm -rf "$here"
    cp -r "$sample" "$here"
    # what the examples are about to write is not there yet
    skip=
    while IFS= read -r line; do
        case $line in
        '.\" not run: '*) skip=1; continue ;;
        '.Dl bragg '*) ;;
        *) continue ;;
        esac
        [ -z "$skip" ] || { skip=; left_out=$((left_out + 1)); continue; }
        words=${line#.Dl bragg }
        out=$(echo " $words" | sed -n 's/.* -o \([^ ]*\).*/\1/p')
        case $words in convert*) out=${words##* } ;; esac
        missing=
        for word in $words; do
            case $word in
            "$out") ;;
            *.cbf | *.tif | *.xrdml | setup.poni) ls "$here"/$word >/dev/null 2>&1 || missing=$word ;; # unquoted: run/*.cbf
            esac
        done
        case $words in *.h5*) ! "$bragg" --version | grep -q 'no HDF5' || missing=HDF5 ;; esac
        [ -z "$missing" ] || { echo "$(basename "$page"): no $missing for: bragg $words"; left_out=$((left_out + 1)); continue; }
        [ -z "$out" ] || rm -rf "${here:?}/$out"
        # the line stands as it would be typed: the shell takes it apart
        (cd "$here" && PATH=$(dirname "$bragg"):$PATH && eval "bragg $words") >"$work/out" 2>&1 </dev/null ||
            { echo "$(basename "$page"): bragg $words: exit $?: $(tail -2 "$work/out")"; bad=1; }
        [ -z "$out" ] || ls "$here/$out"* >/dev/null 2>&1 || { echo "$(basename "$page"): bragg $words: wrote no $out"; bad=1; }
        ran=$((ran + 1))
    done <"$work/examples"
}
for page in "$top"/man/*.1; do
    sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$page" >"$work/examples"
    run_lines "$page"
done
if [ -e "$sample/standard.tif" ]; then # the first ten minutes, in their order
    sed -n '/^## The first ten minutes/,/^## What it does/s/^    bragg /.Dl bragg /p' "$top/README.md" >"$work/examples"
    [ "$(wc -l <"$work/examples")" -ge 5 ] || { echo "README.md: expected 5 lines at least of the first ten minutes"; bad=1; }
    run_lines README.md
fi
echo "$ran examples run, $left_out not"
[ "$ran" -ge 15 ] || { echo "expected 15 examples at least"; bad=1; }

# Each data set, column and key that is written stands in bragg-results(5).
told() { # what it is, its names
    what=$1
    shift
    for name in "$@"; do
        grep -qE "(^|[ ./])$name([], [/]|\$)" "$top/man/bragg-results.5" || { echo "man/bragg-results.5 does not tell of $name in $what"; bad=1; }
    done
}
# shellcheck disable=SC2046 # words on purpose
{
    told series.h5 $(grep -ohE '"/(series|patterns|log|clock|analysis)(/[a-z_]+)?"' "$top"/src/operando/store*.c | tr -d '"' | sed 's,.*/,,' | sort -u)
    told OUT.h5 $(grep -ohE '"/entry/[a-z_/]+[a-z]"' "$top/src/pattern/nxazint.c" | tr -d '"' | sed 's,.*/,,' | sort -u)
    for table in parameters reflections geometry; do told $table.csv $(head -1 "$sample/results/$table.csv" | tr ',' ' '); done
    told fit.csv $(head -1 "$sample/results/fit.csv" | cut -d, -f2- | tr ',' ' ')
    told fit.json $(sed -n 's/^  "\([a-z_0-9]*\)":.*/\1/p' "$sample/results/fit.json")
    told 'identify --json' $("$bragg" identify "$sample/frame.xye" --json | grep -oE '"[a-z_]+":' | tr -d '":' | grep -vxE '[abc]|alpha|beta|gamma' | sort -u)
    told 'patterns' $(sed -n 's/^# \([a-z_]*\):.*/\1/p' "$sample/frame.xye")
}

# What stands before each paragraph of bragg-experiment(5) is read as it stands there.
keys=$work/keys
mkdir -p "$keys/run" "$keys/frames"
keys_files() {
    set -e
    cp "$top/tests/chaos/nickel.xye" "$top/tests/chaos/nickel.yaml" .
    for name in ceo2 empty run/1 run/2; do cp nickel.xye $name.xye; done
    cp "$sample/cycler.mpt" cell.mpt
    cp "$top/cif/Ni.cif" mine.cif
    printf '1.540598 100 0.0005\n1.544426 50 0.0006\n' >lines.txt
    printf '2.034 100\n1.762 46\n' >peaks.txt
    "$bragg" refine nickel.yaml -o results
    cp results/instrument.instr lab6.instr
    cp results/reflections.csv .
    for name in mask dark flat frames/1 frames/2; do cp "$top/tests/invalid/frame.tif" $name.tif; done
    sed 's/1e-10/1e-11/' "$top/tests/invalid/good.poni" >setup.poni
    "$bragg" convert frames/1.tif run.h5 || true # needs HDF5
}
(cd "$keys" && keys_files) >"$work/out" 2>&1
[ $? -eq 0 ] || { echo "the files for the keys cannot be made:"; tail -5 "$work/out"; exit 1; } # set -e is void left of ||
try() { # section, example
    radiation='wavelength: 0.4066' data='pattern: nickel.xye, range: [10, 22]' phase='card: Ni' refine='background: {terms: 3}' more= how='refine --parameters'
    case $1 in
    radiation) radiation=$2 how='refine --print-config' ;;
    data)
        data="pattern: nickel.xye, $2"
        case $2 in pattern:*) data=$2 ;; patterns:* | frames:*) data=$2 how=operando ;; esac ;;
    detector) data='frames: frames/*.tif' how=operando more="detector: {poni: setup.poni, $2}" ;;
    log) data='patterns: run/*.xye' how=operando more="log: {file: cell.mpt, $2}" ;;
    sequence | analysis) data='patterns: run/*.xye' how=operando more="$1: {$2}" ;;
    pdf) data='pattern: nickel.xye' more="pdf: {composition: Ni, $2}" how=operando ;;
    phases)
        phase="card: Ni, $2"
        case $2 in card:* | cif:* | name:*) phase=$2 ;; esac ;;
    refine) refine=$2 ;;
    esac
    case $2 in poni:* | file:*) more="$1: {$2}" ;; composition:*) more="$1: {$2}" ;; *run.h5*) [ -e "$keys/run.h5" ] || return 0 ;; esac
    case $how in *operando) case $data in frames*) radiation='wavelength: 0.1' phase='card: Bi' more=${more:-'detector: {poni: setup.poni}'} ;; esac
        phase="$phase, refine: [scale]" ;; esac
    printf '%s\n' "radiation: {$radiation}" "data: {$data}" "phases: [{$phase}]" "refine: {$refine}" "$more" >"$keys/x.yaml"
    # shellcheck disable=SC2086 # words on purpose
    (cd "$keys" && "$bragg" ${how%% *} x.yaml $(echo "$how" | cut -s -d' ' -f2-)) >"$work/out" 2>&1
    case $? in 0 | 4) ;; *) grep -q 'patterns could be fitted' "$work/out" || echo "bragg-experiment(5), $1: $2: $(tail -1 "$work/out")" >>"$work/bad.examples" ;; esac
}
awk '/^\.Ss/ { s = $2; wanted = NF == 2 } /^\.It Li "/ && wanted { n = split($0, part, "\""); for (k = 2; k < n; k += 2) print s "\t" part[k] }' "$top/man/bragg-experiment.5" >"$work/examples"
while IFS='	' read -r section example; do
    try "$section" "$example" </dev/null
done <"$work/examples"
[ ! -s "$work/bad.examples" ] || { cat "$work/bad.examples"; bad=1; }
[ "$(wc -l <"$work/examples")" -ge 90 ] || { echo "bragg-experiment(5): expected 90 examples at least, found $(wc -l <"$work/examples")"; bad=1; }
# and each key has one, but the sections themselves and what stands in instruments' files
for key in $known; do
    case $key in ? | sl | hl | box | pixel | zero | radiation | data | detector | log | phases | refine | sequence | analysis | pdf) continue ;; esac
    grep -qE "(^|[^a-z_.])$key: " "$top/man/bragg-experiment.5" || { echo "man/bragg-experiment.5: no example of the key $key"; bad=1; }
done

# And so with bragg-truth(5), whose examples are simulated.
keys=$(cat "$top"/src/simulate/*.c | tr '\n' ' ' | grep -oE '(keys|edges|bragg_truth_instrument)\[[A-Z_]*\] = \{[^}]*\}|keys\[TRUTH_INSTRUMENT[^]]*\] = "[a-z_]+"' |
    grep -oE '"[a-z_0-9]+"' | tr -d '"' | sort -u)
[ "$(echo "$keys" | wc -l)" -gt 80 ] || { echo "expected 80 keys of truths at least, found $(echo "$keys" | wc -l)"; bad=1; }
for key in $keys; do
    case $key in radiation | patterns | detector | total | instrument | run | windows | cycler | furnace) grep -qx "\.Ss $key" "$top/man/bragg-truth.5" && continue ;; esac
    grep -qE "(^|[^a-z_.])$key: " "$top/man/bragg-truth.5" || { echo "man/bragg-truth.5: no example of the key $key"; bad=1; }
done
truth=$work/truth
mkdir -p "$truth"
try_truth() { # section, example
    radiation='wavelength: 0.7093' looks='patterns: {range: [10, 60], step: 0.1}' run='frames: 2, every_s: 600' phases='{card: Ni}' what=run more=
    case $1 in
    title | seed) more=$2 ;;
    radiation) radiation=$2 ;;
    patterns) looks="patterns: {$2}" ;;
    detector)
        looks='name: Pilatus100k, distance_m: 0.1'
        case $2 in name:*) looks=$2 ;; poni1_m:*) looks="name: Pilatus100k, distance_m: 0.1, $2" ;; *) looks="$looks, $2" ;; esac
        looks="detector: {$looks}" run='frames: 1' ;;
    total)
        case $2 in qrange:*) looks=$2 ;; *) looks="qrange: [0.8, 6], $2" ;; esac
        looks="total: {$looks}" run='frames: 1' phases='{card: Ni, uiso: 0.006}' ;;
    instrument) more="instrument: {$2}" ;;
    frames) what=frames run=$2 ;;
    run)
        run=$2
        case $2 in frames:*) ;; *) run="frames: 2, $2" ;; esac
        case $2 in format:*) looks='detector: {name: Pilatus100k, distance_m: 0.1}' ;; esac ;;
    phases)
        phases="{$2}"
        case $2 in *delta2:* | *' z:'*) looks='total: {qrange: [0.8, 6]}' run='frames: 1' ;; esac ;;
    windows) more="windows: [{$2}]" ;;
    cycler)
        run="$run, start: 2024-06-11T17:42:05" more=$2
        case $2 in *molar_mass:*) ;; *) more="$more, molar_mass: 149.82" ;; esac
        case $2 in *voltage:*) ;; *) more="$more, voltage: [[0, 2], [3, 0.1]]" ;; esac
        case $2 in *protocol:*) ;; *) more="$more, protocol: [{current_ma: -0.1, electrons: 3}]" ;; esac
        more="cycler: {$more}" ;;
    furnace)
        run="$run, start: 2024-06-11T17:42:05" more=$2
        case $2 in *temperature:*) ;; *) more="$more, temperature: [[0, 298], [600, 770]]" ;; esac
        more="furnace: {$more}" ;;
    esac
    [ $what = run ] && what="run: {$run}" phases="phases: [$phases]" || what="frames: [{$run}]" phases=
    printf '%s\n' "radiation: {$radiation}" "$looks" "$what" "$phases" "$more" >"$truth/x.yaml"
    "$bragg" simulate "$truth/x.yaml" -o "$truth/out" -f >"$work/out" 2>&1 || echo "bragg-truth(5), $1: $2: $(tail -1 "$work/out")" >>"$work/bad.truths"
}
awk '/^\.Ss/ { s = $2 } /^\.It Li "/ { n = split($0, part, "\""); for (k = 2; k < n; k += 2) print s "\t" part[k] }' "$top/man/bragg-truth.5" >"$work/examples"
while IFS='	' read -r section example; do
    try_truth "$section" "$example" </dev/null
done <"$work/examples"
[ ! -s "$work/bad.truths" ] || { cat "$work/bad.truths"; bad=1; }
[ "$(wc -l <"$work/examples")" -ge 70 ] || { echo "bragg-truth(5): expected 70 examples at least, found $(wc -l <"$work/examples")"; bad=1; }
sed -n '/^\.Bd -literal/,/^\.Ed/{/^\./d;p;}' "$top/man/bragg-truth.5" >"$truth/whole.yaml"
"$bragg" simulate "$truth/whole.yaml" -o "$truth/whole" >"$work/out" 2>&1 || { echo "bragg-truth(5): its first example: $(tail -1 "$work/out")"; bad=1; }

# The number of the store's layout is that which is written.
format=$(sed -n 's/.*[ ,]FORMAT = \([0-9]*\).*/\1/p' "$top/src/operando/store_parts.h")
grep -q "^the layout's number, $format; " "$top/man/bragg-results.5" || { echo "man/bragg-results.5: expected the layout's number, $format"; bad=1; }

# libbragg(3) names each public header, and no function or type that is not in one.
for header in $(sed -n 's,^#include <bragg/\(.*\)>,\1,p' "$top/src/bragg.h"); do
    grep -q "In bragg/$header" "$top/man/libbragg.3" || { echo "man/libbragg.3 does not name bragg/$header"; bad=1; }
done
for name in $(grep -E '^\.(Fn|Vt) ' "$top/man/libbragg.3" | grep -oE '\bbragg_[a-z0-9_]+'); do
    grep -qw "$name" "$top"/src/bragg/*.h || { echo "man/libbragg.3: no public header has $name"; bad=1; }
done

# The program of libbragg(3).
sed -n '/^#include <bragg.h>/,/^\.Ed/p' "$top/man/libbragg.3" | sed '/^\.Ed/d;s/\\en/\\n/g' >"$work/prog.c"
${CC:-cc} -std=gnu11 -Wall -Wextra -Werror $("${PKG_CONFIG:-pkg-config}" --cflags jansson 2>/dev/null) -I"$top/src" -c "$work/prog.c" -o "$work/prog.o" || bad=1
if [ -e "${TOP_BUILDDIR:-.}/.libs/libbragg.so" ]; then
    ${CC:-cc} "$work/prog.o" -L"${TOP_BUILDDIR:-.}/.libs" -lbragg -o "$work/prog" || bad=1
    LD_LIBRARY_PATH=${TOP_BUILDDIR:-.}/.libs "$work/prog" "$top/tests/chaos/nickel.yaml" >"$work/out" || bad=1
    grep -q '^Ni: a = 3\.52[0-9]*([0-9]*), c = 3\.52[0-9]*([0-9]*) angstrom$' "$work/out" || { echo "libbragg(3): its program prints '$(cat "$work/out")'"; bad=1; }
fi
exit $bad
