"""A bundle made by hand for verify_test.py: one device, one stream of three batches with sections by subject, one subscription.
Each option of Bundle changes one thing before everything is signed and sealed again."""
import base64
import json
import os
import struct
from types import SimpleNamespace

import zstandard
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import merkle
from batch import MANIFEST_TYPE, subject_tag
from canonical import time_ms
from keys import PublicKey, labelled, pre_authentication_encoding, sha256

STREAM = bytes(range(16))
PROTOBUF = 'application/vnd.ledgerline.%s.v1+protobuf'
JSON = 'application/vnd.ledgerline.%s.v1+json'
AT = '2026-02-01T00:10:00.000Z'


def day(text):
    return time_ms(text, 'it')


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, value):
    """A number, or bytes, or a text; nothing where it is the default."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b''
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def packed(number, values):
    return field(number, b''.join(map(varint, values))) if values else b''


def zigzag(value):
    return (value << 1) ^ (value >> 63) if value >= 0 else ((-value) << 1) - 1


class Signer:
    def __init__(self, name):
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))
        self.der = self._key.public_key().public_bytes(serialization.Encoding.DER,
                                                       serialization.PublicFormat.SubjectPublicKeyInfo)
        self.public = PublicKey(self.der)

    def sign(self, payload_type, body):
        return self._key.sign(pre_authentication_encoding(payload_type, body))

    def signed(self, payload_type, body):
        return field(1, payload_type) + field(2, body) + field(3, self.public.id) + field(4, self.sign(payload_type, body))

    def note(self, size, root):
        origin = 'ledgerline/%s/log/7' % self.public.id.hex()
        text = '%s\n%d\n%s\n' % (origin, size, base64.b64encode(root).decode())
        hint = sha256(origin.encode(), b'\n\x01', self.public.raw_ed25519())[:4]
        signature = base64.b64encode(hint + self._key.sign(text.encode())).decode()
        return ('%s\n— %s %s\n' % (text, origin, signature)).encode()

    def pem(self):
        return b'-----BEGIN PUBLIC KEY-----\n' + base64.encodebytes(self.der) + b'-----END PUBLIC KEY-----\n'


# What can be changed in a bundle before it is signed; `edited` is afterwards, under a new seal: (type, place of a byte) of the last
# part of that type.
DEFAULTS = dict(
    # close statement and document; `document`: members of its header; `lines`: of each line what is otherwise; `billable`:
    # (quantity, amount) of the line, `before`: of revision 1
    quantity='300', readings=3, amount='3', document_price='0.01', lines=None, document={}, edit=None, before=None, billable=None,
    asked=1, close_lines=None, close={},
    period_from='2026-01-01T00:00:00.000Z', period_until='2026-02-01T00:00:00.000Z', log_leaves=None, approval=None,
    # streams; `heads`: stream -> what the heartbeat of one without batches says; `batches`: [(last seq, total,
    # [(subject, readings, records)])], `streams`: [(id, device, promise, predecessor)]
    batches=None, next_seq=5, withhold=None, drop_batch=None, proven=(), monotonic=False, anchored=True, streams=(), predecessor=b'',
    grant_key='device', grant_class=1, first_previous=None, arrange=None, heads={},
    promise='2026-02-01T00:00:00.000Z', heard=None, heard_seq=None,
    received='2026-01-16T00:00:00.000Z',
    # catalog and mapping; `links`: [([device/]subject, subscription, (from, until) ...)]
    contract={}, meter={}, price={}, card={}, entries=(), links=None, link='api', version={}, corrections=(),
    gap=None, gap_tenant='acme',
    edited=())


class Bundle:
    def __init__(self, **change):
        self.made = SimpleNamespace(**dict(DEFAULTS, **change))
        self._collector, self._ann, self._device = Signer('collector'), Signer('ann'), Signer('device')
        self._leaves, self._statements, self._batches, self._grants, self._last, self._table = [], [], [], [], 0, 0
        self._idle = {}
        others = [self._other_stream(*other) for other in self.made.streams]
        self._chain = self._grant(STREAM, 'gw-1', Signer(self.made.grant_key), self.made.predecessor)
        for number, (last, total, subjects) in enumerate(self.made.batches or self._three_batches(), 1):
            self._batch(number, last, total, subjects)
        catalog, mapping = self._versions()
        self._corrections(self.made.corrections)
        gaps = self._gap()
        self._document = self._make_document()
        if self.made.approval is not None:
            self._say(6, 'approval', dict({
                'format': 1, 'tenant': 'acme', 'document': 'bs-1', 'revision': 1, 'sha256': sha256(self._document).hex(),
                'verdict': 'approved', 'by': 'ann', 'at': AT, 'reason': ''}, **self.made.approval))
        self._close(catalog, mapping, others, gaps)
        if self.made.drop_batch is not None:
            del self._batches[self.made.drop_batch]
        self._heartbeats = [self._heartbeat()] + [self._idle_heartbeat(stream, *head) for stream, head in self.made.heads.items()]

    def _idle_heartbeat(self, stream, number, head):
        """Of a stream without batches; head: None for the grant's id."""
        body = (field(1, stream) + field(2, 9) + field(3, 1) + field(4, number) + field(5, head or self._idle[stream]) +
                field(7, bytes(16)) + field(10, day(self.made.promise)))
        return stream + self._device.signed(PROTOBUF % 'heartbeat', body)

    def _heartbeat(self):
        body = (field(1, STREAM) + field(2, 9) + field(3, self.made.heard_seq or self.made.next_seq) + field(5, bytes(32)) +
                field(7, bytes(16)) + field(10, day(self.made.heard or self.made.promise)))
        return STREAM + self._device.signed(PROTOBUF % 'heartbeat', body)

    def _gap(self):
        if not self.made.gap:
            return []
        return [self._say(5, 'gap-acceptance', {'format': 1, 'tenant': self.made.gap_tenant, 'device': 'gw-1', 'from': self.made.gap[0],
                                                'until': self.made.gap[1], 'by': 'ann', 'at': AT, 'reason': 'burnt'})]

    def _make_document(self):
        made = self.made
        quantity, amount = made.billable or (made.quantity, made.amount)
        line = {'number': 1, 'subscription': 'api', 'product': 'CALL', 'description': 'Calls', 'meter': 'calls', 'unit': '1',
                'quantity': made.quantity, 'booked_quantity': made.before[0] if made.before else '0', 'readings': made.readings,
                'included': made.price.get('included', '0'), 'tier': {'from': '0', 'to': None}, 'billable_quantity': quantity,
                'unit_price': made.document_price, 'amount': '%.2f' % float(amount), 'rate_card': {'name': 'card', 'version': 1}}
        if not made.billable:
            del line['booked_quantity']
        lines = [dict(dict(line, number=number), **change) for number, change in enumerate(made.lines or [{}], 1)]
        body = self._json(dict({
            'kind': 'adjustment' if made.billable else 'billing-summary', 'id': 'bs-1', 'tenant': 'acme',
            'account': {'name': 'acme', 'legal_name': 'Acme', 'external': 'C-1'}, 'contract': 'acme-2026',
            'approval': made.contract.get('approval', 'auto'), 'currency': 'EUR',
            'untaxed_total': '%.2f' % sum(float(line['amount']) for line in lines),
            'period': {'from': made.period_from, 'until': made.period_until, 'local_from': made.period_from[:19] + '+00:00',
                       'local_until': made.period_until[:19] + '+00:00', 'time_zone': 'Europe/London',
                       'zone_database': '2026a'},
            'lines': lines}, **made.document))
        return made.edit(body) if made.edit else body

    def _close(self, catalog, mapping, others, gaps):
        made = self.made
        close = {
            'format': 1, 'tenant': 'acme', 'contract': 'acme-2026', 'period': {'from': made.period_from, 'until': made.period_until},
            'revision': 1, 'log_leaves': len(self._leaves) if made.log_leaves is None else made.log_leaves,
            'catalog': catalog.hex(), 'mapping': mapping.hex(), 'zone_database': '2026a',
            'streams': [{'stream': STREAM.hex(), 'device': 'gw-1', 'batch': len(self._batches), 'batch_id': self._chain.hex(),
                         'next_seq': made.next_seq, 'complete_through': made.promise}] + others,
            'gaps': [number.hex() for number in gaps],
            'lines': [{'subscription': 'api', 'meter': 'calls', 'unit': '1', 'quantity': made.quantity,
                       'readings': made.readings, 'amount': made.amount}],
            'document': {'id': 'bs-1', 'revision': 1, 'sha256': sha256(self._document).hex()}, 'by': 'collector', 'at': AT}
        if made.arrange:
            close['streams'] = made.arrange(close['streams'])
        if made.before:
            line = dict(close['lines'][0], quantity=made.before[0], amount=made.before[1])
            self._say(7, 'close', dict(close, lines=[line], document=None))
        if made.close_lines is not None:
            close['lines'] = made.close_lines
        self._say(7, 'close', dict(close, revision=2 if made.billable else 1, **made.close))

    @staticmethod
    def _json(value):
        return json.dumps(value, separators=(',', ':'), ensure_ascii=False).encode()

    @staticmethod
    def path(leaves, index):
        """The inclusion proof of a leaf: RFC 6962, section 2.1.1."""
        if len(leaves) < 2:
            return []
        split = 1 << ((len(leaves) - 1).bit_length() - 1)
        if index < split:
            return Bundle.path(leaves[:split], index) + [merkle.root_of(leaves[split:])]
        return Bundle.path(leaves[split:], index - split) + [merkle.root_of(leaves[:split])]

    def _proof(self, leaves, index):
        path = self.path(leaves, index)
        return struct.pack('>QB', index, len(path)) + b''.join(path)

    def _say(self, kind, word, members):
        body = self._json(members)
        signer = self._ann if members['by'] == 'ann' else self._collector
        number = labelled('ledgerline/%s/v1' % word, body)
        self._statements.append((kind, len(self._leaves), signer.signed(JSON % word, body)))
        self._leaves.append(number)
        return number

    def _grant(self, stream, device, key, predecessor):
        body = (field(1, 1) + field(2, 'acme') + field(3, device) + field(4, self.made.grant_class) + field(5, stream) +
                field(7, key.public.id) + field(8, 1) + field(9, 1) + field(10, predecessor))
        self._grants.append(self._collector.signed(PROTOBUF % 'grant', body))
        return labelled('ledgerline/grant/v1', body)

    def _other_stream(self, stream, device, promise, predecessor):
        """One without batches, of the same key; what the close says of it."""
        grant = self._idle[stream] = self._grant(stream, device, self._device, predecessor)
        return {'stream': stream.hex(), 'device': device, 'batch': 0, 'batch_id': grant.hex(), 'next_seq': 1,
                'complete_through': promise}

    def _three_batches(self):
        noon = day('2026-01-15T12:00:00.000Z')
        anchor = self.anchor(5, 1000, noon + 9) if self.made.anchored else b''
        reading = (4, 1000, 100, 1) if self.made.monotonic else (4, noon + 9, 100)
        return [(0, 0, [('', [], self.boot(1) + self.table(1))]),
                (3, 201, [('', [], b''), ('aqua', [(1, noon, 100), (3, noon + 5, 100)], b''),
                          ('borealis', [(2, noon + 1, 1)], b'')]),
                (4, 301, [('', [], anchor), ('aqua', [reading], b'')])]

    @staticmethod
    def boot(before):
        return field(2, field(1, before) + field(2, field(1, bytes(16)) + field(2, 'agent 1') +
                                                 field(3, sha256(b'configuration'))))

    @staticmethod
    def table(before, row=('1', 0, 2)):
        meter = field(1, 1) + field(2, 'calls') + field(3, row[0]) + field(4, row[1]) + field(5, row[2])
        return field(2, field(1, before) + field(3, field(1, 1) + field(2, meter)))

    @staticmethod
    def anchor(before, monotonic, wall):
        return field(2, field(1, before) + field(4, field(1, monotonic) + field(2, wall) + field(3, 2)))

    def _section(self, first, subject, readings, records):
        flags, newest, times = [(reading + (0,))[3] for reading in readings], [0, 0], []
        for reading, flag in zip(readings, flags):
            times.append(reading[1] - newest[flag & 1])
            newest[flag & 1] = reading[1]
        seqs = [first - 1] + [reading[0] for reading in readings]
        return (field(1, 1) + records + (field(3, subject) if subject else b'') +
                packed(5, [after - before for before, after in zip(seqs, seqs[1:])]) + packed(6, [1] * len(readings)) +
                packed(7, [1] * len(readings) if subject else []) +
                packed(9, [zigzag(time) for time in times]) +
                packed(10, [zigzag(reading[2]) for reading in readings]) +
                b''.join(field(12, field(1, 1) + field(2, flag)) for flag in flags if any(flags)) + field(14, len(readings)))

    def _batch(self, number, last, total, subjects):
        first, self._last = self._last + 1, last
        if any(b'calls' in records for _, _, records in subjects):
            self._table = 1
        said, sections = b'', b''
        for subject, readings, records in subjects:
            plain, salt = self._section(first, subject, readings, records), sha256(b'salt', subject.encode())[:16]
            packed_section = zstandard.ZstdCompressor().compress(plain)
            said += field(7, field(1, labelled('ledgerline/section/v1', salt, packed_section)) + field(2, len(packed_section)) +
                          field(3, len(plain)) + field(5, subject_tag(STREAM, subject)))
            sections += field(4, b'' if subject and subject == self.made.withhold else field(1, salt) + field(2, packed_section))
        totals = field(8, field(1, 1) + field(2, total.to_bytes(total.bit_length() // 8 + 1, 'big', signed=True))) if total else b''
        manifest = (field(1, 1) + field(2, STREAM) + field(3, number) + field(4, first) + field(5, last) +
                    field(6, number == 1 and self.made.first_previous or self._chain) + said + totals + field(9, self._table))
        sealed = field(1, manifest) + field(2, self._device.public.id) + field(
            3, self._device.sign(MANIFEST_TYPE, manifest)) + sections
        self._chain = labelled('ledgerline/batch/v1', manifest)
        self._batches.append((number, len(self._leaves), self._chain, sealed))
        self._leaves.append(self._chain)

    def _versions(self):
        self._entries = []
        catalog = [{'kind': 'contract', 'name': 'acme-2026', 'account': 'acme', 'connector': 'erp', 'currency': 'EUR',
                    'time_zone': 'Europe/London', 'anchor': '2026-01-01T00:00:00.000Z', 'anchor_text': '2026-01-01', 'period': 'P1M',
                    'until': None, 'grace_ms': 0, 'silence_ms': 0, 'adjust_after_ms': 0, 'approval': 'auto',
                    'subscriptions': [{'name': name, 'rate_card': 'card'} for name in ('api', 'another')]},
                   {'kind': 'account', 'name': 'acme', 'legal_name': 'Acme', 'external': 'C-1'},
                   {'kind': 'meter', 'name': 'calls', 'unit': '1', 'meter_kind': 'delta', 'aggregation': 'sum',
                    'class': 'billing'},
                   {'kind': 'rate_card', 'name': 'card', 'version': 1, 'currency': 'EUR', 'from': '2026-01-01T00:00:00.000Z',
                    'prices': [{'meter': 'calls', 'product': 'CALL', 'description': 'Calls', 'included': '0',
                                'tiers': [{'up_to': None, 'unit_price': '0.01'}]}]}]
        catalog[0].update(self.made.contract)
        catalog[-2].update(self.made.meter)
        catalog[-1]['prices'][0].update(self.made.price)
        catalog[-1].update(self.made.card)
        catalog += self.made.entries

        def links(subject, subscription, *spans):
            device, _, subject = subject.rpartition('/')
            return {'kind': 'links', 'device': device or 'gw-1', 'subject': subject,
                    'links': [{'subscription': subscription, 'asset': '' if subscription else 'pump', 'from': begin, 'until': until}
                              for begin, until in spans or [('2026-01-01T00:00:00.000Z', None)]]}
        mapping = self.made.links or [('aqua', self.made.link), ('borealis', 'another')]
        return (self._version(2, 'catalog-version', catalog),
                self._version(3, 'mapping-version', [links(*one) for one in mapping]))

    def _version(self, kind, word, entries):
        texts = sorted(map(self._json, entries))
        salts = [sha256(text)[:16] for text in texts]
        hashes = [labelled('ledgerline/entry/v1', salt, text) for salt, text in zip(salts, texts)]
        number = self._say(kind, word, dict({
            'format': 1, 'tenant': 'acme', 'number': 1, 'previous': None, 'entries': len(texts),
            'root': merkle.root_of(hashes).hex(), 'by': 'ann', 'at': AT, 'reason': ''}, **self.made.version))
        for index, (salt, text) in enumerate(zip(salts, texts)):
            self._entries.append((number, index, self._proof(hashes, index) + salt + text))
        return number

    def _corrections(self, actions):
        """Each an action, or (action, what is otherwise); a withdraw is of the correction before it."""
        made = None
        for action, change in ((entry, {}) if isinstance(entry, str) else entry for entry in actions):
            made = self._say(4, 'correction', dict({
                'format': 1, 'tenant': 'acme', 'action': action, 'device': 'gw-1', 'subject': 'aqua', 'meter': 'calls', 'unit': '1',
                'from': '2026-01-15T12:00:00.000Z', 'until': '2026-01-15T12:00:00.005Z' if action == 'void' else None,
                'value': '7' if action == 'add' else None, 'withdraws': made.hex() if action == 'withdraw' else None,
                'references': [], 'by': 'ann', 'at': AT, 'reason': 'checked'}, **change))

    def encoded(self):
        newest, received = self._batches[-1][0], self.made.received
        received = day(received) if isinstance(received, str) else received
        root = merkle.root_of(self._leaves)
        parts = [(1, self._json({'format': 1, 'document': 'bs-1', 'revision': 1, 'line': self.made.asked})), (2, self._document),
                 (3, self._collector.note(len(self._leaves), root))]
        parts += [(4, bytes([kind]) + self._proof(self._leaves, leaf) + signed) for kind, leaf, signed in self._statements]
        parts += [(5, version + rest) for version, _, rest in sorted(self._entries)]
        parts += [(6, grant) for grant in sorted(self._grants)]
        for number, leaf, _, sealed in self._batches:
            proof = b'\1' + self._proof(self._leaves, leaf) if number == newest or number in self.made.proven else b'\0'
            parts.append((7, STREAM + struct.pack('>QQ', number, received) + proof + sealed))
        parts += [(8, heartbeat) for heartbeat in self._heartbeats]
        for kind, place in self.made.edited:
            of_kind = [number for number, part in enumerate(parts) if part[0] == kind]
            data = bytearray(parts[of_kind[-1]][1])
            data[place] ^= 1
            parts[of_kind[-1]] = kind, bytes(data)
        seal = {'format': 1, 'parts': [labelled('ledgerline/bundle-part/v1', bytes([kind]), data).hex() for kind, data in parts],
                'by': 'collector', 'at': AT}
        parts.append((9, self._collector.signed(JSON % 'bundle-seal', self._json(seal))))
        table = b'LEDGERLINE BUNDLE 1\n' + struct.pack('>I', len(parts)) + b''.join(
            struct.pack('>BI', kind, len(data)) for kind, data in parts)
        return table + sha256(table) + b''.join(data for _, data in parts)

    def write_keys(self, folder):
        for name, signer in (('collector', self._collector), ('operators/ann', self._ann), ('devices/acme.gw-1', self._device),
                             ('devices/acme.gw-2', self._device)):
            path = os.path.join(folder, name + '.pem')
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'wb') as file:
                file.write(signer.pem())
