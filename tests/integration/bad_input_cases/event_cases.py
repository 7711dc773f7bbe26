"""What an app sees that sends bad events, and what an operator sees of usage that nobody can count."""
import json
import socket
import time

from bench import Unexpected, expect, shown_answer, shown_exception


def refused(bench, body, status, *patterns, device='app-1', **options):
    before = bench.stack.agent_status(device)['next_seq']
    answer = bench.post(body, device, **options)
    if answer[0] != status:
        raise Unexpected('HTTP %d instead of %d: %s' % (answer[0], status, answer[2]))
    expect(answer[2], *patterns)
    after = bench.stack.agent_status(device)['next_seq']
    if before != after:
        raise Unexpected('%d readings of a refused request were recorded' % (after - before))
    return shown_answer(*answer)


def unknown_meter(bench):
    batch = [bench.event(), bench.event(type='api.request')]
    row = refused(bench, batch, 422, '"event": ?1', '"field": ?"type"', 'did you mean \\\\"api.requests\\\\"',
                  content_type='application/cloudevents-batch+json')
    return [('`"type":"api.request"` in the second event of a batch', row)]


def meter_not_in_catalog(bench):
    for value in ('3', '4'):
        bench.send('app-2', type='api.errors', data={'value': value})
    row = bench.exception('unknown_meter', device='app-2', meter='api.errors', count=2)
    expect(row['value'], '^7$')
    return [('the agent declares `api.errors`, the catalog does not; values 3 and 4', shown_exception(row))]


def wrong_unit(bench):
    row = refused(bench, bench.event(type='data.volume', data={'value': '1.5', 'unit': 'MB'}), 422,
                  '"field": ?"data.unit"', 'GB')
    return [('`"unit":"MB"` for a meter in GB', row)]


def unit_not_the_catalogs(bench):
    bench.send('app-2', type='data.volume', data={'value': '250'})
    row = bench.exception('wrong_unit', device='app-2', meter='data.volume')
    expect(row['value'], '^250$')
    return [('the agent declares `data.volume` in MB, the catalog in GB', shown_exception(row))]


def unmapped_subject(bench):
    bench.send(subject='nobody', data={'value': '5'})
    row = bench.exception('unmapped_subject', device='app-1', subject='nobody')
    return [('`"subject":"nobody"`, which no link names', shown_exception(row))]


def value(text, *patterns):
    def case(bench):
        body = json.dumps(bench.event(data={'value': 'VALUE'})).replace('"VALUE"', text).encode()
        status = 400 if text == 'NaN' else 422
        return [('`"value":%s`' % text, refused(bench, body, status, *patterns))]
    return case


def large_event(bench):
    event = bench.event(data={'value': '1', 'note': 'x' * (10 << 20)})
    body = json.dumps(event).encode()
    before = bench.stack.agent_status('app-1')['next_seq']
    with socket.create_connection(('127.0.0.1', bench.stack.ports()['AGENT_PORT']), timeout=20) as connection:
        connection.sendall(b'POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/cloudevents+json\r\n'
                           b'Content-Length: %d\r\n\r\n' % len(body))
        try:
            connection.sendall(body)
        except OSError:
            pass  # refused by its length, before the body was read
        text = connection.recv(65536).decode()
    status, _, rest = text.partition('\r\n')
    expect(status, ' 413 ')
    if bench.stack.agent_status('app-1')['next_seq'] != before:
        raise Unexpected('a refused event was recorded')
    return [('one event of 10 MB', 'HTTP %s `%s`' % (status.split(' ', 1)[1], rest.partition('\r\n\r\n')[2].strip()))]


def raw(bench, data, close):
    with socket.create_connection(('127.0.0.1', bench.stack.ports()['AGENT_PORT']), timeout=40) as connection:
        connection.sendall(data)
        if close:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(40)
        received = b''
        while block := connection.recv(65536):
            received += block
        return received.decode('utf-8', 'replace')


def half_frame(bench):
    before = bench.stack.agent_status('app-1')['next_seq']
    body = json.dumps(bench.event()).encode()
    request = (b'POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/cloudevents+json\r\n'
               b'Content-Length: %d\r\n\r\n' % len(body)) + body[:len(body) // 2]
    closed = raw(bench, request, close=True)
    began = time.monotonic()
    silent = raw(bench, request, close=False)
    waited = time.monotonic() - began
    expect(silent, '^HTTP/1.1 408 ')
    noise = raw(bench, b'\x16\x03\x01 not HTTP at all\r\n\r\n', close=False)
    expect(noise, '^HTTP/1.1 400 ')
    if bench.stack.agent_status('app-1')['next_seq'] != before:
        raise Unexpected('half an event was recorded')
    first = '`%s`' % closed.partition('\r\n')[0] if closed else 'the connection is closed without an answer'
    return [('half a request, then the sender closes', first + '; nothing is recorded'),
            ('half a request, then silence', '`%s` after %.0f s' % (body_of(silent), waited)),
            ('bytes that are no HTTP', '`%s`' % body_of(noise))]


def body_of(answer):
    head, _, body = answer.partition('\r\n\r\n')
    return '%s %s' % (head.split('\r\n')[0], body.strip())


def bad_utf8(bench):
    body = json.dumps(bench.event(subject='SUBJECT')).encode().replace(b'SUBJECT', b'aq\xffua')
    return [('a byte FF in the subject', refused(bench, body, 400, 'UTF-8'))]


def not_events(bench):
    return [('`text/plain`', refused(bench, b'hello', 415, 'cloudevents', content_type='text/plain'))]


CASES = [
    ('unknown meter, at the agent', unknown_meter),
    ('unknown meter, at the collector', meter_not_in_catalog),
    ('wrong unit, at the agent', wrong_unit),
    ('wrong unit, at the collector', unit_not_the_catalogs),
    ('unmapped subject', unmapped_subject),
    ('negative delta', value('"-1"', '"field": ?"data.value"', 'negative')),
    ('10 MB event', large_event),
    ('half frame', half_frame),
    ('bad UTF-8', bad_utf8),
    ('NaN', value('NaN', 'JSON')),
    ('NaN as text', value('"NaN"', '"field": ?"data.value"')),
    ('40-digit value', value('"' + '9' * 40 + '"', '"field": ?"data.value"')),
    ('40-digit number', value('9' * 40, '"field": ?"data.value"')),
    ('another content type', not_events),
]
