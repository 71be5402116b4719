#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make demo: a balancer with 32 destinations, flooded by l4lb-flood or hping3 and watched
# with l4lb-stats. Everything runs in network namespaces and is removed afterwards.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly sample=destination_samples/32_destinations.csv
readonly longest=600 # seconds; the flood never lasts longer
readonly network=demo-$$
readonly balancer_mac=02:00:00:00:00:04 # as testbed/network.sh has it
flooder=l4lb-flood made="" watching="" flooding=""

usage() {
    cat <<USAGE
Usage: testbed/demo.sh [l4lb-flood|hping3]

Floods a balancer with 32 destinations and shows what each of them gets. On a terminal it
ends when you press q, or after $((longest / 60)) minutes; elsewhere after 10 seconds. hping3 is slower,
but runs on kernels older than 5.18.
USAGE
}

fail() {
    printf 'demo: %s\n' "$@" >&2
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

check() {
    ((EUID == 0)) || fail "only root can load XDP programs." "Run: sudo make demo"
    [[ $flooder != hping3 ]] || command -v hping3 >/dev/null ||
        fail "hping3, which floods, is missing." "Run: make setup"
    [[ -f l4lb_xdp_host.o && -f testbed/pass.o && -x flood/flood && -d dist ]] ||
        fail "not everything is built." "Run: make"
}

clean_up() {
    local pid
    trap '' INT TERM HUP # cleaning up must not stop midway
    for pid in $watching $flooding; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    # This also ends what a killed child left in the network.
    [[ -z $made ]] || testbed/network.sh down "$network" || true
}

set_up() {
    note "A network of namespaces: client, balancer and destinations on one switch."
    made=yes
    run testbed/network.sh up "$network" --destinations "$sample" --owner $$
    note "The balancer: load the program in driver mode, with its destinations."
    run testbed/network.sh exec "$network" balancer -- \
        bin/l4lb-load.js -i eth0 -m xdpdrv -f "$sample"
}

# l4lb-flood sends at the balancer's end of the wire, where frames go from XDP to XDP. The
# bridge between the balancer and the client would be the slowest part.
start_flood() {
    local role command
    if [[ $flooder == hping3 ]]; then
        note "The client: as many packets as it can send, each from another address."
        role=client
        command=(hping3 10.0.0.4 --rand-source -i eth0 --flood)
    else
        note "The wire to the balancer: as many packets as it takes, each from another address."
        role=switch
        command=(bin/l4lb-flood.js -i balancer --dst 10.0.0.4 --dst-mac "$balancer_mac"
            --random-source --duration "${longest}s")
    fi
    printf '$ %s &\n' "testbed/network.sh exec $network $role -- ${command[*]}"
    testbed/network.sh exec "$network" "$role" -- timeout "$longest" \
        "${command[@]}" >/dev/null 2>&1 &
    flooding=$!
    sleep 1
    kill -0 "$flooding" 2>/dev/null || fail "$flooder ended at once." \
        "Try it: testbed/network.sh up try && testbed/network.sh exec try $role -- ${command[*]}" \
        "Or the other one: make demo FLOOD=$([[ $flooder == hping3 ]] && echo l4lb-flood || echo hping3)"
}

# Runs in the background with a wait, since bash answers a signal only between two
# foreground commands. Its input is the terminal, which & would take away.
watch() { # OPTION...
    note "What each destination gets, counted by the balancer."
    printf '$ %s\n' "testbed/network.sh exec $network balancer -- bin/l4lb-stats.js -i eth0 $*"
    testbed/network.sh exec "$network" balancer -- timeout --foreground $((longest + 10)) \
        bin/l4lb-stats.js -i eth0 "$@" <&3 &
    watching=$!
    wait "$watching" || fail "l4lb-stats failed (its message is above)."
    watching=""
}

parse() {
    case ${1:-} in
    "") ;;
    l4lb-flood | hping3) flooder=$1 ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
    esac
}

main() {
    parse "$@"
    check
    exec 3<&0
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    set_up
    start_flood
    if [[ -t 0 && -t 1 ]]; then
        watch --count "$longest"
    else
        watch --plain --interval 5 --count 2
    fi
    note "That is all. The network is being taken down. Next try: make demo-tcp"
    echo "# Or build such a network to play with: testbed/network.sh --help"
}

main "$@"
