#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Commands as a beamline uses them, from frames whose truth is known: a detector moved away
# twice, eight ways up, cakes, batches, resumed runs, JSON; and what the sets of cards tell.
. "${TOP_SRCDIR:-.}/tests/cases.sh"

# ------------------------------------------------------------------ frames
for mm in 137 197 257; do
    cat >truth.yaml <<END
title: lanthanum hexaboride
seed: $mm
radiation: {wavelength: 0.4133, polarization: 0.99}
detector: {name: Pilatus300K, distance_m: 0.$mm, poni1_m: 0.0531, poni2_m: 0.0407, rot1_rad: 0.004, rot2_rad: -0.003, gaps: true}
instrument: {u: 0.002, v: -0.0003, w: 0.004, x: 0.0008, y: 0.002}
frames:
  - {name: far$mm, counts: 4000, background: 0.03, phases: [{card: LaB6, weight: 1, size_nm: 200}]}
END
    run simulate truth.yaml -o "at$mm" || fail "simulate at $mm mm"
    cp at$mm/frames/*.tif "far$mm.tif" 2>/dev/null || cp "at$mm"/*.tif "far$mm.tif" || fail "no frame at $mm mm"
done
run calibrate far137.tif -c LaB6 -w 0.4133 -d Pilatus300K -o setup.poni --plot rings.svg --json || fail "calibrate"
near "$(number distance_m)" 0.137 5e-5 || fail "distance $(number distance_m), truth 0.137"
[ -s rings.svg ] || fail "calibrate drew no rings"
# frames at three distances free the wavelength
run calibrate far137.tif far197.tif far257.tif -c LaB6 -w 0.4143 -d Pilatus300K --moved-mm 0,60,120 -o moved.poni --json || fail "calibrate together"
near "$(number wavelength_ang)" 0.4133 4e-5 || fail "wavelength $(number wavelength_ang), truth 0.4133"
for k in 1 2 3; do
    [ -s "moved_$k.poni" ] || fail "no moved_$k.poni"
done
run calibrate far137.tif -d Pilatus300K -w 0.4133 -c LaB6 -p setup.poni --orient || fail "--orient"
[ "$(grep -c '[0-9]' out)" -ge 8 ] || fail "--orient tells $(wc -l <out) lines of eight ways up"

run integrate far137.tif --poni setup.poni --mask gaps -o one.xye -n 700 --normalize monitor && fail "normalized by a monitor that no header has"
[ ! -e one.xye ] || fail "a refused frame left a pattern"
run integrate far137.tif far197.tif far257.tif --poni setup.poni --mask gaps -o all -n 700 || fail "integrate into a folder"
before=$(cat all/far197.xye)
rm all/far257.xye
run integrate far137.tif far197.tif far257.tif --poni setup.poni --mask gaps -o all -n 700 --resume || fail "--resume"
grep -q '2 frames are done already' err && [ -s all/far257.xye ] && [ "$before" = "$(cat all/far197.xye)" ] || fail "--resume did not finish the third alone"
run integrate far137.tif --poni setup.poni --below 1 --above 100000 --clip 5 --beam-stop --sector 10,80 --log --range 4,20 --plans plans -o part.xye -n 300 || fail "a sector"
ls plans/* >/dev/null 2>&1 || fail "no plan was kept"
run integrate far137.tif --poni setup.poni --learn-mask far197.tif --quantiles 0.2,0.8 --unit q_A^-1 -o learnt.xye -n 300 || fail "--learn-mask"
grep -q 'learnt from 1 frame' err || fail "--learn-mask did not say what it has learnt"
if ! "$bragg" --version | grep -q 'no HDF5'; then
    run integrate far137.tif far197.tif --poni setup.poni --azimuth 12 --deviations -o cakes.h5 -n 300 || fail "cakes"
    run integrate far137.tif far197.tif far257.tif --poni setup.poni --azimuth 12 --deviations -o cakes.h5 -n 300 --resume || fail "cakes resumed"
    run integrate far257.tif --poni setup.poni --azimuth 12 --deviations -o cakes.h5 -n 300 --resume && fail "cakes went on with other frames"
fi

# ----------------------------------------------------------- cells and cards
cp all/far137.xye lab6.xye
run index lab6.xye --json --check 2 --systems cubic,tetragonal --seconds 5 || fail "index"
near "$(number volume_ang3)" 71.83 0.05 || fail "index: volume $(number volume_ang3), truth 71.83"
run index lab6.xye --check 1 -n 2 --systems cubic --seconds 5 && grep -q cubic out || fail "index does not say cubic"
run identify lab6.xye -e La,B,O,Ce -n 3 --no-refine --verbose && grep -q LaB6 out || fail "identify"
mkdir cifs && cp "$top/cif/Ni.cif" "$top/cif/Bi.cif" cifs && echo broken >cifs/bad.cif
run cards build cifs -o own.db --json || fail "cards build"
near "$(number cards)" 2 0.1 && near "$(number skipped)" 1 0.1 || fail "cards build: $(cat out)"
run cards list -c own.db --skipped && grep -q bad.cif out || fail "cards list --skipped"
run cards list -c own.db --json --must Ni && grep -q '"Ni"' out && ! grep -q '"Bi"' out || fail "cards list --must Ni"
run cards list --sets || fail "cards list --sets"
run cards show Ni -c own.db --json -o ni.svg && near "$(number density)" 8.909 0.001 && [ -s ni.svg ] || fail "cards show: $(number density)"
BRAGG_CARDS=own.db run cards import "$top/cif/Cu.cif" && run cards list -c own.db && grep -q Cu out || fail "cards import"

# what a pattern of a mixture cannot tell is said: grains that are coarse, plates that lie
cat >truth.yaml <<END
seed: 41
radiation: {wavelength: 1.5406}
instrument: {w: 0.004, x: 0.03, mount: bragg-brentano, radius_mm: 217.5}
patterns: {range: [14, 90], step: 0.02}
frames: [{name: mixture, counts: 9000, background: 0.05, phases: [{card: V2O5, weight: 0.4, march: 0.55, march_hkl: [0, 0, 1]}, {card: NiO, weight: 0.6}]}]
END
run simulate truth.yaml -o . || fail "simulate a mixture"
for card in V2O5 '"V2O5", march: [0, 0, 1]'; do
    printf '%s\n' 'data: {pattern: mixture.xye, mount: bragg-brentano, radius_mm: 217.5}' "phases: [{card: $card}, {card: NiO}]" >mixture.yaml
    run refine mixture.yaml || fail "refine a mixture"
    grep -q 'all of 5 um, as ground by hand, they would be: V2O5 0[.][0-9]*, NiO 0[.]' out || fail "nothing is said of coarse grains"
    case $card in
    *march*) grep -q "intensities that are not its structure's" out && fail "a texture that is refined is asked for" ;;
    *)
        grep -q "^V2O5 has intensities that are not its structure's" out || fail "nothing is said of plates that lie"
        grep -q "beside its card: march: \[0, 0, 1\]" out || fail "another axis is offered: $(grep -A1 '^V2O5 has' out)"
        ;;
    esac
    grep -q "^NiO has intensities" out && fail "NiO's intensities are called strange"
done

# what the card's file says twice is said, or refused
for a in 4.178 4.2; do
    sed "s/^_cell_length_b/_cell_length_a $a\n&/" "${BRAGG_DATADIR:-.}/cif/NiO.cif" >twice.cif
    printf '%s\n' 'data: {pattern: mixture.xye}' 'phases: [{card: V2O5}, {card: twice.cif}]' >twice.yaml
    if run refine twice.yaml; then
        [ "$a" = 4.178 ] && [ "$(grep -c '_cell_length_a stands twice in its block, with the same value' err)" = 1 ] || fail "NiO's cell, said twice: $(cat err)"
    else
        [ "$a" = 4.2 ] && grep -q "expected _cell_length_a once, found it twice: '4.178' and '4.2'" err || fail "two cells of NiO: $(cat err)"
    fi
done

# ------------------------------------------------------- many patterns, G(r)
run pdf debye Ni --diameter 30 --uiso 0.006 -o a --json --plot a.svg || fail "pdf debye"
cp a.iq b.iq
run pdf a.iq b.iq -u q_A^-1 -c Ni --qmax 20 -o grs && [ -s grs/a.gr ] && [ "$(tail -500 grs/a.gr)" = "$(tail -500 grs/b.gr)" ] || fail "pdf of two patterns"
run pdf a.iq -c Ni --qmax 20 --all -o ni.gr --plot all.pdf --covariance 3 --json && [ -s ni.sq ] && [ -s ni.fq ] && [ -s all.pdf ] || fail "pdf --all"
run pdf difference grs/a.gr ni.gr -o changed.gr --json && [ -s changed.gr ] || fail "pdf difference"
run pdf fit ni.gr --card Ni --parameters && grep -q qdamp out || fail "pdf fit --parameters"
for more in '' 'refine: {parameters: [qdamp]}'; do
    printf '%s\n' 'data: {gr: ni.gr, range: [1.5, 15]}' 'phases: [{card: Ni, refine: [scale, cell, uiso]}]' "$more" >ni.yaml
    run pdf fit ni.yaml || fail "pdf fit"
    said=$(grep -c 'qdamp is 0 and not refined' out)
    [ "$said" = "$([ -z "$more" ] && echo 1 || echo 0)" ] || fail "'$more': told $said times of qdamp"
done
# a card says the same whoever names it, and once for a series
grep '^_cell_length_a' "${BRAGG_DATADIR:-.}/cif/Ni.cif" >a
sed '/^_cell_length_a/r a' "${BRAGG_DATADIR:-.}/cif/Ni.cif" >twice.cif
printf '%s\n' 'data: {gr: [ni.gr, ni.gr], range: [1.5, 15]}' 'phases: [{card: twice.cif, refine: [scale]}]' >twice.yaml
for from in 'ni.gr --card twice.cif' twice.yaml; do
    run pdf fit $from && [ "$(grep -c 'twice.cif: .*_cell_length_a stands twice in its block' err)" = 1 ] || fail "pdf fit $from: the card's cell, said twice: $(cat err)"
done
end
