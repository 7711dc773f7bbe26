# shellcheck shell=bash
# OpenSSL and zstd for a static agent, compiled from Debian's source packages with what the agent calls: Debian's OpenSSL names
# every algorithm in one table, so that the linker can leave none out, and its zstd is built for speed and reads formats before
# 1.0. Sourced after sources.sh.

# Small, as our own code is, and with Debian's protection of the stack: they read what the network sends. A static program lies
# at a fixed address. As Debian's they read folders with inodes of 64 bits.
LIBRARY_FLAGS=(-Os -fno-pie -ffunction-sections -fdata-sections -fstack-protector-strong -D_FORTIFY_SOURCE=2 -D_FILE_OFFSET_BITS=64
    '-Wa,--noexecstack')

# What stays is TLS 1.2 and 1.3 with ECDHE or RSA, AES or ChaCha20 and certificates of RSA, ECDSA and Ed25519; pre-shared keys, because
# common/io/mqtt.cpp names a suite of theirs to have no TLS 1.2; the texts of errors, because people read them.
OPENSSL_WITHOUT=(shared pic dso module engine async autoload-config legacy tests ui-console filenames secure-memory
    cms cmp ts ocsp ct rfc3779 comp srp srtp nextprotoneg multiblock ssl-trace dgram
    ssl3 ssl3-method tls1 tls1-method tls1_1 tls1_1-method dtls dtls1-method dtls1_2-method
    aria bf blake2 camellia cast cmac des dh dsa ec2m gost idea md4 mdc2 ocb rc2 rc4 rc5 rmd160 scrypt seed siphash siv
    sm2 sm3 sm4 whirlpool)

# make_static_libraries: sets LIBRARIES, a folder laid out as the sysroot is. Nothing to do where it is ready; an interrupted
# one begins anew.
make_static_libraries() {
    local recipe
    LIBRARIES=$TARGET/libraries
    recipe=$(static_libraries_recipe) || return
    [ "$(cat "$LIBRARIES/.recipe" 2>/dev/null)" != "$recipe" ] || return 0
    rm -rf "$LIBRARIES" "$LIBRARIES.new"
    mkdir -p "$LIBRARIES.new/usr/lib/$TRIPLET" "$LIBRARIES.new/work"
    debian_source libzstd-dev || return
    (cd "$LIBRARIES.new/work" && make_zstd) || return
    debian_source libssl-dev || return
    (cd "$LIBRARIES.new/work" && make_openssl) || return
    rm -rf "$LIBRARIES.new/work"
    printf '%s\n' "$recipe" >"$LIBRARIES.new/.recipe"
    mv "$LIBRARIES.new" "$LIBRARIES"
}

# What finished libraries were made of: the sysroot, the versions, and how this file makes them.
static_libraries_recipe() {
    {
        sysroot_recipe
        package_fact libzstd-dev source:Version && echo && package_fact libssl-dev source:Version || return
        cat "${BASH_SOURCE[0]}"
    } | sha256sum | cut -d ' ' -f 1
}

# All paths are relative to the folder they work in, LIBRARIES.new/work: a program says how its OpenSSL was compiled, and that is
# the same on every machine.
make_zstd() {
    local source
    source=../../source/$(basename "$SOURCE_FOLDER")/lib
    # No threads, no formats before 1.0 and no dictionary builder.
    "$TRIPLET-gcc" --sysroot=../../sysroot "${LIBRARY_FLAGS[@]}" -DXXH_NAMESPACE=ZSTD_ -DZSTD_LEGACY_SUPPORT=0 \
        -c "$source"/{common,compress,decompress}/*.c || return
    "$TRIPLET-ar" rcs "../usr/lib/$TRIPLET/libzstd.a" ./*.o
}

make_openssl() {
    local platform=linux-aarch64 epoch
    [ "$ARCH" = aarch64 ] || platform=linux-armv4
    epoch=$(dpkg-parsechangelog -l "$SOURCE_FOLDER/debian/changelog" -S Timestamp) || return
    # Folders and least security as Debian has them. Without the assembler of P-256, whose table has 150 KiB: it is a
    # handshake's curve, batches are signed with Ed25519.
    env PATH="/usr/lib/ccache:$PATH" "../../source/$(basename "$SOURCE_FOLDER")/Configure" "$platform" \
        --cross-compile-prefix="$TRIPLET-" --prefix=/usr --libdir="lib/$TRIPLET" --openssldir=/usr/lib/ssl "${OPENSSL_WITHOUT[@]/#/no-}" \
        CFLAGS="--sysroot=../../sysroot ${LIBRARY_FLAGS[*]}" CPPFLAGS="-DOPENSSL_TLS_SECURITY_LEVEL=2 -UECP_NISTZ256_ASM" || return
    env PATH="/usr/lib/ccache:$PATH" SOURCE_DATE_EPOCH="$epoch" make -j "$(nproc)" build_libs || return
    make DESTDIR=.. install_dev
}
