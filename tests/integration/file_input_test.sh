#!/bin/bash
# The small run of tests/integration/file_input for tests/run, with lines of its own.
exec "$(dirname "${BASH_SOURCE[0]}")/file_input" --generated 4000 --kills 5 "$@"
