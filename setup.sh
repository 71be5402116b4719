#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make setup: installs what l4lb's build, tests and demos need and this machine lacks,
# says what it installs and why, and does nothing else. It is quick when nothing is missing.
# "setup.sh test", as make test calls it, adds what only the tests need: a virtual machine
# with another kernel, a decoder of packets, the sanitizers of clang, and what a fleet of
# balancers runs on, etcd and BIRD. "setup.sh etcd" and "setup.sh bird" add one of these alone,
# as make demo-fleet does.
# "setup.sh fuzz", as make fuzz calls it, adds only the sanitizers. "setup.sh bench", as
# make bench calls it, adds what l4lb is compared with, and its clients. "setup.sh deb", as
# make deb calls it, adds what builds and checks the Debian package. "setup.sh iperf" adds
# what make demo-link, make demo-nat and make bench measure throughput with; without it the demos
# leave that out. "setup.sh prometheus" adds what the tests of the metrics ask for a second opinion;
# without it they say that they are skipped, and so for "setup.sh chromium" and the page of l4lbd.
# "setup.sh dpdk" adds what make dpdk compiles l4lb-dpdk with; nothing else needs it.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
PATH=$PATH:/usr/sbin:/sbin # Debian keeps ip and bpftool there, which users' PATH lacks

readonly oldest_node=20.19

# What to look for (a command, or a file if it has a slash), its package, and its purpose.
readonly needs_of_all='
clang                             clang          compiles the BPF programs
clang-format                      clang-format   checks how the C code is laid out
/usr/include/bpf/bpf_helpers.h    libbpf-dev     what the BPF programs include
/usr/include/bpf/libbpf.h         libbpf-dev     what the sender of l4lb-flood is linked with
/usr/include/stdio.h              libc6-dev      what the sender of l4lb-flood includes
ld                                binutils       links the sender of l4lb-flood
/usr/include/linux/bpf.h          linux-libc-dev what the BPF programs include of the kernel
/usr/include/*linux-gnu*/asm/types.h|/usr/include/asm/types.h linux-libc-dev what the BPF programs include of this machine
make                              make           builds everything
ip                                iproute2       loads programs and builds the test network
bridge                            iproute2       fills the switch of the test network
bpftool                           bpftool        reads and writes the balancer'\''s tables, and makes C of BPF objects
ethtool                           ethtool        turns checksum offload off in the test network
hping3                            hping3         floods the demo'\''s balancer
tcpdump                           tcpdump        shows the tests what is on the wire
curl                              curl           is the client of the TCP demo
nc.openbsd                        netcat-openbsd is client and server of the bridge testbed
ping                              iputils-ping   asks whether the hosts of the bridge testbed answer
arping                            iputils-arping asks for the balancer'\''s MAC address in the bridge testbed
tmux                              tmux           is the terminal that the dashboard is tested in
flock                             util-linux     keeps two writers of one table apart
nsenter                           util-linux     runs commands in the test network
sysctl                            procps         sets up the kernel of the test network
shellcheck                        shellcheck     checks the shell scripts
'

readonly needs_of_the_fuzzer='
/usr/lib/llvm*/lib/clang/*/lib/linux/libclang_rt.asan-*.a|/usr/lib/llvm*/lib/clang/*/lib/*/libclang_rt.asan*.a|/usr/lib*/clang/*/lib/linux/libclang_rt.asan-*.a libclang-rt-dev checks what the programs touch, compiled for this machine
'

readonly needs_of_tests='
tshark                            tshark         checks what the tests capture
zsh                               zsh            shows the tests that completion works in it
fish                              fish           shows the tests that completion works in it
systemd-notify                    systemd        tells the tests what l4lbd tells systemd
'

readonly needs_of_the_store='
etcd                              etcd-server    is the store of the fleets in the tests
etcdctl                           etcd-client    shows what is in this store
'

readonly needs_of_routing='
bird                              bird2          announces addresses in the test network, and is its router
'

readonly needs_of_the_benchmark='
haproxy                           haproxy        is what connections through l4lb are compared with
wrk                               wrk            is the client of the connections
nft                               nftables       is what packets through l4lb are compared with
'

# Of these only mmdebstrap is for the test of the package alone.
readonly needs_of_the_package='
dpkg-deb                          dpkg           builds the Debian package
git                               git            tells the package when its version was made
strip                             binutils       takes the symbols off what is compiled
lintian                           lintian        checks the Debian package
mmdebstrap                        mmdebstrap     makes a fresh Debian, which the test installs it in
'

# iperf 2 and not iperf3; Debian has both in main. iperf3 opens a second connection to
# control the first, and a balancer may send the two to different destinations.
readonly needs_of_throughput='
iperf                             iperf          measures the throughput of one connection
'

readonly needs_of_metrics='
promtool                          prometheus     checks the metrics, the alert rules and a scrape
'

readonly needs_of_the_page='
/usr/bin/chromium                 chromium       shows the tests the page of l4lbd
/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf fonts-dejavu-core has the letters of its pictures
'

readonly needs_of_dpdk='
/usr/include/dpdk/rte_eal.h       libdpdk-dev    is what l4lb-dpdk is compiled with, and its drivers
pkg-config                        pkg-config     tells how to compile with it
strace                            strace         shows the tests which files l4lb-dpdk touches
'

# Packages with a service that nobody asked for, each with the name of its service.
readonly services='haproxy:haproxy prometheus:prometheus etcd-server:etcd bird2:bird'

# Debian asks this file before it starts a service that it has just installed.
readonly service_policy=/usr/sbin/policy-rc.d

# Without apt there is no kernel for it either; then its tests report that they are skipped.
readonly needs_of_the_virtual_machine='
qemu-system-x86_64                qemu-system-x86 is the virtual machine of the tests
/usr/share/doc/busybox-static     busybox-static is the first root of the virtual machine
xz                                xz-utils       unpacks the kernel of the virtual machine
gcc-12                            gcc-12         compiles its device that takes offloaded programs, as Debian did its kernel
strip                             binutils       takes the symbols off that device'\''s module
'

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

is_there() { # COMMAND, or FILE[|FILE...], each with wildcards
    local pattern
    if [[ $1 != */* ]]; then
        command -v "$1" >/dev/null
        return
    fi
    for pattern in ${1//|/ }; do
        compgen -G "$pattern" >/dev/null && return
    done
    return 1
}

# Whether version $1 is at least $2, both MAJOR.MINOR...
at_least() {
    local major minor oldest_major oldest_minor
    IFS=. read -r major minor _ <<<"$1"
    IFS=. read -r oldest_major oldest_minor _ <<<"$2"
    ((major > oldest_major || (major == oldest_major && minor >= oldest_minor)))
}

check_node() {
    local version next
    next="Install Node.js $oldest_node or newer (https://nodejs.org/en/download), then run this again."
    command -v node >/dev/null || fail "node is missing: l4lb's tools run on it." "$next"
    command -v npm >/dev/null || fail "npm is missing: it installs the packages that l4lb's tools use." "$next"
    version=$(node --version)
    at_least "${version#v}" "$oldest_node" || fail "node $version is too old." "$next"
}

find_missing() {
    local what package why
    while read -r what package why; do
        [[ -n $what ]] || continue
        is_there "$what" && continue
        reasons+=("$package: $why")
        [[ " ${packages[*]} " == *" $package "* ]] || packages+=("$package")
    done <<<"$needs"
}

check_can_install() {
    command -v apt-get >/dev/null ||
        fail "this is not Debian, so please install these yourself:" "${reasons[@]/#/  }"
    if ((EUID != 0)) && ! command -v sudo >/dev/null; then
        fail "these are missing, and without root or sudo they cannot be installed:" \
            "${reasons[@]/#/  }" "As root run:" \
            "  apt-get update && apt-get install --yes --no-install-recommends ${packages[*]}"
    fi
}

as_root() {
    if ((EUID == 0)); then
        "$@" >&2
    else
        sudo "$@" >&2
    fi
}

# The benchmark starts HAProxy itself, and tests start Prometheus, etcd and BIRD. Nobody asked for a
# service, so they must start neither now nor with the machine. An existing policy is the
# administrator's and stays.
forbid_services() { # PACKAGE
    [[ ! -e $service_policy ]] || return 0
    trap allow_services EXIT
    printf '#!/bin/sh\n# Written by setup.sh, until %s is installed.\nexit 101\n' "$1" |
        as_root install -m 755 /dev/stdin "$service_policy"
}

allow_services() {
    as_root rm -f "$service_policy"
    trap - EXIT
}

apt_install() { # PACKAGE...
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes \
        --no-install-recommends --option Dpkg::Use-Pty=0 "$@" ||
        fail "apt-get did not install them; its messages are above. Is there a network?" \
            "On Ubuntu bpftool is in linux-tools-common and linux-tools-$(uname -r)."
}

install_without_service() { # PACKAGE SERVICE
    forbid_services "$1"
    apt_install "$1"
    as_root update-rc.d "$2" disable
    [[ -z $(trap -p EXIT) ]] || allow_services
}

install_packages() {
    local packages=() reasons=() service
    find_missing
    ((${#packages[@]})) || return 0
    check_can_install
    printf 'setup: installing %s\n' "${reasons[@]}" >&2
    # If one source cannot be reached, it may not be the one that is needed.
    as_root apt-get update --quiet=2 || echo "setup: apt-get update failed; trying without" >&2
    for service in $services; do
        [[ " ${packages[*]} " != *" ${service%:*} "* ]] ||
            install_without_service "${service%:*}" "${service#*:}"
    done
    apt_install "${packages[@]}"
    packages=() reasons=()
    find_missing
    ((${#packages[@]} == 0)) || fail "still missing after the installation:" "${reasons[@]/#/  }"
}

# npm writes node_modules/.package-lock.json last, so it marks a finished installation.
install_node_modules() {
    [[ ! node_modules/.package-lock.json -nt package-lock.json ]] || return 0
    echo "setup: installing the node packages of package-lock.json: the tools and their tests use them" >&2
    npm ci --no-audit --no-fund >&2 ||
        fail "npm ci failed; its messages are above. Is there a network?"
    touch node_modules/.package-lock.json
}

case $#:${1:-} in
0:) needs=$needs_of_all ;;
1:test)
    needs=$needs_of_all$needs_of_the_fuzzer$needs_of_tests$needs_of_the_store$needs_of_routing
    if command -v apt-get >/dev/null && [[ $(uname -m) == x86_64 ]]; then
        needs+=$needs_of_the_virtual_machine
    fi
    ;;
1:fuzz) needs=$needs_of_all$needs_of_the_fuzzer ;;
1:bench) needs=$needs_of_all$needs_of_the_benchmark$needs_of_throughput ;;
1:deb) needs=$needs_of_all$needs_of_the_package ;;
1:iperf) needs=$needs_of_all$needs_of_throughput ;;
1:prometheus) needs=$needs_of_all$needs_of_metrics ;;
1:chromium) needs=$needs_of_all$needs_of_the_page ;;
1:etcd) needs=$needs_of_all$needs_of_the_store ;;
1:bird) needs=$needs_of_all$needs_of_routing ;;
1:dpdk) needs=$needs_of_all$needs_of_dpdk ;;
*) fail "wrong usage: $*" "Usage: ./setup.sh [test|fuzz|bench|deb|iperf|prometheus|chromium|etcd|bird|dpdk]" ;;
esac
check_node
install_packages
install_node_modules
