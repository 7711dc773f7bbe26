#!/bin/bash
# The small run of tests/integration/documents for tests/run.
exec "$(dirname "${BASH_SOURCE[0]}")/documents" --pumps 4 --kills 6 "$@"
