# shellcheck shell=bash
# Long-running processes, each with its log and a file RUN/NAME.pid holding "pid start-time". A number that the kernel has
# given to another process since has another start time, so nothing that we did not start is ever signalled.
# Sourced; the caller sets RUN and LOGS (folders that exist).

# The kernel's start time of a process in ticks since boot: field 22 of stat, counted after the command's name, which may
# hold spaces and brackets.
start_time_of() { # PID
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    # shellcheck disable=SC2086 # the fields are to be split
    set -- ${stat##*) }
    [ "$1" != Z ] || return 1
    printf '%s' "${20}"
}

# start_process NAME COMMAND...: in its own session, so that a terminal's Ctrl-C reaches only the command that manages it.
start_process() {
    local name=$1 pid started
    shift
    if process_alive "$name"; then return 0; fi
    setsid "$@" >>"$LOGS/$name.log" 2>&1 </dev/null 8>&- &
    pid=$!
    disown "$pid" 2>/dev/null || true
    started=$(start_time_of "$pid") || return 1
    printf '%s %s\n' "$pid" "$started" >"$RUN/$name.pid"
}

# Prints the pid where the process of that name lives.
process_pid() { # NAME
    local pid started
    [ -s "$RUN/$1.pid" ] || return 1
    read -r pid started <"$RUN/$1.pid"
    [ "$(start_time_of "$pid")" = "$started" ] || return 1
    printf '%s' "$pid"
}

process_alive() { process_pid "$1" >/dev/null; }

process_gone() { ! process_alive "$1"; }

signal_process() { # NAME SIGNAL
    local pid
    pid=$(process_pid "$1") || return 0
    kill "-$2" "$pid" 2>/dev/null || true
}

# stop_process NAME: asks, waits up to ten seconds, then kills.
stop_process() {
    signal_process "$1" TERM
    if ! wait_until 10 process_gone "$1"; then
        signal_process "$1" KILL
        wait_until 5 process_gone "$1" || return 1
    fi
    rm -f "$RUN/$1.pid"
}

# kill_process NAME: as a power cut would, and waits until it is gone.
kill_process() {
    signal_process "$1" KILL
    wait_until 5 process_gone "$1"
}

# stop_group NAME: a process started here together with the children of its session, such as a build.
stop_group() {
    local pid
    pid=$(process_pid "$1") || return 0
    kill -TERM -- "-$pid" 2>/dev/null || true
    wait_until 10 process_gone "$1" || kill -KILL -- "-$pid" 2>/dev/null || true
    rm -f "$RUN/$1.pid"
}

process_names() {
    local file
    for file in "$RUN"/*.pid; do
        [ ! -e "$file" ] || basename "$file" .pid
    done
}

stop_all() {
    local name
    for name in $(process_names); do stop_process "$name"; done
}
