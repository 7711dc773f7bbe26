# shellcheck shell=bash
# The machine: who we are, which distribution, its packages, free ports. Only bash, coreutils and dpkg until packages are in.

export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# refuse REASON REMEDY: before anything was touched.
refuse() {
    printf '%s: %s\nWhat to do: %s\n' "$(basename "$0")" "$1" "$2" >&2
    exit 69
}

require_root_on_debian_12() {
    local id='' version=''
    if [ -r /etc/os-release ]; then
        # shellcheck disable=SC1091 # the system's own file
        id=$(. /etc/os-release && printf '%s' "${ID:-}")
        # shellcheck disable=SC1091
        version=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
    fi
    if [ "$id" != debian ] || [ "$version" != 12 ]; then
        refuse "this is '${id:-unknown} ${version:-}', and it is made for Debian 12" \
            "run it on Debian 12 (bookworm), for instance in a container or a chroot"
    fi
    [ -r /proc/self/stat ] || refuse "/proc is not mounted" "mount -t proc proc /proc"
    if [ "$(id -u)" != 0 ]; then
        refuse "it installs Debian packages and starts a broker, so it must run as root" \
            "run it again as root: sudo $0"
    fi
}

require_free_disk() { # FOLDER MEBIBYTES [REMEDY]
    local free_kib
    free_kib=$(df -Pk "$1" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
    [ "$free_kib" -ge $(($2 * 1024)) ] ||
        refuse "$1 has $((free_kib / 1024)) MiB free, and $2 MiB are needed" "${3:-free some space, or choose another --state}"
}

# packages_of FILE...: the names in package lists, without comments.
packages_of() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@"; }

missing_packages() { # NAME...
    local name state
    for name in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) || state=
        [ "$state" = installed ] || printf '%s\n' "$name"
    done
}

# install_packages FILE...: what the lists name and the machine lacks, from the machine's own sources. Nothing to do costs
# no network. For the time of the installation no service is started, because we run our own on ports of our own.
APT_UPDATED=no
install_packages() {
    local names missing policy=/usr/sbin/policy-rc.d ours=no result=0
    mapfile -t names < <(packages_of "$@" | sort -u)
    mapfile -t missing < <(missing_packages "${names[@]}")
    [ ${#missing[@]} -gt 0 ] || return 0
    local apt=(apt-get -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
    if [ "$APT_UPDATED" = no ]; then
        "${apt[@]}" update || return
        APT_UPDATED=yes
    fi
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    "${apt[@]}" --no-install-recommends install "${missing[@]}" || result=$?
    [ "$ours" = no ] || rm -f "$policy"
    return "$result"
}

# Every local port that somebody listens on, from the kernel's own tables: a bare system has neither ss nor netstat. Connections
# do not count: after a restart they linger for a minute, and a server may listen there all the same. There may be thousands of
# them; a table is read at once, because read would begin it anew for each of its lines.
ports_in_use() {
    local table lines line
    for table in /proc/net/tcp /proc/net/tcp6; do
        [ -r "$table" ] || continue
        mapfile -t lines <"$table"
        for line in "${lines[@]}"; do
            if [[ $line =~ :([0-9A-F]{4})\ [0-9A-F]+:[0-9A-F]{4}\ 0A\  ]]; then printf '%d\n' "0x${BASH_REMATCH[1]}"; fi
        done
    done
}

# free_port: below the range that the kernel hands out by itself, so that nobody takes it by chance meanwhile.
PORTS_GIVEN=" "
free_port() { # sets PORT
    local used
    used=" $(ports_in_use | sort -u | tr '\n' ' ')"
    for _ in $(seq 200); do
        PORT=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        case "$used$PORTS_GIVEN" in *" $PORT "*) continue ;; esac
        PORTS_GIVEN+="$PORT "
        return 0
    done
    fail "no free port between 20000 and 32000"
}

port_is_free() { # PORT
    case " $(ports_in_use | tr '\n' ' ')" in *" $1 "*) return 1 ;; esac
}
