"""The encoding of an evidence bundle and its seal: PROTOCOL.md, section 8."""
from collections import Counter
from types import SimpleNamespace

import canonical as c
import wire
from keys import labelled, sha256
from refusal import Refused, require

MAGIC = b'LEDGERLINE BUNDLE 1\n'
QUESTION, DOCUMENT, CHECKPOINT, STATEMENT, ENTRY, GRANT, BATCH, HEARTBEAT, SEAL = range(1, 10)
NAMES = {QUESTION: 'question', DOCUMENT: 'document', CHECKPOINT: 'checkpoint', STATEMENT: 'statement', ENTRY: 'entry',
         GRANT: 'grant', BATCH: 'batch', HEARTBEAT: 'heartbeat', SEAL: 'seal'}
ONCE = (QUESTION, DOCUMENT, CHECKPOINT, SEAL)
HASHES_MAX = 64
SEAL_TYPE = 'application/vnd.ledgerline.bundle-seal.v1+json'
QUESTION_SHAPE = c.record(format=c.exactly(1), document=c.text, revision=c.whole, line=c.whole)
SEAL_SHAPE = c.record(format=c.exactly(1), parts=c.listed(c.digest()), by=c.exactly('collector'), at=c.time_ms)


class Part:
    """One part's bytes, read from the front."""

    def __init__(self, kind, number, data):
        self.kind, self.data, self._at = kind, data, 0
        self.name = NAMES[kind] if kind in ONCE else '%s %d' % (NAMES[kind], number)

    def take(self, size):
        require(size <= len(self.data) - self._at, self.name, 'the part ends too early')
        self._at += size
        return self.data[self._at - size:self._at]

    def number(self, size):
        return int.from_bytes(self.take(size), 'big')

    def path(self):
        """(leaf, hashes) of an inclusion proof."""
        leaf, count = self.number(8), self.number(1)
        require(count <= HASHES_MAX, self.name, 'the path has more than 64 hashes')
        return leaf, [self.take(32) for _ in range(count)]

    def rest(self):
        return self.take(len(self.data) - self._at)

    def message(self, shape, data=None):
        return decoded(shape, self.rest() if data is None else data, self.name)


def decoded(shape, data, part):
    try:
        return wire.decode(shape, data)
    except wire.WireError as error:
        raise Refused(part, str(error)) from None


def parts_of(data):
    """The parts in order; the table before them is vouched for by its hash."""
    require(data[:len(MAGIC)] == MAGIC, 'bundle', 'it does not begin as a bundle of format 1 does')
    at = len(MAGIC) + 4
    count = int.from_bytes(data[at - 4:at], 'big')
    table_end = at + 5 * count
    require(len(data) >= table_end + 32, 'bundle', 'it ends before its table does')
    require(sha256(data[:table_end]) == data[table_end:table_end + 32], 'bundle', 'the table of parts was changed')
    parts, begin, ordinals = [], table_end + 32, Counter()
    for entry in range(at, table_end, 5):
        kind, size = data[entry], int.from_bytes(data[entry + 1:entry + 5], 'big')
        require(kind in NAMES, 'bundle', 'a part has the unknown type %d' % kind)
        require(size <= len(data) - begin, 'bundle', 'it ends within its parts')
        ordinals[kind] += 1
        part = Part(kind, ordinals[kind], data[begin:begin + size])
        parts.append(part)
        begin += size
    require(begin == len(data), 'bundle', 'bytes follow the last part')
    kinds = [part.kind for part in parts]
    require(kinds == sorted(kinds), 'bundle', 'the parts are not in the order of their types')
    for kind in ONCE:
        require(kinds.count(kind) == 1, NAMES[kind], 'there must be one, not %d' % kinds.count(kind))
    return parts


def check_seal(parts, collector):
    """The collector signed the hash of every other part."""
    part = parts[-1]
    signed = part.message(wire.SIGNED)
    require(signed.type == SEAL_TYPE, part.name, 'the payload type is another')
    require(collector.signed_statement(signed), part.name, "the signature is not the collector's")
    try:
        seal = c.read(signed.body, SEAL_SHAPE)
    except c.ShapeError as error:
        raise Refused(part.name, str(error)) from None
    require(len(seal.parts) == len(parts) - 1, part.name, 'it names %d parts, and there are %d' % (
        len(seal.parts), len(parts) - 1))
    for sealed, other in zip(seal.parts, parts):
        actual = labelled('ledgerline/bundle-part/v1', bytes([other.kind]), other.data)
        require(sealed == actual, other.name, 'it is not what was sealed')


def _ascending(parts, key):
    for before, after in zip(parts, parts[1:]):
        require(key(before) < key(after), after.part, 'it stands out of order')


def _statement_part(part):
    kind, (leaf, path) = part.number(1), part.path()
    return SimpleNamespace(part=part.name, kind=kind, leaf=leaf, path=path, signed=part.message(wire.SIGNED))


def _entry_part(part):
    version, (index, path) = part.take(32), part.path()
    return SimpleNamespace(part=part.name, version=version, index=index, path=path, salt=part.take(16), text=part.rest())


def _batch_part(part):
    stream, number, received = part.take(16), part.number(8), part.number(8)
    has_path = part.number(1)
    require(has_path in (0, 1), part.name, 'it says neither that it has a path nor that it has none')
    proof = part.path() if has_path else None
    return SimpleNamespace(part=part.name, stream=stream, number=number, received=received, proof=proof,
                           sealed_bytes=part.rest())


def _heartbeat_part(part):
    return SimpleNamespace(part=part.name, stream=part.take(16), signed=part.message(wire.SIGNED))


def contents(parts):
    """What the parts say, in the orders that the one encoding demands; nothing of it is believed yet."""
    def of(kind, read):
        return [read(part) for part in parts if part.kind == kind]
    try:
        question = c.read(parts[0].data, QUESTION_SHAPE)
    except c.ShapeError as error:
        raise Refused('question', str(error)) from None
    bundle = SimpleNamespace(
        question=question, document=parts[1].data, checkpoint=parts[2].data, statements=of(STATEMENT, _statement_part),
        entries=of(ENTRY, _entry_part), batches=of(BATCH, _batch_part), heartbeats=of(HEARTBEAT, _heartbeat_part),
        grants=of(GRANT, lambda part: SimpleNamespace(part=part.name, data=part.data, signed=part.message(wire.SIGNED))))
    _ascending(bundle.statements, lambda item: item.leaf)
    _ascending(bundle.entries, lambda item: (item.version, item.index))
    _ascending(bundle.grants, lambda item: item.data)
    _ascending(bundle.batches, lambda item: (item.stream, item.number))
    _ascending(bundle.heartbeats, lambda item: item.stream)
    return bundle
