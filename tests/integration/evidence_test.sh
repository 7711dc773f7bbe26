#!/bin/bash
# The small run of tests/integration/evidence for tests/run.
exec "$(dirname "${BASH_SOURCE[0]}")/evidence" "$@"
