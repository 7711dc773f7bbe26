# shellcheck shell=bash
# A build in the background, so that packages and the ERP can be prepared meanwhile. Sourced after stack.sh.

# start_build PRESET TARGET...: into BUILD. What an interrupted build has done already is kept.
start_build() {
    rm -f "$LOGS/build.log" "$RUN/build.status"
    # shellcheck disable=SC2016 # the inner shell expands
    start_process build bash -c '
        status=0
        cd "$1" && { [ -e "$2/build.ninja" ] || cmake --preset "$4" -B "$2"; } &&
            ninja -C "$2" -j "$(nproc)" "${@:5}" || status=$?
        echo "$status" >"$3"' build "$SOURCE" "$BUILD" "$RUN/build.status" "$@"
}

# Shows how far it is where somebody looks on.
await_build() {
    while process_alive build; do
        if [ -t 1 ]; then printf '%-14s\b\b\b\b\b\b\b\b\b\b\b\b\b\b' "$(build_position)"; fi
        sleep 0.5
    done
    rm -f "$RUN/build.pid"
    if [ -t 1 ]; then printf '%-14s\b\b\b\b\b\b\b\b\b\b\b\b\b\b' ''; fi
    [ "$(cat "$RUN/build.status" 2>/dev/null)" = 0 ] || fail "the build failed" "$LOGS/build.log"
}

build_position() { grep -o '^\[[0-9]*/[0-9]*\]' "$LOGS/build.log" 2>/dev/null | tail -n 1 || true; }
