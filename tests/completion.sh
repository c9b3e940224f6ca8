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
expect difference bragg pdf d
expect cote2-znte bragg demo co
# the shells themselves, where they are installed
if command -v fish >/dev/null 2>&1; then
    fish_offers() { fish --no-config -c "source '$top/completions/bragg.fish'; complete -C '$2'" 2>&1 | cut -f1 | grep -qxe "$1" || { echo "fish: '$2' does not offer '$1'"; bad=1; }; }
    fish_offers refine 'bragg ref'
    fish_offers --poni 'bragg integrate --po'
    fish_offers --qdamp 'bragg pdf fit --qd'
    fish_offers --must 'bragg cards list --m'
    fish_offers show 'bragg cards '
    fish_offers debye 'bragg pdf d'
    fish_offers cote2-znte 'bragg demo co'
    fish_offers q_nm^-1 'bragg integrate --unit q'
fi
if command -v zsh >/dev/null 2>&1; then
    # zsh completes at a terminal only: one of its own, in which a Tab is pressed and the
    # line is printed in place of being run
    typed=$(cd "$top" && timeout 60 zsh -f -c 'zmodload zsh/zpty && zpty shell zsh -f -i && {
        zpty -w shell "fpath=($PWD/completions \$fpath); autoload -Uz compinit; compinit -D -u; unsetopt beep; told() { print -r -- \"<\$BUFFER>\"; BUFFER=; zle accept-line }; zle -N told; bindkey \"^X\" told; print READY\$((6 * 7))"
        zpty -r -m shell all "*READY42*"
        for line in "bragg refi" "bragg integrate --pon" "bragg pdf fit --qda" "bragg cards sh" "bragg pdf diff" "bragg demo cot"; do
            zpty -w -n shell "$line"$'"'\t\x18'"'
            zpty -r -m shell all "*<*>*" && print -r -- "${${all##*<}%%>*}"
        done
    }' 2>/dev/null)
    if [ -z "$typed" ]; then
        echo "zsh: no terminal of its own to be had here"
    else
        for line in 'bragg refine' 'bragg integrate --poni' 'bragg pdf fit --qdamp' 'bragg cards show' 'bragg pdf difference' 'bragg demo cote2-znte'; do
            printf '%s\n' "$typed" | sed 's/ *$//' | grep -qxFe "$line" || { echo "zsh: expected '$line', found: $typed"; bad=1; }
        done
    fi
fi
for shell in zsh fish; do
    command -v $shell >/dev/null 2>&1 || continue
    file=$top/completions/bragg.fish
    [ $shell = zsh ] && file=$top/completions/_bragg
    $shell -n "$file" || { echo "$file: $shell cannot read it"; bad=1; }
done
exit $bad
