#!/bin/bash
# The small run of tests/integration/outage for tests/run.
exec "$(dirname "${BASH_SOURCE[0]}")/outage" --events 20000 "$@"
