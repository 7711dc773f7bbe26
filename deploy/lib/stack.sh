# shellcheck shell=bash
# The whole way on one machine: broker, ERP, collector and agents below one state folder. The quickstart and the end-to-end
# tests both use these functions and no others. Sourced after screen.sh, process.sh and host.sh.
#
#   STATE/ports                what listens where, kept for the next run
#   STATE/pki STATE/broker     certificates and the broker's folder
#   STATE/tryton               the ERP: database, configuration, secrets
#   STATE/collector            collector.toml, state/, operator.key
#   STATE/agents/NAME          agent.toml, state/
#   STATE/app/answers.jsonl    the sample application's log
#   STATE/proof                public keys and evidence bundles
#   STATE/log STATE/run        a log and a pid file for each process

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$SOURCE/build/release}
AGENT=$BUILD/ledgerline-agent
COLLECTOR=$BUILD/ledgerline-collector
VERIFY=$BUILD/ledgerline-verify
PYTHON=/usr/bin/python3

# Tests may set these before stack_open.
CATALOG=${CATALOG:-$SOURCE/deploy/demo/catalog.d}
TEMPLATES=${TEMPLATES:-$SOURCE/deploy/demo}
LATENESS=${LATENESS:-1s}
ERP_PREPARED=${ERP_PREPARED:-}

# Where the collector finds the ERP: a test may put something in between.
COLLECTOR_ERP_PORT=${COLLECTOR_ERP_PORT:-}
PORT_NAMES=(BROKER_PORT ERP_PORT COLLECTOR_PORT AGENT_PORT)
BROKER_PORT=0 ERP_PORT=0 COLLECTOR_PORT=0 AGENT_PORT=0

# stack_open DIR: makes the folder's skeleton and sets STATE, RUN and LOGS.
stack_open() {
    mkdir -p "$1"
    STATE=$(cd "$1" && pwd)
    RUN=$STATE/run
    LOGS=$STATE/log
    OPERATOR_KEY=$STATE/collector/operator.key
    mkdir -p "$RUN" "$LOGS" "$STATE/collector" "$STATE/agents" "$STATE/app"
}

# The ports of the run before where they are still free (or ours), else new ones.
stack_ports() {
    local name running
    # shellcheck disable=SC1091 # written below
    if [ -s "$STATE/ports" ]; then . "$STATE/ports"; fi
    running=$(process_names)
    for name in "${PORT_NAMES[@]}"; do
        if [ "${!name}" = 0 ] || { [ -z "$running" ] && ! port_is_free "${!name}"; }; then
            free_port
            printf -v "$name" '%d' "$PORT"
        fi
    done
    for name in "${PORT_NAMES[@]}"; do printf '%s=%d\n' "$name" "${!name}"; done >"$STATE/ports"
}

# fill TEMPLATE TARGET: every @NAME@ becomes the variable's value.
fill() {
    local script='' name
    for name in STATE SOURCE CATALOG LATENESS COLLECTOR_ERP_PORT "${PORT_NAMES[@]}"; do script+="s|@$name@|${!name}|g;"; done
    sed -e "$script" "$1" >"$2"
}

# wait_ready NAME SECONDS COMMAND...: until the command succeeds; fails at once where the process has ended.
wait_ready() {
    local name=$1 seconds=$2 deadline_us
    deadline_us=$(($(now_us) + $2 * 1000000))
    shift 2
    until "$@" >/dev/null 2>&1; do
        process_alive "$name" || fail "$name ended by itself" "$LOGS/$name.log"
        [ "$(now_us)" -lt "$deadline_us" ] || fail "$name was not ready within $seconds s" "$LOGS/$name.log"
        sleep 0.1
    done
}

# http_ok PORT PATH: true for the answer 200. Before python or curl are needed, bash can ask by itself.
http_ok() {
    local status
    exec 9<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&9
    read -r -t 5 _ status _ <&9 || status=
    exec 9>&-
    [ "$status" = 200 ]
} 2>/dev/null

listening() { ! port_is_free "$1"; }

prepare_broker() {
    run "$SOURCE/deploy/pki/prepare" "$STATE/pki"
    run "$SOURCE/deploy/broker/prepare" "$STATE/broker" "$BROKER_PORT" "$STATE/pki"
}

start_broker() {
    start_process broker mosquitto -c "$STATE/broker/mosquitto.conf" || fail "the broker did not start" "$LOGS/broker.log"
    wait_ready broker 10 listening "$BROKER_PORT"
}

# From scratch in half a minute, or as a copy of the prepared folder ERP_PREPARED.
prepare_erp() {
    local options=(--state "$STATE/tryton" --port "$ERP_PORT")
    if [ -n "$ERP_PREPARED" ] && [ ! -e "$STATE/tryton/prepared.json" ]; then options+=(--from "$ERP_PREPARED"); fi
    run "$SOURCE/deploy/tryton/prepare" "${options[@]}"
}

# erp USER ARGUMENT...: the small client as that user.
erp() {
    local user=$1
    shift
    "$PYTHON" "$SOURCE/deploy/tryton/client.py" --url "http://127.0.0.1:$ERP_PORT" --user "$user" \
        --password-file "$STATE/tryton/secrets/$user" "$@"
}

start_erp() {
    start_process erp "$SOURCE/deploy/tryton/serve" --state "$STATE/tryton" || fail "the ERP did not start" "$LOGS/erp.log"
    wait_ready erp 60 listening "$ERP_PORT"
    run erp collector wait --timeout 60
}

prepare_collector() {
    COLLECTOR_ERP_PORT=${COLLECTOR_ERP_PORT:-$ERP_PORT}
    fill "$TEMPLATES/collector.toml.in" "$STATE/collector/collector.toml"
    run "$COLLECTOR" check --config "$STATE/collector/collector.toml"
    prepare_operator
    # shellcheck disable=SC2119
    load_catalog
}

# The operator "demo": with OPERATOR_KEY is signed what a person decides here.
prepare_operator() {
    [ -e "$OPERATOR_KEY" ] ||
        run "$COLLECTOR" operator add demo --out "$OPERATOR_KEY" --config "$STATE/collector/collector.toml"
}

# load_catalog OPTION...: what the files of the catalog folder say comes into force.
# shellcheck disable=SC2120 # tests pass options
load_catalog() {
    run "$COLLECTOR" catalog load --key "$OPERATOR_KEY" --config "$STATE/collector/collector.toml" "$@"
}

start_collector() {
    start_process collector "$COLLECTOR" run --config "$STATE/collector/collector.toml" ||
        fail "the collector did not start" "$LOGS/collector.log"
    wait_ready collector 15 http_ok "$COLLECTOR_PORT" /healthz
}

# prepare_agent NAME: configuration, keys and, once, the enrolment by file. The broker reads its access list again after it.
prepare_agent() {
    local folder=$STATE/agents/$1
    mkdir -p "$folder"
    fill "$TEMPLATES/agent-$1.toml.in" "$folder/agent.toml"
    run "$AGENT" check --config "$folder/agent.toml"
    # The agent writes it last.
    [ ! -e "$folder/state/enrolment.pem" ] || return 0
    run "$AGENT" enroll --config "$folder/agent.toml" --out "$folder/request.pem"
    run "$COLLECTOR" enroll --config "$STATE/collector/collector.toml" "$folder/request.pem" --out "$folder/enrolment.pem"
    run "$AGENT" enroll --config "$folder/agent.toml" --answer "$folder/enrolment.pem"
    signal_process broker HUP
}

start_agent() { # NAME
    start_process "agent-$1" "$AGENT" run --config "$STATE/agents/$1/agent.toml" ||
        fail "the agent $1 did not start" "$LOGS/agent-$1.log"
    wait_ready "agent-$1" 15 "$AGENT" status --config "$STATE/agents/$1/agent.toml"
}

# send_events ARGUMENT...: the sample application; its log grows over all runs.
send_events() {
    "$PYTHON" "$SOURCE/deploy/demo/app.py" --agent "http://127.0.0.1:$AGENT_PORT/v1/events" \
        --log "$STATE/app/answers.jsonl" "$@"
}

# prove_invoice NUMBER: line 1 of that invoice in the ERP, from its signed readings, with public keys alone and no network.
# What the verifier said is in STATE/proof/NUMBER.txt.
prove_invoice() {
    local folder=$STATE/proof config=$STATE/collector/collector.toml
    mkdir -p "$folder"
    run "$COLLECTOR" keys -o "$folder/keys" --config "$config"
    run "$COLLECTOR" prove "$1" 1 -o "$folder/$1.bundle" --config "$config"
    "$VERIFY" "$folder/$1.bundle" --keys "$folder/keys" >"$folder/$1.txt" ||
        fail "the line is not proven" "$folder/$1.txt"
}
