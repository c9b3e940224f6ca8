# SPDX-License-Identifier: GPL-3.0-or-later
# bash completion for bragg; what it offers comes from bragg COMMAND --help, so that it
# knows every option of the bragg that runs.
_bragg()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} help
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        help=$("${COMP_WORDS[0]}" --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$help --help --version" -- "$word")
        return
    fi
    [[ $command == pdf && ${COMP_WORDS[2]} =~ ^(fit|difference|debye)$ ]] && command="pdf ${COMP_WORDS[2]}"
    [[ $command == cards && ${COMP_WORDS[2]} =~ ^(build|import|list|show)$ ]] && ((COMP_CWORD > 2)) && command="cards ${COMP_WORDS[2]}"
    # shellcheck disable=SC2086 # two words on purpose
    help=$("${COMP_WORDS[0]}" $command --help 2>/dev/null)
    case $before in
    --unit | -u) mapfile -t COMPREPLY < <(compgen -W '2th_deg q_A^-1 q_nm^-1 d_A r_mm' -- "$word"); return ;;
    --split) mapfile -t COMPREPLY < <(compgen -W 'none bbox full' -- "$word"); return ;;
    --flip) mapfile -t COMPREPLY < <(compgen -W 'vertical horizontal both' -- "$word"); return ;;
    esac
    if [[ $word == -* ]]; then
        help=$(sed -n 's/^  \(-[a-zA-Z],\|   \) \(--[a-z0-9-]*\).*/\2/p' <<<"$help")
        mapfile -t COMPREPLY < <(compgen -W "$help --help" -- "$word")
    else
        [[ $command == pdf ]] && ((COMP_CWORD == 2)) && mapfile -t COMPREPLY < <(compgen -W 'fit difference debye' -- "$word")
        [[ $command == cards ]] && ((COMP_CWORD == 2)) && mapfile -t COMPREPLY < <(compgen -W 'build import list show' -- "$word")
        [[ $command == demo ]] && ((COMP_CWORD == 2)) && mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" demo --list 2>/dev/null | sed 's/ .*//')" -- "$word")
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -F _bragg bragg
