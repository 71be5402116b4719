# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The commands of the testbed of bridge.sh, for your shell: . testbed/bridge-aliases.sh
#
#     h2 COMMAND...    runs it in h2; so do h3 and lb. Without a command it opens a shell
#     xdp_lb DEVICE [full-nat|tunnel]
#                      loads the balancer on a device of lb, in generic mode, and fills it
#                      from testbed/bridge/
#
# They take L4LB_BRIDGE_PREFIX into account, and sudo if you are not root.

# zsh has the name of the file in $0.
l4lb_bridge_tree=$(cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")/.." && pwd)

# Not "ip netns exec": that hides /sys/fs/bpf, and with it all pinned programs.
l4lb_bridge_within() { # HOST [COMMAND...]
    local space=/run/netns/${L4LB_BRIDGE_PREFIX:-}$1
    shift
    if [ ! -e "$space" ]; then
        echo "there is no ${space##*/}: run testbed/bridge.sh up, for lb with ebpf" >&2
        return 1
    fi
    if [ "$(id -u)" = 0 ]; then
        nsenter --net="$space" -- "$@"
    else
        sudo nsenter --net="$space" -- "$@"
    fi
}

h2() { l4lb_bridge_within h2 "$@"; }
h3() { l4lb_bridge_within h3 "$@"; }
lb() { l4lb_bridge_within lb "$@"; }

xdp_lb() { # DEVICE [full-nat|tunnel]
    local file=$l4lb_bridge_tree/testbed/bridge/${2:-full-nat}.toml
    if [ $# = 0 ] || [ ! -e "$file" ]; then
        echo "Usage: xdp_lb DEVICE [full-nat|tunnel], such as xdp_lb veth6" >&2
        return 2
    fi
    lb "$l4lb_bridge_tree/bin/l4lb-load.js" -i "$1" -m xdpgeneric &&
        lb "$l4lb_bridge_tree/bin/l4lb-map.js" -i "$1" -c "$file"
}
