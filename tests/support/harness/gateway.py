"""Agents under apps that post at a rate, with broker and collector: for benches of what a gateway's agent costs."""
import json
import os
import queue
import random
import socket
import threading
import time

from file_stack import COLLECTOR
from stack import Stack, StackError

CONNECTIONS = 64
KEPT_ALIVE_S = 20  # the agent closes a connection that rests for a minute
RATES = {'1/s': (1, 1, 1), '100/s': (100, 1, 10), '1000/s': (1000, 10, 100)}  # readings/s, readings per request from, to

HEAD = '''tenant = "flash"
device = "%s"
state = "state"

[broker]
host = "127.0.0.1"
port = @BROKER_PORT@

[input.http]
socket = "agent.sock"
'''
METERS = '''
[[meter]]
name = "api.requests"
unit = "1"
kind = "delta"

[[meter]]
name = "data.volume"
unit = "GB"
kind = "delta"
scale = 6
'''
HOST = '''
[input.host]
interval = "10s"
'''
STATSD = '''
[input.statsd]
socket = "statsd.sock"
interval = "10s"

[[input.statsd.metric]]
match = "api.requests"
type = "counter"
meter = "api.requests"
subject = { tag = "client" }
'''
CATALOG = '''tenant = "flash"

[[meter]]
name = "api.requests"
unit = "1"
kind = "delta"
aggregation = "sum"

[[meter]]
name = "data.volume"
unit = "GB"
kind = "delta"
aggregation = "sum"
'''


def request_of(chance, number, count):
    events = [{'specversion': '1.0', 'type': chance.choice(('api.requests', 'data.volume')), 'source': '/bench/app',
               'id': 'w-%d-%d' % (number, each), 'subject': chance.choice(('aqua', 'borealis', 'cedar')),
               'data': {'value': str(chance.randint(1, 9))}} for each in range(count)]
    body = json.dumps(events, separators=(',', ':')).encode()
    return b'POST /v1/events HTTP/1.1\r\nHost: agent\r\nContent-Type: application/cloudevents-batch+json\r\n' \
           b'Content-Length: %d\r\n\r\n%s' % (len(body), body)


class Apps:
    """Posts at a rate whatever the agent's pace is: requests that wait for an answer do not hold up the next ones."""

    def __init__(self, address, connections=CONNECTIONS):
        self._address, self._waiting = address, queue.Queue()
        self.latencies_s, self.failures = [], []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def post(self, rate, fewest, most, seconds):
        """Poisson arrivals; rate 0: as fast as answers come."""
        chance, mean = random.Random(1), (fewest + most) / 2
        began, moment, number = time.monotonic(), 0.0, 0
        while moment < seconds:
            wait = began + moment - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self._waiting.put((time.monotonic(), request_of(chance, number, chance.randint(fewest, most))))
            number += 1
            moment += chance.expovariate(rate / mean)

    def fill(self, events):
        chance = random.Random(2)
        for number in range(0, events, 100):
            while self._waiting.qsize() > CONNECTIONS:
                time.sleep(0.001)
            self._waiting.put((time.monotonic(), request_of(chance, 10**9 + number, 100)))

    def finish(self):
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        if self.failures:
            raise StackError('an app: %s' % self.failures[0])

    def _work(self):
        try:
            job = self._waiting.get()
            while job:
                job = self._use_connection(job)
        except (OSError, StackError, ValueError) as error:
            self.failures.append(error)

    def _use_connection(self, job):
        """Posts until the connection has rested too long; returns what is to be posted over a new one."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            with connection.makefile('rb') as answers:
                used = time.monotonic()
                while job and time.monotonic() - used < KEPT_ALIVE_S:
                    came, request = job
                    connection.sendall(request)
                    self._answer(answers)
                    used = time.monotonic()
                    self.latencies_s.append(used - came)
                    job = self._waiting.get()
        return job

    @staticmethod
    def _answer(answers):
        status, length = answers.readline(), 0
        while (line := answers.readline().strip()):
            if line.lower().startswith(b'content-length:'):
                length = int(line.split(b':')[1])
        body = answers.read(length)
        if b' 200 ' not in status:
            raise StackError('the agent answered %r %r' % (status, body))


def send_statsd(address, rate, seconds):
    """Counter lines of three clients, a datagram each; returns how many."""
    began, sent = time.monotonic(), 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * rate:
                out.sendto(b'api.requests:1|c|#client:%s' % (b'aqua', b'borealis', b'cedar')[sent % 3], address)
                sent += 1
            time.sleep(0.01)
    return sent


def prepare(folder, build):
    """A stack with a folder, and nothing started."""
    for name, text in (('templates/collector.toml.in', COLLECTOR), ('catalog/catalog.toml', CATALOG)):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
    return Stack(folder, build, templates=os.path.join(folder, 'templates'), catalog=os.path.join(folder, 'catalog'))


def start_collector(stack):
    stack.call('prepare_broker')
    stack.start('broker')
    stack.call('prepare_collector', COLLECTOR_ERP_PORT='1')
    stack.start('collector')
