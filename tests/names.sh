#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Files, folders, cards and titles of any name: blanks, quotes, commas, dots, other scripts.
. "${TOP_SRCDIR:-.}/tests/cases.sh"

# an experiment that identify has written is one that refine takes, whatever cards and files are called
folder='a "b", c'
mkdir "$folder" cifs && cp "$top/tests/chaos/nickel.xye" "$folder/ni < ck & el.xye" && cp "$top/cif/Ni.cif" 'cifs/Ni (fcc) 1.5.cif'
run identify "$folder/ni < ck & el.xye" -w 0.4066 --cards cifs -o "$folder/my run.1.yaml" || fail "identify"
run refine "$folder/my run.1.yaml" -o "$folder/out put" || fail "refine what identify has written"
[ -s "$folder/out put/fit.json" ] || fail "no fit.json"
run report "$folder/out put" -o "$folder/report.html" || fail "report"

# an atom's label may hold a comma: one field of each table, and a column of the store
sed "s/^Ni1 /'Ni,1' /" "$top/cif/Ni.cif" >label.cif
cp "$top/tests/chaos/nickel.xye" n0.xye && cp n0.xye n1.xye && cp n0.xye n2.xye && cp n0.xye n3.xye && cp n0.xye n4.xye && cp n0.xye n5.xye
cat >label.yaml <<END
radiation: {wavelength: 0.4066, polarization: 0.99}
data: {pattern: n0.xye, range: [10, 22]}
phases: [{name: Ni, card: label.cif, refine: [scale, cell, uiso]}]
refine: {background: {type: chebyshev, terms: 3}}
END
run refine label.yaml -o label || fail "refine with a comma in a label"
grep -q '^"phase.Ni.atom.Ni,1.uiso",' label/parameters.csv || fail "parameters.csv: $(grep uiso label/parameters.csv)"
grep -q '^Ni,"Ni,1","Ni,1",,' label/geometry.csv || fail "geometry.csv: $(sed -n 2p label/geometry.csv)"
sed 's/pattern: n0.xye/patterns: n*.xye/' label.yaml >run.yaml
run operando run.yaml -o run --no-figures || fail "operando with a comma in a label"
for table in series smooth; do
    head -1 run/$table.csv | grep -q ',"phase.Ni.atom.Ni,1.uiso","phase.Ni.atom.Ni,1.uiso.esd"' || fail "$table.csv: $(head -1 run/$table.csv)"
done
run report label -o label.html || fail "report of a label with a comma"

# patterns of one name in two folders are two: neither takes the other's place
mkdir one two && run pdf debye Ni --diameter 20 -o one/s && run pdf debye Ni --diameter 24 -o two/s || fail "pdf debye"
run pdf one/s.iq two/s.iq -u q_A^-1 -c Ni --qmax 20 -o grs --force
[ $? = 2 ] && grep -q "would both be written to 'grs/s.gr'" err || fail "pdf of two patterns of one name"

# a card with a cell of sixty digits
mkdir wide && printf 'VERSION: 4\nSYMMETRY: TRICLINIC\nA: 1e60\nB: 1e60\nC: 1e60\nALPHA: 80\nBETA: 70\nGAMMA: 71\nDIHKL: 2.35480, 100.0, 1, 1, 1\n' >wide/x.jcpds
run cards build wide -o wide.db && run cards list -c wide.db && run cards show x -c wide.db || fail "cards of a wide cell"

# a name as long as a folder allows
long=$(printf 'n%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25)
long=$long$long$long$long$long$long$long$long$long$long.tif
run convert "$top/tests/invalid/frame.tif" "$long" && [ -s "$long" ] || fail "a name of 254 letters"

# a full disk: said of the file that was asked for, and nothing is left
mkdir full
for format in tif fits h5 edf npy cbf; do
    (trap '' XFSZ; ulimit -f 2; "$bragg" convert "$top/tests/invalid/frame.tif" full/asked.$format >out 2>err) && fail "$format: written where nothing fits"
    grep -q "'full/asked.$format'" err || fail "$format: another name"
    [ -z "$(ls -A full)" ] || { fail "$format: left $(ls -A full)"; rm -rf full/.[!.]* full/*; }
done
end
