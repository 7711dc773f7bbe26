#!/bin/bash
# When cross/build compiles a static agent's libraries, and when it takes those that are there. Needs neither root nor a network.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
. "$HERE/../../../cross/lib/target.sh"
. "$HERE/../../../cross/lib/static_libraries.sh"
CASE=

same() { [ "$1" = "$2" ] || { printf '%s: expected "%s", found "%s"\n' "$CASE" "$2" "$1" >&2; exit 1; }; }

# In place of a sysroot, of packages and of compilers.
# shellcheck disable=SC2034 # static_libraries.sh reads them
TARGET=$WORK TRIPLET=arm
SYSROOT_RECIPE=1 OPENSSL_VERSION=3.0.1-1 OPENSSL_FAILS=no
sysroot_recipe() { echo "$SYSROOT_RECIPE"; }
package_fact() { [ "$1" != libssl-dev ] || printf '%s' "$OPENSSL_VERSION"; }
debian_source() { :; }
make_zstd() { echo zstd >>"$WORK/made" && touch ../usr/lib/arm/libzstd.a; }
make_openssl() { echo openssl >>"$WORK/made" && touch object.o && [ "$OPENSSL_FAILS" = no ] && touch ../usr/lib/arm/libcrypto.a; }

made() { # what one call made
    : >"$WORK/made"
    make_static_libraries || printf 'failed '
    tr '\n' ' ' <"$WORK/made"
}

CASE="they are made once"
same "$(made)" "zstd openssl "
same "$(made)" ""
same "$(cd "$WORK/libraries" && find . -type f | sort | tr '\n' ' ')" "./.recipe ./usr/lib/arm/libcrypto.a ./usr/lib/arm/libzstd.a "

CASE="a security update is compiled"
OPENSSL_VERSION=3.0.1-1+deb12u1
same "$(made)" "zstd openssl "
same "$(made)" ""

CASE="another sysroot has other headers"
SYSROOT_RECIPE=2
same "$(made)" "zstd openssl "

CASE="what failed half way is not taken for finished"
OPENSSL_VERSION=3.0.1-1+deb12u2 OPENSSL_FAILS=yes
same "$(made)" "failed zstd openssl "
same "$(ls -d "$WORK"/libraries/.recipe 2>/dev/null || true)" ""
same "$(made)" "failed zstd openssl "
OPENSSL_FAILS=no
same "$(made)" "zstd openssl "

echo "all cases passed"
