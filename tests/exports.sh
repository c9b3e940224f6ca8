#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The library exports nothing that is not bragg_ and stands in a public header, and no floor
# defines a public symbol under another name.
cd "${TOP_BUILDDIR:-.}" || exit 99
bad=0
for lib in .libs/libbragg.so .libs/lib*.a; do
    [ -e "$lib" ] || continue
    found=yes
    names=$(nm -g --defined-only "$lib" | awk 'NF == 3 && $3 !~ /^bragg_/ && $3 !~ /^(__|[.]gomp_critical_user_bragg_|_init|_fini|_edata|_end|_bss)/ {print $3}')
    [ -z "$names" ] || { echo "$lib exports: $names"; bad=1; }
done
[ -n "$found" ] || { echo "no library found"; exit 99; }
if [ -e .libs/libbragg.so ]; then
    told=$(cat "${TOP_SRCDIR:-.}"/src/bragg/*.h | grep -o 'bragg_[a-z0-9_]*' | sort -u)
    [ -n "$told" ] || { echo "no public header was read: is TOP_SRCDIR right?"; exit 99; }
    untold=$(nm -D --defined-only .libs/libbragg.so | awk '$3 ~ /^bragg_/ {print $3}' | while read -r name; do echo "$told" | grep -qx "$name" || echo "$name"; done)
    [ -z "$untold" ] || { echo "exported, and in no public header (hide it):" $untold; bad=1; }
fi
# GSL's handler of errors aborts the program that uses us and is not ours to change: nothing of
# GSL that allocates is called, and nothing that refuses what it may be given here
harmless='eigen_symmv(_sort)?|linalg_QR_(decomp|lssolve)|(matrix|vector)_view_array|fft_complex_radix2_(forward|inverse)'
harmless="$harmless|sf_bessel_I[01]_scaled|sf_legendre_sphPlm|ran_(gamma|gaussian|poisson)|rng_(set|taus2|uniform_int)|version"
called=$(nm -u .libs/lib*.a .libs/libbragg.so | awk '$2 ~ /^gsl_/ {print $2}' | sort -u | grep -vxE "gsl_($harmless)")
[ -z "$called" ] || { echo "calls of GSL not known to be harmless:" $called; bad=1; }
exit $bad
