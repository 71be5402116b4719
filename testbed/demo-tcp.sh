#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make demo-tcp: shows the whole way of a connection. curl asks a virtual address, and the
# balancer sends its packets on to one of four destinations. Each destination takes the
# outer header off and answers the client directly, past the balancer.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly vip=10.0.100.1
readonly count=4 # destinations
readonly demo=demo-tcp network=tcp-$$
readonly clients=4 # curl processes side by side
requests=200

# shellcheck source=testbed/demos.sh
. testbed/demos.sh

usage() {
    cat <<USAGE
Usage: testbed/demo-tcp.sh [REQUESTS]

Fetches a page REQUESTS times (default: $requests) through a balancer with $count destinations,
each time from another port, and shows how many of them each destination answered.
Fails if a request fails, or if a destination got none.
USAGE
}

# The client's route to the virtual address has an MTU of 1480, so that its packets
# still fit the balancer's 1500 with the outer header of 20 bytes: network.sh sets it.
set_up_network() {
    note "A client, a balancer and $count destinations, each with $vip on its lo."
    made=yes
    run testbed/network.sh up "$network" --count "$count" --vip "$vip" --owner $$
}

set_up_destinations() {
    local i
    note "Each destination takes the outer header off, and answers with its name."
    for ((i = 1; i <= count; i++)); do
        run testbed/network.sh exec "$network" "destination$i" -- bin/l4lb-load.js -i eth0 --decap
        printf '$ %s &\n' "testbed/network.sh exec $network destination$i -- node testbed/answer.mjs destination$i"
        start "server$i" "destination$i" node testbed/answer.mjs "destination$i"
    done
    for ((i = 1; i <= count; i++)); do
        await "server$i" ' answers on '
    done
}

set_up_balancer() {
    local i file=$scratch/destinations.csv
    note "The balancer: the program, then one service, whose MAC addresses it looks up itself."
    echo "address, MAC" >"$file"
    for ((i = 1; i <= count; i++)); do
        echo "10.0.1.$i," >>"$file"
    done
    run cat "$file"
    run testbed/network.sh exec "$network" balancer -- bin/l4lb-load.js -i eth0 -m xdpdrv
    run testbed/network.sh exec "$network" balancer -- \
        bin/l4lb-map.js -i eth0 -f "$file" --vip "$vip:80/tcp"
}

# Runs one curl for a share of the requests. Each request has its own connection and port.
ask() { # SHARE
    (($1)) || return 0
    within client curl --silent --show-error --fail --fail-early --noproxy '*' \
        --connect-timeout 3 --max-time 5 --header 'Connection: close' "http://$vip/[1-$1]"
}

ask_all() {
    local i pids=() failed=""
    note "The client: $requests requests, each a connection of its own."
    printf '$ %s\n' "testbed/network.sh exec $network client -- curl -H 'Connection: close' http://$vip/[1-$requests]"
    for ((i = 0; i < clients; i++)); do
        ask $((requests / clients + (i < requests % clients))) >"$scratch/answers$i" 2>"$scratch/errors$i" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do
        wait "$i" || failed=yes
    done
    [[ -z $failed ]] || fail "a request failed:" "$(cat "$scratch"/errors*)" \
        "Look for drops: in the balancer run bin/l4lb-stats.js -i eth0 --once"
}

show() {
    local i answered=0 n
    note "Who answered:"
    for ((i = 1; i <= count; i++)); do
        n=$(cat "$scratch"/answers* | grep -cx "destination$i" || true)
        printf 'destination%s  10.0.1.%s  %4s requests\n' "$i" "$i" "$n"
        ((n)) || fail "destination$i got no request."
        answered=$((answered + n))
    done
    printf 'all                     %4s of %s\n' "$answered" "$requests"
    ((answered == requests)) || fail "$((requests - answered)) requests were not answered."
}

parse() {
    case ${1:-} in
    -h | --help) usage && exit ;;
    esac
    requests=${1:-$requests}
    if (($# > 1)) || [[ ! $requests =~ ^[1-9][0-9]{0,5}$ ]]; then
        usage >&2
        exit 2
    fi
}

main() {
    parse "$@"
    check_demo l4lb_xdp_host.o l4lb_decap.o testbed/pass.o
    begin
    set_up_network
    set_up_destinations
    set_up_balancer
    ask_all
    show
    note "The answers went from the destinations straight to the client. Next try: make demo"
}

main "$@"
