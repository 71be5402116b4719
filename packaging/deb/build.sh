#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make deb: builds l4lb_VERSION_ARCHITECTURE.deb at the top of the tree, out of what make
# has built. The same commit gives the same bytes, whoever builds it: times are those of
# SOURCE_DATE_EPOCH, or of the commit, and all belongs to root.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
umask 022

# Who answers for the package; whoever publishes one names himself.
: "${MAINTAINER:=The l4lb authors <maintainers@l4lb.invalid>}"
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat --format=%Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH
# Of the packaging, for one version of l4lb.
readonly revision=1

version=$(node -p 'require("./package.json").version')-$revision
architecture=$(dpkg --print-architecture)
root=$PWD/.make/deb
package=l4lb_${version}_$architecture.deb
lib=$root/usr/lib/l4lb
share=$root/usr/share
doc=$share/doc/l4lb

fresh() {
    rm -rf "$root"
    mkdir -p "$lib"
}

# The commands look for their files beside package.json. It all stays together, since
# some of it is of this architecture: the objects, flood, steer and entries.
copy_library() {
    cp -r --dereference package.json dist destination_samples ./*.o testbed "$lib"
    mkdir -p "$lib"/{bin,flood,steer,entries,node_modules}
    cp bin/package.json "$lib/bin"
    strip -o "$lib/flood/flood" flood/flood
    strip -o "$lib/steer/steer" steer/steer
    strip -o "$lib/entries/entries" entries/entries
    # Not bundled: it looks for its own files when it runs.
    cp -r --dereference node_modules/blessed "$lib/node_modules"
    rm -rf "$lib"/node_modules/blessed/{bin,browser,example,img,test,usr/fonts,vendor}
    find "$lib/node_modules" \( -name 'README*' -o -name 'LICENSE*' -o -name '.*' -type f \) -delete
    # What demos and builds need, and no command.
    find "$lib/testbed" \( -name '*.c' -o -name 'demo*.sh' -o -name relay.mjs -o -name ask.mjs -o -name keep.mjs \) -delete
    rm -r "$lib"/testbed/bridge*
    find "$lib" -type f -exec chmod 644 {} +
    grep -rl '^#!/' "$lib"/testbed | xargs chmod 755
    chmod 755 "$lib"/flood/flood "$lib"/steer/steer "$lib"/entries/entries
}

copy_commands() {
    local file name
    mkdir -p "$root/usr/sbin"
    for file in bin/*.js; do
        name=$(basename "$file" .js)
        # Debian's node, whatever comes first in PATH.
        sed '1s|.*|#!/usr/bin/node|' "$file" >"$lib/bin/$name.js"
        chmod 755 "$lib/bin/$name.js"
        ln -s "../lib/l4lb/bin/$name.js" "$root/usr/sbin/$name"
        install -D -m 644 completion/l4lb.bash "$share/bash-completion/completions/$name"
        install -D -m 644 completion/l4lb.fish "$share/fish/vendor_completions.d/$name.fish"
    done
    install -D -m 644 completion/_l4lb "$share/zsh/vendor-completions/_l4lb"
    for file in man/*; do
        install -d "$share/man/man${file##*.}"
        gzip -9n <"$file" >"$share/man/man${file##*.}/${file##*/}.gz"
    done
}

copy_papers() {
    mkdir -p "$doc/examples"
    cp -r README.md docs "$doc"
    cp l4lb.example.toml "$doc/examples"
    gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
    changelog | gzip -9n >"$doc/changelog.Debian.gz"
    node packaging/deb/copyright.mjs >"$doc/copyright"
    rm -f "$doc"/docs/*.sh "$doc"/docs/*.mjs
}

changelog() {
    cat <<END
l4lb ($version) unstable; urgency=medium

  * Version ${version%-*}: changelog.gz says what is new.

 -- $MAINTAINER  $(LC_ALL=C date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
END
}

copy_service() {
    local kind
    install -D -m 644 -t "$root/usr/lib/systemd/system" packaging/systemd/*.service
    # Rules for alerts, and dashboards, as far as there are any.
    for kind in prometheus grafana; do
        [[ -d packaging/$kind ]] || continue
        mkdir -p "$share/l4lb"
        cp -r "packaging/$kind" "$share/l4lb"
    done
    install -D -m 644 packaging/deb/lintian-overrides "$share/lintian/overrides/l4lb"
}

# The newest symbol of libc decides how old it may be.
libc_needed() {
    objdump -T "$lib/flood/flood" "$lib/steer/steer" "$lib/entries/entries" |
        grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1 | sed 's/GLIBC_//'
}

control() {
    mkdir -p "$root/DEBIAN"
    cat >"$root/DEBIAN/control" <<END
Package: l4lb
Version: $version
Architecture: $architecture
Maintainer: $MAINTAINER
Installed-Size: $(du -k --apparent-size -s "$root" | cut -f 1)
Depends: bpftool | linux-tools-common, iproute2, libbpf1 (>= 1:0.8), libc6 (>= $(libc_needed)), nodejs (>= 20.19)
Recommends: ethtool, tcpdump
Section: net
Priority: optional
Description: layer-4 load balancer in XDP
 l4lb sends TCP and UDP connections over IPv4 and IPv6 on to many destinations,
 through a tunnel, by their MAC addresses, or with translated addresses. A
 program in the kernel's XDP balances each packet before the network stack sees
 it. A change of destinations breaks no connection that could be kept.
 .
 The package has the commands that load the program, fill its tables, watch it
 and explain what it does with a packet, and l4lbd, a service that asks the
 destinations whether they serve and balances among those that do.
END
    install -m 755 -t "$root/DEBIAN" packaging/deb/{postinst,prerm,postrm}
    (cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
}

fresh
copy_library
copy_commands
copy_papers
copy_service
control
# Whatever the tree allows its users.
find "$root" -type d -exec chmod 755 {} +
find "$share" -type f -exec chmod 644 {} +
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
echo "$package"
