# shellcheck shell=bash disable=SC2154 # a demo says its name and its network
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What demo-tcp.sh and demo-gateway.sh share: they show commands and run them, start servers,
# and leave nothing behind. A demo that sources this sets demo and network, and made once
# there may be a network.

made="" scratch=""

fail() {
    printf "$demo: %s\n" "$@" >&2
    exit 1
}

note() {
    printf '\n# %s\n' "$*"
}

# Shows a command as it could be typed, then runs it.
run() {
    printf '$ %s\n' "$*"
    "$@"
}

within() { # ROLE COMMAND...
    testbed/network.sh exec "$network" "$1" -- "${@:2}"
}

# The number $! is that of the command itself.
start() { # LOG ROLE COMMAND...
    : >"$scratch/$1"
    testbed/network.sh exec "$network" "$2" -- "${@:3}" >"$scratch/$1" 2>&1 &
}

# Waits until a log has a line.
await() { # LOG WORDS
    local tries=100
    while ((tries--)); do
        grep -q "$2" "$scratch/$1" && return
        sleep 0.05
    done
    fail "a server does not start:" "$(cat "$scratch/$1")"
}

check_demo() { # BUILT...
    local built
    ((EUID == 0)) || fail "only root can load XDP programs." "Run: sudo make $demo"
    command -v curl >/dev/null || fail "curl, the client, is missing." "Run: make setup"
    for built in dist "$@"; do
        [[ -e $built ]] || fail "not everything is built." "Run: make"
    done
}

# Makes scratch, a directory. It goes with all else when the demo ends.
begin() {
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    scratch=$(mktemp -d "/tmp/l4lb-$demo.XXXXXX")
}

clean_up() {
    local started
    trap '' INT TERM HUP # cleaning up must not stop midway
    # One that has ended is left alone: somebody else may have its number by now.
    mapfile -t started < <(jobs -pr)
    if ((${#started[@]})); then
        kill "${started[@]}" 2>/dev/null || true
        wait "${started[@]}" 2>/dev/null || true
    fi
    [[ -z $made ]] || testbed/network.sh down "$network" || true
    [[ -z $scratch ]] || rm -rf "$scratch"
}
