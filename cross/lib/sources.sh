# shellcheck shell=bash
# Debian has no static libpaho-mqttpp3, so its source package is fetched when a static agent is built. Sourced after sysroot.sh.

# paho_cpp_source: sets PAHO_CPP_SOURCE. Where the machine's sources name no source packages, private ones do.
paho_cpp_source() {
    PAHO_CPP_SOURCE=$TARGET/paho-cpp
    [ ! -e "$PAHO_CPP_SOURCE/src/async_client.cpp" ] || return 0
    local version description
    private_apt
    version=$(dpkg-query --admindir="$SYSROOT/var/lib/dpkg" -W -f '${source:Version}' "libpaho-mqttpp-dev:$DEBIAN_ARCH") || return
    private_sources
    update_target_apt "${PRIVATE_SOURCES[@]}" || return
    rm -rf "$APT_STATE"/source/paho.mqtt.cpp_* "$PAHO_CPP_SOURCE.new"
    (cd "$APT_STATE/source" && target_apt "${PRIVATE_SOURCES[@]}" --download-only source "paho.mqtt.cpp=$version") || return
    description=$(find "$APT_STATE/source" -name 'paho.mqtt.cpp_*.dsc')
    # apt has checked it against the signed index.
    dpkg-source --no-check -x "$description" "$PAHO_CPP_SOURCE.new" || return
    mv "$PAHO_CPP_SOURCE.new" "$PAHO_CPP_SOURCE"
}

# private_sources: the machine's package sources once more, with their source packages; PRIVATE_SOURCES makes apt read those.
private_sources() {
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
}
