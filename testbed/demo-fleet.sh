#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make demo-fleet: three balancers behind a router are one. A client keeps 1,000 connections
# open, while the balancer that leads is killed, a destination dies, the balancer comes back,
# and another one is drained. The terminal tells what happens, and how many connections were
# lost by it.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin
export TZ=UTC # times in logs are compared as text

readonly vip=198.51.100.10
readonly balancers=3
readonly count=4     # destinations; etcd runs on one host more
readonly names=10.7.0.0/16
readonly bound=3000  # milliseconds without an echo after which a connection is lost
readonly after=3.5   # seconds, longer than that: then all that a change has lost is known
readonly patience=60 # seconds that anything may take on a busy machine
readonly demo=demo-fleet network=fleet-$$
connections=1000

# shellcheck source=testbed/demos.sh
. testbed/demos.sh

usage() {
    cat <<USAGE
Usage: testbed/demo-fleet.sh [CONNECTIONS]

Runs $balancers balancers behind a router with BIRD, each with l4lb fleet run and BIRD beside it, on
a store in etcd, or in a folder if there is no etcd. A client keeps CONNECTIONS (default: $connections)
open to $count destinations, and some new ones come each second. Kills the balancer that leads,
kills a destination's server, starts the balancer again, and drains another one for a while.
Shows how long each took, and how many connections were lost. On a terminal q ends the demo at
any time. Fails if a connection is lost that was not on the dead destination.
USAGE
}

# ---- Time and waiting ----

# A time as journals and ip have it, without a zone.
stamp() { # VARIABLE
    local time=${EPOCHREALTIME/[.,]/}
    printf -v "$1" '%(%FT%T)T.%s' "${time%??????}" "${time: -6:3}"
}

elapsed() { # FROM TO: milliseconds between two such times
    echo $(($(date -d "${2%Z}Z" +%s%3N) - $(date -d "${1%Z}Z" +%s%3N)))
}

# Waits until a command succeeds.
until_true() { # WHAT COMMAND...
    local end=$((SECONDS + patience))
    until "${@:2}"; do
        ((SECONDS < end)) || fail "after $patience seconds still not: $1." \
            "$(tail -qn 3 "$scratch"/{node,bird}*.log 2>/dev/null)"
        rest 0.05
    done
}

said() { # LOG PATTERN [TIMES]
    (($(grep -Ec "$2" "$scratch/$1" || true) >= ${3:-1}))
}

# ---- What nodes, router and client tell ----

balancers_but() { # NUMBER...
    local i
    for ((i = 1; i <= balancers; i++)); do
        [[ " $* " == *" $i "* ]] || echo "balancer$i"
    done
}

as_nodes() { # BALANCER...
    local text="${*/#balancer/lb}"
    echo "${text// /, }"
}

fleet() { # NUMBER WORD...: of the balancer that asks
    within "balancer$1" bin/l4lb.js fleet "${@:2}" --store "$store" 2>"$scratch/fleet$1" ||
        fail "l4lb fleet $2 on balancer$1:" "$(cat "$scratch/fleet$1")"
}

# The first event of any node after a time: when, and of which node.
event_after() { # FROM PATTERN
    awk -v from="$1" -v pattern="$2" '$0 ~ pattern {
        match($0, /"time":"[^"]*"/)
        time = substr($0, RSTART + 8, RLENGTH - 9)
        if (time > from && (first == "" || time < first)) {
            first = time
            node = FILENAME
            gsub(/.*node|\.log/, "", node)
        }
    } END { if (first == "") exit 1; print first, node }' "$scratch"/node*.log
}

# Waits for it, and keeps when and who.
await_event() { # FROM PATTERN WHAT
    until_true "$3" event_after "$1" "$2" >"$scratch/event"
    read -r event_time event_node <"$scratch/event"
}

# Which balancers the router sends to.
hops() {
    within router ip -o route show "$vip" | grep -o 'balancer[0-9]*' | sort | tr '\n' ' '
}

sends_to() { # BALANCER...
    [[ $(hops) == "$* " ]]
}

# Waits until the router sends to these alone, and says how long that took.
await_router() { # FROM BALANCER...
    local moved
    until_true "the router sends to $(as_nodes "${@:2}")" sends_to "${@:2}"
    moved=$(awk -v from="[$1" -v vip="$vip" '$1 > from && index($0, " " vip " ") { last = $1 }
        END { print substr(last, 2, 23) }' "$scratch/moves.log")
    echo "  router:  sends to $(as_nodes "${@:2}") after $(elapsed "$1" "${moved:-$1}") ms"
}

# What the router has sent to each balancer so far, in packets.
sent() {
    within router cat /proc/net/dev | awk '{ sub(":", " ") } $1 ~ /^balancer/ { print $1, $11 }' | sort
}

lines() {
    wc -l <"$scratch/client.log"
}

# Says how it is for the client since a line of its log. Connections of the dead destination may
# be lost, and so may those that begin in its slots while it is not found yet.
tell_client() { # LINE SENT [DESTINATION]
    local active lost own refused stall why
    read -r active lost own refused stall why < <(
        awk -F '[{":,}]+' -v from="$1" -v dead="${3:-}" '
            $3 == "open" { name[$7] = $11 }
            $3 == "count" { active = $11 }
            NR <= from { next }
            $3 == "slowest" && $5 == "echo" && $7 - $9 > stall { stall = $7 - $9 }
            $3 == "lost" {
                if (dead != "" && !($7 in name)) refused++
                else if (dead != "" && name[$7] == dead) own++
                else { lost++; why = $13 }
            } END { print active + 0, lost + 0, own + 0, refused + 0, int(stall + 0.5), why "." }
        ' "$scratch/client.log"
    )
    echo "  client:  $active connections; lost: $lost; longest stall: $stall ms"
    [[ -z ${3:-} ]] || echo "           $own were on $3 and went with it; $refused new ones did not begin meanwhile"
    paste -d ' ' <(echo "$2") <(sent) | awk '
        { part[NR] = $4 - $2; all += part[NR]; sub("balancer", "lb", $1); name[NR] = $1 }
        END {
            for (i = 1; i <= NR; i++) text = text (i > 1 ? ", " : "") name[i] " " int(100 * part[i] / all + 0.5) " %"
            print "  packets: " text
        }'
    ((lost == 0)) || fail "$lost connections were lost that nothing should break: ${why%.}."
    total_stall=$((stall > total_stall ? stall : total_stall))
}

# ---- Acts ----

start_held() { # LOG ROLE COMMAND...: its stdin stays open
    : >"$scratch/$1"
    testbed/network.sh exec "$network" "$2" -- "${@:3}" <&"$held" >"$scratch/$1" 2>&1 &
}

set_up_network() {
    note "A client, a router, $balancers balancers and $count destinations, each with $vip on its lo."
    made=yes
    run testbed/network.sh up "$network" --balancers "$balancers" --count $((count + 1)) --vip "$vip" --owner $$ >"$scratch/up"
    head -n 1 "$scratch/up"
    mkfifo "$scratch/held" "$scratch/orders"
    exec {held}<>"$scratch/held" {orders}<>"$scratch/orders"
    start moves.log router ip -o -ts monitor route
}

set_up_store() {
    if ! command -v etcd >/dev/null; then
        note "The store: a folder, since there is no etcd (./setup.sh etcd). All run on one host here."
        store=file:$scratch/store
        return
    fi
    note "The store: etcd on a host of its own."
    echo "etcd# etcd --listen-client-urls http://10.0.1.$((count + 1)):2379 &"
    store=etcd:http://10.0.1.$((count + 1)):2379
    start etcd.log "destination$((count + 1))" etcd --data-dir "$scratch/etcd" --log-level error \
        --logger zap --unsafe-no-fsync \
        --listen-client-urls "${store#etcd:}" --advertise-client-urls "${store#etcd:}"
    until_true "etcd answers" within "destination$((count + 1))" \
        curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "${store#etcd:}/health"
}

write_file() {
    local i
    cat <<CONFIG
names = "$names"

[[service]]
name = "web"
address = "$vip"
ports = 80
protocol = "tcp"
slots = 4096
remember = "destinations"
check = { kind = "tcp", interval = "1s", fast = "200ms", timeout = "300ms", most_moves = 100 }
destinations = [
CONFIG
    for ((i = 1; i <= count; i++)); do
        echo "  \"10.0.1.$i\","
    done
    echo "]"
}

serve() { # NUMBER
    start_held "server$1.log" "destination$1" node testbed/echo.mjs "destination$1"
    servers[$1]=$!
}

set_up_destinations() {
    local i loading=()
    note "Destinations take the outer header off, know their connections, and send the others' on."
    write_file >"$scratch/l4lb.toml"
    echo "destination1# l4lb-load -i eth0 --decap --names $names --siblings l4lb.toml"
    for ((i = 1; i <= count; i++)); do
        within "destination$i" bin/l4lb-load.js -i eth0 --decap --names "$names" \
            --siblings "$scratch/l4lb.toml" >"$scratch/load$i" 2>&1 &
        loading+=($!)
        serve "$i"
    done
    for ((i = 1; i <= count; i++)); do
        wait "${loading[i - 1]}" || fail "destination$i:" "$(cat "$scratch/load$i")"
        until_true "the server of destination$i answers" said "server$i.log" ' answers on '
    done
}

run_node() { # NUMBER
    start "node$1.log" "balancer$1" bin/l4lb.js fleet run --store "$store" -i eth0 \
        --node "lb$1" --state "$scratch/state$1"
    nodes[$1]=$!
}

run_bird() { # ROLE
    start "bird-$1.log" "$1" bird -f -c "$scratch/bird-$1.conf" -s "$scratch/bird-$1.ctl"
    birds[$1]=$!
}

# BIRD's configuration as l4lb fleet prints it, with a log of its own.
write_bird() { # ROLE COMMAND...
    local text
    text=$("${@:2}")
    echo "${text/log syslog all;/log stderr all;}" >"$scratch/bird-$1.conf"
}

set_up_fleet() {
    local i working=() loading=() from
    note "The fleet: what is wanted goes into the store, and each balancer runs the same."
    echo "balancer1# l4lb fleet apply --store $store -c l4lb.toml"
    fleet 1 apply -c "$scratch/l4lb.toml" | sed 's/^/  /'
    echo "balancer1# l4lb load -i eth0"
    echo "balancer1# l4lb fleet run --store $store -i eth0 --node lb1 &"
    for ((i = 1; i <= balancers; i++)); do
        within "balancer$i" bin/l4lb.js load -i eth0 -m xdpdrv >"$scratch/load$i" 2>&1 &
        loading+=($!)
    done
    for ((i = 1; i <= balancers; i++)); do
        wait "${loading[i - 1]}" || fail "balancer$i:" "$(cat "$scratch/load$i")"
        run_node "$i"
    done
    for ((i = 1; i <= balancers; i++)); do
        until_true "lb$i is ready" said "node$i.log" '"kind":"ready"'
    done
    note "BIRD beside each balancer tells the router where $vip is, and BFD that it lives."
    echo "balancer1# l4lb fleet bird --store $store -i eth0 --as 65100 --router 10.1.1.1=65000 >bird.conf"
    echo "balancer1# bird -c bird.conf"
    for ((i = 1; i <= balancers; i++)); do
        write_bird "balancer$i" fleet "$i" bird -i eth0 --as 65100 --router "10.1.$i.1=65000" &
        working+=($!)
    done
    write_bird router fleet 1 router --as 65000 --router =65100
    for i in "${working[@]}"; do
        wait "$i" || exit 1
    done
    stamp from
    for i in $(balancers_but) router; do
        run_bird "$i"
    done
    # shellcheck disable=SC2046 # each is a word
    await_router "$from" $(balancers_but)
}

show_status() { # NUMBER
    echo "balancer$1# l4lb fleet status --store $store"
    fleet "$1" status >"$scratch/status"
    sed 's/^./  &/' "$scratch/status"
}

set_up_client() {
    local since before settings
    note "The client opens $connections connections, asks by each every second, and opens 10 more a second."
    settings="{\"host\":\"$vip\",\"port\":80,\"sources\":[\"10.9.0.2\"],\"connections\":$connections"
    settings+=",\"openPerSecond\":500,\"freshPerSecond\":10,\"every\":$((connections < 250 ? 250 : connections))"
    settings+=",\"bound\":$bound,\"limit\":300000}"
    since=0 before=$(sent)
    : >"$scratch/client.log"
    testbed/network.sh exec "$network" client -- node testbed/connections.mjs "$settings" \
        <&"$orders" >"$scratch/client.log" 2>&1 &
    until_true "the connections are open" said client.log '"event":"ready"'
    rest 1
    tell_client "$since" "$before"
    awk -F '[{":,}]+' '$3 == "open" { opened[$11]++ } END { for (name in opened) print name, opened[name] }' \
        "$scratch/client.log" | sort | awk '{ text = text (NR > 1 ? ", " : "") $0 } END { print "  opened:  " text }'
}

# bash would say on stderr that they were killed.
end_at_once() { # PID...
    {
        kill -KILL "$@"
        wait "$@" || true
    } 2>/dev/null
}

kill_leader() {
    local from since before
    leader=$(sed -n '1s/.*, lb\([0-9]*\) leads$/\1/p' "$scratch/status")
    [[ -n $leader ]] || fail "nobody leads:" "$(cat "$scratch/status")"
    note "lb$leader, which leads, is killed: l4lb, BIRD and the link at once."
    at_role "balancer$leader" "kill -KILL ${nodes[$leader]} ${birds[balancer$leader]}; ip link set dev eth0 down"
    since=$(lines) before=$(sent)
    stamp from
    end_at_once "${nodes[$leader]}" "${birds[balancer$leader]}"
    within "balancer$leader" ip link set dev eth0 down
    # shellcheck disable=SC2046 # each is a word
    await_router "$from" $(balancers_but "$leader")
    await_event "$from" '"kind":"leads","begins":true' "another one leads"
    second=$event_node
    echo "  fleet:   lb$second leads after $(as_seconds "$(elapsed "$from" "$event_time")")"
    rest "$after"
    tell_client "$since" "$before"
}

kill_destination() { # NUMBER
    local from since before
    note "The server of destination$1 is killed. The two nodes that are left have to find it."
    at_role "destination$1" "kill -KILL ${servers[$1]}"
    since=$(lines) before=$(sent)
    stamp from
    end_at_once "${servers[$1]}"
    await_event "$from" '"kind":"decided"' "the leader decides"
    echo "  fleet:   lb$event_node decides that it gets nothing after $(as_seconds "$(elapsed "$from" "$event_time")")"
    rest "$after"
    tell_client "$since" "$before" "destination$1"
    fleet "$second" status | awk '/weight/ { print "  status: " $0 }'
}

start_again() {
    local from since before
    note "lb$leader starts again: it fills its tables from the store, and then announces itself."
    at_role "balancer$leader" "l4lb load -i eth0; l4lb fleet run ... & bird -c bird.conf"
    # A boot begins without a program and without routes.
    within "balancer$leader" ip route flush table 196
    within "balancer$leader" bin/l4lb.js off -i eth0 >"$scratch/off" 2>&1 || fail "$(cat "$scratch/off")"
    since=$(lines) before=$(sent)
    stamp from
    within "balancer$leader" ip link set dev eth0 up
    within "balancer$leader" ip route replace default via "10.1.$leader.1"
    within "balancer$leader" bin/l4lb.js load -i eth0 -m xdpdrv >"$scratch/load$leader" 2>&1 ||
        fail "balancer$leader:" "$(cat "$scratch/load$leader")"
    run_node "$leader"
    run_bird "balancer$leader"
    until_true "lb$leader is ready" said "node$leader.log" '"kind":"ready"'
    # shellcheck disable=SC2046 # each is a word
    await_router "$from" $(balancers_but)
    rest "$after"
    tell_client "$since" "$before"
}

drain() { # NUMBER
    local from since before
    note "lb$1 is drained, as before work on it: the router prefers the others."
    at_role "balancer$leader" "l4lb fleet drain lb$1 --store $store"
    since=$(lines) before=$(sent)
    stamp from
    fleet "$leader" drain "lb$1" | sed 's/^/  fleet:   /'
    # shellcheck disable=SC2046 # each is a word
    await_router "$from" $(balancers_but "$1")
    rest "$after"
    tell_client "$since" "$before"
    note "It comes back."
    at_role "balancer$leader" "l4lb fleet undrain lb$1 --store $store"
    since=$(lines) before=$(sent)
    stamp from
    fleet "$leader" undrain "lb$1" | sed 's/^/  fleet:   /'
    # shellcheck disable=SC2046 # each is a word
    await_router "$from" $(balancers_but)
    rest "$after"
    tell_client "$since" "$before"
}

show_end() {
    local opened lost
    note "The fleet at the end:"
    show_status "$leader"
    echo finish >&"$orders"
    until_true "the client ends" said client.log '"event":"end"'
    read -r opened lost < <(awk -F '[{":,}]+' -v dead="destination$dead" '
        $3 == "open" { name[$7] = $11; opened++ }
        $3 == "lost" && ($7 in name) && name[$7] != dead { lost++ }
        END { print opened + 0, lost + 0 }' "$scratch/client.log")
    ((lost == 0)) || fail "$lost connections were lost that nothing should break."
    note "Of $opened connections none was lost but those of destination$dead. The longest stall was $total_stall ms."
}

parse() {
    local most
    case ${1:-} in
    -h | --help) usage && exit ;;
    esac
    if (($# > 1)) || [[ ! ${1:-$connections} =~ ^[1-9][0-9]{0,4}$ ]]; then
        usage >&2
        exit 2
    fi
    connections=${1:-$connections}
    # One process holds all of them, and node takes as many files as it may.
    most=$(ulimit -Hn)
    if [[ $most != unlimited ]] && ((connections > most - 200)); then
        connections=$((most > 400 ? most - 200 : 200))
        echo "A process may have $most files open here (ulimit -Hn), so there are $connections connections."
    fi
}

main() {
    local -A nodes birds servers
    local held orders store leader second event_time event_node dead=3 total_stall=0
    parse "$@"
    check_demo l4lb_xdp_host.o l4lb_decap.o l4lb_check.o testbed/pass.o testbed/port.o
    command -v bird >/dev/null || fail "BIRD, which announces the balancers and is the router, is missing." \
        "Run: ./setup.sh bird"
    begin
    [[ -z $is_terminal ]] || note "q ends the demo at any time."
    set_up_network
    set_up_store
    set_up_destinations
    set_up_fleet
    show_status 1
    set_up_client
    kill_leader
    kill_destination "$dead"
    start_again
    drain "$second"
    show_end
    note "That is all. The network is being taken down. Next try: make demo-live"
}

main "$@"
