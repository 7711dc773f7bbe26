# shellcheck shell=bash
# What a person sees while a command works: one line per step with its time, and on failure the step, its log, the log's
# last lines and the remedy. Sourced; the caller sets STEPS (how many there are) and LOGS (a folder that exists).

STEP_NUMBER=0
STEP_NAME=
STEP_LOG=
STEP_REMEDY=
STEP_BEGAN_US=0

now_us() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

seconds_since() { # MICROSECONDS -> "4.2"
    local tenths=$((($(now_us) - $1) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# step NAME LOG REMEDY: ends the step before and begins the next. Output of what runs in it goes to LOGS/LOG.log.
step() {
    step_end
    STEP_NUMBER=$((STEP_NUMBER + 1))
    STEP_NAME=$1
    STEP_LOG=$LOGS/$2.log
    STEP_REMEDY=$3
    STEP_BEGAN_US=$(now_us)
    : >>"$STEP_LOG"
    printf '[%d/%d] %-44s ' "$STEP_NUMBER" "$STEPS" "$STEP_NAME"
}

step_end() {
    [ -z "$STEP_NAME" ] || printf '%7s s\n' "$(seconds_since "$STEP_BEGAN_US")"
    STEP_NAME=
}

# run COMMAND...: its output into the step's log; a failure ends the whole command with the reason.
run() {
    printf '+ %s\n' "$*" >>"$STEP_LOG"
    "$@" >>"$STEP_LOG" 2>&1 || fail "'$1' ended with exit code $?"
}

# fail REASON [LOG]: says which step failed, why, where its log is and what to do; ends with 1.
fail() {
    local log=${2:-$STEP_LOG}
    [ -z "$STEP_NAME" ] || printf 'failed\n'
    {
        printf '\n%s%s\n' "${STEP_NAME:+Step \"$STEP_NAME\" failed: }" "$1"
        if [ -n "$log" ] && [ -s "$log" ]; then
            printf '\nThe log %s ends with:\n' "$log"
            tail -n 15 "$log" | sed 's/^/    /'
        fi
        [ -z "$STEP_REMEDY" ] || printf '\nWhat to do: %s\n' "$STEP_REMEDY"
    } >&2
    exit 1
}

# The caller's ERR trap: a command that nobody expected to fail.
on_unexpected_error() { # LINE COMMAND
    fail "line $1: $2"
}

# wait_until SECONDS COMMAND...: true as soon as the command succeeds.
wait_until() {
    local deadline_us=$(($(now_us) + $1 * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now_us)" -lt "$deadline_us" ] || return 1
        sleep 0.1
    done
}
