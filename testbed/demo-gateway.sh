#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make demo-link, demo-nat, demo-full-nat: the balancer is the gateway. It has the service's address
# itself, and sends each packet on by another device. By the link nothing changes but the
# MAC addresses; the destinations have the service's address on lo, and the kernel routes
# their answers. By nat the destinations have nothing but their own address, which is put in
# place of the service's; in what they answer the gateway puts that back. By full-nat they
# do not see the client either, but an address and port of the gateway.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly vip=10.0.0.1 vip6=2001:db8::1 # those of testbed/gateway.sh
readonly client=10.0.0.2
readonly count=2 # destinations
readonly requests=50 # to each address
readonly port=23     # of iperf, as in the walkthrough
seconds=2
web=80 # port of the destinations
way="" demo=demo-gateway network=""

# shellcheck source=testbed/demos.sh
. testbed/demos.sh

usage() {
    cat <<USAGE
Usage: testbed/demo-gateway.sh link|nat|full-nat [SECONDS]

Fetches $requests pages over IPv4 and $requests over IPv6 through a gateway that balances by
the link, by nat or by full-nat, with $count destinations behind other devices. Shows who
answered, and what changes in a packet. Then measures TCP for SECONDS (default: $seconds, 0 for not at all) beside
the kernel's own routing, if iperf is installed. Fails if a request fails, if a destination
gets none, or if more of a packet changes than should.
USAGE
}

# Runs a command in a role, and shows it.
at() { # ROLE COMMAND...
    printf '%s# %s\n' "$1" "${*:2}"
    within "$@"
}

set_up_network() {
    local i options=(--gateway --count "$count" --ipv6)
    [[ $way == link ]] || options+=(--bare)
    note "A gateway with the service's address $vip, a client and $count destinations behind it."
    made=yes
    run testbed/network.sh up "$network" "${options[@]}" --owner $$
    if [[ $way == link ]]; then
        note "Each destination has the address on lo, and answers with its name."
    else
        note "Each destination has only its own address, and answers on port $web with its name."
    fi
    for ((i = 1; i <= count; i++)); do
        at "destination$i" ip -brief address show dev "$([[ $way == link ]] && echo lo || echo eth0)"
        start "server$i" "destination$i" node testbed/answer.mjs "destination$i" "$web"
    done
    for ((i = 1; i <= count; i++)); do
        await "server$i" ' answers on '
    done
}

link_config() {
    cat <<CONFIG
[[service]]
name = "web"
address = ["$vip", "$vip6"]
ports = [80, $port]
protocol = "tcp"
forward = "link"
destinations = ["10.2.0.2", "10.2.1.2"]
CONFIG
}

# By nat a destination answers for one service, which has one address and one port.
nat_config() {
    [[ $way == nat ]] || printf 'source = ["10.9.9.0/31", "2001:db8:9::/127"]\n\n'
    cat <<CONFIG
[[service]]
name = "web"
address = "$vip"
ports = 80
protocol = "tcp"
forward = "$way"
destinations = ["10.2.0.2:8080", "10.2.1.2:8080"]

[[service]]
name = "web6"
address = "$vip6"
ports = 80
protocol = "tcp"
forward = "$way"
destinations = ["[2001:db8::2:2]:8080", "[2001:db8::3:2]:8080"]

[[service]]
name = "iperf"
address = "$vip"
ports = $port
protocol = "tcp"
forward = "$way"
destinations = ["10.2.0.2:5001"]

[[service]]
name = "iperf6"
address = "$vip6"
ports = $port
protocol = "tcp"
forward = "$way"
destinations = ["[2001:db8::2:2]:5001"]
CONFIG
}

set_up_balancer() {
    local i
    note "The gateway: the program, and a config file. The devices are those of the kernel's routes."
    "${way#full-}_config" >"$scratch/$way.toml"
    run cat "$scratch/$way.toml"
    at balancer bin/l4lb-load.js -i eth0
    if [[ $way != link ]]; then
        note "Answers come in by the other devices, so the same program runs there."
        for ((i = 1; i <= count; i++)); do
            at balancer bin/l4lb-load.js -i "eth$i" --share eth0
        done
    fi
    at balancer bin/l4lb-map.js -i eth0 -c "$scratch/$way.toml"
}

ask() { # HOST
    local answers i n
    printf '%s# %s\n' client "curl -H 'Connection: close' 'http://$1/[1-$requests]' | sort | uniq -c"
    # Brackets in the host, and in the path a range: curl has to tell them apart.
    answers=$(within client curl --silent --show-error --fail --fail-early --noproxy '*' \
        --connect-timeout 3 --max-time 5 --header 'Connection: close' "http://$1/[1-$requests]") ||
        fail "a request to $1 failed." "Ask: testbed/network.sh exec $network balancer -- bin/l4lb-doctor.js -i eth0"
    sort <<<"$answers" | uniq -c
    for ((i = 1; i <= count; i++)); do
        n=$(grep -cx "destination$i" <<<"$answers" || true)
        ((n)) || fail "destination$i got no request to $1."
    done
}

# Says what differs between the frame that comes and the frame that leaves.
# shellcheck disable=SC2016 # these are variables of JavaScript
readonly compare='
const { before, after, verdict, agrees } = JSON.parse(require("fs").readFileSync(0));
const [one, other] = [before, after].map(({ frame }) => Buffer.from(frame, "hex"));
if (verdict !== "balanced" || !agrees || one.length !== other.length) process.exit(1);
const fields = [["MAC, to", 0, 6], ["MAC, from", 6, 12]];
const way = process.argv[1];
if (way !== "link") {
  fields.push(["IP checksum", 24, 26], ["address, to", 30, 34], ["port, to", 36, 38], ["TCP checksum", 50, 52]);
}
if (way === "full-nat") fields.push(["address, from", 26, 30], ["port, from", 34, 36]);
const rest = (frame) => {
  const copy = Buffer.from(frame);
  for (const [, from, to] of fields) copy.fill(0, from, to);
  return copy;
};
if (!rest(one).equals(rest(other))) process.exit(1);
const show = (frame, from, to) => frame.toString("hex", from, to).replace(/..(?!$)/g, "$&:");
for (const [name, from, to] of fields) {
  console.log(`  ${name.padEnd(13)}  ${show(one, from, to)} becomes ${show(other, from, to)}`);
}
const bytes = fields.reduce((sum, [, from, to]) => sum + to - from, 0);
console.log(`  the other ${one.length - bytes} bytes are as they came`);
'

show_packet() {
    local packet=(-i eth0 --src "$client:40000" --dst "$vip:80/tcp")
    note "What becomes of a packet: l4lb-explain shows each byte, here are those that change."
    at balancer bin/l4lb-explain.js "${packet[@]}" | sed '/^before/,$ d'
    within balancer bin/l4lb-explain.js "${packet[@]}" --json | node -e "$compare" "$way" ||
        fail "more of the packet changed than should." \
            "See: testbed/network.sh exec $network balancer -- bin/l4lb-explain.js ${packet[*]}"
}

# The rate of one TCP connection, or an empty text.
measure() { # ADDRESS [OPTION]
    within client iperf "${@:2}" -c "$1" -p "$port" -w 64K -t "$seconds" -f g 2>&1 |
        tee -a "$scratch/iperf" | awk '/Gbits\/sec/ { print $(NF - 1) }'
}

# By nat and full-nat one destination serves it, on its own address and port 5001.
start_iperf() {
    local i servers=$count on=$port bind=(-B "$vip") bind6=(-B "$vip6")
    [[ $way == link ]] || servers=1 on=5001 bind=(-B 10.2.0.2) bind6=(-B 2001:db8::2:2)
    for ((i = 1; i <= servers; i++)); do
        start "iperf$i" "destination$i" iperf -s -p "$on" "${bind[@]}"
        start "iperf6$i" "destination$i" iperf -s -p "$on" -V "${bind6[@]}"
        await "iperf$i" listening
        await "iperf6$i" listening
    done
    start routed destination1 iperf -s -p "$port" -B 10.2.0.2
    await routed listening
}

throughput() {
    local i address rate what option
    ((seconds)) || return 0
    if ! command -v iperf >/dev/null; then
        note "How fast? Install iperf with ./setup.sh iperf, and run this again."
        return
    fi
    note "How fast? One TCP connection of iperf for $seconds seconds each, with a window of 64 KB."
    start_iperf
    while read -r address what; do
        option=()
        [[ $address != *:* ]] || option=(-V)
        rate=$(measure "$address" "${option[@]}")
        [[ -n $rate ]] || fail "iperf to $address failed:" "$(cat "$scratch/iperf")"
        printf '%-12s %5s Gbit/s  %s\n' "$address" "$rate" "$what"
    done <<RUNS
$vip balanced by l4lb, IPv4
$vip6 balanced by l4lb, IPv6
10.2.0.2 routed by the kernel, without l4lb
RUNS
    echo "The client computes its checksums itself in all three, since XDP has no offload for them."
}

show() {
    note "What l4lb counts in a second, while the client asks on."
    start asking client curl --silent --noproxy '*' --header 'Connection: close' "http://$vip/[1-1000000]"
    at balancer bin/l4lb-stats.js -i eth0 --once
}

parse() {
    case ${1:-} in
    -h | --help) usage && exit ;;
    link | nat | full-nat) way=$1 demo=demo-$1 network=$1-$$ && shift ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    [[ $way == link ]] || web=8080
    seconds=${1:-$seconds}
    if (($# > 1)) || [[ ! $seconds =~ ^[0-9]{1,3}$ ]]; then
        usage >&2
        exit 2
    fi
    seconds=$((10#$seconds))
}

main() {
    parse "$@"
    check_demo l4lb_xdp_host.o
    begin
    set_up_network
    set_up_balancer
    note "The client: $requests requests over IPv4, and over IPv6."
    ask "$vip"
    ask "[$vip6]"
    show_packet
    throughput
    show
    if [[ $way == link ]]; then
        note "The answers went through the gateway's kernel, which only routed them. Read docs/guide/gateway.md."
    else
        note "The program put the service's address back into the answers. Read docs/guide/$way.md."
    fi
}

main "$@"
