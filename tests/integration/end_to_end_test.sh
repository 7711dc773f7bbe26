#!/bin/bash
# The whole way under fire: a real broker, a real ERP, a collector, an agent and a paced sender that keeps its own synced
# log. Meanwhile agent, broker and collector are killed (SIGKILL) at random moments, and the collector while it posts to the
# ERP. Afterwards every acknowledged event is billed exactly once: the invoices in the ERP equal the amounts worked out by
# hand from the sender's log, and the agent's readings are exactly the sender's events.
set -Eeuo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
EVENTS=3000
RATE=100
KILLS=9
POSTING_KILLS=3
SEED=$RANDOM
STATE_FOLDER=

usage() {
    cat <<END
usage: end_to_end_test.sh [--events N] [--rate N] [--kills N] [--posting-kills N] [--seed N] [--state DIR]

Needs root, the packages that tests/run installs, and binaries in BUILD (default build/release).
  --events N         how many the sender sends ($EVENTS)
  --rate N           events per second ($RATE)
  --kills N          over agent, broker and collector in turn of chance ($KILLS)
  --posting-kills N  over the collector, in the middle of an exchange with the ERP ($POSTING_KILLS)
  --seed N           of the choices; how they fall in time is the machine's business
  --state DIR        a new folder (default: one below /var/tmp, removed after success)

For example: tests/integration/end_to_end_test.sh --events 100000 --rate 200 --kills 150 --posting-kills 20
END
}

while [ $# -gt 0 ]; do
    case $1 in
    --events) EVENTS=${2:?} ;;
    --rate) RATE=${2:?} ;;
    --kills) KILLS=${2:?} ;;
    --posting-kills) POSTING_KILLS=${2:?} ;;
    --seed) SEED=${2:?} ;;
    --state) STATE_FOLDER=${2:?} ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 64 ;;
    esac
    shift 2
done

# A proxy for the web is not for us: Paho and others would take their connections to it.
export http_proxy='' https_proxy=http://127.0.0.1:9
# Answers may be repeated for seconds while the agent is down; their event times must not be late then.
LATENESS=10s
. "$HERE/../../deploy/lib/screen.sh"
. "$HERE/../../deploy/lib/host.sh"
. "$HERE/../../deploy/lib/process.sh"
. "$HERE/../../deploy/lib/stack.sh"
STEPS=4
RANDOM=$SEED

on_exit() {
    local status=$?
    trap - EXIT ERR
    stop_all
    if [ "$status" = 0 ] && [ "$TEMPORARY" = yes ]; then rm -rf "$STATE"; fi
    exit "$status"
}

open_state() {
    TEMPORARY=no
    if [ -z "$STATE_FOLDER" ]; then
        TEMPORARY=yes
        STATE_FOLDER=$(mktemp -d /var/tmp/ledgerline-end-to-end.XXXXXX)
        chmod 755 "$STATE_FOLDER"
    fi
    rm -rf "${STATE_FOLDER:?}"/*
    stack_open "$STATE_FOLDER"
    trap on_exit EXIT
    trap 'exit 130' INT TERM HUP
    trap 'on_unexpected_error $LINENO "$BASH_COMMAND"' ERR
}

# The proxy stands between collector and ERP and kills the collector in the middle of some exchanges.
start_proxy() {
    free_port
    COLLECTOR_ERP_PORT=$PORT
    start_process proxy "$PYTHON" "$HERE/killing_proxy.py" --listen "$PORT" --forward "$ERP_PORT" \
        --victim "$RUN/collector.pid" --kills "$POSTING_KILLS" --seed "$SEED"
    wait_ready proxy 10 listening "$PORT"
}

start_everything() {
    stack_ports
    prepare_erp
    start_erp
    start_proxy
    prepare_broker
    start_broker
    prepare_collector
    start_collector
    prepare_agent app-1
    start_agent app-1
}

# ---- Killing

start_by_name() {
    case $1 in
    broker) start_broker ;;
    collector) start_collector ;;
    agent-app-1) start_agent app-1 ;;
    esac
}

# What the proxy has killed comes back like everything else.
revive() {
    process_alive collector || start_collector
}

pause_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

# One kill in each of KILLS equal slots of the time that the sender needs at least, at a random moment of its slot. Where a
# start took longer than its slot, the next kill follows at once.
kill_at_random() {
    local victims=(agent-app-1 broker collector) victim slot_ms began_us due_us number
    began_us=$(now_us)
    slot_ms=$((EVENTS * 900 / RATE / (KILLS > 0 ? KILLS : 1)))
    for ((number = 0; number < KILLS; ++number)); do
        due_us=$((began_us + 1000 * (slot_ms * number + RANDOM % (slot_ms + 1))))
        while [ "$(now_us)" -lt "$due_us" ]; do
            revive
            sleep 0.05
        done
        victim=${victims[RANDOM % 3]}
        kill_process "$victim"
        pause_ms $((RANDOM % 400))
        start_by_name "$victim"
        printf '%s killed and started again\n' "$victim" >>"$LOGS/kills.log"
    done
    while process_alive sample; do
        revive
        sleep 0.2
    done
}

# ---- Judging

documents_match() {
    revive
    "$PYTHON" "$SOURCE/deploy/demo/summary.py" --state "$STATE" --check
}

await_documents() {
    if ! wait_until 240 documents_match; then
        run "$PYTHON" "$SOURCE/deploy/demo/summary.py" --state "$STATE" --check
    fi
    # The answers name stream and seqs, so the sender's log alone shows a hole or a double.
    run "$PYTHON" "$HERE/check_answers.py" --log "$STATE/app/answers.jsonl" --events "$EVENTS"
}

main() {
    require_root_on_debian_12
    open_state
    step "broker, ERP, collector, agent" start "look into $LOGS"
    start_everything

    step "$EVENTS events, $KILLS kills" kills "look into $LOGS; the seed was $SEED"
    start_process sample "$PYTHON" "$SOURCE/deploy/demo/app.py" --agent "http://127.0.0.1:$AGENT_PORT/v1/events" \
        --log "$STATE/app/answers.jsonl" --events "$EVENTS" --rate "$RATE" --run "$SEED" --seed "$SEED"
    kill_at_random
    grep -q 'events sent and answered' "$LOGS/sample.log" || fail "the sender gave up" "$LOGS/sample.log"

    step "every document in the ERP, exactly once" documents "look into $LOGS; the seed was $SEED"
    await_documents

    step "stopped" stop ""
    stop_all
    step_end
    cat "$LOGS/sample.log" "$LOGS/documents.log"
    printf 'killed at random: %d    killed while posting: %d\n' "$KILLS" \
        "$(grep -c '^killed' "$LOGS/proxy.log" || true)"
}

main
