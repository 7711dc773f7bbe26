"""Agents whose wall clock, time source and reboots the test decides."""
import datetime
import json
import os
import time

from desk import METER, Unexpected
from recovery_plant import PERIOD_S, Plant
from shifted import each_with_its_clock, write_clock

DAY_MS = 86_400_000
HOST_METERS = (('host.cpu.seconds', 's', 'register', 'sum'), ('host.memory.used', 'By', 'gauge', 'max'),
               ('host.load1', '1', 'gauge', 'max'), ('host.net.received', 'By', 'register', 'sum'),
               ('host.net.sent', 'By', 'register', 'sum'))
PROC = {'stat': 'cpu  1 0 1 1 0 0 0 0 0 0\n', 'diskstats': '', 'loadavg': '0.00 0.00 0.00 1/1 1\n',
        'meminfo': 'MemTotal: 2 kB\nMemAvailable: 1 kB\n', 'sys/kernel/random/boot_id': 'one boot\n'}
NET_DEV = 'eth0: %d 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n'


class Gateways(Plant):
    def __init__(self, folder, build):
        super().__init__(folder, each_with_its_clock(folder, build))
        self.meters.update({row[0]: METER % row for row in HOST_METERS})
        self.prices.append('host.net.received')
        self.recorded = {}  # device -> begin of the period -> quantity that was metered in it
        self._boots = {}
        self._received = {}  # device -> bytes that its network interface counted

    def set_clock(self, name, shift_ms=0, synchronised=False, reboot=False):
        self._boots[name] = self._boots.get(name, 1) + reboot
        write_clock(os.path.join(self.home(name), 'clock'), shift_ms, synchronised, self._boots[name])

    def in_1970(self, name, reboot=False):
        self.set_clock(name, shift_ms=5000 - int(time.time() * 1000), reboot=reboot)

    def meter(self, name, count):
        """Events without a time, each answered, and none at a period's edge."""
        connection = self.until(name + ' listens', lambda: self._connected(name))
        for number in range(count):
            event = {'specversion': '1.0', 'type': 'requests', 'source': 'app', 'subject': name,
                     'id': '%d-%d' % (time.monotonic_ns(), number), 'data': {'value': 1}}
            self._within_a_period(name, 1, lambda: self.until(
                name + ' takes the event', lambda: self._posted(connection, [event], name)))

    def append(self, name, count):
        """Lines without a time, and each is read."""
        def act():
            before = self._lines(name)
            with open(os.path.join(self.home(name), 'app.log'), 'a', encoding='utf-8') as file:
                file.write('{"value": 1}\n' * count)
            self.until(name + ' reads the lines', lambda: self._lines(name) == before + count)
        self._within_a_period(name, count, act)

    def _lines(self, name):
        return self.until(name + ' follows its file', lambda: self.stack.agent_status(name)['inputs']['file'])[0]['lines']

    def receive(self, name, count):
        """The machine's counter goes on by so many bytes, and is measured."""
        def act():
            self.write_proc(name, self._received[name] + count)
            for _ in range(2):  # the first one may have been measured before
                seq = self.stack.agent_status(name)['next_seq']
                self.until(name + ' measures', lambda: self.stack.agent_status(name)['next_seq'] > seq)
        self._within_a_period(name, count, act)

    def write_proc(self, name, received):
        proc = os.path.join(self.home(name), 'proc')
        self._received[name] = received
        for file, text in dict(PROC, **{'net/dev': NET_DEV % received}).items():
            path = os.path.join(proc, file)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path + '.new', 'w', encoding='utf-8') as out:
                out.write(text)
            os.replace(out.name, path)

    def _within_a_period(self, name, count, act):
        if self._left_of_period() < 4:
            self.between_periods()
        period = int(time.time() * 1000 - self.began_ms) // (PERIOD_S * 1000)
        act()
        periods = self.recorded.setdefault(name, {})
        periods[period] = periods.get(period, 0) + count

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

    def flagged_nothing(self, name):
        rows = [row for row in self.stack.collector('exceptions', 'list', '--state', 'all') if name in row.values()]
        if rows:
            raise Unexpected('%s: flagged %s' % (name, json.dumps(rows)))
        return 'nothing'

    def flagged(self, name, kind, count):
        row = self.exception(kind, device=name)
        if row['count'] != count:
            raise Unexpected('%s %s: %s readings, not %d: %s' % (name, kind, row['count'], count, json.dumps(row)))
        return '%s, %d' % (kind, count)
