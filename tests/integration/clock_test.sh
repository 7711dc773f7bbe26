#!/bin/bash
# tests/integration/clock for tests/run.
exec "$(dirname "${BASH_SOURCE[0]}")/clock" "$@"
