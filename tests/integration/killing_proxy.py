#!/usr/bin/python3
"""Stands between the collector and the ERP and kills the collector (SIGKILL) in the middle of some exchanges.

Of an exchange that is part of a posting it picks one of three moments by chance: before the request goes on, after the
ERP got it but before its reply is read, and after the reply came but before it is passed on. Each kill is a line on
standard output that begins with "killed"; with --creates-only it happens while a document is being created and at no
other request. Everything else passes unchanged. Python's standard library only.
"""
import argparse
import http.client
import http.server
import os
import random
import signal
import sys
import threading
import time

MODELS = ('account.invoice', 'project.work', 'ir.note', 'sale.opportunity')
POSTING = tuple(('model.%s.%s"' % (model, verb)).encode()
                for model in MODELS for verb in ('create', 'search_read', 'read', 'write'))
MOMENTS = ('before the request', 'before the reply', 'after the reply')


class Killer:
    def __init__(self, pid_file, kills, seed, share=0.6, names=POSTING):
        self._pid_file, self._left, self._share, self._names = pid_file, kills, share, names
        self._chance, self._lock = random.Random(seed), threading.Lock()

    def choose(self, body):
        """The moment at which this exchange is to end the collector, or None."""
        with self._lock:
            if self._left <= 0 or not any(name in body for name in self._names):
                return None
            if self._chance.random() >= self._share:
                return None
            self._left -= 1
            return self._chance.choice(MOMENTS)

    def kill(self, moment):
        try:
            with open(self._pid_file) as file:
                pid, started = file.read().split()
            with open('/proc/%s/stat' % pid) as file:
                if file.read().rpartition(')')[2].split()[19] != started:
                    raise ProcessLookupError
            os.kill(int(pid), signal.SIGKILL)
        except OSError:  # something else has ended it meanwhile: this kill is still owed
            with self._lock:
                self._left += 1
            return
        print('killed the collector %s' % moment, flush=True)


def handler_of(forward, killer):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
            moment = killer.choose(body)
            if moment == MOMENTS[0]:
                return self.give_up(moment)
            upstream = http.client.HTTPConnection('127.0.0.1', forward, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ('host', 'connection')}
            upstream.request('POST', self.path, body, headers)
            if moment == MOMENTS[1]:
                time.sleep(0.002)
                killer.kill(moment)
            response = upstream.getresponse()
            reply = response.read()
            upstream.close()
            if moment == MOMENTS[1]:
                return self.close()
            if moment == MOMENTS[2]:
                return self.give_up(moment)
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ('connection', 'transfer-encoding', 'content-length', 'server', 'date'):
                    self.send_header(name, value)
            self.send_header('Content-Length', str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def give_up(self, moment):
            killer.kill(moment)
            self.close()

        def close(self):
            self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--listen', type=int, required=True)
    parser.add_argument('--forward', type=int, required=True)
    parser.add_argument('--victim', required=True, metavar='FILE', help='holds "pid start-time"')
    parser.add_argument('--kills', type=int, required=True)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--share', type=float, default=0.6, help='of those exchanges that end in a kill (default 0.6)')
    parser.add_argument('--creates-only', action='store_true')
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    names = [name for name in POSTING if b'.create' in name] if options.creates_only else POSTING
    killer = Killer(options.victim, options.kills, options.seed, options.share, names)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', options.listen), handler_of(options.forward, killer))
    server.daemon_threads = True
    server.serve_forever()


if __name__ == '__main__':
    main()
