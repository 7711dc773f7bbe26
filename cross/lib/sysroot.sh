# shellcheck shell=bash
# The target's libraries as a folder, extracted from Debian packages. apt gets indexes, a package state and a cache of its
# own, so the machine knows nothing of the other architecture. Where the packages come from, who signs them and which proxy
# leads there is the machine's own configuration. Sourced after target.sh.

# private_apt: writes the configuration that apt reads after the machine's own.
private_apt() {
    APT_STATE=$TARGET/apt
    mkdir -p "$APT_STATE"/{lists,archives}/partial "$APT_STATE/source"
    : >"$APT_STATE/status"
    cat >"$APT_STATE/apt.conf" <<END
#clear APT::Architectures;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "$DEBIAN_ARCH";
APT::Architectures { "$DEBIAN_ARCH"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State::lists "$APT_STATE/lists";
Dir::State::status "$APT_STATE/status";
Dir::State::extended_states "$APT_STATE/extended_states";
Dir::Cache "$APT_STATE";
Dir::Cache::archives "$APT_STATE/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
}

target_apt() { apt-get -y -q -c "$APT_STATE/apt.conf" "$@"; }

# update_target_apt OPTION...: a source that fails for the moment is left out, with a warning in the log; what is needed and
# missing then ends the step that needs it.
# shellcheck disable=SC2120 # paho.sh passes options
update_target_apt() {
    target_apt "$@" update || target_apt "$@" update || {
        echo "warning: not every package source could be read; what it would have updated may be older"
        INDEXES_INCOMPLETE=yes
    }
}
INDEXES_INCOMPLETE=

# What a finished sysroot was made of: a change makes it anew. The number counts the ways to make one.
sysroot_recipe() { { echo 1 && packages_of "$SOURCE/cross/packages-sysroot"; } | sha256sum | cut -d ' ' -f 1; }

sysroot_ready() { [ "$(cat "$SYSROOT/.recipe" 2>/dev/null)" = "$(sysroot_recipe)" ]; }

# make_sysroot: nothing to do where it is ready. An interrupted one begins anew, with the packages that are there.
make_sysroot() {
    ! sysroot_ready || return 0
    local names package
    mapfile -t names < <(packages_of "$SOURCE/cross/packages-sysroot")
    private_apt
    # shellcheck disable=SC2119
    update_target_apt || return
    # Of an earlier run other versions may lie there, and of an earlier list other packages.
    target_apt autoclean || return
    if [ "$(cat "$APT_STATE/recipe" 2>/dev/null)" != "$(sysroot_recipe)" ]; then rm -f "$APT_STATE"/archives/*.deb; fi
    sysroot_recipe >"$APT_STATE/recipe"
    target_apt --download-only install "${names[@]}" || return
    rm -rf "$SYSROOT" "$SYSROOT.new"
    mkdir -p "$SYSROOT.new"
    package_state_begin "$SYSROOT.new/var/lib/dpkg" || return
    for package in "$APT_STATE"/archives/*.deb; do
        echo "extracting $(basename "$package")"
        dpkg-deb -x "$package" "$SYSROOT.new" || return
        package_state_add "$SYSROOT.new/var/lib/dpkg" "$package" || return
    done
    mend_links "$SYSROOT.new" || return
    [ -z "$INDEXES_INCOMPLETE" ] || date -u +%F >"$SYSROOT.new/.incomplete"
    sysroot_recipe >"$SYSROOT.new/.recipe"
    mv "$SYSROOT.new" "$SYSROOT"
}

# The sysroot has dpkg's own database, so that who packages what is built here may ask it for versions and symbols:
#   dpkg-query --admindir=SYSROOT/var/lib/dpkg -W
#   SYSROOT/var/lib/dpkg/info/NAME[:DEBIAN_ARCH].{list,symbols,shlibs}    with :DEBIAN_ARCH where the package is Multi-Arch: same
package_state_begin() { # FOLDER
    mkdir -p "$1/info" "$1/updates"
    echo 1 >"$1/info/format"
    : >"$1/status"
}

package_state_add() { # FOLDER PACKAGE
    local control=$1/control name multi_arch file
    rm -rf "$control"
    dpkg-deb -e "$2" "$control" || return
    name=$(dpkg-deb -f "$2" Package)
    multi_arch=$(dpkg-deb -f "$2" Multi-Arch)
    if [ "$multi_arch" = same ]; then name+=:$DEBIAN_ARCH; fi
    { sed '/^Package:/a Status: install ok installed' "$control/control" && echo; } >>"$1/status"
    for file in symbols shlibs; do
        if [ -e "$control/$file" ]; then mv "$control/$file" "$1/info/$name.$file"; fi
    done
    dpkg-deb --fsys-tarfile "$2" | tar -t | sed -e 's|^\./|/|' -e 's|/$||' -e 's|^$|/.|' >"$1/info/$name.list"
    rm -rf "$control"
}

# mend_links FOLDER: an absolute link would lead out of the folder into the machine.
mend_links() {
    local link points_to
    while IFS= read -r -d '' link; do
        points_to=$(readlink "$link")
        ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$1$points_to")" "$link" || return
    done < <(find "$1" -type l -lname '/*' -print0)
}
