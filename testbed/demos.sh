# shellcheck shell=bash disable=SC2154 # a demo says its name and its network
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the demos with connections share: they show commands and run them, start servers, wait,
# and leave nothing behind. A demo that sources this sets demo and network, and made once
# there may be a network.

made="" scratch=""
is_terminal=""
[[ ! -t 0 || ! -t 1 ]] || is_terminal=yes

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

at_role() { # ROLE TEXT
    printf '%s# %s\n' "$1" "$2"
}

now() { # VARIABLE: milliseconds since 1970
    local time=${EPOCHREALTIME/[.,]/}
    printf -v "$1" %s "${time%???}"
}

as_seconds() { # MILLISECONDS
    printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100))
}

# Sleeps. On a terminal q ends the demo meanwhile.
rest() { # SECONDS
    local key=""
    if [[ -z $is_terminal ]]; then
        sleep "$1"
    elif read -rsn1 -t "$1" key && [[ $key == [qQ] ]]; then
        note "Ended by q. All of it is being taken down."
        exit 0
    fi
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
