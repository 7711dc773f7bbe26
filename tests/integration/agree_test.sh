#!/bin/bash
# Both verifiers over 200 bundles of random worlds and 200 damaged ones: they must agree on each.
set -Eeuo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=${BUILD:-$HERE/../../build/dev}
STATE_FOLDER=
while [ $# -gt 0 ]; do
    case $1 in
    --state) STATE_FOLDER=${2:?a folder}; shift 2 ;;
    *) echo "usage: agree_test.sh [--state DIR]    needs BUILD, a folder with test programs (default build/dev)" >&2; exit 64 ;;
    esac
done
SAMPLES=${STATE_FOLDER:-$(mktemp -d /var/tmp/ledgerline-agree.XXXXXX)}
mkdir -p "$SAMPLES"
rm -rf "${SAMPLES:?}"/*
LEDGERLINE_SAMPLES=$SAMPLES "$BUILD/tests/test-collector-fold" "[.samples]"
"$HERE/../audit/agree" --verify "$BUILD/ledgerline-verify" "$SAMPLES"
[ -n "$STATE_FOLDER" ] || rm -rf "$SAMPLES"
