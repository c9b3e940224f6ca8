#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Completion offers each command, and each option of a command's --help.
top=${TOP_SRCDIR:-.}
PATH=$(cd "${TOP_BUILDDIR:-.}" && pwd):$PATH
bad=0
# shellcheck source=/dev/null
. "$top/completions/bragg.bash" || exit 99
offers() { # words typed; the last is being completed
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _bragg 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}"
}
expect() { # what, words typed
    local want=$1
    shift
    offers "$@" | grep -qxe "$want" || { echo "'$*': expected an offer of '$want', found: $(offers "$@" | tr '\n' ' ')"; bad=1; }
}
expect refine bragg ref
expect --version bragg --
expect --wavelength bragg identify --w
expect --qdamp bragg pdf fit --qd
expect show bragg cards sh
expect --must bragg cards list --m
expect q_A^-1 bragg integrate -u q
[ "$(offers bragg refine --qdamp)" ] && { echo "refine has no --qdamp"; bad=1; }
for shell in zsh fish; do
    command -v $shell >/dev/null 2>&1 || continue
    file=$top/completions/bragg.fish
    [ $shell = zsh ] && file=$top/completions/_bragg
    $shell -n "$file" || { echo "$file: $shell cannot read it"; bad=1; }
done
exit $bad
