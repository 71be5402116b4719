#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Boots a virtual machine with Debian's kernel on this machine's own files, and runs one
# command in it. Where there is no KVM the processor is emulated, so any x86_64 will do, a
# virtual one too.
set -uo pipefail

readonly me=test/vm/run-vm.sh
readonly timed_out=124 lost=125
seconds=600 memory=2G processors="" console="" accelerator="" model="" build=()

usage() {
    cat <<USAGE
Usage: $me [OPTIONS] [--] COMMAND [ARGUMENT]...

Runs COMMAND as root in a virtual machine that lives as long as the command. It has our
working directory and environment, and our standard input, output and error are its own.
Its environment has the accelerator, too: L4LB_ACCELERATOR.
It sees this machine's files; what it writes is gone when it ends. There is no network.
Modules are loaded with modprobe.

  --netdevsim        with the module netdevsim (default: without)
  --timeout SECONDS  end it after so long (default: $seconds)
  --memory SIZE      (default: $memory)
  --processors N     (default: 1 that is emulated, or 2 real ones)
  --accelerator A    kvm, or tcg, which emulates (default: kvm where the processor has it)
  --console FILE     keep what the kernel says in FILE (default: shown if it dies)

Exit status: that of the command; 2 wrong usage, 77 this machine cannot, and says why,
$timed_out the time was up, $lost the machine did not start, or died.
USAGE
}

# finish STATUS WHAT [NEXT]
finish() {
    printf 'run-vm: %s\n' "$2" >&2
    (($# < 3)) || printf '  %s\n' "$3" >&2
    exit "$1"
}

parse() {
    while (($#)); do
        case $1 in
        --netdevsim) build=(--netdevsim) ;;
        --timeout | --memory | --processors | --accelerator | --console)
            (($# > 1)) || finish 2 "$1 needs a value" "See: $me --help"
            set_option "$1" "$2"
            shift
            ;;
        -h | --help) usage && exit ;;
        --)
            shift
            break
            ;;
        -*) finish 2 "there is no option $1" "See: $me --help" ;;
        *) break ;;
        esac
        shift
    done
    command=("$@")
    ((${#command[@]})) || finish 2 "what shall it run?" "See: $me --help"
    [[ $seconds =~ ^[1-9][0-9]*$ ]] || finish 2 "--timeout $seconds: take a number of seconds"
    [[ $processors =~ ^([1-9][0-9]?)?$ ]] || finish 2 "--processors $processors: take a number"
    [[ $memory =~ ^[1-9][0-9]*[MG]$ ]] || finish 2 "--memory $memory: take a size as 512M or 2G"
    [[ $accelerator =~ ^(|kvm|tcg)$ ]] || finish 2 "--accelerator $accelerator: take kvm or tcg"
}

# A device alone says little: there are machines where it is there, and nothing runs.
has_kvm() {
    [[ -r /dev/kvm && -w /dev/kvm ]] && grep -qwE 'vmx|svm' /proc/cpuinfo
}

# Emulated processors wait for each other: one alone does the same work in less time.
choose_processor() {
    [[ -n $accelerator ]] || if has_kvm; then accelerator=kvm; else accelerator=tcg; fi
    export L4LB_ACCELERATOR=$accelerator
    [[ -n $processors ]] || if [[ $accelerator == kvm ]]; then processors=2; else processors=1; fi
    # The oldest one that today's distributions run on: wide registers are slow to emulate.
    if [[ $accelerator == kvm ]]; then model=host; else model=Nehalem; fi
}

set_option() { # OPTION VALUE
    case $1 in
    --timeout) seconds=$2 ;;
    --memory) memory=$2 ;;
    --processors) processors=$2 ;;
    --accelerator) accelerator=$2 ;;
    --console) console=$2 ;;
    esac
}

# What the first process there runs once it sees the host's files: see first_init in
# build-vm.sh.
write_second() {
    export -p
    printf 'modules=%q directory=%q\ncommand=(' "$place/lib/modules" "$PWD"
    printf ' %q' "${command[@]}"
    echo ' )'
    cat <<'SECOND'
busybox=/run/l4lb-vm/busybox
$busybox mount --bind "$modules" /lib/modules
cd /run/l4lb-vm
for port in /sys/class/virtio-ports/*; do
    read -r name <"$port/name"
    declare "port_$name=/dev/${port##*/}"
done
# A port can be opened only once, so it cannot be the command's own output: programs
# open /dev/stdout and /dev/stderr again.
$busybox mkfifo in out err
$busybox cat "$port_in" >in &
carriers=$!
$busybox cat out >"$port_out" &
drains=$!
$busybox cat err >"$port_err" &
drains+=" $!"
carriers+=" $drains"
(cd "$directory" && exec "${command[@]}") <in >out 2>err
status=$?
# What the command left running holds its output open.
for process in /proc/[0-9]*; do
    case " 1 $carriers " in
    *" ${process##*/} "*) ;;
    *) kill -KILL "${process##*/}" 2>/dev/null ;;
    esac
done
wait $drains
echo "$status" >"$port_status"
$busybox sync
$busybox sleep 0.1 # for QEMU to read the ports empty
$busybox poweroff -f
SECOND
}

port() { # NAME BACKEND
    echo "-chardev $2,id=$1 -device virtserialport,chardev=$1,name=$1"
}

boot() {
    # shellcheck disable=SC2046 # a port is several words
    timeout --kill-after=5 "$seconds" qemu-system-x86_64 \
        -accel "${accelerator/tcg/tcg,thread=multi}" -cpu "$model" -M pc -smp "$processors" -m "$memory" \
        -nodefaults -display none -no-reboot -serial "file:$scratch/console" \
        -kernel "$place/vmlinux" -initrd "$place/first.gz" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off norandmaps l4lb=$scratch" \
        -virtfs local,mount_tag=host,path=/,security_model=none,multidevs=remap,readonly=on \
        -device virtio-serial-pci \
        $(port in stdio,signal=off) $(port out file,path=/dev/fd/4) \
        $(port err file,path=/dev/fd/5) $(port status "file,path=$scratch/status") \
        <"$scratch/in" >/dev/null 4>"$scratch/out" 5>"$scratch/err" &
    machine=$!
}

clean_up() {
    [[ -z $machine ]] || kill "$machine" 2>/dev/null
    ((${#carriers[@]} == 0)) || kill "${carriers[@]}" 2>/dev/null
    wait
    rm -rf "$scratch"
}

main() {
    parse "$@"
    choose_processor
    place=$("${BASH_SOURCE[0]%/*}/build-vm.sh" "${build[@]}") || exit
    # Held as long as we live: a newer kernel does not take this one's place away.
    exec 9<"$place" || exit "$lost"
    flock --shared 9

    scratch=$(mktemp -d /tmp/l4lb-vm.XXXXXX) || exit "$lost"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    # QEMU opens files and pipes by their name, which cannot be done with a socket, and
    # ours may be one.
    mkfifo "$scratch"/{in,out,err}
    touch "$scratch"/{status,console}
    write_second >"$scratch/second"
    cat <&0 >"$scratch/in" 9<&- &
    carriers=($!)
    cat "$scratch/out" 9<&- &
    drains=($!)
    cat "$scratch/err" >&2 9<&- &
    drains+=($!)
    carriers+=("${drains[@]}")
    boot
    wait "$machine"
    conclude $?
}

# With the status that the command left, or what became of QEMU.
conclude() { # STATUS-OF-QEMU
    local status
    machine=""
    wait "${drains[@]}"
    [[ -z $console ]] || cp "$scratch/console" "$console"
    if read -r status <"$scratch/status"; then
        return "$status"
    fi
    tail -n 40 "$scratch/console" >&2
    case $1 in
    124 | 137) finish "$timed_out" "the virtual machine was ended after $seconds s: ${command[*]}" ;;
    *) finish "$lost" "the virtual machine died, QEMU with status $1: its last words are above" ;;
    esac
}

place="" scratch="" machine="" command=() carriers=() drains=()
main "$@"
