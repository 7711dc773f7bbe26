#!/bin/bash
# tests/integration/bad_input for tests/run.
exec "$(dirname "${BASH_SOURCE[0]}")/bad_input" "$@"
