#!/bin/bash
# The shell functions that the quickstart and the end-to-end tests stand on. Needs neither root nor packages.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

WORK=$(mktemp -d)
RUN=$WORK/run LOGS=$WORK/log
mkdir "$RUN" "$LOGS"
. "$HERE/../../../deploy/lib/screen.sh"
. "$HERE/../../../deploy/lib/host.sh"
. "$HERE/../../../deploy/lib/process.sh"
# shellcheck disable=SC2034 # screen.sh shows it
STEPS=1
CASE=

trap 'stop_all; rm -rf "$WORK"' EXIT

expect() { "$@" || { echo "$CASE: expected $*" >&2; exit 1; }; }
expect_not() { if "$@"; then echo "$CASE: did not expect $*" >&2; exit 1; fi; }

CASE="a started process is found by its name and stopped"
start_process sleeper sleep 60
expect process_alive sleeper
stop_process sleeper
expect_not process_alive sleeper
expect_not test -e "$RUN/sleeper.pid"

CASE="starting what runs already changes nothing"
start_process sleeper sleep 60
first=$(process_pid sleeper)
start_process sleeper sleep 60
expect test "$first" = "$(process_pid sleeper)"

CASE="a killed process is gone, its file stays for whoever asks, and it starts again under another pid"
kill_process sleeper
expect_not process_alive sleeper
start_process sleeper sleep 60
expect_not test "$first" = "$(process_pid sleeper)"

CASE="a pid that now belongs to another process is never signalled"
sleep 60 &
stranger=$!
printf '%s %s\n' "$stranger" 1 >"$RUN/borrowed.pid"
expect_not process_alive borrowed
signal_process borrowed KILL
stop_process borrowed
expect kill -0 "$stranger"
kill "$stranger"

CASE="a command's name with spaces and brackets does not shift the start time"
cp "$(command -v sleep)" "$WORK/a ) (b"
start_process odd "$WORK/a ) (b" 60
expect process_alive odd
expect test "$(process_pid odd)" -gt 1

CASE="a group goes down with the children of its session"
# shellcheck disable=SC2016 # the inner shell expands
start_process parent bash -c 'sleep 61 & echo $! >"$1"; wait' parent "$WORK/child"
expect wait_until 5 test -s "$WORK/child"
stop_group parent
child=$(cat "$WORK/child")
gone() { ! start_time_of "$child" >/dev/null; }
expect wait_until 5 gone

CASE="what ignores TERM is killed"
start_process stubborn bash -c 'trap "" TERM; while :; do sleep 0.1; done'
sleep 0.2
wait_until() { return 1; } # no ten seconds in a unit test
stop_process stubborn || true
. "$HERE/../../../deploy/lib/screen.sh"
stubborn_gone() { ! process_alive stubborn; }
expect wait_until 5 stubborn_gone

CASE="free ports differ and nobody listens on them"
free_port
one=$PORT
free_port
expect_not test "$one" = "$PORT"
expect port_is_free "$PORT"

CASE="a port with a listener is not free"
listening_ports=$(ports_in_use)
listening_port=${listening_ports%%$'\n'*}
[ -z "$listening_port" ] || expect_not port_is_free "$listening_port"

CASE="package lists hold names only"
printf '# comment\nalpha\n\nbeta # why\n' >"$WORK/packages"
expect test "$(packages_of "$WORK/packages" | tr -d ' ' | tr '\n' ,)" = alpha,beta,
expect test "$(missing_packages bash no-such-package-anywhere)" = no-such-package-anywhere

CASE="a copied ERP folder is its owner's alone"
if [ -x /usr/bin/python3 ]; then
    mkdir -p "$WORK/erp/db" "$WORK/erp/secrets"
    echo '{"inputs": ""}' >"$WORK/erp/prepared.json"
    : >"$WORK/erp/db/ledgerline.sqlite"
    for user in admin collector finance service success; do echo secret >"$WORK/erp/secrets/$user"; done
    (umask 022; "$HERE/../../../deploy/tryton/prepare" --state "$WORK/copy" --port 8000 --from "$WORK/erp" >/dev/null)
    expect test -e "$WORK/copy/db/ledgerline.sqlite"
    expect test -z "$(find "$WORK/copy" -perm /077)"
fi

CASE="a failing step names itself, its log, the log's end and the remedy"
said=$( (step "boil water" kettle "buy a kettle"; run bash -c 'echo no socket; exit 3') 2>&1) && exit 1
for part in 'Step "boil water" failed' "exit code 3" "$LOGS/kettle.log" 'no socket' 'buy a kettle'; do
    expect grep -qF "$part" <<<"$said"
done

CASE="what failed is counted, and named again at the end with its exit code and its reason"
. "$HERE/../../lib/count.sh"
for program in "well;echo 'All tests passed (9 assertions in 3 test cases)'" \
    "leaks;echo 'All tests passed (9 assertions in 3 test cases)'; echo '==1==ERROR: LeakSanitizer: leaks'; exit 23" \
    "wrong;echo 'a_test.cpp:7: FAILED:'; echo '  CHECK( 1 == 2 )'; echo 'test cases: 3 | 2 passed | 1 failed'; exit 1"; do
    run_program "${program%%;*}" bash -c "${program#*;}" >/dev/null
done
run_script broken bash -c 'echo half done; exit 3' >/dev/null
expect test "$PASSED $FAILED" = "8 3"
said=$(repeat_failures)
for part in 'leaks, exit code 23' 'ERROR: LeakSanitizer' 'wrong, exit code 1' 'CHECK( 1 == 2 )' 'broken, exit code 3' 'half done'; do
    expect grep -qF "$part" <<<"$said"
done
expect_not grep -qF well <<<"$said"

echo "all cases passed"
