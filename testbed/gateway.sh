# shellcheck shell=bash disable=SC2034,SC2154 # the variables are those of network.sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The other shape of a testbed network, for network.sh up --gateway. The balancer is the
# router between the client and the destinations, and has a device towards each:
#
#     client ── eth0 balancer eth1 ── destination1
#                             eth2 ── destination2
#
# The balancer has the service's address itself, as a gateway often does. What destinations
# answer comes through it too, with that address as the source, so its kernel has to
# accept a source that is its own (accept_local).

readonly service_address=10.0.0.1 service_ipv6=2001:db8::1
readonly most_behind=9

gateway_roles() {
    local i
    roles=(client balancer)
    address=([client]=10.0.0.2 [balancer]=$service_address)
    mac=([client]=02:00:00:00:00:02 [balancer]=02:00:00:00:00:01)
    for ((i = 1; i <= count; i++)); do
        roles+=("destination$i")
        address[destination$i]=10.2.$((i - 1)).2
        mac[destination$i]=02:00:0a:02:00:0$i
    done
}

# The MAC of the balancer's device towards a destination.
inner_mac() { # NUMBER
    echo "02:00:00:00:02:0$1"
}

# Both ends are made where they belong.
gateway_links() {
    local i
    echo "link add name eth0 mtu $mtu address ${mac[balancer]} type veth peer name eth0 mtu $mtu address ${mac[client]} netns $(namespace client)"
    for ((i = 1; i <= count; i++)); do
        echo "link add name eth$i mtu $mtu address $(inner_mac "$i") type veth peer name eth0 mtu $mtu address ${mac[destination$i]} netns $(namespace "destination$i")"
    done
}

gateway_addresses() { # ROLE
    local i
    case $1 in
    client)
        echo "link set lo up"
        echo "link set eth0 up"
        echo "address add ${address[client]}/24 dev eth0"
        echo "route add default via $service_address"
        [[ -z $ipv6 ]] || printf '%s\n' "address add 2001:db8::2/120 dev eth0 nodad" "route add default via $service_ipv6"
        ;;
    balancer)
        echo "link set lo up"
        echo "link set eth0 up"
        echo "address add $service_address/24 dev eth0"
        [[ -z $ipv6 ]] || echo "address add $service_ipv6/120 dev eth0 nodad"
        for ((i = 1; i <= count; i++)); do
            echo "link set eth$i up"
            echo "address add 10.2.$((i - 1)).1/24 dev eth$i"
            [[ -z $ipv6 ]] || echo "address add 2001:db8::$((i + 1)):1/120 dev eth$i nodad"
        done
        ;;
    destination*)
        i=${1#destination}
        echo "link set lo up"
        echo "link set eth0 up"
        echo "address add ${address[$1]}/24 dev eth0"
        echo "route add default via 10.2.$((i - 1)).1"
        [[ -z $ipv6 ]] || printf '%s\n' "address add 2001:db8::$((i + 1)):2/120 dev eth0 nodad" \
            "route add default via 2001:db8::$((i + 1)):1"
        [[ -z $bare ]] || return 0
        echo "address add $service_address/32 dev lo"
        [[ -z $ipv6 ]] || echo "address add $service_ipv6/128 dev lo nodad"
        ;;
    esac
}

# A veth takes what is redirected to its peer only if it has GRO, or an XDP program itself.
# Without destinations nothing leaves again, and the kernel takes what comes as it is.
gateway_devices() {
    local role i
    if ((count == 0)); then
        step "leave VLAN tags in frames" "" within balancer ethtool -K eth0 rxvlan off
        return
    fi
    for role in "${roles[@]}"; do
        no_offload "$role" eth0
        step "turn GRO on at $role" "" within "$role" ethtool -K eth0 gro on
    done
    for ((i = 1; i <= count; i++)); do
        no_offload balancer "eth$i"
    done
    step "make the balancer a router" "" within balancer sysctl -e -q -w \
        net.ipv4.ip_forward=1 net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.send_redirects=0 \
        net.ipv6.conf.all.forwarding=1
}

build_gateway() {
    local role
    make_namespaces "${roles[@]}"
    for role in "${roles[@]}"; do
        configure_kernel "$role"
    done
    step "connect the roles" "The kernel needs the module veth, with XDP (4.19 or newer)." \
        ip -n "$(namespace balancer)" -batch - < <(gateway_links)
    for role in "${roles[@]}"; do
        step "set up the $role" "" ip -n "$(namespace "$role")" -batch - < <(gateway_addresses "$role")
    done
    gateway_devices
}
