#!/bin/bash
# tests/integration/exceptions for tests/run.
exec "$(dirname "${BASH_SOURCE[0]}")/exceptions" "$@"
