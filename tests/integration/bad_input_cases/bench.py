"""What every case works with: one running stack with a few devices, and the means to ask it."""
import http.client
import json
import os
import re
import shutil
import subprocess
import time

from stack import ROOT, Stack

DEMO = os.path.join(ROOT, 'deploy', 'demo')
# A device whose definitions do not fit the catalog, one that only wears certificates, one on a small disk.
MORE_CATALOG = '''
[[account]]
name = "ghost"
legal_name = "Ghost Ltd"
external = "C-9999"

[[contract]]
name = "ghost-2026"
account = "ghost"
connector = "tryton"
currency = "EUR"
time_zone = "Europe/London"
anchor = "2026-01-01T00:00:00Z"
period = "PT1M"
grace = "1s"
approval = "auto"

  [[contract.subscription]]
  name = "ghost-api"
  rate_card = "api-standard"

[[link]]
device = "app-1"
subject = "ghost"
subscription = "ghost-api"
from = "2026-01-01T00:00:00Z"
'''
AGENT = '''
tenant = "demo"
device = "%(device)s"
state = "state"

[broker]
host = "127.0.0.1"
port = @BROKER_PORT@

[batch]
age_max = "200ms"

[heartbeat]
interval = "1s"
lateness = "1s"

[input.http]
socket = "@STATE@/agents/%(device)s/agent.sock"
%(meters)s'''
METER = '''
[[meter]]
name = "%s"
unit = "%s"
kind = "delta"
scale = %d
class = "billing"
'''


class Unexpected(Exception):
    """The stack showed something else than it must."""


def expect(text, *patterns):
    """All patterns occur in the text; returns the text."""
    for pattern in patterns:
        if not re.search(pattern, text):
            raise Unexpected('%r does not occur in %r' % (pattern, text[-3000:]))
    return text


class Bench:
    def __init__(self, folder, build):
        self.stack = Stack(folder, build, os.environ.get('ERP_PREPARED'), lateness='1s',
                           templates=os.path.join(folder, 'templates'), catalog=os.path.join(folder, 'catalog.d'))
        self.mounts = []
        self._sent = 0

    # ---- Starting

    def start(self):
        stack = self.stack
        self._write_inputs()
        stack.call('prepare_erp')
        stack.start('erp')
        stack.call('prepare_broker')
        stack.start('broker')
        os.makedirs(stack.path('collector', 'state'))
        self.mount(stack.path('collector', 'state'), '96m')
        stack.call('prepare_collector', COLLECTOR_ERP_PORT=str(stack.ports()['ERP_PORT']))
        stack.start('collector')
        for device in ('app-1', 'app-2'):
            stack.call('prepare_agent', device)
            stack.start('agent-' + device)

    def _write_inputs(self):
        shutil.copytree(os.path.join(DEMO, 'catalog.d'), self.stack.path('catalog.d'))
        with open(self.stack.path('catalog.d', 'more.toml'), 'w') as file:
            file.write(MORE_CATALOG)
        os.makedirs(self.stack.path('templates'))
        for name in ('agent-app-1.toml.in', 'collector.toml.in'):
            shutil.copy(os.path.join(DEMO, name), self.stack.path('templates'))
        self.write_agent('app-2', METER % ('data.volume', 'MB', 0) + METER % ('api.errors', '1', 0))

    def write_agent(self, device, meters):
        with open(self.stack.path('templates', 'agent-%s.toml.in' % device), 'w') as file:
            file.write(AGENT % {'device': device, 'meters': meters})

    def stop(self):
        self.stack.stop_all()
        for folder in reversed(self.mounts):
            subprocess.run(['umount', '-l', folder], check=False)

    def mount(self, folder, size):
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'mode=700,size=' + size, 'tmpfs', folder], check=True)
        self.mounts.append(folder)

    # ---- Asking an agent

    def event(self, **changes):
        """A good event with changes; None takes a member away."""
        self._sent += 1
        event = {'specversion': '1.0', 'type': 'api.requests', 'source': '/bad', 'id': 'e-%d' % self._sent,
                 'subject': 'aqua', 'data': {'value': '1'}}
        event.update(changes)
        return {name: value for name, value in event.items() if value is not None}

    def post(self, body, device='app-1', content_type='application/cloudevents+json'):
        """(status, headers, body) of one request."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = self.connect(device)
        try:
            connection.request('POST', '/v1/events', body, {'Content-Type': content_type})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode('utf-8', 'replace')
        finally:
            connection.close()

    def connect(self, device):
        connection = http.client.HTTPConnection('127.0.0.1', self.stack.ports()['AGENT_PORT'], timeout=20)
        if device != 'app-1':
            import socket
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(20)
            connection.sock.connect(self.stack.path('agents', device, 'agent.sock'))
        return connection

    def send(self, device='app-1', **changes):
        """A good event that must be taken."""
        status, _, text = self.post(self.event(**changes), device)
        if status != 200:
            raise Unexpected('%d %s' % (status, text))
        return json.loads(text)

    # ---- Asking the collector

    def until(self, seconds, what, probe):
        """The probe's first true result."""
        deadline = time.monotonic() + seconds
        while True:
            found = probe()
            if found:
                return found
            if time.monotonic() > deadline:
                raise Unexpected('%s: not within %d s' % (what, seconds))
            time.sleep(0.2)

    def exception(self, kind, seconds=20, **wanted):
        """The open exception of that kind with these members."""
        def probe():
            for row in self.stack.collector('exceptions', 'list'):
                if row['kind'] == kind and row['state'] == 'open' and all(row[k] == v for k, v in wanted.items()):
                    return row
            return None
        return self.until(seconds, 'exception %s %s' % (kind, wanted), probe)

    def log_line(self, name, pattern, seconds=20, after=0):
        """The first line of a process's log, beyond `after` characters, that matches."""
        def probe():
            text = self.stack.log(name)[after:]
            return next((line for line in text.splitlines() if re.search(pattern, line)), None)
        return self.until(seconds, 'a line with %r in %s.log' % (pattern, name), probe)


def shown_exception(row):
    return 'exception `%s` for %s (%s): count %s, value %s %s: "%s"' % (
        row['kind'], row['owner'], ', '.join(filter(None, (row['device'], row['subject'], row['meter'], row['document']))),
        row['count'], row['value'], row['unit'], row['detail'])


def shown_answer(status, headers, body):
    retry = next((', Retry-After: ' + value for name, value in headers.items() if name.lower() == 'retry-after'), '')
    return 'HTTP %d%s `%s`' % (status, retry, body.strip())


def without_time(line):
    """A log line from its level on."""
    return '`%s`' % re.sub(r'^\S*\d\d:\d\d\S*\s+', '', line)
