"""What every case works with: broker, collector, an ERP stub and devices that sign what no agent would send."""
import datetime
import os
import re
import shlex
import time

import forge
from stack import Stack
from stub_erp import StubErp

HERE = os.path.dirname(os.path.abspath(__file__))
WHO = 'Ann'         # whom work is given to
OPERATOR = 'demo'   # whose key signs what is done
PERIOD_MS = 600_000
PATIENCE_S = 300  # that it happens is tested, not how soon: also with sanitizers, on a busy machine
COLLECTOR = '''state = "state"
catalog = "@CATALOG@"
listen = "127.0.0.1:@COLLECTOR_PORT@"

[broker]
host = "127.0.0.1"
port = @BROKER_PORT@
ca = "@STATE@/pki/ca.pem"
certificate = "@STATE@/pki/collector.pem"
private_key = "@STATE@/pki/collector.key"
acl_file = "@STATE@/broker/acl"

[authority]
certificate = "@STATE@/pki/ca.pem"
private_key = "@STATE@/pki/ca.key"

[store]
map_size = "1GiB"

[[connector]]
name = "stub"
profile = "%s/stub.lua"
url = "http://127.0.0.1:@COLLECTOR_ERP_PORT@/"
timeout = "5s"
''' % HERE
AGENT = '''tenant = "demo"
device = "%s"
state = "state"

[broker]
host = "127.0.0.1"
port = @BROKER_PORT@

[[meter]]
name = "requests"
unit = "1"
kind = "delta"
scale = 0
class = "billing"
'''
METER = '''
[[meter]]
name = "%s"
unit = "%s"
kind = "%s"
aggregation = "%s"
'''
DIAGNOSTIC_METER = '''
[[meter]]
name = "trace"
unit = "1"
kind = "gauge"
class = "diagnostic"
'''
CARD = '''
[[rate_card]]
name = "standard"
version = 1
currency = "EUR"
from = "2020-01-01T00:00:00Z"
'''
PRICE = '''  [[rate_card.price]]
  meter = "%s"
  product = "P"
  unit_price = "0.01"
'''
CONTRACT = '''
[[account]]
name = "%(name)s"
external = "C-%(name)s"

[[contract]]
name = "%(name)s"
account = "%(name)s"
connector = "stub"
currency = "EUR"
time_zone = "UTC"
anchor = "%(anchor)s"
period = "PT10M"
grace = "1s"
silence = "%(silence)s"
adjust_after = "%(adjust_after)s"
approval = "auto"
  [[contract.subscription]]
  name = "%(name)s-api"
  rate_card = "standard"
'''
LINK = '''
[[link]]
device = "%s"
subject = "%s"
subscription = "%s-api"
from = "2020-01-01T00:00:00Z"
'''
# Of the devices: number, name, unit, kind as in the protocol.
REQUESTS, SEATS, CALLS, VOLUME = (1, 'requests', '1', 2), (2, 'seats', '1', 3), (3, 'calls', '1', 2), (4, 'volume', 'MB', 2)
METERS = (REQUESTS, SEATS, CALLS, VOLUME)


class Unexpected(Exception):
    """The collector showed something else than it must."""


class Device(forge.Device):
    """Sends at once, and knows its totals."""

    def __init__(self, desk, name):
        super().__init__(desk.stack.path('agents', name, 'state'))
        self.desk, self.sums, self.beats = desk, {}, 0

    def send(self, readings, records=(), totals=None, dimension=None):
        """readings: (meter, subject, seconds into the period, value[, flags])."""
        if self.number == 0:
            records = (forge.meter_table(METERS), *records)
        rows = [(meter[0], subject, self.desk.began_ms + round(seconds * 1000), value, *(flags or (0,)))
                for meter, subject, seconds, value, *flags in readings]
        for number, _, _, value, _ in rows:
            self.sums[number] = self.sums.get(number, 0) + value
        plain = forge.section(self.next_seq, rows, records, dimension)
        self.send_raw(forge.zstd_stored(plain), len(plain), len(rows), sorted((totals or self.sums).items()))

    def send_raw(self, compressed, plain_size, readings, totals):
        self._publish('batch', self.batch(compressed, plain_size, readings, totals))

    def promise(self):
        """All up to now is there: the contract's period may close."""
        self.beats += 1
        self._publish('heartbeat', self.heartbeat(self.beats, int(time.time() * 1000)))

    def _publish(self, kind, payload):
        # The broker may be reading its access list again.
        self.desk.until('the broker takes it', lambda: not self.publish(
            self.desk.stack.ports()['BROKER_PORT'], kind, payload))


class Desk:
    def __init__(self, folder, build):
        self.erp = StubErp()
        self.stack = Stack(folder, build, templates=os.path.join(folder, 'templates'),
                           catalog=os.path.join(folder, 'catalog.d'))
        self.began_ms = (int(time.time() * 1000) // PERIOD_MS - 6) * PERIOD_MS
        self.meters = {name: METER % (name, unit, kind, how) for name, unit, kind, how in (
            ('requests', '1', 'delta', 'sum'), ('seats', '1', 'gauge', 'max'), ('volume', 'GB', 'delta', 'sum'))}
        self.prices = ['requests', 'seats', 'volume']

    # ---- Running

    def start(self, contracts):
        for folder in ('templates', 'catalog.d'):
            os.makedirs(self.stack.path(folder))
        self._write('templates', 'collector.toml.in', COLLECTOR)
        self.write_meters()
        for name, options in contracts.items():
            self.write_contract(name, **options)
        self.stack.call('prepare_broker')
        self.stack.start('broker')
        self.stack.call('prepare_collector', COLLECTOR_ERP_PORT=str(self.erp.port))
        self.stack.start('collector')

    def stop(self):
        self.erp.stop()
        self.stack.stop_all()

    def _write(self, folder, name, text):
        with open(self.stack.path(folder, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def write_meters(self):
        self._write('catalog.d', '10-prices.toml', 'tenant = "demo"\n' + ''.join(self.meters.values()) + CARD +
                    ''.join(PRICE % name for name in self.prices))

    def write_contract(self, name, more='', silence='10h', adjust_after='10h'):
        anchor = datetime.datetime.fromtimestamp(self.began_ms / 1000, datetime.timezone.utc)
        self._write('catalog.d', '20-%s.toml' % name, CONTRACT % {
            'name': name, 'silence': silence, 'adjust_after': adjust_after,
            'anchor': anchor.strftime('%Y-%m-%dT%H:%M:%SZ')} + LINK % (name, name, name) + more)

    def refuse_catalog(self):
        """One that does not check is not loaded: the one before stays in force."""
        self._write('catalog.d', '99-wrong.toml', '[[meter]]\nname = "half"\n')
        self._refused('99-wrong.toml:1')
        os.unlink(self.stack.path('catalog.d', '99-wrong.toml'))

    def refuse_price(self):
        """One that makes what is closed dearer is not loaded either."""
        with open(self.stack.path('catalog.d', '10-prices.toml'), encoding='utf-8') as file:
            prices = file.read()
        self._write('catalog.d', '10-prices.toml', prices.replace('"0.01"', '"0.02"'))
        self._refused('this would alter closed periods')
        self._write('catalog.d', '10-prices.toml', prices)

    def _refused(self, why):
        before = self.versions()
        code, _, err = self.stack.command(self.stack.collector_program, *self._load())
        if code == 0 or why not in err:
            raise Unexpected('catalog load: exit code %d, not %r: %s' % (code, why, err))
        if self.versions() != before:
            raise Unexpected('a refused catalog was logged: %s' % self.versions())

    def _load(self):
        return ('catalog', 'load', '--adjust-closed', '--key', self.stack.operator_key, '--reason', 'a case', '--config',
                self.stack.collector_config)

    def versions(self):
        return self.stack.ask(self.stack.collector_program, 'catalog', 'show', '--config', self.stack.collector_config)

    def load(self):
        """What an operator does after editing the catalog."""
        return self.command(shlex.join(('ledgerline-collector', *self._load())))

    def device(self, name, more=''):
        self._write('templates', 'agent-%s.toml.in' % name, AGENT % name + more)
        self.stack.call('prepare_agent', name)
        return Device(self, name)

    # ---- Asking

    def until(self, what, probe):
        """The probe's first true result."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = probe()
            if found:
                return found
            if time.monotonic() > deadline:
                raise Unexpected('%s: not within %d s' % (what, PATIENCE_S))
            time.sleep(0.2)

    def exception(self, kind, **wanted):
        """The open exception of that kind with these members."""
        def probe():
            rows = self.stack.collector('exceptions', 'list', '--kind', kind)
            return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)
        return self.until('exception %s %s' % (kind, wanted), probe)

    def show(self, row):
        return self.stack.collector('exceptions', 'show', row['id'])

    def resolved(self, row):
        """The row once it is resolved."""
        return self.until('exception %s %s is resolved' % (row['kind'], row['id']), lambda: next(
            (found for found in [self.show(row)] if found['state'] == 'resolved'), None))

    def billed(self, contract, *totals):
        """The ERP holds these documents of the contract and no other, and we know that it does."""
        def probe():
            rows = [row for row in self.stack.collector('documents') if row['contract'] == contract]
            return len(rows) >= len(totals) and all(row['state'] == 'confirmed' for row in rows) and rows
        rows = self.until('%d documents of %s' % (len(totals), contract), probe)
        found, there = sorted(row['total'] for row in rows), sorted(self.erp.total_of('C-' + contract))
        if found != sorted(totals) or there != sorted(totals):
            raise Unexpected('%s: %s billed, %s in the ERP, not %s' % (contract, found, there, totals))
        return '%s EUR billed and in the ERP' % ' + '.join(totals)

    # ---- Doing what `exceptions show` says

    def command(self, line):
        words = shlex.split(line)
        code, out, err = self.stack.command(self.stack.collector_program, *words[1:])
        if code != 0:
            raise Unexpected('%s: exit code %d: %s' % (line, code, err.strip()))
        return out.strip()

    def do(self, row, action, reason, **words):
        """Runs the command line that `exceptions show` names for it. Returns that line."""
        named = re.compile(r'ledgerline-collector (exceptions )?%s ' % action)
        lines = [line for line in self.show(row)['commands'] if named.match(line)]
        if not lines:
            raise Unexpected('%s: show names no %s' % (row['kind'], action))
        line = lines[0]
        for name, value in dict(words, FILE=self.stack.operator_key, PERSON=WHO, WHY=shlex.quote(reason)).items():
            line = re.sub(r'\b%s\b' % name, value, line)
        self.command(line)
        for long, short in ((row['id'], row['id'][:11]), (' --config ' + self.stack.collector_config, ''),
                            (self.stack.operator_key, 'demo.key')):
            line = line.replace(long, short)
        return line

    def by_hand(self, row, reason):
        """Assigned, then resolved by a person. Returns the command line."""
        self.do(row, 'assign', reason)
        line = self.do(row, 'ignore', reason)
        found = self.resolved(row)
        history = [(one['action'], one['by']) for one in found['history']]
        if found['resolved_by'] != OPERATOR or history != [('assign', OPERATOR), ('ignore', OPERATOR)]:
            raise Unexpected('resolved by %r, history %s' % (found['resolved_by'], history))
        return line

    def cannot_ignore(self, row):
        """What holds money: it would look solved while nobody is billed."""
        code, _, err = self.stack.command(self.stack.collector_program, 'exceptions', 'ignore', row['id'], '--key',
                                          self.stack.operator_key, '--reason', 'x', '--config', self.stack.collector_config)
        if code == 0 or 'it has: assign' not in err:
            raise Unexpected('ignoring %s: exit code %d %s' % (row['kind'], code, err))

    def by_itself(self, row):
        found = self.resolved(row)
        if found['resolved_by'] != 'auto':
            raise Unexpected('%s was resolved by %r' % (row['kind'], found['resolved_by']))
        return 'closed by itself ("%s")' % found['resolution']


