#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Builds a small network out of network namespaces, for the demos and the tests:
#
#     client ──┐
#              ├── switch ── destinations
#   balancer ──┘
#
# None of this appears in the machine's own network, and no packet leaves it.
set -euo pipefail

readonly here=${BASH_SOURCE[0]%/*}
readonly me=testbed/network.sh
readonly run=/run/l4lb-testbed # one directory for each network
readonly pass_object=$here/pass.o

readonly client_address=10.0.255.1 client_mac=02:00:00:00:00:01
readonly balancer_address=10.0.0.4 balancer_mac=02:00:00:00:00:04
readonly destinations_address=10.0.0.3 destinations_mac=02:00:00:00:00:03
readonly switch_mac=02:00:00:00:00:02
readonly most_separate=250

# shellcheck source=testbed/namespaces.sh
. "$here/namespaces.sh"
# shellcheck source=testbed/gateway.sh
. "$here/gateway.sh"
# shellcheck source=testbed/fabric.sh
. "$here/fabric.sh"

usage() {
    cat <<USAGE
Usage: $me up [NAME] [options]       build a network
       $me down NAME                 take it down, and end all that runs in it
       $me exec NAME ROLE -- COMMAND run something in a role's namespace
       $me list                      list the networks
       $me sweep                     take down those whose owner has died

A network has the roles client ($client_address), balancer ($balancer_address), switch, and
destinations or, with --count, destination1, destination2, ... Each role is a namespace
l4lb-NAME-ROLE with one device, eth0; the switch has a port for each role, named after it.

Options of up:
  --destinations FILE  the destinations namespace answers for all addresses in FILE, with
                       rows "address, MAC[, weight]"
  --count N            make N separate destinations instead, 10.0.1.1 to 10.0.1.N
  --gateway            with --count, at most $most_behind: the balancer is the router, and has eth0
                       towards the client and eth1, eth2, ... towards the destinations 10.2.0.2,
                       10.2.1.2, ...; the address of the service is its own, $service_address.
                       Without --count there is only the client, for servers at the balancer
  --bare               with --gateway: destinations do not have the service's address on lo
  --balancers N        with --count: a router has a link to the client, to each of N balancers, 0 to
                       $most_balancers, and to each destination; no way leads to a virtual address yet
  --vip ADDRESS        a virtual address: the client reaches it through the balancer, and
                       destinations have it on lo; may be given more than once
  --ipv6               each role has an IPv6 address too, in fd00::/64 with the numbers of its
                       IPv4 address: the balancer fd00::4, destination12 fd00::1:c; files and
                       virtual addresses may be of either family
  --mtu N              MTU of all devices, 1280 to 9000 (default: 1500)
  --owner PID          when this process has died, the next up removes the network
                       (default: the process that called)
  -q, --quiet          print the network's name only

NAME is made of a-z, 0-9 and "-", at most 40 of them (default: made up from the owner's PID).
USAGE
}

check_name() {
    [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$ ]] ||
        wrong_usage "'$1' is no name for a network: take a-z, 0-9 and '-', at most 40 of them"
}

namespace() {
    echo "l4lb-$name-$1"
}

within() { # ROLE COMMAND...
    local role=$1
    shift
    # Not "ip netns exec": that hides /sys/fs/bpf, and with it all pinned programs.
    nsenter "--net=/run/netns/l4lb-$name-$role" -- "$@"
}

# ---- Owners: a network lives as long as the process it was made for ----

# When a process started. Together with its number this identifies a process.
start_time() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name is in brackets and may contain anything.
    read -ra fields <<<"${stat##*) }"
    echo "${fields[19]}"
}

# sudo ends together with the command, so the process that called sudo is the owner.
calling_process() {
    local pid=$PPID
    while [[ $(cat "/proc/$pid/comm" 2>/dev/null) == sudo ]]; do
        pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")
    done
    echo "$pid"
}

owner_lives() { # NAME
    local pid started
    read -r pid started 2>/dev/null <"$run/$1/owner" || return 1
    [[ $(start_time "$pid") == "$started" ]]
}

# The kernel releases the lock when its holder dies.
lock() {
    step "make $run" "Is /run writable?" mkdir -p "$run"
    exec 9>"$run/.lock"
    flock 9
}

unlock() {
    exec 9>&-
}

# ---- Down ----

# The namespaces of a network, finished or not.
its_namespaces() {
    local path
    for path in /run/netns/"l4lb-$name-"*; do
        [[ ${path#"/run/netns/l4lb-$name-"} =~ ^(client|router|balancer[0-9]*|switch|destinations|destination[0-9]+)$ ]] &&
            echo "${path##*/}"
    done
    return 0
}

take_down() {
    local spaces space
    mapfile -t spaces < <(its_namespaces)
    if ((${#spaces[@]})); then
        stop_processes "${spaces[@]}"
        for space in "${spaces[@]}"; do
            remove_files_of "$space"
        done
        printf 'netns del %s\n' "${spaces[@]}" | ip -force -batch - 2>/dev/null || true
    fi
    rm -rf "${run:?}/$name"
    mapfile -t spaces < <(its_namespaces)
    ((${#spaces[@]} == 0)) ||
        fail 1 "could not remove ${spaces[*]}" "" "See what: ip netns del ${spaces[0]}"
}

# Takes down what a crash left behind. The caller holds the lock.
sweep() {
    local path name
    for path in "$run"/*/; do
        name=${path%/} name=${name##*/}
        [[ -d $path ]] || continue
        owner_lives "$name" && continue
        take_down
        echo "took down $name: its owner is gone" >&2
    done
}

# ---- Up ----

# Prints rows "address MAC" of a destination file, and reports all bad rows.
read_destinations() {
    awk -F, -v file="$1" -v ipv6="$ipv6" '
        function bad(why) { print file ":" FNR ": " why > "/dev/stderr"; errors = 1 }
        function is_address(text,  part, i) {
            if (split(text, part, ".") != 4) return 0
            for (i = 1; i <= 4; i++)
                if (part[i] !~ /^[0-9]+$/ || part[i] > 255) return 0
            return 1
        }
        # ip reports whatever else is wrong with it.
        function is_ipv6(text) { return text ~ /:.*:/ && text ~ /^[0-9a-fA-F:.]+$/ }
        function is_mac(text) {
            return length(text) == 17 && text ~ /^([0-9a-fA-F][0-9a-fA-F]:)+[0-9a-fA-F][0-9a-fA-F]$/
        }
        { sub(/#.*/, ""); gsub(/[ \t\r]/, "") }
        $0 == "" || (!rows++ && tolower($1) == "address") { next }
        is_ipv6($1) && !ipv6 { bad("\"" $1 "\" is an IPv6 address, and --ipv6 is not given"); next }
        !is_address($1) && !is_ipv6($1) { bad("\"" $1 "\" is no IP address"); next }
        $2 != "" && !is_mac($2) { bad("\"" $2 "\" is no MAC address"); next }
        $1 in seen { bad($1 " is listed twice"); next }
        $1 ~ /^10\.0\.0\.([1-9]|10)$/ || $1 ~ /^10\.0\.255\./ || $1 ~ /^fd00::(ff:)?[0-9a]$/ { bad($1 " belongs to the testbed itself"); next }
        { seen[$1]; print $1, $2 }
        END { exit errors }
    ' "$1"
}

check_can_build() {
    local command
    check_root
    for command in ip bridge ethtool nsenter flock sysctl; do
        command -v "$command" >/dev/null ||
            fail 1 "the command $command is missing" "" "Install what is missing: make setup"
    done
    [[ -f $pass_object ]] ||
        fail 1 "$pass_object is missing: the switch's ports need it" "" "Build it: make objects"
}

# Claims the network under a name that nobody else has.
claim() {
    local wanted=$name number=1 started
    started=$(start_time "$owner") || fail 1 "there is no process $owner to own the network"
    lock
    sweep
    name=${wanted:-p$owner}
    until mkdir "$run/$name" 2>/dev/null; do
        [[ -z $wanted ]] ||
            fail 1 "there is a network '$name' already" "" "Take it down: $me down $name"
        name=p$owner-$((++number))
    done
    building=yes
    echo "$owner $started" >"$run/$name/owner"
    unlock
}

choose_roles() {
    local i
    roles=(client balancer)
    address=([client]=$client_address [balancer]=$balancer_address)
    mac=([client]=$client_mac [balancer]=$balancer_mac)
    if ((count == 0)); then
        roles+=(destinations)
        address[destinations]=$destinations_address mac[destinations]=$destinations_mac
    fi
    for ((i = 1; i <= count; i++)); do
        roles+=("destination$i")
        address[destination$i]=10.0.1.$i
        mac[destination$i]=$(printf '02:00:0a:00:01:%02x' "$i")
    done
}

# A veth accepts what its peer sends by XDP_TX only if it has an XDP program itself,
# so each port gets one that passes everything.
switch_commands() {
    local role section=xdp
    # Larger frames come in several buffers, and a program must say that it takes these.
    ((mtu <= 1500)) || section=xdp.frags
    echo "link set lo up"
    echo "link add name switch address $switch_mac type bridge stp_state 0 mcast_snooping 0 forward_delay 0"
    echo "link set switch up"
    for role in "${roles[@]}"; do
        # Both ends are made where they belong, so the machine's own network sees neither.
        echo "link add name $role mtu $mtu type veth peer name eth0 mtu $mtu address ${mac[$role]} netns $(namespace "$role")"
        echo "link set dev $role xdpdrv obj $pass_object sec $section"
        echo "link set $role master switch up"
    done
}

switch_table() {
    local role
    for role in "${roles[@]}"; do
        echo "fdb replace ${mac[$role]} dev $role master static"
    done
    awk 'NF == 2 { print "fdb replace " $2 " dev destinations master static" }' <<<"$destinations"
}

# The IPv6 address with the last two numbers of an IPv4 address.
ipv6_of() { # ADDRESS
    local third=${1%.*} fourth=${1##*.}
    third=${third##*.}
    if ((third == 0)); then
        printf 'fd00::%x' "$fourth"
    else
        printf 'fd00::%x:%x' "$third" "$fourth"
    fi
}

# An address for one host only. Nobody else can have it, so it needs no check (nodad).
host_address() { # ADDRESS DEVICE
    if [[ $1 == *:* ]]; then
        echo "address add $1/128 dev $2 nodad"
    else
        echo "address add $1/32 dev $2"
    fi
}

# The outer header takes 20 or 40 bytes. A longer packet would exceed the balancer's MTU,
# and the balancer would have to tell the client.
route_to() { # VIP
    local most_outer=20
    [[ -z $ipv6 ]] || most_outer=40
    if [[ $1 == *:* ]]; then
        echo "route add $1/128 via $(ipv6_of "$balancer_address") dev eth0 mtu $((mtu - most_outer))"
    else
        echo "route add $1/32 via $balancer_address dev eth0 mtu $((mtu - most_outer))"
    fi
}

role_commands() { # ROLE
    local vip row
    echo "link set lo up"
    echo "link set eth0 up"
    echo "address add ${address[$1]}/16 dev eth0"
    [[ -z $ipv6 ]] || echo "address add $(ipv6_of "${address[$1]}")/64 dev eth0 nodad"
    if [[ $1 == client ]]; then
        echo "neighbour add $balancer_address lladdr $balancer_mac dev eth0 nud permanent"
        [[ -z $ipv6 ]] || echo "neighbour add $(ipv6_of "$balancer_address") lladdr $balancer_mac dev eth0 nud permanent"
    fi
    if [[ $1 == destinations ]]; then
        while read -r row _; do
            [[ -z $row ]] || host_address "$row" eth0
        done <<<"$destinations"
    fi
    for vip in "${vips[@]}"; do
        case $1 in
        client) route_to "$vip" ;;
        destination*) host_address "$vip" lo ;;
        esac
    done
}

# IPv6 would send packets of its own, which no test expects, so it is off, or as quiet as
# possible. A role must not answer for addresses on lo, since packets to them go to the
# balancer. What the balancer forwards may come from anywhere, so rp_filter is off.
configure_kernel() { # ROLE
    local conf settings=() no_ipv6=1
    [[ -z $ipv6 ]] || no_ipv6=0
    for conf in all default; do
        settings+=("net.ipv4.conf.$conf.rp_filter=0" "net.ipv4.conf.$conf.arp_ignore=1"
            "net.ipv4.conf.$conf.arp_announce=2" "net.ipv6.conf.$conf.disable_ipv6=$no_ipv6"
            "net.ipv6.conf.$conf.router_solicitations=0" "net.ipv6.conf.$conf.accept_ra=0")
    done
    # -e: a kernel without IPv6 lacks some settings, and does not need them.
    step "set up the kernel for $1" "" within "$1" sysctl -e -q -w "${settings[@]}"
}

# XDP has no checksum offload, and needs the tags inside the frame.
no_offload() { # ROLE DEVICE
    step "turn checksum offload off at $2 of $1" "" within "$1" ethtool -K "$2" tx off
    within "$1" ethtool -K "$2" rxvlan off txvlan off \
        rx-vlan-stag-hw-parse off tx-vlan-stag-hw-insert off >/dev/null 2>&1 || true
}

make_namespaces() { # ROLE...
    local role commands=""
    for role in "$@"; do
        commands+="netns add $(namespace "$role")"$'\n'
    done
    step "make the namespaces" "Does this kernel have network namespaces, and is this the real root?" \
        ip -batch - <<<"$commands"
}

build() {
    local role
    make_namespaces switch "${roles[@]}"
    for role in switch "${roles[@]}"; do
        configure_kernel "$role"
    done
    step "build the switch" "The kernel needs the modules bridge and veth, and XDP on veth (4.19 or newer)." \
        ip -n "$(namespace switch)" -batch - < <(switch_commands)
    for role in "${roles[@]}"; do
        no_offload switch "$role"
        no_offload "$role" eth0
        step "set up the $role" "" ip -n "$(namespace "$role")" -batch - < <(role_commands "$role")
    done
    step "fill the switch's table" "" bridge -n "$(namespace switch)" -batch - < <(switch_table)
}

report() {
    local role more
    if [[ -n $quiet ]]; then
        echo "$name"
        return
    fi
    more=$(grep -c . <<<"$destinations" || true)
    echo "network $name"
    for role in "${roles[@]}"; do
        printf '  %-13s %-11s ' "$role" "${address[$role]}"
        [[ -z $ipv6 || -n $gateway$fabric ]] || printf '%-10s ' "$(ipv6_of "${address[$role]}")"
        printf '%s  in %s' "${mac[$role]}" "$(namespace "$role")"
        [[ $role != destinations || $more == 0 ]] || printf '; it has %s more addresses' "$more"
        echo
    done
    [[ ${#vips[@]} == 0 ]] || echo "  through the balancer: ${vips[*]}"
    echo "Run something in it: $me exec $name client -- ip neighbour"
    echo "Take it down:        $me down $name"
}

set_option() { # OPTION [VALUE]
    (($# > 1)) || wrong_usage "$1 needs a value"
    case $1 in
    --destinations) file=$2 ;;
    --count) count=$2 ;;
    --balancers) fabric=yes balancers=$2 ;;
    --mtu) mtu=$2 ;;
    --owner) owner=$2 ;;
    --vip) vips+=("$2") ;;
    esac
}

parse_up() {
    while (($#)); do
        case $1 in
        --destinations | --count | --balancers | --mtu | --owner | --vip)
            set_option "${@:1:2}"
            shift
            ;;
        --ipv6) ipv6=yes ;;
        --gateway) gateway=yes ;;
        --bare) bare=yes ;;
        -q | --quiet) quiet=yes ;;
        -*) wrong_usage "up has no option $1" ;;
        *)
            [[ -z $name ]] || wrong_usage "up takes one name, not '$name' and '$1'"
            check_name "$1"
            name=$1
            ;;
        esac
        shift
    done
    check_up
}

check_up() {
    local vip
    if [[ ! $count =~ ^[0-9]{1,3}$ ]] || ((10#$count > most_separate)); then
        wrong_usage "--count $count: must be a number from 1 to $most_separate"
    fi
    count=$((10#$count))
    if [[ ! $mtu =~ ^[0-9]{4}$ ]] || ((10#$mtu < 1280 || 10#$mtu > 9000)); then
        wrong_usage "--mtu $mtu: must be a number from 1280 to 9000"
    fi
    [[ $owner =~ ^[0-9]+$ ]] || wrong_usage "--owner $owner is no process number"
    [[ -z $file || $count == 0 ]] || wrong_usage "--destinations and --count exclude each other"
    if [[ -n $gateway ]]; then
        ((count <= most_behind)) || wrong_usage "--gateway takes a --count of at most $most_behind"
        [[ ${#vips[@]} == 0 ]] || wrong_usage "--gateway and --vip exclude each other: the address is $service_address"
    fi
    [[ -z $fabric ]] || check_fabric
    [[ -z $bare || -n $gateway ]] || wrong_usage "--bare is for --gateway: other destinations have no address on lo without --vip"
    for vip in "${vips[@]}"; do
        [[ $vip =~ ^([0-9]{1,3}\.){3}[0-9]{1,3}$ || $vip =~ ^[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.]*$ ]] ||
            wrong_usage "--vip $vip is no IP address"
        [[ $vip != *:* || -n $ipv6 ]] || wrong_usage "--vip $vip is an IPv6 address: add --ipv6"
    done
    [[ -z $file || -r $file ]] || fail 1 "cannot read $file"
}

command_up() {
    local file="" count=0 fabric="" balancers=0 mtu=1500 owner quiet="" ipv6="" gateway="" bare="" vips=() destinations="" roles
    local -A address mac
    owner=$(calling_process)
    name=""
    parse_up "$@"
    check_can_build
    if [[ -n $file ]]; then
        destinations=$(read_destinations "$file") || fail 1 "$file has bad rows: nothing was built"
    fi
    if [[ -n $gateway ]]; then gateway_roles; elif [[ -n $fabric ]]; then fabric_roles; else choose_roles; fi
    trap 'if [[ -n $building ]]; then take_down; fi' EXIT # leave no half-built network
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    claim
    if [[ -n $gateway ]]; then build_gateway; elif [[ -n $fabric ]]; then build_fabric; else build; fi
    building=""
    report
}

# ---- The other commands ----

command_down() {
    (($# == 1)) || wrong_usage "down takes one name"
    check_name "$1"
    check_root
    name=$1
    lock
    if [[ ! -d $run/$name && -z $(its_namespaces) ]]; then
        fail 1 "there is no network '$name'" "" "See those there are: $me list"
    fi
    take_down
}

command_sweep() {
    (($# == 0)) || wrong_usage "sweep takes no arguments"
    check_root
    lock
    sweep
}

command_list() {
    local path owner state
    (($# == 0)) || wrong_usage "list takes no arguments"
    for path in "$run"/*/; do
        [[ -d $path ]] || continue
        name=${path%/} name=${name##*/}
        read -r owner _ 2>/dev/null <"$run/$name/owner" || owner="?"
        state="owned by process $owner"
        owner_lives "$name" || state="left behind by process $owner"
        printf '%-20s %s:%s\n' "$name" "$state" "$(its_namespaces | sed "s/^l4lb-$name-/ /" | tr -d '\n')"
    done
}

command_exec() {
    if (($# < 4)) || [[ $3 != -- ]]; then
        wrong_usage "exec takes NAME ROLE -- COMMAND"
    fi
    check_name "$1"
    check_root
    [[ -e /run/netns/l4lb-$1-$2 ]] ||
        fail 1 "there is no '$2' in a network '$1'" "" "See those there are: $me list"
    exec nsenter "--net=/run/netns/l4lb-$1-$2" -- "${@:4}"
}

# LC_ALL=C, since these commands read what others print. What exec runs keeps the language.
PATH=$PATH:/usr/sbin:/sbin
name="" building=""
case ${1:-} in
up | down | list | sweep) LC_ALL=C "command_$1" "${@:2}" ;;
exec) command_exec "${@:2}" ;;
-h | --help) usage ;;
"") wrong_usage "name a command: up, down, exec, list or sweep" ;;
*) wrong_usage "there is no command '$1'" ;;
esac
