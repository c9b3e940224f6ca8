#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The library exports nothing that is not bragg_, and no floor defines a public
# symbol under another name.
cd "${TOP_BUILDDIR:-.}" || exit 99
bad=0
for lib in .libs/libbragg.so .libs/lib*.a; do
    [ -e "$lib" ] || continue
    found=yes
    names=$(nm -g --defined-only "$lib" | awk 'NF == 3 && $3 !~ /^bragg_/ && $3 !~ /^(__|[.]gomp_critical_user_bragg_|_init|_fini|_edata|_end|_bss)/ {print $3}')
    [ -z "$names" ] || { echo "$lib exports: $names"; bad=1; }
done
[ -n "$found" ] || { echo "no library found"; exit 99; }
exit $bad
