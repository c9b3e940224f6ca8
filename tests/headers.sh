#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each public header compiles alone, without config.h.
cd "${TOP_SRCDIR:-.}" || exit 99
bad=0
for header in src/bragg.h src/bragg/*.h; do
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror -fsyntax-only -Isrc -x c "$header" || bad=1
    grep -q 'SPDX-License-Identifier: GPL-3.0-or-later' "$header" || { echo "$header: no licence line"; bad=1; }
done
exit $bad
