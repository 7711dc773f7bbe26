# shellcheck shell=bash
# Runs test programs and scripts and counts what passed. Sourced after screen.sh; LOGS is a folder that exists.

PASSED=0
FAILED=0
FAILURES=() # "NAME EXIT_CODE LOG" of each program and script in which something failed

# The end of a program's log may be far from it.
what_failed_first() { # LOG LINES
    { grep -n -E -B 3 -A 12 '^FAILED |FAILED:$|error: |ERROR: ' "$1" || tail -n 5 "$1"; } |
        cut -c 1-200 | sed -n -e 's/^/        /' -e "1,$2p"
}

report() { # NAME PASSED FAILED BEGAN_US LOG EXIT_CODE
    PASSED=$((PASSED + $2))
    FAILED=$((FAILED + $3))
    printf '    %-34s %4d passed %s %7s s\n' "$1" "$2" \
        "$([ "$3" = 0 ] && echo '          ' || printf '%3d FAILED' "$3")" "$(seconds_since "$4")"
    if [ "$3" != 0 ]; then
        FAILURES+=("$1 $6 $5")
        what_failed_first "$5" 60
        printf '        ...\n'
        tail -n 20 "$5" | sed 's/^/        /'
        printf '        (all of it: %s)\n' "$5"
    fi
}

# Often the end of an output is all that is kept of it: there, what failed is said once more, in a few lines each.
repeat_failures() {
    local failure name code log
    for failure in "${FAILURES[@]}"; do
        read -r name code log <<<"$failure"
        printf 'FAILED: %s, exit code %s\n' "$name" "$code"
        what_failed_first "$log" 12
    done
}

# A Catch2 program counts its own cases; one that dies, leaks or says nothing is one more failure.
run_program() { # NAME COMMAND...
    local name=$1 log began_us status=0 passed failed
    shift
    log=$LOGS/$name.log
    began_us=$(now_us)
    timeout -k 10 900 "$@" >"$log" 2>&1 </dev/null 8>&- || status=$?
    passed=$(sed -n -E 's/^All tests passed \(.* in ([0-9]+) test cases?\)$/\1/p; s/^test cases: .*\| *([0-9]+) passed.*/\1/p' "$log" | tail -n 1)
    failed=$(sed -n -E 's/^test cases: .*\| *([0-9]+) failed.*/\1/p' "$log" | tail -n 1)
    if [ "$status" != 0 ] && [ "${failed:-0}" = 0 ]; then failed=1; fi
    if [ "$status" = 0 ] && [ -z "$passed" ]; then failed=1; fi
    report "$name" "${passed:-0}" "${failed:-0}" "$began_us" "$log" "$status"
}

# A script is one test: it passed where it ended with 0.
run_script() { # NAME COMMAND...
    local name=$1 log began_us status=0
    shift
    log=$LOGS/$name.log
    began_us=$(now_us)
    timeout -k 30 1800 "$@" >"$log" 2>&1 </dev/null 8>&- || status=$?
    report "$name" $((status == 0)) $((status != 0)) "$began_us" "$log" "$status"
}
