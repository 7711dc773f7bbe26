"""The whole stack for tests in Python: deploy/lib starts it, this module asks, kills and watches.

Every process is started by deploy/lib/stack.sh through the command `stack` beside this file. What a started process leaves
behind comes to us, because we are its reaper: so an end that nobody caused is noticed together with its exit status.
"""
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..', '..'))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, 'deploy', 'tryton'), os.path.join(ROOT, 'deploy', 'demo')]
import client  # noqa: E402  of deploy/tryton

PR_SET_CHILD_SUBREAPER = 36
STARTS = {'broker': ('start_broker',), 'collector': ('start_collector',), 'erp': ('start_erp',)}


class StackError(Exception):
    """A step of the stack failed; the text is what a person would have seen."""


class Stack:
    def __init__(self, state, build, erp_prepared=None, lateness='10s', templates=None, catalog=None):
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise StackError('prctl(PR_SET_CHILD_SUBREAPER): %s' % os.strerror(ctypes.get_errno()))
        os.makedirs(state, exist_ok=True)
        self.state = os.path.realpath(state)
        self.agent_program = os.path.join(build, 'ledgerline-agent')
        self.collector_program = os.path.join(build, 'ledgerline-collector')
        self.collector_config = self.path('collector', 'collector.toml')
        self.operator_key = self.path('collector', 'operator.key')  # of the operator "demo"
        self._environment = dict(os.environ, BUILD=build, LATENESS=lateness)
        for name, value in (('ERP_PREPARED', erp_prepared), ('TEMPLATES', templates), ('CATALOG', catalog)):
            if value:
                self._environment[name] = value

    def path(self, *parts):
        return os.path.join(self.state, *parts)

    def set_environment(self, **variables):
        """Of all that is started from now on."""
        self._environment.update(variables)

    def log(self, name):
        try:
            with open(self.path('log', name + '.log'), encoding='utf-8', errors='replace') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    # ---- Starting and stopping, all of it deploy/lib's

    def call(self, function, *arguments, **variables):
        done = subprocess.run(
            [os.path.join(HERE, 'stack'), '--state', self.state, function, *map(str, arguments)],
            env=dict(self._environment, **variables), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace')
        if done.returncode != 0:
            raise StackError('%s %s: %s' % (function, ' '.join(map(str, arguments)), done.stdout.strip()))
        return done.stdout.strip()

    def start(self, name):
        function = STARTS.get(name) or ('start_agent', name.removeprefix('agent-'))
        self.call(*function)

    def ports(self):
        with open(self.path('ports')) as file:
            return {name: int(port) for name, port in (line.strip().split('=') for line in file)}

    def pid(self, name):
        """Of the living process of that name, or None. Its start time proves that it is ours."""
        try:
            with open(self.path('run', name + '.pid')) as file:
                pid, started = file.read().split()
            return int(pid) if start_time(pid) == started else None
        except (OSError, ValueError):
            return None

    def kill(self, name, number=signal.SIGKILL):
        """True where there was something to kill."""
        pid = self.pid(name)
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def reap(self, name):
        """The exit status (negative: the signal) of the ended process of that name, or None."""
        try:
            with open(self.path('run', name + '.pid')) as file:
                pid = int(file.read().split()[0])
            ended, status = os.waitpid(pid, os.WNOHANG)
        except (OSError, ValueError, IndexError):
            return None
        return os.waitstatus_to_exitcode(status) if ended else None

    def stop_all(self):
        names = [name[:-4] for name in os.listdir(self.path('run')) if name.endswith('.pid')]
        last = ('collector', 'erp', 'broker')
        for name in sorted(names, key=lambda name: last.index(name) if name in last else -1):
            self.call('stop_process', name)
            self.reap(name)

    # ---- Asking

    def command(self, program, *arguments):
        """(exit code, standard output, standard error) of one of our programs."""
        done = subprocess.run([program, *arguments], capture_output=True, text=True, errors='replace', timeout=120)
        return done.returncode, done.stdout, done.stderr

    def ask(self, program, *arguments):
        code, out, err = self.command(program, *arguments, '--json')
        if code != 0:
            raise StackError('%s %s: exit code %d: %s' % (
                os.path.basename(program), ' '.join(arguments), code, err.strip() or out.strip()))
        return json.loads(out)

    def agent_config(self, name):
        return self.path('agents', name, 'agent.toml')

    def agent_status(self, name='app-1'):
        return self.ask(self.agent_program, 'status', '--config', self.agent_config(name))

    def collector(self, command, *arguments):
        return self.ask(self.collector_program, command, '--config', self.collector_config, *arguments)

    def metrics(self):
        """{'name{labels}': number} of the collector's /metrics."""
        with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % self.ports()['COLLECTOR_PORT'], timeout=10) as answer:
            text = answer.read().decode()
        rows = (line.rsplit(' ', 1) for line in text.splitlines() if line and not line.startswith('#'))
        return {name: float(value) for name, value in rows}

    def invoices(self):
        """Those in the ERP that came from the collector, as the user finance sees them."""
        with open(self.path('tryton', 'secrets', 'finance')) as file:
            password = file.read().strip()
        erp = client.Client('http://127.0.0.1:%d' % self.ports()['ERP_PORT'])
        return [row for row in erp.login('finance', password).invoices() if row['external_id']]


def start_time(pid):
    with open('/proc/%s/stat' % pid) as file:
        fields = file.read().rpartition(')')[2].split()
    return None if fields[0] == 'Z' else fields[19]


def new_state(wanted, name):
    """(folder, whether it is temporary). Emptied; reachable for the broker's own user."""
    import tempfile
    if wanted is None:
        folder = tempfile.mkdtemp(prefix='ledgerline-%s.' % name, dir='/var/tmp')
        os.chmod(folder, 0o755)
        return folder, True
    os.makedirs(wanted, exist_ok=True)
    for entry in os.scandir(wanted):
        shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
    return wanted, False


class Supervisor(threading.Thread):
    """Starts what has ended again at once, as an init system would, and writes down every end."""

    def __init__(self, stack, names):
        super().__init__(daemon=True)
        self._stack, self._names = stack, names
        self._ending = threading.Event()
        self.ends = {name: {} for name in names}  # exit status -> how often
        self.restarts_s = {name: [] for name in names}
        self.complaints = []

    def run(self):
        threads = [threading.Thread(target=self._watch, args=(name,), daemon=True) for name in self._names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop(self):
        self._ending.set()
        self.join()

    def _watch(self, name):
        while not self._ending.wait(0.03):
            if self._stack.pid(name) is not None:
                continue
            status = self._stack.reap(name)
            if status is not None:
                self.ends[name][status] = self.ends[name].get(status, 0) + 1
            began = time.monotonic()
            try:
                self._stack.start(name)
                self.restarts_s[name].append(time.monotonic() - began)
            except StackError as error:
                # It was killed again while it started; anything else shows in its exit status.
                self.complaints.append('%s: %s' % (name, str(error)[-2000:]))


def memory(pid, without):
    """KiB of a process by /proc/PID/smaps: PSS, PSS and private dirty without the mappings whose path matches `without`."""
    found, wanted = {'pss': 0, 'pss_own': 0, 'private_dirty_own': 0, 'rss': 0}, True
    pattern = re.compile(without)
    with open('/proc/%d/smaps' % pid) as file:
        for line in file:
            if re.match(r'[0-9a-f]+-[0-9a-f]+ ', line):
                fields = line.split(None, 5)
                wanted = not (len(fields) > 5 and pattern.search(fields[5]))
            elif line.startswith('Pss:'):
                found['pss'] += kib(line)
                found['pss_own'] += kib(line) if wanted else 0
            elif line.startswith('Private_Dirty:') and wanted:
                found['private_dirty_own'] += kib(line)
            elif line.startswith('Rss:'):
                found['rss'] += kib(line)
    return found


def sanitized(pid):
    """Whether a sanitizer's allocator is in the process: then its memory says nothing about the product."""
    with open('/proc/%d/maps' % pid) as file:
        return any('libasan' in line or 'libtsan' in line for line in file)


def kib(line):
    return int(line.split()[1])


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open('/proc/%d/stat' % pid) as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
