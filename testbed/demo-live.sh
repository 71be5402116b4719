#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make demo-live: l4lbd keeps a service going. A client asks for pages all the time, while
# destinations break in four ways, one is drained and one is added. The terminal tells what
# happens, and a browser of this machine shows it: two relays lead from a port of this
# machine into the balancer's namespace.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin

readonly vip=10.0.100.1
readonly count=8   # destinations, and one that is added
readonly port=9109 # of the page
readonly rate=50   # requests a second
readonly kept=40   # connections that the client keeps open
readonly enough=100 # requests that tell how it is after a change
readonly patience=60 # seconds that anything may take on a busy machine
readonly demo=demo-live network=live-$$
stay=""

# shellcheck source=testbed/demos.sh
. testbed/demos.sh

usage() {
    cat <<USAGE
Usage: testbed/demo-live.sh [SECONDS]

Runs l4lbd with $count destinations, and a client that asks for $rate pages a second. Kills a
destination's server, takes the service's address from another one, the decapsulation off a
third and the link from a fourth; drains one by hand, and adds one to the file. Shows what
l4lbd says, how long that took, and which requests failed. On a terminal the page stays
SECONDS (default: 20, elsewhere 0) at the end, and q ends the demo at any time. Fails if
something is not found, or if a request fails that began after it was.
USAGE
}

# ---- What l4lbd says ----

# What l4lbd has said so far, and how much of it was shown.
said=() shown=0

listen() {
    mapfile -t said <"$scratch/events"
    for (( ; shown < ${#said[@]}; shown++)); do
        printf '  l4lbd: %s\n' "${said[shown]#* }"
    done
}

# Waits until l4lbd has said something since a line. What matches is a pattern of bash.
hear() { # LINE PATTERN...
    local end=$((SECONDS + patience)) pattern i
    for pattern in "${@:2}"; do
        for (( ; ; )); do
            listen
            for ((i = $1; i < ${#said[@]}; i++)); do
                # shellcheck disable=SC2053 # it is a pattern
                [[ ${said[i]} != $pattern ]] || continue 3
            done
            kill -0 "$l4lbd" 2>/dev/null || fail "l4lbd has ended:" "$(cat "$scratch/l4lbd")"
            ((SECONDS < end)) || fail "l4lbd does not say '${pattern//\*/ }'." \
                "$(tail -n 5 "$scratch/l4lbd")"
            rest 0.1
        done
    done
}

# ---- What the client got ----

# Requests that were under way between two times: all, failed, and longer than half a second.
asked_between() { # FROM TO
    awk -v from="$1" -v to="$2" '$1 <= to && $2 >= from {
        all++
        if ($3 == "-") failed++
        else if ($2 - $1 > 500) slow++
    } END { print all + 0, failed + 0, slow + 0 }' "$scratch/asked"
}

# Requests that began after a time: all, failed, and answered by a name.
asked_since() { # FROM [NAME]
    awk -v from="$1" -v name="${2:-}" '$1 > from {
        all++
        if ($3 == "-") failed++
        if ($3 == name) its++
    } END { print all + 0, failed + 0, its + 0 }' "$scratch/asked"
}

# Connections kept to a destination: all, lost, and answered since a time.
kept_by() { # NAME FROM
    awk -v name="$1" -v from="$2" '$3 == name {
        if (!($2 in seen)) { seen[$2]; all++ }
        if ($4 == "lost:") lost++
        else if ($1 > from && !($2 in well)) { well[$2]; answered++ }
    } END { print all + 0, lost + 0, answered + 0 }' "$scratch/kept"
}

# Waits for enough requests that began after a time, and says how they ended.
judge() { # FROM DESTINATION none|some
    local end=$((SECONDS + patience)) all failed its
    for (( ; ; )); do
        read -r all failed its < <(asked_since "$1" "$2")
        ((failed == 0)) || fail "a request failed that began after that:" \
            "$(awk -v from="$1" '$1 > from && $3 == "-"' "$scratch/asked")"
        if ((all >= enough)); then
            [[ $3 == some ]] || break
            ((its == 0)) || break
        fi
        ((SECONDS < end)) || fail "$all requests in $patience seconds, and $its of them to $2."
        listen
        rest 0.2
    done
    [[ $3 == some ]] || ((its == 0)) || fail "$its of them still went to $2."
    printf '  client: %s requests since then: none failed, %s went to %s\n' "$all" \
        "$( ((its)) && echo "$its" || echo none)" "$2"
}

# What the page has on top.
page() {
    local top
    top=$(within balancer bin/l4lb.js ctl -i eth0)
    printf '  page:   on top "%s"%s\n' "${top%%$'\n'*}" "${1:+; $1}"
}

# ---- Acts ----

# A change that breaks a destination. The times during which requests may fail are kept.
broken=()

break_it() { # NUMBER WHAT WHERE ROLE COMMAND...
    local line=${#said[@]} destination=10.0.1.$1 from to all failed slow
    note "$2"
    at_role "$4" "${*:5}"
    now from
    within "${@:4}"
    hear "$line" "*: $destination is down*" "*: *$destination * to 0[,;]*"
    now to
    broken+=("$from $to")
    echo "  found, and nothing new goes there, after $(as_seconds $((to - from)))"
    judge "$to" "destination$1" none
    read -r all failed slow < <(asked_between "$from" "$to")
    echo "  client: $all requests before: $failed failed, $slow waited for more than half a second"
    page "$3"
}

set_up_network() {
    note "A client, a balancer and $((count + 1)) destinations, each with $vip on its lo."
    made=yes
    run testbed/network.sh up "$network" --count $((count + 1)) --vip "$vip" --owner $$ >"$scratch/up"
    head -n 1 "$scratch/up"
}

serve() { # NUMBER
    start "server$1" "destination$1" node testbed/answer.mjs "destination$1"
    servers[$1]=$!
}

set_up_destinations() {
    local i loading=()
    note "Each destination takes the outer header off, and answers with its name."
    for ((i = 1; i <= count + 1; i++)); do
        within "destination$i" bin/l4lb-load.js -i eth0 --decap >"$scratch/load$i" 2>&1 &
        loading+=($!)
        serve "$i"
    done
    echo "destination1# l4lb-load -i eth0 --decap"
    echo "destination1# node testbed/answer.mjs destination1 &"
    for ((i = 1; i <= count + 1; i++)); do
        wait "${loading[i - 1]}" || fail "destination$i:" "$(cat "$scratch/load$i")"
        await "server$i" ' answers on '
    done
}

write_file() { # COUNT
    local i
    cat <<CONFIG
[daemon]
listen = "127.0.0.1:$port"

[[service]]
name = "web"
address = "$vip"
ports = 80
protocol = "tcp"
slots = 4096
check = { kind = "http", dead_after = "10s", most_moves = 100 }
destinations = [
CONFIG
    for ((i = 1; i <= $1; i++)); do
        echo "  \"10.0.1.$i\","
    done
    echo "]"
}

set_up_balancer() {
    note "The balancer: the program, and l4lbd with this file."
    write_file "$count" >"$scratch/l4lb.toml"
    run cat "$scratch/l4lb.toml"
    echo "balancer# l4lb load -i eth0"
    within balancer bin/l4lb.js load -i eth0 -m xdpdrv
    echo "balancer# l4lbd -i eth0 -c $scratch/l4lb.toml &"
    start l4lbd balancer bin/l4lbd.js -i eth0 -c "$scratch/l4lb.toml" --state "$scratch/state"
    l4lbd=$!
    await l4lbd '"ready"'
    echo "balancer# l4lb events -i eth0 &"
    start events balancer bin/l4lb.js events -i eth0
    hear 0 "*the tables are as*"
}

set_up_page() {
    note "The page, for a browser on this machine."
    start relay balancer node testbed/relay.mjs "$scratch/page.sock" "$port"
    node testbed/relay.mjs "$port" "$scratch/page.sock" >"$scratch/way" 2>&1 &
    await relay 'listens on'
    await way 'listens on'
    at=$(sed 's/.* //' "$scratch/way")
    curl --silent --show-error --fail --noproxy '*' --max-time "$patience" "http://$at/healthz" >"$scratch/healthz" ||
        fail "nothing answers at http://$at/"
    echo "  Open  http://$at/"
    [[ -z $is_terminal ]] || echo "  q ends the demo at any time."
}

set_up_client() {
    local i line=${#said[@]} from patterns=()
    note "The client asks for $rate pages a second, each by a connection of its own, and keeps $kept more open."
    echo "client# node testbed/ask.mjs http://$vip/ $rate &"
    start asked client node testbed/ask.mjs "http://$vip/" "$rate"
    asker=$!
    echo "client# node testbed/keep.mjs $vip $kept &"
    start kept client node testbed/keep.mjs "$vip" "$kept"
    now from
    for ((i = 1; i <= count; i++)); do
        patterns+=("*: 10.0.1.$i is up*")
    done
    hear 0 "${patterns[@]}"
    judge "$from" destination1 some
    page
}

# l4lbd tells when it is up again, while other things go on.
bring_back() { # NUMBER
    note "destination$1 has a server again. It is up when enough checks in a row have passed."
    at_role "destination$1" "node testbed/answer.mjs destination$1 &"
    serve "$1"
    await "server$1" ' answers on '
}

drain() { # NUMBER
    local line=${#said[@]} from to all lost answered
    note "destination$1 is drained by hand: connections that it has stay, new ones go elsewhere."
    echo "balancer# l4lb ctl -i eth0 drain web 10.0.1.$1"
    now from
    within balancer bin/l4lb.js ctl -i eth0 drain web "10.0.1.$1"
    now to
    hear "$line" "*: 10.0.1.$1 1 to 0;*"
    echo "  done after $(as_seconds $((to - from)))"
    judge "$to" "destination$1" none
    read -r all lost answered < <(kept_by "destination$1" "$to")
    ((lost == 0)) || fail "$lost connections of destination$1 were lost."
    echo "  client: $all connections are kept to destination$1, and $answered of them were answered since then"
    page "row 10.0.1.$1 is drained, though its checks pass"
}

add() { # NUMBER
    local line=${#said[@]} from to
    note "destination$1 is added to the file. It gets packets once its checks pass."
    write_file "$1" >"$scratch/new.toml"
    { diff "$scratch/l4lb.toml" "$scratch/new.toml" || true; } | sed -n 's/^> /+ /p'
    mv "$scratch/new.toml" "$scratch/l4lb.toml"
    echo "balancer# l4lb ctl -i eth0 reload"
    now from
    within balancer bin/l4lb.js ctl -i eth0 reload
    hear "$line" "*: 10.0.1.$1 is up*" "*: *10.0.1.$1 0 to 1[,;]*"
    now to
    echo "  up, and in the table, after $(as_seconds $((to - from)))"
    judge "$to" "destination$1" some
    page "row 10.0.1.$1 is new, and Events say how many slots moved to it"
}

# Dead destinations get packets again, too, and the one that is drained.
mend() {
    local line=${#said[@]} i from to patterns=()
    note "All is mended: the address, the decapsulation, the link; and nobody is drained any more."
    now from
    at_role destination3 "ip address add $vip/32 dev lo"
    within destination3 ip address add "$vip/32" dev lo
    at_role destination4 "l4lb-load -i eth0 --decap"
    within destination4 bin/l4lb-load.js -i eth0 --decap
    at_role destination5 "ip link set dev eth0 up"
    within destination5 ip link set dev eth0 up
    at_role balancer "l4lb ctl -i eth0 auto web 10.0.1.6"
    within balancer bin/l4lb.js ctl -i eth0 auto web 10.0.1.6
    for i in 3 4 5 6; do
        patterns+=("*: *10.0.1.$i 0 to 1[,;]*")
    done
    hear "$line" "${patterns[@]}"
    now to
    echo "  all get their share again after $(as_seconds $((to - from)))"
    judge "$to" destination5 some
    page
}

show_end() {
    local all failed outside lost
    note "How l4lbd sees it:"
    echo "balancer# l4lb ctl -i eth0"
    within balancer bin/l4lb.js ctl -i eth0
    note "The same as metrics:"
    printf '$ %s\n' "curl -s http://$at/metrics | grep l4lb_destination_up"
    curl --silent --show-error --fail --noproxy '*' --max-time "$patience" "http://$at/metrics" >"$scratch/metrics" ||
        fail "nothing answers at http://$at/metrics"
    grep '^l4lb_destination_up' "$scratch/metrics"
    kill -USR2 "$asker"
    wait "$asker" || true
    read -r all failed _ < <(asked_since 0)
    outside=$(awk '
        FNR == NR { from[++n] = $1; to[n] = $2; next }
        $3 == "-" {
            for (i = 1; i <= n; i++) if ($1 <= to[i] && $2 >= from[i]) next
            print
        }' <(printf '%s\n' "${broken[@]}") "$scratch/asked")
    [[ -z $outside ]] || fail "requests failed while nothing was broken:" "$outside"
    lost=$(grep -c ' lost: ' "$scratch/kept" || true)
    outside=$(grep ' lost: ' "$scratch/kept" | grep -v ' destination[2-5] ' || true)
    [[ -z $outside ]] || fail "connections were lost that nothing broke:" "$outside"
    note "The client: $all requests, of which $failed failed, all while a fault was not found yet."
    echo "# Of the $kept connections that it kept, $lost were lost, all at destinations that broke."
}

stay_open() {
    local end=$((SECONDS + stay))
    ((stay)) || return 0
    note "http://$at/ stays for $stay more seconds, or until you press q."
    while ((SECONDS < end)); do
        listen
        rest 0.5
    done
}

parse() {
    case ${1:-} in
    -h | --help) usage && exit ;;
    esac
    if (($# > 1)) || [[ ! ${1:-0} =~ ^[0-9]{1,5}$ ]]; then
        usage >&2
        exit 2
    fi
    stay=${1:-${is_terminal:+20}}
    stay=$((10#${stay:-0}))
}

main() {
    declare -A servers
    local l4lbd asker at
    parse "$@"
    check_demo l4lb_xdp_host.o l4lb_decap.o l4lb_check.o testbed/pass.o
    begin
    set_up_network
    set_up_destinations
    set_up_balancer
    set_up_page
    set_up_client
    break_it 2 "The server of destination2 is killed." \
        "row 10.0.1.2 says why, and the high bars behind it are checks that failed" \
        destination2 kill "${servers[2]}"
    break_it 3 "destination3 loses the service's address. Its server goes on." \
        "under Slots, the hatched part remembers where connections were" \
        destination3 ip address del "$vip/32" dev lo
    break_it 4 "destination4 no longer takes the outer header off. Its own address answers as before." \
        "'only what is not well' leaves the rows of these" \
        destination4 bin/l4lb-load.js -i eth0 --off
    bring_back 2
    break_it 5 "The link of destination5 goes down." \
        "the last 10 minutes have a mark for each event; point at one" \
        destination5 ip link set dev eth0 down
    drain 6
    add $((count + 1))
    mend
    show_end
    stay_open
    note "That is all. The network is being taken down. Next try: make demo-tcp"
}

main "$@"
