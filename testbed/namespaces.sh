# shellcheck shell=bash disable=SC2154 # a script says its name, me
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the scripts that build networks share: how they fail, and how a namespace ends.

# fail STATUS WHAT [DETAIL [NEXT]]
fail() {
    local status=$1 what=$2 detail=${3:-} next=${4:-}
    echo "$me: $what" >&2
    [[ -z $detail ]] || echo "  ${detail//$'\n'/$'\n'  }" >&2
    [[ -z $next ]] || echo "  $next" >&2
    exit "$status"
}

wrong_usage() {
    fail 2 "$1" "" "See: $me --help"
}

# step WHAT NEXT COMMAND...: runs a command, whose output matters only if it fails.
step() {
    local what=$1 next=$2 output
    shift 2
    output=$("$@" 2>&1) || fail 1 "could not $what" "$output" "$next"
}

check_root() {
    ((EUID == 0)) || fail 1 "only root can make namespaces" "" "Run it again with sudo."
}

# The processes in the given namespaces. A namespace lives on while a process is in it.
processes_in() {
    stat -Lc '%i' "${@/#//run/netns/}" 2>/dev/null |
        awk -v self="$$" '
            FNR == NR { ours["net:[" $1 "]"]; next }
            { split($1, path, "/"); gsub("\047", "", $3) }
            $3 in ours && path[3] != self { print path[3] }
        ' - <(stat -c '%N' /proc/[0-9]*/ns/net 2>/dev/null)
}

stop_processes() {
    local pids tries
    for tries in {1..20}; do
        mapfile -t pids < <(processes_in "$@")
        ((${#pids[@]})) || return 0
        ((tries > 1)) || kill -TERM "${pids[@]}" 2>/dev/null || true
        sleep 0.05
    done
    kill -KILL "${pids[@]}" 2>/dev/null || true
}

# The locks of a namespace's devices, and the socket of an l4lbd that was killed. While the
# namespace is there, no other can have its inode.
remove_files_of() { # NAMESPACE
    rm -f "/run/l4lb/$(stat -Lc %i "/run/netns/$1")"-*.{lock,sock,dpdk}
}
