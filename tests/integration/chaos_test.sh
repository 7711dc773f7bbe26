#!/bin/bash
# The small run of tests/integration/chaos for tests/run.
exec "$(dirname "${BASH_SOURCE[0]}")/chaos" --events 3000 --rate 40 --kills 12 --erp-kills 2 "$@"
