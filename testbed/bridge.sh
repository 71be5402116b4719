#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Builds the testbed of docs/guide/bridge.md: a bridge of this machine, and hosts on it.
#
#     local machine ── l4lb-bridge ──┬── h2
#        10.0.0.1                    ├── h3
#                                    └── lb, a namespace, or tapdpdk, a process of DPDK
#
# Unlike the networks of network.sh, it is in the network namespace that it is run in, so
# it says what is in the way there and touches nothing that it did not make. Whatever it
# makes is recognisable from the first moment, so that a run that was killed leaves nothing
# that the next could not tell from other people's:
#
# - The bridge and its ports are made with the MAC addresses below.
# - A namespace is made as l4lb-bridge-HOME-NAME, with the inode of the namespace that the
#   bridge is in as HOME. The name that you use, such as h2, is a link to it.
set -euo pipefail

readonly here=${BASH_SOURCE[0]%/*}
readonly me=testbed/bridge.sh
readonly run=/run/l4lb-testbed # network.sh's, too
readonly prefix=${L4LB_BRIDGE_PREFIX:-}

readonly bridge=l4lb-bridge bridge_mac=de:ad:be:ef:00:01
readonly network=10.0.0.0/24 network_start=10.0.0.
readonly bridge_alias="hosts ${prefix}h2 and ${prefix}h3"
readonly tap=tapdpdk
readonly pool=10.0.0.11 # what full-nat sends from, in lb
readonly hosts=(h2 h3 lb)
readonly -A number=([h2]=2 [h3]=3 [lb]=10)
readonly -A device=([h2]=veth2 [h3]=veth3 [lb]=veth6)
readonly elsewhere="unshare --net bash -c 'ip link set lo up; exec bash'"

# shellcheck source=testbed/namespaces.sh
. "$here/namespaces.sh"

usage() {
    cat <<USAGE
Usage: $me up [ebpf|dpdk]    build the testbed, or what is missing of it
       $me down [ebpf|dpdk]  take it down, and end all that runs in its hosts

Hosts are network namespaces. In brackets is the last byte of the MAC address de:ad:be:ef:00:XX.
  local machine  10.0.0.1   $bridge in the network namespace that this is run in (01)
  h2             10.0.0.2   veth2 (02)
  h3             10.0.0.3   veth3 (03)
With ebpf:
  lb             10.0.0.10  veth6 (10), which also has $pool, for full-nat
With dpdk:
  $tap                   the device of an l4lb-dpdk that runs, as a port of the bridge

down with ebpf or dpdk takes away that part alone. Both commands can be run again at any time.
The commands h2, h3, lb and xdp_lb: . testbed/bridge-aliases.sh

Environment:
  L4LB_BRIDGE_PREFIX  goes before the names of the hosts, where others have these names already,
                      such as "my-" for my-h2; a-z, 0-9 and "-", at most 20 of them
USAGE
}

# ---- What is ours ----

# The name that users see.
host_name() { # HOST
    echo "$prefix$1"
}

namespace() { # HOST
    echo "l4lb-bridge-$home-$prefix$1"
}

port() { # HOST
    echo "l4lb-$1"
}

mac() { # HOST
    printf 'de:ad:be:ef:00:%02d' "${number[$1]}"
}

port_mac() { # HOST
    printf 'de:ad:be:ef:01:%02d' "${number[$1]}"
}

within() { # HOST COMMAND...
    # Not "ip netns exec": that hides /sys/fs/bpf, and with it all pinned programs.
    nsenter "--net=/run/netns/$(namespace "$1")" -- "${@:2}"
}

# All namespaces of a host. check_homes has made sure that they belong to this testbed.
namespaces_of() { # HOST
    all_namespaces | awk -v host="$prefix$1" '$2 == host { print $3 }'
}

# Rows "HOME NAME NAMESPACE" of all testbeds.
all_namespaces() {
    local path
    for path in /run/netns/l4lb-bridge-*; do
        # With such a prefix the name that users see looks like it.
        [[ ! -L $path ]] || continue
        [[ ! ${path##*/} =~ ^l4lb-bridge-([0-9]+)-([a-z0-9-]*(h2|h3|lb))$ ]] ||
            echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]} ${path##*/}"
    done
}

link_of() { # HOST
    readlink "/run/netns/$(host_name "$1")" || true
}

is_ours() { # HOST: its link
    [[ $(link_of "$1") =~ ^l4lb-bridge-[0-9]+-$prefix$1$ ]]
}

# A namespace whose mount has gone leaves an empty file.
is_namespace() { # NAME
    [[ $(stat -fc %t "/run/netns/$1" 2>/dev/null) == 6e736673 ]]
}

mac_of() { # DEVICE
    ip -o link show dev "$1" | sed 's|.* link/ether \([^ ]*\) .*|\1|'
}

there_is() { # DEVICE
    ip link show dev "$1" >/dev/null 2>&1
}

has_mac() { # DEVICE MAC
    [[ $(ip -o link show dev "$1" 2>/dev/null) == *" link/ether $2 "* ]]
}

is_bridge_port() { # DEVICE
    [[ $(ip -o link show dev "$1" 2>/dev/null) == *" master $bridge "* ]]
}

# Whether any process or name holds on to a network namespace.
lives() { # INODE
    local inodes
    inodes=$(stat -Lc %i /proc/[0-9]*/ns/net /run/netns/* 2>/dev/null || true)
    [[ $'\n'$inodes$'\n' == *$'\n'"$1"$'\n'* ]]
}

# Removes the hosts whose bridge went with its network namespace, whoever made them.
sweep() {
    local at name space
    while read -r at name space; do
        lives "$at" || remove_namespace "$name" "$space"
    done < <(all_namespaces)
}

# Another network namespace may have hosts of these names.
check_homes() {
    local at name space
    while read -r at name space; do
        [[ $at != "$home" && $name =~ ^$prefix(h2|h3|lb)$ ]] || continue
        fail 1 "$name belongs to the testbed of another network namespace, net:[$at]" "" \
            "Take it down there, or give this one other names: L4LB_BRIDGE_PREFIX=my- $me $command"
    done < <(all_namespaces)
}

# Whether a command may make these names. It looks before it touches anything.
check_names() {
    local host name
    for host in "${hosts[@]}"; do
        name=$(host_name "$host")
        if [[ -L /run/netns/$name || -e /run/netns/$name ]] && ! is_ours "$host"; then
            fail 1 "there is a network namespace $name that this testbed did not make" "" \
                "Give the hosts other names: L4LB_BRIDGE_PREFIX=my- $me $command"
        fi
        name=$(port "$host")
        ! there_is "$name" || has_mac "$name" "$(port_mac "$host")" || not_ours "$name"
    done
    ! there_is $bridge || has_mac $bridge $bridge_mac || not_ours $bridge
}

not_ours() { # DEVICE
    fail 1 "there is a device $1 that this testbed did not make" "$(ip -brief link show dev "$1")" \
        "Rename it, or run this in a network namespace of its own: $elsewhere"
}

# A network namespace has one testbed, whatever its hosts are called.
check_prefix() {
    local link
    has_mac $bridge $bridge_mac || return 0
    link=$(ip -o link show dev $bridge)
    [[ $link == *" alias "* && $link != *" alias $bridge_alias"* ]] || return 0
    fail 1 "the testbed of this network namespace has ${link##* alias }, not ${prefix}h2" "" \
        "Set L4LB_BRIDGE_PREFIX to what stands before their h2, or unset it, and run this again."
}

# ---- What is in the way ----

check_tools() {
    local tool
    check_root
    for tool in ip bridge ethtool nsenter flock sysctl timeout; do
        command -v "$tool" >/dev/null ||
            fail 1 "the command $tool is missing" "" "Install what is missing: make setup"
    done
}

# The addresses would be ambiguous, and the machine might lose its own network.
check_network() {
    local used wider
    used=$({
        ip -4 -o address show to $network | grep -v " $bridge " || true
        ip -4 route show table all root $network | grep -v " dev $bridge " || true
        ip -4 route show table all | grep -F " via $network_start" || true
    } | sed 's/  */ /g')
    [[ -z $used ]] || fail 1 "$network is in use here" "$used" \
        "Run it in a network namespace of its own: $elsewhere"
    wider=$(ip -4 route show table all match $network | grep -v -e '^default' -e " dev $bridge " || true)
    [[ -z $wider ]] || echo "$me: as long as the testbed is up, $network does not lead where it did: $wider" >&2
}

# A port that nobody has refuses a connection at once, if anything gets there.
reaches() { # ADDRESS [COMMAND...]
    local said
    said=$("${@:2}" timeout 3 bash -c "</dev/tcp/$1/1" 2>&1) || [[ $said == *refused* ]]
}

# What drops what no rule accepts, as "tool family table chain".
dropping_chains() { # HOOK
    if command -v iptables >/dev/null; then
        iptables -S "${1^^}" 2>/dev/null | sed -n 's/^-P \(.*\) DROP$/iptables ip filter \1/p'
    elif command -v nft >/dev/null; then
        nft list chains 2>/dev/null | awk -v hook="$1" '
            $1 == "table" { table = $2 " " $3 }
            $1 == "chain" { chain = $2 }
            $0 ~ "hook " hook " " && /policy drop/ { print "nft " table " " chain }
        '
    fi
}

# Prints the command that lets the bridge through a chain.
let_through() { # TOOL FAMILY TABLE CHAIN
    if [[ $1 == iptables ]]; then
        echo "iptables -I $4 -i $bridge -j ACCEPT"
    elif [[ $2 == bridge ]]; then
        echo "nft insert rule $2 $3 $4 accept"
    else
        echo "nft insert rule $2 $3 $4 iifname $bridge accept"
    fi
}

explain_silence() { # FROM TO HOOK
    local tool family table chain detail="" next="" families=""
    while read -r tool family table chain; do
        families+=" $family"
        detail+="the policy of the chain $chain ($tool, $family $table) is to drop"$'\n'
        next+="Let the bridge through: $(let_through "$tool" "$family" "$table" "$chain")"$'\n  '
        [[ $tool != iptables ]] || next+="or everything:          iptables -P $chain ACCEPT"$'\n  '
    done < <(dropping_chains "$3")
    if [[ $3 == forward && $families != " bridge" && $(sysctl -n net.bridge.bridge-nf-call-iptables 2>/dev/null) == 1 ]]; then
        detail+="netfilter sees what the bridge forwards: net.bridge.bridge-nf-call-iptables is 1"
        next+="Keep netfilter out:     sysctl -w net.bridge.bridge-nf-call-iptables=0"$'\n  '
    fi
    [[ -n $next ]] || next="See what is filtered here: nft list ruleset; iptables -S"$'\n  '
    fail 1 "the testbed is up, but $1 does not reach $2" "${detail%$'\n'}" "${next}Then look again: $me $command"
}

check_reach() {
    reaches 10.0.0.2 || explain_silence 10.0.0.1 10.0.0.2 input
    reaches 10.0.0.3 within h2 || explain_silence 10.0.0.2 10.0.0.3 forward
}

# ---- Down ----

remove_namespace() { # NAME NAMESPACE
    [[ $(readlink "/run/netns/$1") != "$2" ]] || rm -f "/run/netns/$1"
    if is_namespace "$2"; then
        stop_processes "$2"
        remove_files_of "$2"
    fi
    step "remove the namespace $2" "" ip netns del "$2"
}

remove_host() { # HOST
    local space
    if has_mac "$(port "$1")" "$(port_mac "$1")"; then
        step "remove the device $(port "$1")" "" ip link del dev "$(port "$1")"
    fi
    for space in $(namespaces_of "$1"); do
        remove_namespace "$(host_name "$1")" "$space"
    done
    # Its namespace was removed by hand.
    ! is_ours "$1" || rm -f "/run/netns/$(host_name "$1")"
}

# The process keeps its device, which then is a port of nothing.
disconnect_dpdk() {
    ! is_bridge_port $tap || step "disconnect $tap" "" ip link set dev $tap nomaster
}

take_down() {
    local host
    for host in "${hosts[@]}"; do
        remove_host "$host"
    done
    disconnect_dpdk
    ! has_mac $bridge $bridge_mac || step "remove the bridge" "" ip link del dev $bridge
}

# ---- Up ----

make_bridge() {
    if ! there_is $bridge; then
        begun+=(bridge)
        step "make a bridge" "The kernel needs the module bridge." \
            ip link add name $bridge address $bridge_mac type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    fi
    step "set up the bridge" "" ip -batch - <<<"$(printf '%s\n' \
        "link set dev $bridge alias \"$bridge_alias\"" \
        "link set dev $bridge up" "address replace 10.0.0.1/24 broadcast + dev $bridge")"
}

# The last step of build_host connects the host, so a host that is connected is whole.
is_whole() { # HOST
    local space
    space=$(namespace "$1")
    [[ $(link_of "$1") == "$space" ]] && is_namespace "$space" && is_bridge_port "$(port "$1")"
}

make_host() { # HOST
    ! is_whole "$1" || return 0
    begun+=("$1")
    remove_host "$1"
    build_host "$1"
    [[ $1 != lb ]] || forget_balancer
}

build_host() { # HOST
    local space dev=${device[$1]} commands
    space=$(namespace "$1")
    step "make a namespace for $1" "Does this kernel have network namespaces, and is this the real root?" \
        ip netns add "$space"
    step "give the name $(host_name "$1") to its namespace" "" \
        ln -sT "$space" "/run/netns/$(host_name "$1")"
    step "connect $1" "The kernel needs the module veth." \
        ip link add name "$(port "$1")" address "$(port_mac "$1")" type veth \
        peer name "$dev" address "$(mac "$1")" netns "$space"
    commands=$(printf '%s\n' "link set dev lo up" "link set dev $dev up" \
        "address add 10.0.0.${number[$1]}/24 broadcast + dev $dev")
    [[ $1 != lb ]] || commands+=$'\n'"address add $pool/24 dev $dev"
    step "set up $1" "" ip -n "$space" -batch - <<<"$commands"
    show_xdp_all "$1"
    [[ $1 != lb ]] || make_router
    step "connect $1 to the bridge" "" ip link set dev "$(port "$1")" master $bridge up
}

# A veth leaves checksums out and packets uncut, since nothing can happen to them on the way,
# and takes VLAN tags off. XDP is not told. So whoever sends computes checksums and cuts.
show_xdp_all() { # HOST
    local dev=${device[$1]}
    step "turn checksum offload off at $(port "$1")" "" ethtool -K "$(port "$1")" tx off
    step "turn checksum offload off at $dev" "" within "$1" ethtool -K "$dev" tx off
    within "$1" ethtool -K "$dev" rxvlan off >/dev/null 2>&1 || true
}

# What full-nat's answers have as source is an address of lb, and XDP sends them only where
# the kernel would, too. So lb has to forward, and to accept such a source.
make_router() {
    step "make lb forward answers" "Is /proc/sys read-only here?" \
        within lb sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 \
        net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.veth6.rp_filter=0
}

check_tap() {
    local link
    there_is $tap || fail 1 "there is no device $tap: no l4lb-dpdk runs here" "" \
        "Start one in another terminal, then run this again:
    ./setup.sh dpdk
    make dpdk
    l4lb-dpdk -l 0 --vdev=net_tap0,iface=$tap -- --ip 10.0.0.10"
    link=$(ip -d -o link show dev $tap)
    [[ $link == *" tun type tap "* ]] || fail 1 "$tap is no tap device" "$link" "Rename it."
    [[ $link != *" master "* ]] || is_bridge_port $tap ||
        fail 1 "$tap is a port of another bridge" "$link" "Disconnect it: ip link set dev $tap nomaster"
}

# The process has the MAC address of its tap, and a bridge keeps what is for the address of
# a port. A static entry makes it send that out.
connect_dpdk() {
    local address
    address=$(mac_of $tap)
    step "connect $tap to the bridge" "" ip link set dev $tap master $bridge up
    step "lead packets for $address to $tap" "" bridge fdb replace "$address" dev $tap master static
    forget_balancer
}

# Whoever had 10.0.0.10 before had another MAC address.
forget_balancer() {
    local host
    ip neighbour flush to 10.0.0.10 dev $bridge
    for host in h2 h3; do
        ip -n "$(namespace "$host")" neighbour flush to 10.0.0.10
    done
}

# ebpf and dpdk both have 10.0.0.10.
check_part() {
    if [[ $part == dpdk ]] && is_ours lb; then
        fail 1 "lb has 10.0.0.10, which l4lb-dpdk would have, too" "" "Take lb away: $me down ebpf"
    elif [[ $part == ebpf ]] && is_bridge_port $tap; then
        fail 1 "l4lb-dpdk has 10.0.0.10, which lb would have, too" "" \
            "End l4lb-dpdk, or disconnect it: $me down dpdk"
    fi
}

report() {
    local host more
    echo "testbed on the bridge $bridge"
    printf '  %-13s %-9s  %s\n' "local machine" 10.0.0.1 "$bridge_mac  $bridge"
    for host in "${hosts[@]}"; do
        is_ours "$host" || continue
        more=""
        [[ $host != lb ]] || more="; it has $pool, too"
        printf '  %-13s 10.0.0.%-2s  %s  %s%s\n' "$(host_name "$host")" "${number[$host]}" "$(mac "$host")" "${device[$host]}" "$more"
    done
    ! is_bridge_port $tap || printf '  %-13s %-9s  %s  %s\n' l4lb-dpdk 10.0.0.10 "$(mac_of $tap)" $tap
    echo "Its commands:  . testbed/bridge-aliases.sh; h2 ping 10.0.0.1"
    echo "Take it down:  $me down"
}

# A run that fails removes what it has begun, and leaves what was there before.
undo() {
    local begin
    trap '' INT TERM HUP
    for begin in "${begun[@]}"; do
        if [[ $begin == bridge ]]; then take_down; else remove_host "$begin"; fi
    done
}

command_up() {
    check_tools
    sweep
    check_homes
    check_prefix
    check_names
    check_part
    [[ $part != dpdk ]] || check_tap
    there_is $bridge || check_network
    trap undo EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    make_bridge
    make_host h2
    make_host h3
    [[ $part != ebpf ]] || make_host lb
    [[ $part != dpdk ]] || connect_dpdk
    begun=()
    check_reach
    report
}

# Other people's things do not matter here: it does not touch them.
command_down() {
    sweep
    check_homes
    check_prefix
    case $part in
    ebpf) remove_host lb ;;
    dpdk) disconnect_dpdk ;;
    *) take_down ;;
    esac
}

# "ip netns exec" gives its command mounts of its own, so nobody else would see the
# namespaces made there, and /sys has the name of the namespace as its source. Whoever
# called it has the mounts that all share.
leave_private_mounts() {
    local source pid=$PPID
    source=$(awk '$5 == "/sys" { sub(/.* - sysfs /, ""); print $1 }' /proc/self/mountinfo | tail -1)
    [[ -n $source && $source != sysfs && -e /run/netns/$source ]] || return 0
    while ((pid > 1)) && [[ /proc/$pid/ns/mnt -ef /proc/self/ns/mnt ]]; do
        pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")
    done
    nsenter "--mount=/proc/$pid/ns/mnt" true 2>/dev/null ||
        fail 1 "nobody would see the hosts: ip netns exec gives each command mounts of its own" "" \
            "Run it by: nsenter --net=/run/netns/$source $me $command"
    exec nsenter "--mount=/proc/$pid/ns/mnt" --net=/proc/self/ns/net -- "$(realpath "$0")" "$@"
}

main() {
    local command=$* part=${2:-} home
    case ${1:-} in
    up | down) ;;
    -h | --help) usage && exit ;;
    "") wrong_usage "name a command: up or down" ;;
    *) wrong_usage "there is no command ${1@Q}" ;;
    esac
    rest=${*:2}
    [[ $# -le 2 && $part =~ ^(ebpf|dpdk|)$ ]] || wrong_usage "$1 takes ebpf, dpdk or nothing, not ${rest@Q}"
    [[ $prefix =~ ^[a-z0-9-]{0,20}$ ]] ||
        wrong_usage "L4LB_BRIDGE_PREFIX=${prefix@Q} must be made of a-z, 0-9 and '-', at most 20 of them"
    check_root
    leave_private_mounts "$@"
    home=$(stat -Lc %i /proc/self/ns/net)
    step "make $run" "Is /run writable?" mkdir -p $run
    exec 9>$run/.bridge.lock # the kernel releases it when its holder dies
    flock 9
    "command_$1"
}

# LC_ALL=C, since it reads what others print.
export LC_ALL=C
begun=()
PATH=$PATH:/usr/sbin:/sbin
main "$@"
