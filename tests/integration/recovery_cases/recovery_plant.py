"""Broker, collector, ERP stub and real agents that can be copied, put back and wiped."""
import datetime
import http.client
import json
import os
import shutil
import signal
import socket
import time
import urllib.request

from desk import CONTRACT, LINK, Desk, Unexpected

PERIOD_S = 30
AGENT = '''tenant = "demo"
device = "%(device)s"
state = "state"

[broker]
host = "127.0.0.1"
port = @BROKER_PORT@

[journal]
quota = "%(quota)s"

[batch]
readings_max = %(readings_max)d
age_max = "%(age_max)s"

[heartbeat]
interval = "1s"
lateness = "%(lateness)s"

[input.http]
socket = "agent.sock"

[[meter]]
name = "requests"
unit = "1"
kind = "delta"
scale = 0
class = "billing"
'''


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=20)
        self._path = path

    def connect(self):
        # A Unix socket's path is short; a folder's need not be.
        folder = os.open(os.path.dirname(self._path), os.O_RDONLY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect('/proc/self/fd/%d/%s' % (folder, os.path.basename(self._path)))
        finally:
            os.close(folder)


class Plant(Desk):
    def __init__(self, folder, build):
        super().__init__(folder, build)
        self.began_ms = int(time.time()) * 1000
        self.sent = {}  # device -> quantity that its app was answered for

    def start_all(self, devices):
        self.start({name: options.get('contract', {}) for name, options in devices.items()})
        for name, options in devices.items():
            text = AGENT % {'device': name, 'lateness': '1s', **options} + options.get('inputs', '')
            self._write('templates', 'agent-%s.toml.in' % name, text)
            self.stack.call('prepare_agent', name)

    def write_contract(self, name, more='', silence='10h', adjust_after='10h'):
        anchor = datetime.datetime.fromtimestamp(self.began_ms / 1000, datetime.timezone.utc)
        text = CONTRACT.replace('PT10M', 'PT%dS' % PERIOD_S) % {
            'name': name, 'silence': silence, 'adjust_after': adjust_after, 'anchor': anchor.strftime('%Y-%m-%dT%H:%M:%SZ')}
        self._write('catalog.d', '20-%s.toml' % name, text + LINK % (name, name, name) + more)

    # ---- Agents

    def home(self, name):
        return self.stack.path('agents', name)

    def run_agent(self, name):
        self.stack.start('agent-' + name)
        self.until(name + ' listens', lambda: self._connected(name))

    def _connected(self, name):
        # `status` answers from the journal before the input listens.
        connection = UnixConnection(os.path.join(self.home(name), 'agent.sock'))
        try:
            connection.connect()
        except OSError:
            return None
        return connection

    def stop_agent(self, name):
        self.stack.call('stop_process', 'agent-' + name)
        self.stack.reap('agent-' + name)

    def signal_agent(self, name, number):
        os.kill(self.stack.pid('agent-' + name), number)

    def kill_agent(self, name):
        self.stack.kill('agent-' + name)
        self.stack.call('wait_until', 5, 'process_gone', 'agent-' + name)
        self.stack.reap('agent-' + name)

    def send(self, name, count, home=None, value=1):
        """So many readings, each answered. What another image of the device sends is not counted as the device's."""
        connection = self.until('%s listens' % (home or name), lambda: self._connected(home or name))
        for first in range(0, count, 200):
            now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.%f')[:-3] + 'Z'
            events = [{'specversion': '1.0', 'type': 'requests', 'source': 'app', 'time': now, 'subject': name,
                       'id': '%s-%d-%d' % (home or name, time.monotonic_ns(), n), 'data': {'value': value}}
                      for n in range(first, min(first + 200, count))]
            self.until('%s takes events' % (home or name), lambda: self._posted(connection, events, name))
        if home is None:
            self.sent[name] = self.sent.get(name, 0) + count * value

    def _posted(self, connection, events, name):
        """False where the journal pushes back: the same events are sent again, and count once."""
        connection.request('POST', '/v1/events', json.dumps(events), {'Content-Type': 'application/cloudevents-batch+json'})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status not in (200, 429, 507):
            raise Unexpected('the agent %s answered %d: %s' % (name, answer.status, text))
        return answer.status == 200

    def drained(self, name, home=None):
        def probe():
            status = self.stack.agent_status(home or name)
            done = status['acked_upto'] == status['head_batch'] and status['sealed_upto'] == status['next_seq'] - 1
            return done and status
        return self.until('all receipts of ' + (home or name), probe)

    # ---- The collector and its store

    def stop_collector(self):
        self.stack.call('stop_process', 'collector')
        self.stack.reap('collector')

    def kill_collector(self):
        self.stack.kill('collector')
        self.stack.call('wait_until', 5, 'process_gone', 'collector')
        self.stack.reap('collector')

    def store(self):
        return self.stack.path('collector', 'state', 'store')

    def checkpoint_file(self):
        return self.stack.path('collector', 'state', 'checkpoint')

    def agent_log(self, name):
        """What the agent has seen of the evidence log, once it has asked after a new start."""
        asked = self.stack.agent_status(name).get('log', {}).get('checkpoint')
        self.stop_agent(name)
        self.run_agent(name)
        return self.until('%s is shown the log' % name, lambda: next(
            (log for log in [self.stack.agent_status(name).get('log')] if log and log['checkpoint'] != asked), None))

    def register_operator_again(self):
        """The store that knew whose signature counts is gone; the person still has the key."""
        public = self.stack.path('operator.pub')
        code, out, err = self.stack.command('openssl', 'pkey', '-in', self.stack.operator_key, '-pubout', '-out', public)
        if code != 0:
            raise Unexpected('openssl pkey: ' + out + err)
        self.command('ledgerline-collector operator add demo --public-key %s --reason "store lost" --config %s' % (
            public, self.stack.collector_config))

    def health(self):
        url = 'http://127.0.0.1:%d/healthz' % self.stack.ports()['COLLECTOR_PORT']
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def status(self):
        return self.stack.collector('status')

    def stream(self, name):
        rows = [row for row in self.status()['streams'] if row['device'] == name and row['status'] != 'closed']
        return rows[0] if rows else None

    # ---- What became of the readings

    def billed_quantity(self, name):
        """Sum of what the ERP holds, at 0.01 per reading. None while a document is on its way."""
        rows = [row for row in self.stack.collector('documents') if row['contract'] == name]
        if not all(row['state'] == 'confirmed' for row in rows):
            return None
        return sum(round(float(total) * 100) for total in self.erp.total_of('C-' + name))

    def in_erp(self, name):
        """Document -> quantity that the ERP holds, whatever the store says."""
        return {id: round(float(row['total']) * 100) for id, row in self.erp.documents.items()
                if row['account'] == 'C-' + name}

    def compared(self, name):
        """The documents in conflict, in a list within a list; nothing while one is on its way."""
        rows = [row for row in self.stack.collector('documents') if row['contract'] == name]
        open_ones = {row['id'] for row in rows if row['state'] != 'confirmed'}
        conflicts = {row['document'] for row in self.stack.collector('exceptions', 'list', '--kind', 'delivery_conflict')}
        held = self.in_erp(name)
        agree = all(row['id'] in held for row in rows)
        return [sorted(open_ones)] if agree and open_ones <= conflicts else None

    def named_quantity(self, name, kind):
        rows = self.stack.collector('exceptions', 'list', '--kind', kind, '--state', 'all')
        return sum(int(row['value']) for row in rows if row['device'] == name and row['meter'] == 'requests')

    def asked(self, row):
        """What `exceptions show` asks and offers, as one cell of the table."""
        shown = self.show(row)
        lines = [line.replace(' --config ' + self.stack.collector_config, '') for line in shown['commands']]
        return '%s (%s, by %s): %s %s' % (row['kind'], shown['owner'], 'a deadline' if shown['deadline'] else 'no deadline',
                                          shown['action'], '; '.join('`%s`' % line for line in lines))

    def copy(self, source, target):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns('*.sock'))


STOP, GO = signal.SIGSTOP, signal.SIGCONT
