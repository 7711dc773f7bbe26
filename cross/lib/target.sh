# shellcheck shell=bash
# The two targets and where their files lie. Sourced; needs host.sh.

# target_open ARCH: sets the names of that architecture and makes its folder.
#   build/cross/ARCH/sysroot     Debian's libraries and headers for it
#   build/cross/ARCH/apt         indexes and packages, apart from the machine's own
#   build/cross/ARCH/source      Debian's source packages of what a static agent compiles itself
#   build/cross/ARCH/libraries   OpenSSL and zstd, compiled from them
#   build/cross/ARCH/dynamic     the build against Debian 12's libraries
#   build/cross/ARCH/static      the build that needs none
#   build/cross/ARCH/out         stripped: ledgerline-agent, ledgerline-agent-static
#   build/cross/ARCH/log         what each step said
# shellcheck disable=SC2034 # for who sources this
target_open() {
    case $1 in
    # The processors of most gateways. What qemu takes without -cpu is none, and signs pointers twenty times as slowly.
    aarch64) DEBIAN_ARCH=arm64 TRIPLET=aarch64-linux-gnu QEMU=(qemu-aarch64-static -cpu cortex-a53) ELF_MACHINE=AArch64 ;;
    armhf) DEBIAN_ARCH=armhf TRIPLET=arm-linux-gnueabihf QEMU=(qemu-arm-static -cpu cortex-a7) ELF_MACHINE=ARM ;;
    *) refuse "'$1' is no architecture that is built for" "name aarch64 (64 bit) or armhf (32 bit, ARMv7 with floating point)" ;;
    esac
    ARCH=$1
    SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    TARGET=$SOURCE/build/cross/$ARCH
    SYSROOT=$TARGET/sysroot
    LOGS=$TARGET/log
    mkdir -p "$LOGS"
}

# target_lock: one command per architecture at a time.
target_lock() {
    exec 8>"$TARGET/lock"
    flock -n 8 || refuse "another command is at work in $TARGET" "wait until it ends"
}

# strip_into FROM TO: without symbols, there at once or not at all.
strip_into() {
    "$TRIPLET-strip" -o "$2.new" "$1" && mv "$2.new" "$2"
}
