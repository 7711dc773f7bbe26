#!/bin/bash
# How cross/build makes a sysroot of packages, with a package of our own. Needs neither root nor a network.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
. "$HERE/../../../deploy/lib/host.sh"
. "$HERE/../../../cross/lib/target.sh"
. "$HERE/../../../cross/lib/sysroot.sh"
CASE=

expect() { "$@" || { echo "$CASE: expected $*" >&2; exit 1; }; }
same() { [ "$1" = "$2" ] || { printf '%s: expected "%s", found "%s"\n' "$CASE" "$2" "$1" >&2; exit 1; }; }

ROOT=$WORK/root
# shellcheck disable=SC2034 # sysroot.sh reads it
DEBIAN_ARCH=armhf

CASE="a link out of the folder leads to the same file inside it"
mkdir -p "$ROOT/usr/lib/arm" "$ROOT/lib/arm"
echo inside >"$ROOT/lib/arm/libx.so.1"
ln -s /lib/arm/libx.so.1 "$ROOT/usr/lib/arm/libx.so"
ln -s libx.so "$ROOT/usr/lib/arm/liby.so"
mend_links "$ROOT"
same "$(readlink "$ROOT/usr/lib/arm/libx.so")" ../../../lib/arm/libx.so.1
same "$(cat "$ROOT/usr/lib/arm/liby.so")" inside

CASE="a folder that is moved keeps its links"
mv "$ROOT" "$WORK/moved"
same "$(cat "$WORK/moved/usr/lib/arm/libx.so")" inside

package() { # NAME MULTI-ARCH
    local folder=$WORK/package-$1
    mkdir -p "$folder/DEBIAN" "$folder/usr/lib/$1"
    echo content >"$folder/usr/lib/$1/lib$1.so.3"
    cat >"$folder/DEBIAN/control" <<END
Package: $1
Version: 1:2.5-1
Architecture: armhf
Multi-Arch: $2
Maintainer: nobody <nobody@example.org>
Description: a package for a test
END
    echo "lib$1 3 $1 (>= 2.5)" >"$folder/DEBIAN/shlibs"
    dpkg-deb --root-owner-group -b "$folder" "$WORK/$1.deb" >/dev/null
}

CASE="dpkg answers about what lies in the sysroot"
package one same
package two foreign
STATE=$WORK/moved/var/lib/dpkg
package_state_begin "$STATE"
package_state_add "$STATE" "$WORK/one.deb"
package_state_add "$STATE" "$WORK/two.deb"
same "$(dpkg-query --admindir="$STATE" -W -f '${Package} ${Version} ${db:Status-Status}\n')" $'one 1:2.5-1 installed\ntwo 1:2.5-1 installed'
same "$(dpkg-query --admindir="$STATE" -S /usr/lib/one/libone.so.3)" "one:armhf: /usr/lib/one/libone.so.3"
same "$(cat "$STATE/info/one:armhf.shlibs")" "libone 3 one (>= 2.5)"
expect test -e "$STATE/info/two.shlibs"

echo "all cases passed"
