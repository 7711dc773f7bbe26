"""What an operator sees of wrong certificates, of a batch that is a bomb, and of full disks."""
import os
import shutil
import subprocess

import forge
from bench import METER, Unexpected, expect, shown_answer, shown_exception, without_time
from stack import memory, sanitized

MIB = 1 << 20


# ---- Certificates

def other_authority(bench):
    """A folder with ca.pem, and device.pem with device.key for demo.app-2, from an authority nobody here knows."""
    folder = bench.stack.path('other-pki')
    if os.path.exists(folder):
        return folder
    os.makedirs(folder)

    def openssl(*arguments):
        subprocess.run(['openssl', *arguments], cwd=folder, check=True, capture_output=True)

    for name in ('ca', 'device'):
        openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', name + '.key')
    openssl('req', '-new', '-x509', '-key', 'ca.key', '-subj', '/CN=Somebody else', '-days', '30', '-out', 'ca.pem')
    openssl('req', '-new', '-key', 'device.key', '-subj', '/CN=demo.app-2', '-out', 'device.csr')
    openssl('x509', '-req', '-in', 'device.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '30', '-set_serial', '1',
            '-out', 'device.pem')
    return folder


def agent_delivers(bench, device):
    status = bench.stack.agent_status(device)
    return status['sealed_upto'] == status['next_seq'] - 1 and status['acked_upto'] == status['head_batch']


def connection_case(bench, done, pattern):
    """What app-2 logs while it cannot connect; it must go on recording. The caller mends the cause afterwards."""
    line = bench.log_line('agent-app-2', pattern, 30, bench.log_before)
    bench.send('app-2', type='api.errors')
    failure = bench.stack.agent_status('app-2')['uplink']
    if failure['connected']:
        raise Unexpected('app-2 is connected: %s' % failure)
    return [(done, 'agent: %s; `status`: "%s"; it goes on recording, and sends all of it once the cause is mended' % (
        without_time(line), failure['failure'] or failure['alarm']))]


def replace_file(path, source):
    """Keeps the file's owner and mode, because others may have to read it."""
    shutil.copy2(path, path + '.before')
    with open(source, 'rb') as file, open(path, 'wb') as out:
        out.write(file.read())


def restore_file(path):
    with open(path + '.before', 'rb') as file, open(path, 'wb') as out:
        out.write(file.read())


def untrusted_device(bench):
    """The broker is told to trust another authority, so ours comes from a wrong one."""
    stack, path = bench.stack, bench.stack.path('broker', 'ca.pem')
    replace_file(path, other_authority(bench) + '/ca.pem')
    try:
        stack.call('stop_process', 'broker')
        stack.start('broker')
        bench.log_before = len(stack.log('agent-app-2'))
        rows = connection_case(bench, "the device's certificate is not from the broker's authority", 'refuses our certificate')
    finally:
        restore_file(path)
        stack.call('stop_process', 'broker')
        stack.start('broker')
    bench.until(60, 'app-2 delivers again', lambda: agent_delivers(bench, 'app-2'))
    return rows


def untrusted_broker(bench):
    stack, path = bench.stack, bench.stack.path('agents', 'app-2', 'state', 'ca.pem')
    stack.call('stop_process', 'agent-app-2')
    bench.log_before = len(stack.log('agent-app-2'))
    replace_file(path, other_authority(bench) + '/ca.pem')
    try:
        stack.start('agent-app-2')
        rows = connection_case(bench, "the broker's certificate is not from the agent's authority", 'wrong certificate')
    finally:
        restore_file(path)
        stack.call('stop_process', 'agent-app-2')
        stack.start('agent-app-2')
    bench.until(60, 'app-2 delivers again', lambda: agent_delivers(bench, 'app-2'))
    return rows


def foreign_files(bench):
    """Key and certificate of app-1 in the state of app-2."""
    stack = bench.stack
    stack.call('stop_process', 'agent-app-2')
    theirs, ours = (stack.path('agents', device, 'state') for device in ('app-1', 'app-2'))
    for name in ('certificate.pem', 'keys/tls.pem'):
        replace_file(os.path.join(ours, name), os.path.join(theirs, name))
    try:
        code, _, err = stack.command(stack.agent_program, 'run', '--config', stack.agent_config('app-2'))
    finally:
        for name in ('certificate.pem', 'keys/tls.pem'):
            restore_file(os.path.join(ours, name))
        stack.start('agent-app-2')
    expect('%d %s' % (code, err), '^65 .*certificate is for another TLS key')
    return [("app-2 is given app-1's certificate and key", 'the agent does not start: exit code %d `%s`' % (
        code, err.strip()))]


def foreign_topic(bench):
    """app-2's good certificate, app-1's branch."""
    stack = bench.stack
    device = forge.Device(stack.path('agents', 'app-2', 'state'))
    other = forge.Device(stack.path('agents', 'app-1', 'state'))
    device.topic = other.topic
    # A certificate has one session: the agent, which connects again at once, would end ours before it has its answer.
    stack.call('stop_process', 'agent-app-2')
    try:
        said = device.publish(stack.ports()['BROKER_PORT'], 'batch', b'anything')
    finally:
        stack.start('agent-app-2')
    expect(said, '(?i)not authori[sz]ed')
    return [("app-2 publishes into app-1's branch", 'the broker refuses it: `%s`' % said.strip())]


# ---- A bomb

def zstd_bomb(bench):
    """An enrolled device signs it properly, so it is kept and receipted; it says nothing when it is folded."""
    stack = bench.stack
    bench.write_agent('app-4', METER % ('api.requests', '1', 0))
    stack.call('prepare_agent', 'app-4')
    device = forge.Device(stack.path('agents', 'app-4', 'state'))
    pid = stack.pid('collector')
    before = memory(pid, '/collector/state/')
    port = stack.ports()['BROKER_PORT']
    small = forge.zstd_bomb(512 * MIB, 512 * MIB)
    device.publish(port, 'batch', device.batch(small, MIB))
    device.publish(port, 'batch', device.batch(forge.zstd_bomb(64 * MIB, MIB), MIB))
    row = bench.exception('undecodable_batch', 30, device='app-4', count=2)
    if stack.pid('collector') != pid:
        raise Unexpected('the collector did not survive')
    growth = memory(pid, '/collector/state/')['private_dirty_own'] - before['private_dirty_own']
    if growth > 16 * 1024 and not sanitized(pid):
        raise Unexpected('the collector grew by %d KiB' % growth)
    return [('two batches signed by an enrolled device: %d bytes that unpack to 512 MiB, and a frame that says 1 MiB and '
             'holds 64' % len(small), shown_exception(row) + '; the collector grew by %d KiB' % max(growth, 0))]


# ---- Full disks

def agent_disk_full(bench):
    stack = bench.stack
    bench.write_agent('app-3', METER % ('api.requests', '1', 0))
    state = stack.path('agents', 'app-3', 'state')
    os.makedirs(state)
    bench.mount(state, '40m')
    stack.call('prepare_agent', 'app-3')
    stack.call('stop_process', 'broker')
    try:
        stack.start('agent-app-3')
        taken, refusal = fill(bench, 'app-3')
    finally:
        stack.start('broker')
    expect('%d after %d' % (refusal[0], taken), r'^507 after [1-9]')
    if stack.agent_status('app-3')['next_seq'] - 1 != taken:
        raise Unexpected('%d answered, next seq %d' % (taken, stack.agent_status('app-3')['next_seq']))
    subprocess.run(['mount', '-o', 'remount,size=128m', state], check=True)
    bench.until(60, 'app-3 takes events again', lambda: bench.post(bench.event(), 'app-3')[0] == 200)

    def drained():
        status = stack.agent_status('app-3')
        return status if status['acked_upto'] == status['head_batch'] and status['sealed_upto'] == taken + 1 else None

    status = bench.until(90, 'app-3 drains', drained)
    return [('the agent\'s state on a disk of 40 MiB, no broker', '%s; the %d events answered before are all delivered once '
             'there is space and a broker (next seq %d)' % (shown_answer(*refusal), taken, status['next_seq']))]


def fill(bench, device):
    """How many events were answered with 200 before the first other answer, and that answer."""
    taken = 0
    for _ in range(8000):
        batch = [bench.event() for _ in range(100)]
        answer = bench.post(batch, device, content_type='application/cloudevents-batch+json')
        if answer[0] != 200:
            return taken, answer
        taken += len(batch)
    raise Unexpected('%d events were taken and the disk is still not full' % taken)


def collector_disk_full(bench):
    stack = bench.stack
    filler = stack.path('collector', 'state', 'filler')
    with open(filler, 'wb') as file:
        file.write(bytes(shutil.disk_usage(os.path.dirname(filler)).free - 64 * 1024))
    before, taken = len(stack.log('collector')), 0
    while stack.pid('collector') is not None:
        send_bulk(bench)
        taken += 1000
        if taken > 500_000:
            raise Unexpected('%d events and the collector still runs: %s' % (taken, shutil.disk_usage(filler)))
    line = bench.log_line('collector', 'error', 5, before)
    ended = stack.reap('collector')
    os.unlink(filler)
    stack.start('collector')
    bench.until(120, 'app-1 drains', lambda: agent_delivers(bench, 'app-1'))
    recorded = stack.agent_status('app-1')['next_seq'] - 1
    linked = next(row for row in stack.collector('status')['streams'] if row['device'] == 'app-1')
    if linked['readings'] != recorded:
        raise Unexpected('%d recorded, the collector has %d' % (recorded, linked['readings']))
    return [('the disk of the collector\'s store is full', 'the collector ends with exit code %s: %s; after space was made '
             'and it was started again, it has all %d readings of the agent' % (ended, without_time(line), recorded))]


def send_bulk(bench):
    """1000 events whose values do not compress."""
    for _ in range(10):
        batch = [bench.event(type='data.volume', data={'value': '0.%06d' % (int.from_bytes(os.urandom(4), 'big') % 10**6)})
                 for _ in range(100)]
        status, _, text = bench.post(batch, content_type='application/cloudevents-batch+json')
        if status != 200:
            raise Unexpected('%d %s' % (status, text))


CASES = [
    ('wrong certificate, device', untrusted_device),
    ('wrong certificate, broker', untrusted_broker),
    ('wrong certificate, files', foreign_files),
    ('wrong certificate, name', foreign_topic),
    ('zstd bomb', zstd_bomb),
    ('disk full, agent', agent_disk_full),
    ('disk full, collector', collector_disk_full),
]
