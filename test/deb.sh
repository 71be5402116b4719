#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make test-all calls this: builds the Debian package, installs it in a fresh Debian 13,
# boots that with its own systemd in namespaces, runs the service on a balancer of the
# testbed, and purges the package. As root. What it needs and the machine lacks is a reason
# to skip it; with CI set, that is a failure.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly suite=trixie
base=${L4LB_CACHE:-/var/cache/l4lb}/$suite-systemd.tar
network=deb-$$
folder=$(mktemp -d "${TMPDIR:-/tmp}/l4lb-deb.XXXXXX")
root=$folder/root
package=
init=
cgroup=
servers=()

say() {
    printf 'deb: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 1
}

skip() {
    [[ -z ${CI:-} ]] || fail "$@"
    say "skipped: $*"
    exit 0
}

clean_up() {
    [[ -z ${init:-} ]] || kill -KILL "$init" 2>/dev/null || true
    ((${#servers[@]} == 0)) || kill "${servers[@]}" 2>/dev/null || true
    testbed/network.sh down "$network" >/dev/null 2>&1 || true
    # The kernel takes a moment to let go of what has just ended.
    for _ in {1..50}; do
        [[ -n $cgroup && -d $cgroup ]] || break
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
    done
    rm -rf --one-file-system "$folder"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then
            inside journalctl --no-pager --lines=40 >&2 || true
            fail "not within $seconds s: $what"
        fi
        sleep 0.2
    done
    say "ok: $what"
}

in_root() {
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
        DEBIAN_FRONTEND=noninteractive "$@"
}

# Runs a command where the systemd of the test is process 1.
inside() {
    nsenter --target "$init" --all env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
        DEBIAN_FRONTEND=noninteractive "$@"
}

property() { # UNIT NAME
    inside systemctl show --property="$2" --value "$1"
}

build_twice() {
    package=$(packaging/deb/build.sh)
    mv "$package" "$folder"
    (umask 077 && TZ=Asia/Tokyo packaging/deb/build.sh >/dev/null)
    cmp "$package" "$folder/$package" || fail "two builds of the package differ"
    say "ok: two builds are the same"
    lintian --allow-root --fail-on error,warning "$package" || fail "lintian found something"
    say "ok: lintian"
}

make_root() {
    if [[ ! -s $base ]]; then
        say "fetching Debian ($suite) once, into $base"
        mkdir -p "${base%/*}"
        mmdebstrap --quiet --format=tar --variant=apt --include=systemd,systemd-sysv "$suite" "$base.new" ||
            skip "mmdebstrap did not get Debian; its messages are above"
        mv "$base.new" "$base"
    fi
    mkdir "$root"
    tar -x -C "$root" --exclude='./dev/*' -f "$base"
    cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
    # apt would start services in the chroot.
    printf '#!/bin/sh\nexit 101\n' | install -m 755 /dev/stdin "$root/usr/sbin/policy-rc.d"
    mknod -m 666 "$root/dev/null" c 1 3
    mknod -m 666 "$root/dev/urandom" c 1 9
}

install_package() {
    cp "$package" "$root/root"
    in_root sh -ec 'apt-get -qq update; cd /root; apt-get -qq install ./l4lb_*.deb' \
        >"$folder/apt" 2>&1 || { tail -20 "$folder/apt" >&2; fail "apt did not install it"; }
    say "ok: apt install ./l4lb_*.deb"
    local command
    for command in l4lb l4lb-load l4lb-map l4lb-stats l4lb-explain l4lb-doctor l4lb-disturb l4lb-flood l4lbd; do
        in_root "$command" --version >/dev/null || fail "$command does not run"
        [[ -s $root/usr/share/man/man8/$command.8.gz ]] || fail "$command has no man page"
    done
    in_root /usr/lib/l4lb/flood/flood --help >/dev/null 2>&1 || (($? < 126)) ||
        fail "flood does not run"
    in_root l4lb-load --check-offload >/dev/null || fail "the objects are not found"
    [[ -z $(find "$root/etc/systemd/system" -name '*l4lb*') ]] || fail "a service is enabled"
    say "ok: the commands run"
}

build_network() {
    testbed/network.sh up "$network" --owner $$ --quiet --count 2 --vip 198.51.100.10 >/dev/null
    local one
    for one in 1 2; do
        # Checks take the way of the packets, which the service has to lay in its confines.
        testbed/network.sh exec "$network" "destination$one" -- \
            bin/l4lb-load.js -i eth0 --decap >/dev/null
        testbed/network.sh exec "$network" "destination$one" -- node -e \
            'require("http").createServer((_, answer) => answer.end()).listen(80)' &
        servers+=($!)
    done
    mkdir -p "$root/etc/l4lb" "$root/etc/systemd/system/l4lbd@.service.d"
    cat >"$root/etc/l4lb/l4lb.toml" <<'END'
[[service]]
name = "web"
address = "198.51.100.10"
ports = 80
protocol = "tcp"
slots = 256
check = { kind = "http", rise = 1 }
destinations = ["10.0.1.1", "10.0.1.2"]
END
    # So that the test need not wait for long.
    printf '[Service]\nWatchdogSec=3\n' >"$root/etc/systemd/system/l4lbd@.service.d/test.conf"
    # There is no udev, which says that the device is there.
    sed -i '/^\(BindsTo\|After\)=sys-subsystem/d' "$root"/usr/lib/systemd/system/l4lb@.service
}

# A systemd of its own is process 1 of new namespaces, in the network of the balancer and in
# a cgroup of its own.
boot() {
    local unified=/sys/fs/cgroup
    [[ ! -d $unified/unified ]] || unified+=/unified
    [[ $(stat --file-system --format=%T "$unified") == cgroup2fs ]] ||
        skip "there is no cgroup2 at $unified"
    cgroup=$unified/l4lb-deb-$$
    mkdir "$cgroup"
    # shellcheck disable=SC2016 # the inner shell expands them
    bash -c 'echo $$ >"$1/cgroup.procs"; exec nsenter --net="/run/netns/l4lb-$2-balancer" \
        unshare --mount --pid --ipc --uts --cgroup --fork --kill-child --propagation private \
        bash -ec "$4" bash "$3"' bash "$cgroup" "$network" "$root" '
        cd "$1"
        mount --bind "$1" "$1"
        cd "$1"
        mount -t proc proc proc
        mount -t sysfs sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        mount -t bpf bpf sys/fs/bpf
        mount -t tmpfs -o mode=755 tmpfs run
        mount -t tmpfs -o mode=755 tmpfs dev
        mkdir dev/pts dev/shm
        mknod -m 666 dev/null c 1 3
        mknod -m 666 dev/zero c 1 5
        mknod -m 666 dev/full c 1 7
        mknod -m 666 dev/random c 1 8
        mknod -m 666 dev/urandom c 1 9
        mknod -m 666 dev/tty c 5 0
        mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
        ln -s pts/ptmx dev/ptmx
        mkdir -p mnt
        pivot_root . mnt
        umount -l /mnt
        exec env -i container=other PATH=/usr/sbin:/usr/bin /lib/systemd/systemd \
            --unit=multi-user.target --log-target=journal' >"$folder/boot" 2>&1 </dev/null &
    local outer=$! end=$((SECONDS + 30))
    until [[ -r /proc/$outer/comm && $(<"/proc/$outer/comm") == unshare ]] &&
        init=$(<"/proc/$outer/task/$outer/children") && init=${init%% *} && [[ -n $init ]] &&
        [[ $(<"/proc/$init/comm") == systemd ]] && inside systemctl show >/dev/null 2>&1; do
        ((SECONDS < end)) || { cat "$folder/boot" >&2; fail "systemd does not boot"; }
        sleep 0.2
    done
}

is() { # UNIT PROPERTY PATTERN
    [[ $(property "$1" "$2") =~ ^($3)$ ]]
}

has_other_main() { # PID
    is "$unit" ActiveState active && ! is "$unit" MainPID "$1|0"
}

program() {
    inside ip -details link show dev eth0 | grep -o 'prog/xdp id [0-9]*'
}

use_service() {
    readonly unit=l4lbd@eth0.service
    local main loaded
    inside systemctl enable --now "$unit" || {
        inside journalctl --no-pager --lines=40 >&2
        fail "the service does not start"
    }
    wait_for 15 "the status is: 2 up" is "$unit" StatusText '2 up'
    loaded=$(program) || fail "there is no program on eth0"
    main=$(property "$unit" MainPID)
    inside systemctl reload "$unit"
    wait_for 15 "reload leaves it active" is "$unit" ActiveState active
    is "$unit" MainPID "$main" || fail "reload has started another process"
    kill_server
    # The watchdog has been fed for longer than it waits.
    sleep 4
    is "$unit" NRestarts 0 || fail "it was started again by itself"
    say "ok: it feeds the watchdog"
    inside systemctl kill --kill-whom=main --signal=KILL "$unit"
    wait_for 15 "killed, it is started again" has_other_main "$main"
    main=$(property "$unit" MainPID)
    inside systemctl kill --kill-whom=main --signal=STOP "$unit"
    wait_for 30 "stopped, it is started again by the watchdog" has_other_main "$main"
    [[ $(program) == "$loaded" ]] || fail "the program is another one"
    inside journalctl --no-pager --unit="$unit" --priority=warning --grep='"after":"down"' \
        >/dev/null || fail "the journal has no priority for a destination that is down"
    inside l4lb off -i eth0 >/dev/null
    wait_for 30 "without a program it does not run" is "$unit" ActiveState 'activating|failed'
    sleep 3
    ! program || fail "the program has been loaded again"
    inside systemctl restart l4lb@eth0.service
    wait_for 30 "loaded again, it runs again" is "$unit" ActiveState active
}

kill_server() {
    local pid
    pid=$(pgrep -P "${servers[0]}" || echo "${servers[0]}")
    kill "$pid"
    wait_for 15 "the status is: 1 up, 1 down" is "$unit" StatusText '1 up, 1 (suspect|down|dead).*'
}

purge_package() {
    inside apt-get -qq remove l4lb >/dev/null 2>&1 || fail "apt does not remove it"
    is l4lbd@eth0.service ActiveState inactive || fail "the service still runs"
    program >/dev/null || fail "removing the package has taken the program off"
    rm -r "$root/etc/l4lb" "$root/etc/systemd/system/l4lbd@.service.d"
    inside apt-get -qq purge l4lb >/dev/null 2>&1 || fail "apt does not purge it"
    local left
    left=$(cd "$root" && find . -xdev -name '*l4lb*' ! -path './root/*')
    [[ -z $left ]] || fail "this is left: $left"
    say "ok: apt purge leaves nothing"
}

((EUID == 0)) || skip "this needs root"
for tool in dpkg-deb lintian mmdebstrap; do
    command -v "$tool" >/dev/null || skip "there is no $tool; run: ./setup.sh deb"
done
trap clean_up EXIT
build_twice
make_root
install_package
build_network
boot
use_service
purge_package
