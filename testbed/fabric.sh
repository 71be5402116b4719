# shellcheck shell=bash disable=SC2034,SC2154 # the variables are those of network.sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The third shape of a testbed network, for network.sh up --balancers N: a router with a
# link of its own to each of the others, as in a data centre that routes up to its hosts.
#
#     client ── router ── balancer1, balancer2, ...
#                    └─── destination1, destination2, ...
#
# The router's ports are named after the roles, and all have the same MAC. It knows no way
# to a virtual address: BIRD learns it, or ip route tells it.

readonly most_balancers=16
readonly port_object=$here/port.o
readonly router_address=10.0.0.1 router_ipv6=fd00::1

check_fabric() {
    if [[ ! $balancers =~ ^[0-9]{1,2}$ ]] || ((10#$balancers > most_balancers)); then
        wrong_usage "--balancers $balancers: must be a number from 0 to $most_balancers"
    fi
    balancers=$((10#$balancers))
    ((count > 0)) || wrong_usage "--balancers needs a --count of destinations"
    [[ -f $port_object ]] || fail 1 "$port_object is missing: the router's ports need it" "" "Build it: make objects"
    [[ -z $gateway ]] || wrong_usage "--balancers and --gateway exclude each other"
}

fabric_roles() {
    local i
    roles=(client router)
    address=([client]=10.9.0.2 [router]=$router_address)
    mac=([client]=$client_mac [router]=$switch_mac)
    for ((i = 1; i <= balancers; i++)); do
        roles+=("balancer$i")
        address[balancer$i]=10.1.$i.2
        mac[balancer$i]=$(printf '02:00:0a:01:%02x:02' "$i")
    done
    for ((i = 1; i <= count; i++)); do
        roles+=("destination$i")
        address[destination$i]=10.0.1.$i
        mac[destination$i]=$(printf '02:00:0a:00:01:%02x' "$i")
    done
}

# The network of a role's link, without its last number, and whether it is of IPv6.
fabric_link() { # ROLE
    case $1 in
    client) echo "10.9.0. fd00:9::" ;;
    balancer*) printf '10.1.%d. fd00:1:%x::\n' "${1#balancer}" "${1#balancer}" ;;
    esac
}

# A port takes what its neighbour sends by XDP_TX only if it has an XDP program itself.
router_commands() {
    local role net net6 section=xdp
    ((mtu <= 1500)) || section=xdp.frags
    echo "link set lo up"
    for role in "${roles[@]}"; do
        [[ $role != router ]] || continue
        echo "link add name $role mtu $mtu address $switch_mac type veth peer name eth0 mtu $mtu address ${mac[$role]} netns $(namespace "$role")"
        echo "link set dev $role xdpdrv obj $pass_object sec $section"
        echo "link set $role up"
        # Nobody has to look for a neighbour, so what a run measures is not that.
        echo "neighbour add ${address[$role]} lladdr ${mac[$role]} dev $role nud permanent"
        if [[ $role == destination* ]]; then
            echo "address add $router_address/32 dev $role"
            echo "route add ${address[$role]}/32 dev $role"
            [[ -z $ipv6 ]] || printf '%s\n' "address add $router_ipv6/128 dev $role nodad" \
                "route add $(ipv6_of "${address[$role]}")/128 dev $role" \
                "neighbour add $(ipv6_of "${address[$role]}") lladdr ${mac[$role]} dev $role nud permanent"
            continue
        fi
        read -r net net6 < <(fabric_link "$role")
        echo "address add ${net}1/24 dev $role"
        [[ -z $ipv6 ]] || printf '%s\n' "address add ${net6}1/64 dev $role nodad" \
            "neighbour add ${net6}2 lladdr ${mac[$role]} dev $role nud permanent"
    done
}

router_neighbour() { # IPV4 IPV6
    echo "neighbour add $1 lladdr $switch_mac dev eth0 nud permanent"
    [[ -z $ipv6 ]] || echo "neighbour add $2 lladdr $switch_mac dev eth0 nud permanent"
}

fabric_commands() { # ROLE
    local vip net net6 room=""
    echo "link set lo up"
    echo "link set eth0 up"
    if [[ $1 == destination* ]]; then
        echo "address add ${address[$1]}/32 dev eth0"
        echo "route add default via $router_address dev eth0 onlink"
        router_neighbour "$router_address" "$router_ipv6"
        [[ -z $ipv6 ]] || printf '%s\n' "address add $(ipv6_of "${address[$1]}")/128 dev eth0 nodad" \
            "route add default via $router_ipv6 dev eth0 onlink"
        for vip in "${vips[@]}"; do
            host_address "$vip" lo
        done
        return
    fi
    read -r net net6 < <(fabric_link "$1")
    # The outer header of IPv4 takes 20 bytes; destinations have IPv4 addresses.
    [[ $1 != client ]] || room="mtu $((mtu - 20))"
    echo "address add ${net}2/24 dev eth0"
    echo "route add default via ${net}1 $room"
    router_neighbour "${net}1" "${net6}1"
    [[ -z $ipv6 ]] || printf '%s\n' "address add ${net6}2/64 dev eth0 nodad" \
        "route add default via ${net6}1 dev eth0 $room"
}

build_fabric() {
    local role
    make_namespaces "${roles[@]}"
    for role in "${roles[@]}"; do
        configure_kernel "$role"
    done
    # By ports too, or all connections of one client would go one way.
    step "make a router" "" within router sysctl -e -q -w \
        net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv6.conf.all.forwarding=1 \
        net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1
    step "connect the roles" "The kernel needs the module veth, and XDP on it (4.19 or newer)." \
        ip -n "$(namespace router)" -batch - < <(router_commands)
    step "take the client's hashes off packets" "The kernel needs cls_bpf, and tc is in iproute2." \
        within router tc -batch - <<<"$(printf '%s\n' "qdisc add dev client clsact" \
            "filter add dev client ingress bpf direct-action obj $port_object sec tc/wire")"
    for role in "${roles[@]}"; do
        [[ $role != router ]] || continue
        no_offload router "$role"
        no_offload "$role" eth0
        step "set up the $role" "" ip -n "$(namespace "$role")" -batch - < <(fabric_commands "$role")
    done
}
