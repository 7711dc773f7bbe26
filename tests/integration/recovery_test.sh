#!/bin/bash
# tests/integration/recovery for tests/run.
exec "$(dirname "${BASH_SOURCE[0]}")/recovery" "$@"
