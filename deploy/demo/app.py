#!/usr/bin/python3
"""A sample application that meters its customers through the agent's http input.

  app.py --agent http://127.0.0.1:8787 --log answers.jsonl --seconds 20 --rate 200
  app.py --agent http://127.0.0.1:8787 --log answers.jsonl --events 100000 --rate 400

It sends batches of CloudEvents for three customers. Every answered batch goes into the log as one line, synced to disk
before the next batch is sent, so that afterwards anybody can add up what the agent took. A batch without an answer is
sent again with the same ids until it has one. Python's standard library only.
"""
import argparse
import datetime
import http.client
import json
import os
import random
import signal
import sys
import time
import urllib.parse

# Customer and share of the events; the two meters and the range of one event's value in units of the last decimal.
CUSTOMERS = (('aqua', 6), ('borealis', 3), ('cedar', 1))
METERS = (('api.requests', 0, 1, 9), ('data.volume', 6, 200, 90_000))
SOURCE = '/demo/app'
RETRIED = (408, 429, 500, 502, 503, 504, 507)


class Stopped(Exception):
    """The agent refused an event for good, or gave no answer for too long."""


def decimal_text(units, scale):
    """1234567 at scale 6 is 1.234567: exact, because no float is ever made."""
    if scale == 0:
        return str(units)
    digits = str(units).rjust(scale + 1, '0')
    return digits[:-scale] + '.' + digits[-scale:]


def rfc3339(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime('%Y-%m-%dT%H:%M:%S.') + '%03dZ' % (moment.microsecond // 1000)


def make_events(run, first, count, chance):
    now = rfc3339(time.time())
    events = []
    for number in range(first, first + count):
        customer, = chance.choices([c for c, _ in CUSTOMERS], [share for _, share in CUSTOMERS])
        meter, scale, low, high = METERS[0] if chance.random() < 0.8 else METERS[1]
        events.append({
            'specversion': '1.0', 'type': meter, 'source': SOURCE, 'id': '%s-%d' % (run, number),
            'subject': customer, 'time': now,
            'data': {'value': decimal_text(chance.randint(low, high), scale)}})
    return events


class Agent:
    """One kept connection; whatever goes wrong on it, the next request opens a new one."""

    def __init__(self, address, patience_s):
        parts = urllib.parse.urlsplit(address)
        self._where = (parts.hostname, parts.port or 80)
        self._path = parts.path or '/'
        self._connection = None
        self._patience_s = patience_s
        self.retries = 0

    def send(self, events):
        """The answer's JSON. Repeats the same bytes until there is one: the ids make that safe."""
        body = json.dumps(events, separators=(',', ':'))
        deadline = time.monotonic() + self._patience_s
        pause_s = 0.02
        while True:
            try:
                status, answer = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                self._connection = None
                status, answer = None, str(error) or type(error).__name__
            if status == 200:
                return json.loads(answer)
            if status is not None and status not in RETRIED:
                raise Stopped('the agent answered %d: %s' % (status, answer))
            if time.monotonic() > deadline:
                raise Stopped('no answer for %g s: %s' % (self._patience_s, answer))
            self.retries += 1
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.5)

    def _post(self, body):
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._where, timeout=10)
        self._connection.request(
            'POST', self._path, body, {'Content-Type': 'application/cloudevents-batch+json'})
        response = self._connection.getresponse()
        return response.status, response.read().decode('utf-8', 'replace')


class AnswerLog:
    """One line per answered batch, durable when add() returns. Lines of earlier runs stay."""

    def __init__(self, path):
        self._file = open(path, 'a', encoding='utf-8')

    def add(self, events, answer):
        self._file.write(json.dumps({
            'answered': rfc3339(time.time()), 'answer': answer,
            'events': [[e['id'], e['subject'], e['type'], e['data']['value'], e['time']] for e in events],
        }, separators=(',', ':')) + '\n')
        self._file.flush()
        os.fdatasync(self._file.fileno())


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--agent', required=True, metavar='URL', help="the http input's address")
    parser.add_argument('--log', required=True, metavar='FILE', help='gets one line per answered batch')
    length = parser.add_mutually_exclusive_group()
    length.add_argument('--seconds', type=float, default=20, help='how long to send (default 20)')
    length.add_argument('--events', type=int, help='how many to send instead')
    parser.add_argument('--rate', type=float, default=200, help='events per second (default 200)')
    parser.add_argument('--batch', type=int, default=20, help='events per request (default 20)')
    parser.add_argument('--run', default='%d' % time.time_ns(), help='prefix of the event ids')
    parser.add_argument('--seed', type=int, default=1, help='of the values (default 1)')
    parser.add_argument('--patience', type=float, default=120, help='seconds without an answer before it gives up')
    return parser.parse_args()


def send_paced(options, agent, log):
    chance = random.Random(options.seed)
    total = options.events if options.events is not None else int(options.seconds * options.rate)
    began, sent = time.monotonic(), 0
    while sent < total:
        count = min(options.batch, total - sent)
        due = began + sent / options.rate
        time.sleep(max(0.0, due - time.monotonic()))
        events = make_events(options.run, sent + 1, count, chance)
        log.add(events, agent.send(events))
        sent += count
    return sent, time.monotonic() - began


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = parse_options()
    agent = Agent(options.agent, options.patience)
    try:
        sent, took_s = send_paced(options, agent, AnswerLog(options.log))
    except (Stopped, OSError) as error:
        sys.exit('app.py: %s' % error)
    print('%d events sent and answered in %.1f s, %d requests repeated' % (sent, took_s, agent.retries))


if __name__ == '__main__':
    main()
