# shellcheck shell=bash
# Debian's source packages of what a static agent compiles itself, in the versions of the sysroot. Sourced after sysroot.sh.

# debian_source PACKAGE: sets SOURCE_FOLDER, the source of the version that the sysroot has of this package.
debian_source() {
    local name version
    name=$(package_fact "$1" source:Package) && version=$(package_fact "$1" source:Version) || return
    SOURCE_FOLDER=$TARGET/source/$name-$version
    [ ! -e "$SOURCE_FOLDER" ] || return 0
    private_apt
    private_sources || return
    rm -rf "$APT_STATE/source/packages" "$TARGET/source/$name-"*
    mkdir -p "$APT_STATE/source/packages" "$TARGET/source"
    (cd "$APT_STATE/source/packages" && target_apt "${PRIVATE_SOURCES[@]}" --download-only source "$name=$version") || return
    # apt has checked it against the signed index.
    dpkg-source --no-check --no-copy -x "$APT_STATE/source/packages/$name"_*.dsc "$SOURCE_FOLDER.new" || return
    mv "$SOURCE_FOLDER.new" "$SOURCE_FOLDER"
}

# package_fact PACKAGE FIELD: what the sysroot's dpkg says of it.
package_fact() { dpkg-query --admindir="$SYSROOT/var/lib/dpkg" -W -f "\${$2}" "$1:$DEBIAN_ARCH"; }

# private_sources: the machine's package sources once more, with their source packages, because the machine's may name none;
# PRIVATE_SOURCES makes apt read those.
PRIVATE_SOURCES=()
private_sources() {
    [ ${#PRIVATE_SOURCES[@]} = 0 ] || return 0
    local folder=$APT_STATE/sources file
    PRIVATE_SOURCES=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$folder" -o "Dir::State::lists=$APT_STATE/source/lists")
    rm -rf "$folder"
    mkdir -p "$folder" "$APT_STATE/source/lists/partial"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -e "$file" ] || sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$folder/$(basename "$file")"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -e "$file" ] || sed -n -E 's/^(deb|deb-src)[[:space:]]/deb-src /p' "$file" | sort -u >"$folder/$(basename "$file" .list)-src.list"
    done
    update_target_apt "${PRIVATE_SOURCES[@]}"
}
