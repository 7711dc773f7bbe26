#!/bin/bash
# What deploy/package does with a sysroot that is not for release. Needs neither root nor a network.
set -euo pipefail

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
CASE=

# A tree that has what is asked before anything is packaged, and no program; debhelper and dpkg-dev need not be there.
TREE=$WORK/tree
SYSROOT=$TREE/build/cross/armhf/sysroot
mkdir -p "$TREE/deploy" "$TREE/cross" "$SYSROOT" "$WORK/bin"
cp "$SOURCE/deploy/package" "$TREE/deploy/"
echo "project(ledgerline VERSION 1.0)" >"$TREE/CMakeLists.txt"
printf '#!/bin/sh\necho 1.0\n' | tee "$TREE/cross/build" "$WORK/bin/dh" >"$WORK/bin/dpkg-parsechangelog"
chmod +x "$TREE/cross/build" "$WORK"/bin/*

package() { PATH=$WORK/bin:$PATH "$TREE/deploy/package" --arch armhf --out "$WORK/out" "$@" >"$WORK/said" 2>&1; }
expect_refused() { # OPTION...
    local code=0
    package "$@" || code=$?
    [ "$code" = 69 ] || { echo "$CASE: expected exit code 69, found $code" >&2; cat "$WORK/said" >&2; exit 1; }
}
expect_said() { grep -qF "$1" "$WORK/said" || { echo "$CASE: expected '$1'" >&2; cat "$WORK/said" >&2; exit 1; }; }
expect_not_said() { if grep -qF "$1" "$WORK/said"; then echo "$CASE: did not expect '$1'" >&2; exit 1; fi; }

CASE="a complete sysroot is taken"
expect_refused
expect_not_said "not for release"
expect_said "there is no program"

echo 2026-11-22 >"$SYSROOT/.incomplete"

CASE="an incomplete one is refused, with what to do"
expect_refused
expect_said "not for release: on 2026-11-22 not every package source could be read"
expect_said "What to do: rm -r $TREE/build/cross/armhf && cross/build armhf"
expect_not_said "there is no program"

CASE="whoever brings the programs gets the dependencies of the sysroot, too"
expect_refused --binaries "$WORK"
expect_said "not for release"
expect_not_said "there is no program"

CASE="a build of one's own is warned of"
expect_refused --local mine
expect_said "warning, not for release: on 2026-11-22"
expect_said "there is no program"

echo "all cases passed"
