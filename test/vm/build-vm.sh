#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Makes what run-vm.sh boots, out of Debian's own packages: a kernel, its modules, and
# a small first root. Nothing is installed; all is kept in a cache, outside of the
# tree, so that the next clone has it too. It is built beside its place in the cache,
# put there in one step, and checked by its checksums each time that it is used.
set -euo pipefail

readonly me=test/vm/build-vm.sh
readonly cannot=77                 # as with automake: a reason to skip, not to fail
readonly largest_offloaded=1048576 # entries of the largest map that netdevsim takes

usage() {
    cat <<USAGE
Usage: $me [--netdevsim]

Fetches Debian's current kernel, prepares it for a virtual machine, and prints the
directory it is in. Quick when that was done before.

  --netdevsim  with the module netdevsim, a device that takes offloaded programs, which
               Debian does not build: it is compiled from Debian's source of the kernel

Environment:
  L4LB_CACHE   the directory to keep it in
               (default: /var/cache/l4lb for root, else ~/.cache/l4lb)

Exit status: 0 done, 1 failed, 2 wrong usage, $cannot this machine cannot, and says why.
USAGE
}

# finish STATUS WHAT [DETAIL]...
finish() {
    local status=$1
    printf 'build-vm: %s\n' "$2" >&2
    (($# < 3)) || printf '  %s\n' "${@:3}" >&2
    exit "$status"
}

# step WHAT NEXT COMMAND...: runs a command, whose output matters only if it fails.
step() {
    local what=$1 next=$2 output
    shift 2
    output=$("$@" 2>&1) || finish 1 "could not $what" "$output" "$next"
}

note() {
    printf 'build-vm: %s\n' "$*" >&2
}

# ---- Can this machine? ----

check_machine() {
    local command missing=()
    [[ $(uname -m) == x86_64 ]] || finish $cannot "the virtual machine is an x86_64, and this is none"
    for command in apt-get apt-cache dpkg-deb; do
        command -v "$command" >/dev/null ||
            finish $cannot "$command is missing: this is no Debian, where the kernel for the virtual machine comes from"
    done
    for command in qemu-system-x86_64 busybox xz flock "$@"; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    ((${#missing[@]} == 0)) || finish $cannot "missing: ${missing[*]}" "Install what the tests need: ./setup.sh test"
    # It is all there is when the virtual machine starts, so it must need no libraries.
    ! ldd "$(command -v busybox)" >/dev/null 2>&1 ||
        finish $cannot "$(command -v busybox) needs shared libraries" "Install the one that does not: apt-get install busybox-static"
}

# ---- Which kernel ----

update_lists() {
    ((EUID == 0)) && apt-get update --quiet=2 >/dev/null 2>&1
}

# Sets kernel and version, as apt knows them now.
ask_apt() {
    kernel=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: linux-image-//p')
    [[ -n $kernel ]] || return 1
    # The first is the newest. All is read, lest apt-cache fails at a pipe that nobody reads.
    version=$(apt-cache show "linux-image-$kernel" | awk '/^Version: / && !seen++ { print $2 }')
}

choose_kernel() {
    ask_apt || { update_lists && ask_apt; } ||
        finish $cannot "apt knows no linux-image-amd64: this is no Debian, or it has no package lists" \
            "On Debian run, as root: apt-get update"
}

# ---- The cache ----

# What this script makes depends on the kernel and on this script.
choose_place() {
    local recipe
    recipe=$(sha256sum "${BASH_SOURCE[0]}")
    suffix=.${recipe:0:12}$netdevsim
    place=$cache/$kernel-$version$suffix
}

is_complete() { # DIRECTORY
    [[ -f $1/sums ]] && (cd "$1" && sha256sum --check --status --strict sums)
}

# The newest complete one, whatever apt has now.
another_one() {
    local directory
    while read -r directory; do
        is_complete "$directory" && echo "$directory" && return
    done < <(compgen -G "$cache/*$suffix" | sort -Vr)
    return 1
}

# Those for other kernels, and what a build that was killed left behind. One that a
# virtual machine runs from is locked; builds are ours alone by the cache's own lock.
remove_old() {
    local path
    for path in "$cache"/*/; do
        path=${path%/}
        [[ $path != "$cache/$kernel-$version".* ]] || continue
        flock --nonblock "$path" rm -rf "$path" || true
    done
}

# ---- Building ----

# In $work/debs. apt checks what comes against Debian's signatures.
download() { # PACKAGE...
    local package wanted=()
    for package; do
        wanted+=("$package=$version")
    done
    mkdir -p debs
    # It is for root's eyes, so there is no use in fetching it as the user _apt.
    (cd debs && apt-get --quiet=2 --option APT::Sandbox::User=root download "${wanted[@]}") 2>&1
}

fetch() {
    note "fetching $* $version"
    output=$(download "$@")
}

# The lists may be older than what the archive still has.
fetch_kernel() {
    local before=$place output
    fetch "linux-image-$kernel" && return
    note "that did not work: $output"
    if update_lists && ask_apt; then
        choose_place
        [[ $place == "$before" ]] || rm -rf debs
        fetch "linux-image-$kernel" && return
    fi
    return 1
}

contents() { # PACKAGE
    dpkg-deb --fsys-tarfile debs/"$1"_*.deb
}

# The modules that a network may want, and those that bring up the machine.
unpack_kernel() {
    local modules=./lib/modules/$kernel offset
    contents "linux-image-$kernel" | tar -x --wildcards "./boot/vmlinuz-$kernel" \
        "$modules/modules.*" "$modules/kernel/"{arch,crypto,lib,net} \
        "$modules/kernel/fs/"{9p,fscache,netfs,overlayfs,fuse} "$modules/kernel/drivers/virtio" \
        "$modules/kernel/drivers/char/virtio_console.ko" "$modules/kernel/drivers/net/*.ko"
    # vmlinuz is a loader with the kernel as an xz file in it. QEMU can start that kernel
    # as it is, and unpacking it here saves the emulated processor two seconds.
    offset=$(LC_ALL=C grep -aboP -m1 '\xfd7zXZ\x00' "boot/vmlinuz-$kernel" | sed -n '1s/:.*//p')
    [[ -n $offset ]] || finish 1 "vmlinuz-$kernel holds no xz file: Debian packs its kernels otherwise now"
    # What follows the kernel in the file is none of xz's business.
    xz --decompress --stdout --single-stream < <(tail -c "+$((offset + 1))" "boot/vmlinuz-$kernel") >vmlinux
    [[ $(head -c 4 vmlinux) == $'\x7fELF' ]] || finish 1 "what is packed in vmlinuz-$kernel is no kernel"
    rm -r boot
    busybox depmod -b . "$kernel"
}

build_netdevsim() {
    local series=${kernel%.*} headers output # 6.1.0-56-amd64 is of the series 6.1
    headers=("linux-headers-$kernel" "linux-headers-${kernel%-*}-common" "linux-kbuild-$series")
    fetch "${headers[@]}" "linux-source-$series" || finish 1 "could not fetch the kernel's source" "$output"
    mkdir -p build/netdevsim
    for package in "${headers[@]}"; do
        dpkg-deb --extract debs/"$package"_*.deb build
    done
    # The headers say where they are installed; they are used from where they were unpacked.
    sed -i "s|include /usr/src|include $PWD/build/usr/src|" "build/usr/src/linux-headers-$kernel/Makefile"
    note "compiling netdevsim"
    contents "linux-source-$series" |
        tar -xO "./usr/src/linux-source-$series.tar.xz" | xz --decompress --stdout --threads=0 |
        tar -x --strip-components=4 -C build/netdevsim --wildcards '*/drivers/net/netdevsim/*'
    like_a_card build/netdevsim/bpf.c
    step "compile netdevsim" "" make -s -C "build/usr/src/linux-headers-$kernel" \
        M="$PWD/build/netdevsim" CONFIG_NETDEVSIM=m -j"$(nproc)" modules
    strip --strip-debug build/netdevsim/netdevsim.ko
    install -D -m644 build/netdevsim/netdevsim.ko "lib/modules/$kernel/extra/netdevsim.ko"
    busybox depmod -b . "$kernel"
    rm -rf build
}

# As it is, netdevsim takes maps of two entries, and gives each array exactly two.
like_a_card() { # FILE
    local changed
    sed -i -e "s/\(#define NSIM_BPF_MAX_KEYS\).*/\1 $largest_offloaded/" \
        -e 's/ARRAY_SIZE(nmap->entry)/offmap->map.max_entries/' \
        -e 's/nmap = kzalloc(/nmap = kvzalloc(/' -e 's/kfree(nmap);/kvfree(nmap);/' "$1"
    for changed in "MAX_KEYS $largest_offloaded\$" 'offmap->map.max_entries; i++' kvzalloc kvfree; do
        grep -q "$changed" "$1" ||
            finish 1 "netdevsim's source has changed: $me no longer knows how to enlarge its maps" "not found: $changed"
    done
}

# The modules that it takes to see the host's files, each after those it needs.
first_modules() {
    local module
    for module in virtio_pci virtio_console 9pnet_virtio 9p overlay; do
        sed -n "s|:||; \|^[^ ]*/$module\.ko|p" "lib/modules/$kernel/modules.dep" | tr ' ' '\n' | tac
    done | awk '!seen[$0]++'
}

pack_first_root() {
    local module
    mkdir -p first/{bin,proc,sys,dev,host,written,root,modules}
    cp "$(command -v busybox)" first/bin/busybox
    first_modules >first/order
    while read -r module; do
        cp "lib/modules/$kernel/$module" first/modules/
        echo "${module##*/}" >>first/modules/order
    done <first/order
    rm first/order
    first_init >first/init
    chmod 755 first/init
    (cd first && find . | busybox cpio -o -H newc -R 0:0 2>/dev/null) | gzip -1 >first.gz
    rm -r first
}

# The host's files, read only, with memory over them for all that is written. It ends
# in the script that run-vm.sh left in the directory l4lb=..., on the host.
first_init() {
    cat <<'INIT'
#!/bin/busybox sh
die() { echo "could not $*"; poweroff -f; }
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module" || die "load $module"
done </modules/order
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host || die "see the host's files"
mount -t tmpfs -o mode=755 written /written
mkdir /written/files /written/work
mount -t overlay -o lowerdir=/host,upperdir=/written/files,workdir=/written/work root /root || die "mount an overlay"
cd /root
mount --move /sys sys
mount --move /dev dev
mkdir -p dev/pts dev/shm lib/modules
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t devpts -o ptmxmode=666 devpts dev/pts
mount -t bpf bpf sys/fs/bpf
mount -t debugfs debugfs sys/kernel/debug
mount -t cgroup2 cgroup2 sys/fs/cgroup
ln -sfn /proc/self/fd dev/fd
ifconfig lo up
mkdir run/l4lb-vm
cp /bin/busybox run/l4lb-vm/
# The host may have no modprobe, which the kernel calls and tests may want.
for tool in modprobe insmod rmmod lsmod; do
    [ -e usr/sbin/$tool ] || [ -e usr/bin/$tool ] || ln -s /run/l4lb-vm/busybox usr/sbin/$tool
done
directory=$(sed 's/.*l4lb=\([^ ]*\).*/\1/' /proc/cmdline)
cp "/host$directory/second" run/l4lb-vm/second || die "find $directory"
# Last, since busybox finds its own tools through /proc.
/bin/busybox mount --move /proc proc
exec /bin/busybox switch_root /root /bin/bash /run/l4lb-vm/second </root/dev/console >/root/dev/console 2>&1
INIT
}

write_sums() {
    local sums
    sums=$(find . -type f -exec sha256sum {} +)
    echo "$sums" >sums
}

build() {
    local old
    work=$(mktemp -d "$cache/building.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    if ! fetch_kernel; then
        old=$(another_one) || finish $cannot "the kernel for the virtual machine cannot be fetched: is there a network?" \
            "apt-get's own words are above."
        note "using what an earlier run has left: $old"
        place=$old
        return
    fi
    unpack_kernel
    [[ -z $netdevsim ]] || build_netdevsim
    pack_first_root
    rm -rf debs
    write_sums
    rm -rf "$place" # what did not pass the check
    chmod 755 "$work"
    mv --no-target-directory "$work" "$place"
    remove_old
}

parse() {
    case $#:${1:-} in
    0:) ;;
    1:--netdevsim) netdevsim=+netdevsim ;;
    1:-h | 1:--help) usage && exit ;;
    *) finish 2 "wrong usage: $*" "See: $me --help" ;;
    esac
}

main() {
    parse "$@"
    if [[ -n $netdevsim ]]; then
        check_machine make gcc-12 strip
    else
        check_machine
    fi
    choose_kernel
    choose_place
    mkdir -p "$cache" || finish 1 "cannot make the directory $cache" "Name another: L4LB_CACHE=DIRECTORY $me"
    exec 9>"$cache/lock"
    flock 9 # two at once would fetch the same twice
    is_complete "$place" || build
    echo "$place"
}

export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
kernel="" version="" netdevsim="" place="" suffix="" work=""
if ((EUID == 0)); then
    cache=${L4LB_CACHE:-/var/cache/l4lb}/vm
else
    cache=${L4LB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/l4lb}/vm
fi
main "$@"
