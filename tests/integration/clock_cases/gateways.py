"""Agents whose wall clock, time source and reboots the test decides: tests/support/clock/shifted_clock.c."""
import datetime
import json
import os
import struct
import subprocess
import time

from desk import Unexpected
from recovery_plant import PERIOD_S, Plant
from stack import ROOT, StackError

DAY_MS = 86_400_000
WRAPPER = '''#!/bin/bash
# The program of the same name with the clock of the device whose configuration is named.
clock=/nonexistent previous=
for word in "$@"; do
    if [ "$previous" = --config ]; then clock=$(dirname "$word")/clock; fi
    previous=$word
done
LD_PRELOAD="%s" SHIFTED_CLOCK=$clock exec "%s" "$@"
'''


def with_shifted_clocks(folder, build):
    """A folder of programs like `build`, where each agent has a clock of its own."""
    made, agent = os.path.join(folder, 'programs'), os.path.join(build, 'ledgerline-agent')
    os.makedirs(made)
    library = os.path.join(made, 'shifted_clock.so')
    source = os.path.join(ROOT, 'tests', 'support', 'clock', 'shifted_clock.c')
    done = subprocess.run(['cc', '-O1', '-Wall', '-shared', '-fPIC', '-o', library, source, '-ldl'],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError('cc: ' + done.stderr)
    needs = subprocess.run(['ldd', agent], capture_output=True, text=True, check=True).stdout.split()
    before = [word for word in needs if word.startswith('/') and 'libasan' in word]  # it wants to be the first one
    with open(os.path.join(made, 'ledgerline-agent'), 'w', encoding='utf-8') as file:
        file.write(WRAPPER % (' '.join(before + [library]), agent))
    os.chmod(file.name, 0o755)
    for name in os.listdir(build):
        if name.startswith('ledgerline-') and name != 'ledgerline-agent':
            os.symlink(os.path.join(build, name), os.path.join(made, name))
    return made


class Gateways(Plant):
    def __init__(self, folder, build):
        super().__init__(folder, with_shifted_clocks(folder, build))
        self.recorded = {}  # device -> begin of the period -> readings that were answered in it
        self._boots = {}

    def set_clock(self, name, shift_ms=0, synchronised=False, reboot=False):
        self._boots[name] = self._boots.get(name, 1) + reboot
        path = os.path.join(self.home(name), 'clock')
        with open(path, 'r+b' if os.path.exists(path) else 'wb') as file:
            file.write(struct.pack('<qqq', shift_ms, synchronised, self._boots[name]))

    def in_1970(self, name, reboot=False):
        self.set_clock(name, shift_ms=5000 - int(time.time() * 1000), reboot=reboot)

    def meter(self, name, count):
        """Events without a time, each answered, and none at a period's edge."""
        connection = self.until(name + ' listens', lambda: self._connected(name))
        for number in range(count):
            event = {'specversion': '1.0', 'type': 'requests', 'source': 'app', 'subject': name,
                     'id': '%d-%d' % (time.monotonic_ns(), number), 'data': {'value': 1}}
            if self._left_of_period() < 3:
                self.between_periods()
            period = int(time.time() * 1000 - self.began_ms) // (PERIOD_S * 1000)
            self.until(name + ' takes the event', lambda: self._posted(connection, [event], name))
            periods = self.recorded.setdefault(name, {})
            periods[period] = periods.get(period, 0) + 1

    def between_periods(self):
        """Waits until a period has just begun, so that what follows lies in it."""
        time.sleep(self._left_of_period() + 1)

    def _left_of_period(self):
        return PERIOD_S - (time.time() - self.began_ms / 1000) % PERIOD_S

    def clock(self, name):
        return self.stack.agent_status(name)['clock']

    def believes(self, name, believed):
        return self.until('%s %s its clock' % (name, 'believes' if believed else 'doubts'), lambda: (
            self.clock(name)['believed'] == believed and self.clock(name)))

    def billed_as_recorded(self, name, missing=0):
        """Each period's document has the quantity that was recorded in it. Returns the sum."""
        wanted = dict(self.recorded[name])

        def probe():
            rows = [row for row in self.stack.collector('documents') if row['contract'] == name]
            found = {}
            for row in rows:
                begin = datetime.datetime.fromisoformat(row['period_from'].replace('Z', '+00:00')).timestamp() * 1000
                period = int(begin - self.began_ms) // (PERIOD_S * 1000)
                found[period] = found.get(period, 0) + round(float(row['total']) * 100)
            found = {period: quantity for period, quantity in found.items() if quantity}
            return sum(found.values()) >= sum(wanted.values()) - missing and found
        found = self.until('%s is billed' % name, probe)
        if not missing and found != wanted:
            raise Unexpected('%s: billed per period %s, recorded %s' % (name, found, wanted))
        return sum(found.values())

    def flagged(self, name, kind, count):
        row = self.exception(kind, device=name)
        if row['count'] != count:
            raise Unexpected('%s %s: %s readings, not %d: %s' % (name, kind, row['count'], count, json.dumps(row)))
        return '%s, %d' % (kind, count)
