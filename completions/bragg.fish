# SPDX-License-Identifier: GPL-3.0-or-later
# fish completion for bragg; what it offers comes from bragg COMMAND --help.
function __bragg_commands
    bragg --help 2>/dev/null | string match -r '^  [a-z]+  .*' | string replace -r '^  ([a-z]+) +(.*)' '$1\t$2'
end
function __bragg_options
    set -l words (commandline -opc)
    set -l command $words[2]
    contains -- "$words[2] $words[3]" 'pdf fit' 'pdf difference' 'pdf debye' 'cards build' 'cards import' 'cards list' 'cards show'
    and set command $words[2..3]
    bragg $command --help 2>/dev/null | string match -r '^  (?:-[a-zA-Z],|   ) --.*' |
        string replace -r '^.{5} (--[a-z0-9-]+)(?: \S+)? +(.*)' '$1\t$2'
end
function __bragg_demos
    bragg demo --list 2>/dev/null | string replace -r '^(\S+) +(.*)' '$1\t$2'
end
function __bragg_after # the one word behind bragg
    set -l words (commandline -opc)
    test (count $words) = 2; and test $words[2] = $argv[1]
end
complete -c bragg -n __fish_use_subcommand -f -a '(__bragg_commands)'
complete -c bragg -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -a '(__bragg_options)'
complete -c bragg -n '__bragg_after pdf' -a 'fit difference debye'
complete -c bragg -n '__bragg_after cards' -f -a 'build import list show'
complete -c bragg -n '__bragg_after demo' -f -a '(__bragg_demos)'
complete -c bragg -n '__fish_seen_subcommand_from integrate convert' -l unit -s u -x -a '2th_deg q_A^-1 q_nm^-1 d_A r_mm'
complete -c bragg -n '__fish_seen_subcommand_from integrate' -l split -x -a 'none bbox full'
complete -c bragg -n '__fish_seen_subcommand_from calibrate integrate' -l flip -x -a 'vertical horizontal both'
