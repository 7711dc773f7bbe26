"""Broker, collector, agents and who makes their certificates, all by one clock that the test sets: any day of any year."""
import datetime
import os
import time

from desk import CONTRACT, LINK, Unexpected
from recovery_plant import Plant
from shifted import all_with_one_clock, write_clock

NO_SILENCE = '9000h'  # the clock is set ahead by months; nobody was silent


def instant(text):
    return datetime.datetime.fromisoformat(text)


class World(Plant):
    """`begin`: when the certificates are made. `contracts`: name -> zone, anchor, period; each has a subject of its name."""

    def __init__(self, folder, build, begin, contracts):
        clock = os.path.join(folder, 'clock')
        programs, environment = all_with_one_clock(folder, build, clock)
        super().__init__(folder, programs)
        self.stack.set_environment(**environment)
        self._clock, self._contracts = clock, contracts
        self.go_to(begin)

    # ---- Time

    def go_to(self, when):
        """A time source sets the clock ahead, or for the first time."""
        self._shift_ms = round((instant(when).timestamp() - time.time()) * 1000)
        write_clock(self._clock, self._shift_ms, synchronised=True)

    def wait_for(self, when):
        """The time passes by itself."""
        time.sleep(max(0, instant(when).timestamp() - time.time() - self._shift_ms / 1000))

    # ---- What happens in it

    def start_all(self, devices):
        self.device = next(iter(devices))
        super().start_all(devices)
        self.run_agent(self.device)

    def start(self, contracts):
        super().start(self._contracts)  # of contracts, not of devices

    def write_contract(self, name, **terms):
        text = CONTRACT.replace('"UTC"', '"%s"' % terms['zone']).replace('PT10M', terms['period']) % {
            'name': name, 'silence': NO_SILENCE, 'adjust_after': '10h', 'anchor': terms['anchor']}
        self._write('catalog.d', '20-%s.toml' % name, text + LINK % (self.device, name, name))

    def meter(self, count, *subjects):
        """Events without a time: the agent's clock tells it."""
        time.sleep(2)  # it looks at its clock each second
        connection = self.until(self.device + ' listens', lambda: self._connected(self.device))
        events = [{'specversion': '1.0', 'type': 'requests', 'source': 'app', 'subject': subject,
                   'id': '%d-%d' % (time.monotonic_ns(), number), 'data': {'value': 1}}
                  for number in range(count) for subject in subjects]
        self.until('the agent takes events', lambda: self._posted(connection, events, self.device))

    # ---- What became of it

    def billed_as(self, contract, wanted):
        """`wanted`: begin, end, quantity of each period with one. Exactly these documents are there and in the ERP."""
        periods = {(instant(begin), instant(end)): quantity for begin, end, quantity in wanted}

        def probe():
            rows = [row for row in self.stack.collector('documents') if row['contract'] == contract]
            found = sum(quantity_of(row['total']) for row in rows if row['state'] == 'confirmed')
            return found >= sum(periods.values()) and rows
        rows = self.until('%s is billed' % contract, probe)
        found = [(span_of(row), quantity_of(row['total'])) for row in rows]
        if sorted(found) != sorted(periods.items()):
            raise Unexpected('%s: billed %s, not %s' % (contract, found, wanted))
        held = sorted(map(quantity_of, self.erp.total_of('C-' + contract)))
        if held != sorted(periods.values()):
            raise Unexpected('%s: the ERP holds %s, not %s' % (contract, held, wanted))
        return rows

    def flagged_nothing(self):
        rows = self.stack.collector('exceptions', 'list', '--state', 'all')
        if rows:
            raise Unexpected('flagged: %s' % rows)
        return 'nothing'


def span_of(row):
    return tuple(instant(row[name].replace('Z', '+00:00')) for name in ('period_from', 'period_until'))


def quantity_of(total):
    return round(float(total) * 100)
