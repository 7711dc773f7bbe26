#!/bin/bash
# What stands beside the programs in the packages says what they do: man pages and completions, the configurations with each
# of their comments' settings, and how much the units leave open.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DEBIAN=$(cd "$HERE/../../deploy/debian" && pwd)
BUILD=${BUILD:-$HERE/../../build/release}
export ASAN_OPTIONS=detect_leaks=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$DEBIAN/generate" --build "$BUILD" --check
mandoc -Tlint -Wwarning "$DEBIAN"/man/*.[15]
for file in "$DEBIAN"/completions/*; do bash -n "$file"; done

# Every setting that a comment shows is one, with a value that is taken.
"$HERE/../../deploy/pki/prepare" "$folder/pki"
cp -r "$HERE/../../deploy/connectors" "$HERE/../../deploy/demo/catalog.d" "$folder/"
mkdir "$folder/state"
install -m 600 /dev/null "$folder/pki/erp-password"
for name in agent collector; do
    sed -E -e 's/^#([^ ])/\1/' -e 's/CHANGE-ME/demo/' -e "s|/etc/ledgerline/|$folder/|; s|/usr/share/ledgerline/|$folder/|" \
        -e "s|/var/lib/ledgerline/[a-z]*|$folder/state|" "$DEBIAN/$name.toml" >"$folder/$name.toml"
    "$BUILD/ledgerline-$name" check --config "$folder/$name.toml"
done

for unit in "$DEBIAN"/*.service; do
    systemd-analyze security --offline=yes --threshold=20 --no-pager "$unit" | tail -n 1
done

# The agent asks whether the clock is synchronised; which call that is depends on the processor.
PYTHONPATH=$HERE/../support/harness /usr/bin/python3 -B - "$DEBIAN/ledgerline-agent.service" <<'END'
import sys
from service_manager import allowed_calls, read_unit
refused = {'adjtimex', 'clock_adjtime', 'clock_adjtime64'} - allowed_calls(read_unit(sys.argv[1])['SystemCallFilter'])
if refused:
    sys.exit('%s refuses %s' % (sys.argv[1], ', '.join(sorted(refused))))
END
