#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make demo: a balancer with 32 destinations, flooded by hping3 and watched with
# l4lb-stats. All of it is in network namespaces; nothing stays behind.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly sample=destination_samples/32_destinations.csv
readonly longest=600 # seconds; the flood never lasts longer
readonly network=demo-$$
made="" watching="" flooding=""

usage() {
    cat <<USAGE
Usage: testbed/demo.sh

Floods a balancer with 32 destinations and shows what each of them gets. On a terminal it
ends when you press q, or after $((longest / 60)) minutes; elsewhere after 10 seconds.
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
    command -v hping3 >/dev/null || fail "hping3 is missing, which floods." "Run: make setup"
    [[ -f l4lb_xdp_host.o && -f testbed/pass.o && -d dist ]] || fail "not all is built." "Run: make"
}

clean_up() {
    local pid
    trap '' INT TERM HUP # cleaning up is not to be stopped half way
    for pid in $watching $flooding; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    # What a killed child left in the network is ended here.
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

flood() {
    note "The client: as many packets as it can send, each from another address."
    printf '$ %s &\n' "testbed/network.sh exec $network client -- hping3 10.0.0.4 --rand-source -i eth0 --flood"
    testbed/network.sh exec "$network" client -- timeout "$longest" \
        hping3 10.0.0.4 --rand-source -i eth0 --flood >/dev/null 2>&1 &
    flooding=$!
    sleep 0.5
    kill -0 "$flooding" 2>/dev/null || fail "hping3 ended at once." \
        "Try it: testbed/network.sh exec NAME client -- hping3 10.0.0.4 -c 1 -i eth0"
}

# In the background with a wait, since bash answers a signal only between two
# foreground commands; and with the terminal as its input, which & would take away.
watch() { # OPTION...
    note "What each destination gets, counted by the balancer."
    printf '$ %s\n' "testbed/network.sh exec $network balancer -- bin/l4lb-stats.js -i eth0 $*"
    testbed/network.sh exec "$network" balancer -- timeout --foreground $((longest + 10)) \
        bin/l4lb-stats.js -i eth0 "$@" <&3 &
    watching=$!
    wait "$watching" || fail "l4lb-stats failed (its words are above)."
    watching=""
}

parse() {
    case ${1:-} in
    "") ;;
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
    flood
    if [[ -t 0 && -t 1 ]]; then
        watch --count "$longest"
    else
        watch --plain --interval 5 --count 2
    fi
    note "That was it; the network is being taken down. Next try: make demo-tcp"
    echo "# Or build such a network to play with: testbed/network.sh --help"
}

main "$@"
