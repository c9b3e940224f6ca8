#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Options that no other test gives to the command, each by what it must change: a frame
# divided by itself is one, less itself nothing; a list ends where it was told to.
. "${TOP_SRCDIR:-.}/tests/cases.sh"
# the smallest and the largest second column of $1, where it was measured
extent() { awk '!/^#/ && NF >= 2 && $3 > 0 { if (!n++ || $2 < lo) lo = $2; if (n == 1 || $2 > hi) hi = $2 } END { print lo + 0, hi + 0, n + 0 }' "$1"; }
first() { awk '!/^#/ && $1 ~ /^[-0-9.]/ { print $1; exit }' "$1"; }
last() { awk '!/^#/ && $1 ~ /^[-0-9.]/ { x = $1 } END { print x }' "$1"; }
same() { near "$(first "$1")" "$2" 1e-6 && near "$(last "$1")" "$3" 1e-6 || fail "$1 goes from $(first "$1") to $(last "$1"), expected $2 to $3"; }

# ------------------------------------------------------------------ a frame
cat >truth.yaml <<'END'
title: lanthanum hexaboride
seed: 137
radiation: {wavelength: 0.4133, polarization: 0.99}
detector: {name: Pilatus300K, distance_m: 0.137, poni1_m: 0.0531, poni2_m: 0.0407, rot1_rad: 0.004, rot2_rad: -0.003, gaps: true}
instrument: {u: 0.002, v: -0.0003, w: 0.004, x: 0.0008, y: 0.002}
frames:
  - {name: one, counts: 4000, background: 0.03, phases: [{card: LaB6, weight: 1, size_nm: 200}]}
END
run simulate truth.yaml -o twin && cp "$(find twin -name one.tif)" one.tif || fail "simulate"
run calibrate one.tif -c LaB6 -w 0.4133 --pixel-um 172 --distance-mm 120 -o nameless.poni --json && near "$(number distance_m)" 0.137 5e-5 || fail "--pixel-um, --distance-mm: $(number distance_m)"
run calibrate one.tif -c LaB6 -w 0.4133 -d Pilatus300K -o setup.poni || fail "calibrate"
cp setup.poni kept.poni
run calibrate one.tif -c LaB6 -w 0.4140 -p setup.poni --fix distance --fit-wavelength -o setup.poni && fail "a PONI file was overwritten"
cmp -s setup.poni kept.poni || fail "a refused calibration changed its file"
for way in --fit-wavelength '--refine wavelength'; do
    # shellcheck disable=SC2086 # two words on purpose
    run calibrate one.tif -c LaB6 -w 0.4140 -p setup.poni --fix distance $way --json && near "$(number wavelength_ang)" 0.4133 5e-5 || fail "$way: $(number wavelength_ang)"
done
run convert one.tif one.npy || fail "convert into NumPy"
run calibrate one.npy --raw 487x619xint32+128 -c LaB6 -w 0.4133 -d Pilatus300K -o raw.poni --json && near "$(number distance_m)" 0.137 5e-5 || fail "calibrate --raw"

run calibrate one.tif -c LaB6 -w 0.4133 -d Pilatus300K --mask one.tif -o masked.poni && fail "calibrate with every pixel that shines masked"
grep -q 'expected rings' err && [ ! -e masked.poni ] || fail "all masked"
sed 's/seed: 137/seed: 138/; s/name: one/name: two/; s/rot1_rad: 0.004/rot1_rad: 0.017/' truth.yaml >tilted.yaml
run simulate tilted.yaml -o tilted && cp "$(find tilted -name two.tif)" two.tif || fail "simulate a tilted frame"
tilt() { awk '/^Rot1/ { print $2 }' "$1"; }
run calibrate one.tif two.tif -c LaB6 -w 0.4133 -d Pilatus300K --mask gaps --own-tilts -o own.poni && near "$(tilt own_1.poni)" 0.004 2e-4 && near "$(tilt own_2.poni)" 0.017 2e-4 || fail "--own-tilts: $(tilt own_1.poni) and $(tilt own_2.poni)"
run calibrate one.tif two.tif -c LaB6 -w 0.4133 -d Pilatus300K -o one_tilt.poni
near "$(tilt one_tilt_1.poni)" "$(tilt one_tilt_2.poni)" 1e-12 || fail "without --own-tilts there are two"

# a frame of cold silicon, taken for one at 100 degrees Celsius: its rings tell a longer wavelength by as much as the cell is longer
sed 's/lanthanum hexaboride/silicon/; s/name: one/name: three/; s/card: LaB6/card: Si/' truth.yaml >silicon.yaml
run simulate silicon.yaml -o silicon && cp "$(find silicon -name three.tif)" three.tif || fail "simulate silicon"
run calibrate three.tif -c Si -w 0.4133 -d Pilatus300K -o cold.poni || fail "calibrate silicon"
held='-p cold.poni --fix distance,poni1,poni2,rot1,rot2 --fit-wavelength --json'
# shellcheck disable=SC2086 # words on purpose
run calibrate three.tif -c Si -w 0.4133 $held || fail "calibrate silicon's wavelength"
cold=$(number wavelength_ang)
# shellcheck disable=SC2086 # words on purpose
run calibrate three.tif -c Si -w 0.4133 $held --temperature 373.15 -o hot.poni && near "$(awk -v hot="$(number wavelength_ang)" -v cold="$cold" 'BEGIN { printf "%.10f", hot / cold }')" 1.000218559 1e-7 || fail "--temperature: $(number wavelength_ang) after $cold"
near "$(number temperature_k)" 373.15 1e-9 && grep -qx '# Calibrant: Si at 373.15 K' hot.poni || fail "--temperature is not told"
run calibrate one.tif -c LaB6 -w 0.4133 -d Pilatus300K --temperature 373.15 -o hotter.poni && fail "--temperature of a standard without a known expansion"
grep -q "(Si, Al2O3), found 'LaB6'" err && [ ! -e hotter.poni ] || fail "--temperature of LaB6: $(cat err)"
run calibrate three.tif -c Si -w 0.4133 -d Pilatus300K --temperature 20 -o hotter.poni && fail "--temperature beyond the range"
grep -q -- '--temperature: thermal expansion of Si: expected a temperature from 120 to 1500 K, found 20' err || fail "--temperature 20: $(cat err)"

# what the refusal of gaps of no detector advises helps
run integrate one.tif --poni nameless.poni --mask gaps -n 400 -o nameless.xye && fail "gaps of a detector without a name"
echo 'gaps: Pilatus300K' >gaps.yaml
grep -q "YAML with the line 'gaps: " err && run integrate one.tif --poni nameless.poni --mask gaps.yaml -n 400 -o nameless.xye || fail "gaps by the mask's own name: $(cat err)"

one() { name=$1; shift; run integrate one.tif --poni setup.poni --mask gaps -n 400 -o "$name.xye" "$@" || fail "integrate $*"; }
one base
one itself --flat one.tif --no-solid-angle --polarization nan
extent itself.xye | awk '{ exit !($1 > 0.999 && $2 < 1.001 && $3 > 300) }' || fail "a frame divided by itself goes over $(extent itself.xye)"
one less --dark one.tif
extent less.xye | awk '{ exit !($1 == 0 && $2 == 0) }' || fail "a frame less itself goes over $(extent less.xye)"
one variance --variance one.tif
one base2 --frame 0 --split full --errors poisson
cmp -s base.xye base2.xye || fail "--frame 0 --split full --errors poisson are not the defaults"
run integrate one.npy --raw 487x619xint32+128 --poni setup.poni --mask gaps -n 400 -o raw.xye || fail "integrate --raw"
# columns 1, 2 and 3 of both in a share of the lines: $3 how much they may differ, $4 how many must not
alike() { paste "$1" "$2" | awk -v by="$3" -v share="$4" '!/#/ && NF == 6 && $2 > 0 { n++; d = $5 / $2 - 1; if (d < by && d > -by) good++ } END { exit !(n > 200 && good >= share * n) }' || fail "$1 and $2 are not alike"; }
alike base.xye raw.xye 1e-5 1
alike base.xye variance.xye 1e-9 1
for how in '--split none' '--split bbox' '--errors azimuthal' --mean '--sensor-mu-t 1.3' '--sample-mu-t 0.4'; do
    # shellcheck disable=SC2086
    one other -f $how
    alike base.xye other.xye 0.4 0.75 # pixels that are not split among bins are noise at sharp lines
    cmp -s base.xye other.xye && fail "$how changes nothing"
done
one middle --median
alike base.xye middle.xye 0.5 0.7
one twice -w 0.8266 -u q_A^-1
one once -u q_A^-1
near "$(awk -v a="$(last once.xye)" -v b="$(last twice.xye)" 'BEGIN { print a / b }')" 2 1e-6 || fail "twice the wavelength: Q to $(last twice.xye) and $(last once.xye)"

# ------------------------------------------------------------ patterns, cards
run identify base.xye --must La,B --not Ce -o answer.yaml && grep -q LaB6 answer.yaml || fail "identify --must"
run identify base.xye --must Ce -o other.yaml --json
grep -q '"LaB6"' out && fail "identify --must Ce names LaB6"
mixture=${BRAGG_SHARED:-$top/../shared}/data/mixtures/NiO_0p6007-Bi2O3_0p4008--2min.xrdml
if [ -f "$mixture" ]; then # an instrument of 145 mm, as its file says
    run identify "$mixture" -e Ni,Bi,O -o radius.yaml && grep -q '^  radius_mm: 145  # of the goniometer, as' radius.yaml || fail "identify -o: $(grep radius radius.yaml)"
    sed '/radius_mm/d' radius.yaml >told.yaml
    run refine told.yaml && grep -q "^goniometer radius: 145 mm, as the pattern's file says" out || fail "refine does not say where its radius is from"
fi
run index "$top/tests/manual/lines.txt" -w 1.54 -u d_A -k list -s 0.01 -z 0.05 --max-volume 400 --max-edge 9 --systems cubic -c 0 -t 60 --json && near "$(number a)" 5.411 0.003 || fail "index of a list: a = $(number a)"
run index "$top/tests/manual/lines.txt" -w 1.54 -u d_A -k list --max-volume 60 --systems cubic -c 0 -t 5 --json
near "$(number a)" 5.411 0.003 && fail "index --max-volume 60 finds 158"
run cards list --must Bi --not O --json && grep -q '"Bi"' out && ! grep -q '"BiOCl"' out || fail "cards list --not O"
run cards list --of nowhere && fail "cards list --of a set that is not there"
run cards show LaB6 --all -w 0.4133 && [ "$(wc -l <out)" -gt 30 ] || fail "cards show --all: $(wc -l <out) lines"
run convert one.tif up.tif --flip vertical && run convert up.tif down.tif --flip vertical && ! cmp -s up.tif one.tif || fail "convert --flip"
run integrate down.tif --poni setup.poni --mask gaps -n 400 -o down.xye || fail "integrate what was turned twice"
alike base.xye down.xye 1e-9 1
run plot base.xye once.xye -u q_A^-1 -w 0.4133 --offset 0.5 --normalize --title 'twice one' -o both.svg && grep -q . both.svg || fail "plot of two patterns"
run plot one.tif --flip horizontal -o frame.png && [ -s frame.png ] || fail "plot of a frame"

# cakes are drawn against their azimuth, several frames of them one by one, patterns over 2theta
if run integrate one.tif two.tif --poni setup.poni --mask gaps -n 300 --azimuth 8 -o cakes.h5; then
    run plot 'cakes.h5:/entry/data[1]' -o cake.svg && [ "$(head -c 9 cake.csv)" = ordinate/ ] && [ "$(wc -l <cake.csv)" = 9 ] || fail "plot of a cake"
    run plot cakes.h5 -o cakes.svg && fail "two cakes in one figure"
    grep -q 'names one' err || fail "two cakes"
    run integrate one.tif two.tif --poni setup.poni --mask gaps -n 300 -o both.h5 && run plot both.h5 --map -o map.svg && [ "$(head -c 6 map.csv)" = frame/ ] || fail "plot of two integrated frames"
    run convert cakes.h5 first.xye && grep -q 'first of its 16 patterns' err || fail "convert of cakes does not say which"
else
    grep -q 'HDF5' err || fail "integrate into HDF5"
fi

# ------------------------------------------------------------- refinements
cp "$top"/tests/chaos/nickel.* .
run refine nickel.yaml -o plain && run refine nickel.yaml --weighted -o weighted || fail "refine --weighted"
cmp -s plain/fit.svg weighted/fit.svg && fail "--weighted draws the same"
run refine nickel.yaml --print-config && grep -q 'polarization: 0.99' out && cp out printed.yaml && run refine printed.yaml --print-config && cmp -s out printed.yaml || fail "refine --print-config is not what it prints"
run refine nickel.yaml --start plain -o again --json && [ "$(number cycles)" -le "$(sed -n 's/.*"cycles": *\([0-9]*\).*/\1/p' plain/fit.json | head -1)" ] || fail "refine --start"
near "$(number value)" "$(tr -d '\n ' <plain/fit.json | grep -o '"value":[-0-9.e]*' | head -1 | sed 's/.*://')" 1e-3 || fail "another result from where it ended"
run refine nickel.yaml --start nowhere && fail "a start that is not there"

# ------------------------------------------------------------------- a run
cat >run.yaml <<'END'
radiation: {wavelength: 0.4066, polarization: 0.99}
data: {patterns: "came/*.xye", range: [10, 22]}
phases:
  - {card: Ni, refine: [scale, cell]}
refine: {background: {type: chebyshev, terms: 3}}
END
mkdir came && for k in 1 2 3; do cp nickel.xye came/$k.xye; done
run operando run.yaml --print-config && grep -q 'came/\*.xye' out && grep -q '^sequence:' out || fail "operando --print-config"
run operando run.yaml --json && [ "$(grep -c '"status": *"ok"' out)" = 3 ] || fail "operando --json: $(grep -c status out) frames"
run operando run.yaml --follow --idle 0.5 --json && [ "$(grep -c '"status": *"ok"' out)" = 3 ] || fail "operando --idle does not end"

# ----------------------------------------------------------- total scattering
run pdf debye Ni --shape rod --diameter 16 --length 30 --uiso 0.006 --qmin 0.7 --qmax 18 --qstep 0.02 --qdamp 0.03 --rmin 1 --rmax 20 --rstep 0.02 --bin 0.002 -o rod || fail "pdf debye of a rod"
same rod.gr 1 20
same rod.iq 0.7 18
run pdf debye Ni --shape plate --diameter 20 --length 12 --uiso 0.006 --neutron --qmax 18 -o plate && ! cmp -s rod.iq plate.iq || fail "pdf debye of a plate"
run pdf debye Ni --diameter 30 --uiso 0.006 -o ball || fail "pdf debye of a ball"
run pdf ball.iq -u q_A^-1 -c Ni --qmin 1 --qmax 20 --qmaxinst 22 --rpoly 1.1 --rmin 0.5 --rmax 12 --rstep 0.02 --window lorch -o lorch.gr || fail "pdf --window"
same lorch.gr 0.5 12
run pdf ball.iq -u q_A^-1 -c Ni --qmin 1 --qmax 20 --qmaxinst 22 --rpoly 1.1 --rmin 0.5 --rmax 12 --rstep 0.02 --lorch -o lorch2.gr || fail "pdf --lorch"
run pdf difference lorch.gr lorch2.gr --scale 1 --rmin 2 --rmax 10 -o nothing.gr || fail "pdf difference --scale"
awk '!/^#/ && $2 * $2 > 1e-18 { bad = 1 } END { exit bad }' nothing.gr || fail "a curve less itself is not nothing"
run pdf ball.iq -u q_A^-1 -c Ni --qmax 20 --number-density 0.0914 --first-distance 2.49 --keep-outliers --no-anomalous --empty 'ball.iq*0' --bgscale 0.5 -b ball.iq -o half.gr || fail "pdf --first-distance"
run pdf ball.iq -u q_A^-1 -w 0.2 -c Ni --qmax 20 --route physical --density 8.91 --mount plate --size 0.3 --packing 0.5 --wall 0.01 --wall-mu 0.1 --mu-r 0.1 --compton --compton-window 0.3 --polarization 0.95 -o wall.gr
case $? in 0 | 3) ;; *) fail "pdf with all corrections" ;; esac
run pdf fit ball.gr -c Ni --refine scale,cell,uiso --rmin 2 --rmax 14 --qmax 25 --uiso 0.004 --qdamp 0 --qbroad 0 --delta1 0 --delta2 0 --spdiameter 30 --cycles 30 --xray -o ball.fgr --json || fail "pdf fit"
tr -d '\n ' <out | grep -q '"phase.Ni.cell.a":{"value":3\.5' || fail "pdf fit: another cell of nickel"
same ball.fgr 2 14
end
