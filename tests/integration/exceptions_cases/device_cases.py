"""Exceptions of what devices say."""
import os
import shutil

import forge
from desk import DIAGNOSTIC_METER, LINK, REQUESTS


def closed_with(desk, device, contract, total):
    device.promise()
    return desk.billed(contract, total)


def good_device(desk, name, more=''):
    """One that has sent 200 requests of its contract."""
    device = desk.device(name, more)
    device.send([(REQUESTS, name, 60, 200)])
    return device


def found_by_fold(desk, device, kind, made, reason, total='2.00', **wanted):
    row = desk.exception(kind, device=device.device, **wanted)
    line = desk.by_hand(row, reason)
    return made, line, 'resolved by a person; the rest of the period: ' + closed_with(desk, device, device.device, total)


def undecodable_batch(desk):
    device = good_device(desk, 'undecodable')
    device.send_raw(b'this is no zstd frame', 100, 3, [(1, 203)])
    device.sums[1] = 203
    # Beside the one of the meter, which says how much, there is one of the batch, which says how many.
    desk.by_hand(desk.exception('undecodable_batch', device='undecodable', meter='', count=3), 'a test tool wrote it')
    return found_by_fold(desk, device, 'undecodable_batch', 'a batch whose section is no zstd frame', 'a test tool wrote it',
                         meter='requests', value='3')


def totals_mismatch(desk):
    device = good_device(desk, 'totals')
    device.send([(REQUESTS, 'totals', 61, 10)], totals={1: 215})
    device.sums[1] = 215
    return found_by_fold(desk, device, 'totals_mismatch', 'readings of 10 under totals that grow by 15', 'device replaced',
                         '2.10', value='5')


def seq_mismatch(desk):
    device = good_device(desk, 'seqs')
    device.next_seq += 4
    device.send([(REQUESTS, 'seqs', 61, 10)])
    return found_by_fold(desk, device, 'seq_mismatch', 'a batch that begins 4 seqs late', 'device replaced', '2.10')


def implausible_time(desk):
    device = good_device(desk, 'times')
    device.send([(REQUESTS, 'times', -900_000_000, 10)])
    return found_by_fold(desk, device, 'implausible_time', 'a reading of 1998', 'clock set right', value='10')


def reserved_dimension(desk):
    device = good_device(desk, 'reserved')
    device.send([(REQUESTS, 'reserved', 70, 10)], dimension=('ledgerline.correction', 'x'))
    return found_by_fold(desk, device, 'reserved_dimension', 'a reading of 10 with a dimension that is the collector\'s',
                         'a test tool wrote it', value='10')


def unplaced_time(desk):
    device = good_device(desk, 'unplaced')
    device.send([(REQUESTS, 'unplaced', 0, 10, forge.MONOTONIC)])
    return found_by_fold(desk, device, 'unplaced_time', 'a reading with monotonic time of a boot without a clock anchor',
                         'it ran on a bench', value='10')


def coarsened(desk):
    device = good_device(desk, 'coarse')
    said = forge.field(5, forge.field(1, 1) + forge.field(2, 40) + forge.field(3, desk.began_ms) +
                       forge.field(4, desk.began_ms + 60_000) + forge.field(5, 900_000))
    device.send([(REQUESTS, 'coarse', 61, 10)], records=(said,))
    return found_by_fold(desk, device, 'coarsened', 'a batch that says that 40 measurements became one reading',
                         'quota raised', '2.10', count=40)


def diagnostics_dropped(desk):
    device = good_device(desk, 'dropped', DIAGNOSTIC_METER)
    traces = forge.Device(device.folder, forge.DIAGNOSTIC)
    said = traces.tombstone(batches=3, readings=40, reason='the journal was full')
    desk.until('the broker takes it', lambda: not traces.publish(desk.stack.ports()['BROKER_PORT'], 'batch', said))
    return found_by_fold(desk, device, 'diagnostics_dropped', 'a tombstone for 3 batches of a diagnostic stream',
                         'quota raised', count=40)


def series_limit(desk):
    device = good_device(desk, 'series')
    for start in (0, 3500, 7000):
        device.send([(REQUESTS, '%x' % (start + n), 61, 1) for n in range(3500)])
    return found_by_fold(desk, device, 'series_limit', '10 501 subjects of one device, of which it may have 10 000',
                         'a loop in its app, mended', '101.99', value='501')


def fork(desk):
    stack, device = desk.stack, good_device(desk, 'clone')
    at = device.number, device.previous, device.next_seq, dict(device.sums)
    device.send([(REQUESTS, 'clone', 61, 10)])
    device.number, device.previous, device.next_seq, device.sums = at
    device.send([(REQUESTS, 'clone', 62, 20)])
    row = desk.exception('fork', device='clone')
    lines = [desk.do(row, 'revoke', 'cloned image')]
    # The real device comes back with a new key.
    folder = stack.path('agents', 'clone')
    shutil.rmtree(os.path.join(folder, 'state'))
    agent = (stack.agent_program, 'enroll', '--config', stack.agent_config('clone'))
    request, answer = os.path.join(folder, 'again.pem'), os.path.join(folder, 'answer.pem')
    stack.command(*agent, '--out', request, '--reason', 'cloned')
    lines.append(desk.do(row, 'enroll', 'new key', REQUEST='%s --out %s' % (request, answer)))
    stack.command(*agent, '--answer', answer)
    stack.call('signal_process', 'broker', 'HUP')
    again = type(device)(desk, 'clone')
    again.send([(REQUESTS, 'clone', 63, 5)])
    lines.append(desk.by_hand(row, 'clone found and wiped'))
    replaced = desk.exception('stream_replaced', device='clone')
    lines.append(desk.by_hand(replaced, 'both branches looked at: 210 is right'))
    return ('two different batches with one number', '`, `'.join(lines).replace(folder + '/', ''),
            'resolved by a person; with the device\'s new stream: ' + closed_with(desk, again, 'clone', '2.15'))


# What a contract has beside its own link.
CONTRACTS = {'series': {'more': LINK % ('series', '*', 'series')}}
CASES = [
    ('undecodable_batch', 'undecodable', undecodable_batch),
    ('totals_mismatch', 'totals', totals_mismatch),
    ('seq_mismatch', 'seqs', seq_mismatch),
    ('implausible_time', 'times', implausible_time),
    ('reserved_dimension', 'reserved', reserved_dimension),
    ('unplaced_time', 'unplaced', unplaced_time),
    ('coarsened', 'coarse', coarsened),
    ('diagnostics_dropped', 'dropped', diagnostics_dropped),
    ('series_limit', 'series', series_limit),
    ('fork', 'clone', fork),
]
