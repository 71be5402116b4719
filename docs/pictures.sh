#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make pictures: takes the README's pictures anew. The dashboard is the real one, on the
# demo in a terminal of tmux; the connections are those of a real run of l4lb-disturb.
# Everything runs in network namespaces and is removed afterwards.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly pictures=docs/pictures
readonly socket=l4lb-pictures-$$
readonly patience=60 # seconds, for the dashboard to appear and for the demo to end
readonly history=30  # seconds of traffic that the dashboard is to show

fail() {
    printf 'pictures: %s\n' "$@" >&2
    exit 1
}

check() {
    ((EUID == 0)) || fail "only root can load XDP programs." "Run: sudo make pictures"
    command -v tmux >/dev/null || fail "tmux is missing, the dashboard's terminal." "Run: make setup"
    [[ -f l4lb_xdp_host.o && -d dist ]] || fail "not everything is built." "Run: make"
}

terminal() {
    tmux -u -L "$socket" -f /dev/null "$@"
}

# The demo gets a hangup when its terminal goes, and takes its network down.
clean_up() {
    terminal kill-server 2>/dev/null || true
    rm -f "${TMUX_TMPDIR:-/tmp}/tmux-$EUID/$socket"
}

# until_true SECONDS COMMAND...
until_true() {
    local tries=$(($1 * 5))
    shift
    while ! "$@"; do
        ((tries--)) || return 1
        sleep 0.2
    done
}

shows_totals() {
    terminal capture-pane -p 2>/dev/null | grep -q '^\[Totals\]'
}

has_ended() {
    ! terminal has-session 2>/dev/null
}

draw_dashboard() {
    terminal new-session -d -x 100 -y 28 testbed/demo.sh
    until_true "$patience" shows_totals || fail "the dashboard did not appear." "Try: make demo"
    sleep "$history"
    terminal capture-pane -e -p |
        node docs/terminal-svg.mjs 'make demo: l4lb-stats -i eth0' >"$pictures/dashboard.svg"
    terminal send-keys q
    until_true "$patience" has_ended || fail "the demo did not end."
    echo "$pictures/dashboard.svg"
}

draw_connections() {
    bin/l4lb-disturb.js --svg "$pictures/disturb.svg" 2>/dev/null
    echo "$pictures/disturb.svg"
}

# With plain ECMP beside it, for the guide of a fleet.
draw_ecmp() {
    command -v bird >/dev/null || fail "bird is missing, the router's daemon." "Run: ./setup.sh test"
    bin/l4lb-disturb.js --ecmp --plain-ecmp --destinations 4 --remember destinations \
        --sources 222.222.222.0/24 --slots 4096 --duration 42s --svg "$pictures/ecmp.svg" --change \
        'remove 1' 'add 1' 'drain 1' 'restore 1' 'drain balancer' 'kill balancer' 2>/dev/null
    echo "$pictures/ecmp.svg"
}

main() {
    check
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    draw_dashboard
    draw_connections
    draw_ecmp
}

main
