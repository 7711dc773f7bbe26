"""A batch that a device's own key signs although no agent would make it: for tests of what comes after custody.

Written from proto/PROTOCOL.md alone, sharing nothing with the product; openssl signs. Only what such a batch needs.
"""
import base64
import hashlib
import os
import re
import struct
import subprocess

MANIFEST_TYPE = b'application/vnd.ledgerline.manifest.v1+protobuf'
TOMBSTONE_TYPE = b'application/vnd.ledgerline.tombstone.v1+protobuf'
HEARTBEAT_TYPE = b'application/vnd.ledgerline.heartbeat.v1+protobuf'
MIB = 1 << 20
MONOTONIC = 1  # flag of a reading
BILLING, DIAGNOSTIC = 1, 2


# ---- Protobuf

def varint(number):
    out = b''
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """A varint for an integer, length-delimited for bytes; 0 and empty stay away, as in proto3."""
    if not value:
        return b''
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(message):
    """[(field number, integer or bytes)]"""
    def read_varint(at):
        number, shift = 0, 0
        while True:
            byte = message[at]
            number |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return number, at

    found, at = [], 0
    while at < len(message):
        key, at = read_varint(at)
        value, at = read_varint(at)
        if key & 7 == 2:
            value, at = message[at:at + value], at + value
        found.append((key >> 3, value))
    return found


def member(message, number):
    return next(value for key, value in parse(message) if key == number)


# ---- What the device has

class Device:
    """An enrolled device's state folder, with one of its streams; its agent must not run."""

    def __init__(self, folder, stream_class=BILLING):
        self.folder = folder
        with open(os.path.join(folder, 'enrolment.pem')) as file:
            text = re.search(r'-----BEGIN LEDGERLINE ENROLMENT-----(.*?)-----END', file.read(), re.DOTALL)[1]
        enrolment = member(base64.b64decode(text), 2)
        grants = [member(grant, 2) for key, grant in parse(enrolment) if key == 8]
        grant = next(grant for grant in grants if member(grant, 4) == stream_class)
        self.tenant, self.device = member(grant, 2).decode(), member(grant, 3).decode()
        self.stream, self.key_id = member(grant, 5), member(grant, 7)
        self.partition = next((value for key, value in parse(grant) if key == 6), 0)
        self.previous, self.number, self.next_seq = labelled(b'ledgerline/grant/v1', grant), 0, 1

    def topic(self, kind):
        return 'ledgerline/v1/%s/%02x/%s/%s' % (self.tenant, self.partition, self.device, kind)

    def sign(self, body, type_=MANIFEST_TYPE):
        text = b'DSSEv1 %d %s %d %s' % (len(type_), type_, len(body), body)
        path = os.path.join(self.folder, 'to-be-signed')
        with open(path, 'wb') as file:
            file.write(text)
        done = subprocess.run(['openssl', 'pkeyutl', '-sign', '-rawin', '-in', path, '-inkey',
                               os.path.join(self.folder, 'keys', 'signing.pem')], capture_output=True, check=True)
        os.unlink(path)
        return done.stdout

    def batch(self, compressed, plain_size, readings=1, totals=()):
        """The next batch of the stream, sealed, around this compressed section. totals: (meter number, sum) ascending."""
        salt = os.urandom(16)
        self.number += 1
        section = (field(1, labelled(b'ledgerline/section/v1', salt + compressed)) + field(2, len(compressed)) +
                   field(3, plain_size))
        manifest = (field(1, 1) + field(2, self.stream) + field(3, self.number) + field(4, self.next_seq) +
                    field(5, self.next_seq + readings - 1) + field(6, self.previous) + field(7, section) +
                    b''.join(field(8, field(1, meter) + field(2, integer(total))) for meter, total in totals) + field(9, 1))
        self.next_seq += readings
        self.previous = labelled(b'ledgerline/batch/v1', manifest)
        return (field(1, manifest) + field(2, self.key_id) + field(3, self.sign(manifest)) +
                field(4, field(1, salt) + field(2, compressed)))

    def tombstone(self, batches, readings, reason):
        """Stands for so many batches with so many readings, which nobody will ever see."""
        first, self.number = self.number + 1, self.number + batches
        previous, self.previous = self.previous, hashlib.sha256(os.urandom(16)).digest()
        body = (field(1, 1) + field(2, self.stream) + field(3, first) + field(4, self.number) + field(5, self.next_seq) +
                field(6, self.next_seq + readings - 1) + field(7, previous) + field(8, self.previous) +
                field(10, reason.encode()) + field(11, 1_700_000_000_000) + field(12, 1_700_000_060_000) + field(13, section(self.next_seq, [])))
        self.next_seq += readings
        return (field(1, TOMBSTONE_TYPE) + field(2, body) + field(3, self.key_id) +
                field(4, self.sign(body, TOMBSTONE_TYPE)))

    def heartbeat(self, number, complete_through_ms):
        """Promises that no later reading has an earlier time."""
        body = (field(1, self.stream) + field(2, number) + field(3, self.next_seq) + field(4, self.number) +
                field(5, self.previous) + field(7, bytes(16)) + field(10, complete_through_ms) + field(12, complete_through_ms))
        return (field(1, HEARTBEAT_TYPE) + field(2, body) + field(3, self.key_id) +
                field(4, self.sign(body, HEARTBEAT_TYPE)))

    def publish(self, port, kind, payload):
        """Returns what the client says about it: nothing where the broker took it."""
        path = os.path.join(self.folder, 'payload')
        with open(path, 'wb') as file:
            file.write(payload)
        done = subprocess.run(
            ['mosquitto_pub', '-V', '5', '-h', '127.0.0.1', '-p', str(port), '-q', '1', '-i', 'forge-' + self.device,
             '--cafile', os.path.join(self.folder, 'ca.pem'), '--cert', os.path.join(self.folder, 'certificate.pem'),
             '--key', os.path.join(self.folder, 'keys', 'tls.pem'), '-t', self.topic(kind), '-f', path],
            capture_output=True, text=True)
        os.unlink(path)
        return done.stdout + done.stderr


def labelled(label, content):
    return hashlib.sha256(label + b'\0' + content).digest()


def integer(number):
    """Two's complement, big-endian, shortest form."""
    return number.to_bytes(number.bit_length() // 8 + 1, 'big', signed=True) if number else b''


def zigzag(number):
    return varint((number << 1 if number >= 0 else (-number << 1) - 1) & (1 << 64) - 1)


def packed(number, values, encode=varint):
    return field(number, b''.join(map(encode, values))) if any(values) else b''


def meter_table(meters):
    """A record at the first seq. meters: (number, name, unit, kind), kind as in the protocol: 2 delta, 3 gauge."""
    rows = b''.join(field(2, field(1, number) + field(2, name.encode()) + field(3, unit.encode()) + field(5, kind) +
                             field(6, 1)) for number, name, unit, kind in meters)
    return field(3, field(1, 1) + rows)


def section(first_seq, readings, records=(), dimension=None):
    """readings: (meter number, subject, time in ms, value, flags); records stand before the first of them; dimension: (name,
    value) of every reading."""
    subjects = sorted({subject for _, subject, _, _, _ in readings if subject})
    index = {subject: at + 1 for at, subject in enumerate(subjects)}
    times, before = [], {}
    for _, _, time, _, flags in readings:
        clock = flags & MONOTONIC
        times.append(time - before.get(clock, 0))
        before[clock] = time
    flags = [flags for _, _, _, _, flags in readings]
    return (field(1, 1) + b''.join(field(2, field(1, first_seq) + record) for record in records) +
            b''.join(field(3, subject.encode()) for subject in subjects) +
            (field(4, field(1, field(1, dimension[0].encode()) + field(2, dimension[1].encode()))) if dimension else b'') +
            packed(6, [row[0] for row in readings]) + packed(7, [index.get(row[1], 0) for row in readings]) +
            (packed(8, [1] * len(readings)) if dimension else b'') +
            packed(9, times, zigzag) + packed(10, [row[3] for row in readings], zigzag) +
            (b''.join(field(12, field(1, 1) + field(2, flag)) for flag in flags) if any(flags) else b'') +
            field(14, len(readings)))


def zstd_stored(plain):
    """A zstd frame of uncompressed blocks."""
    frame = struct.pack('<IBI', 0xFD2FB528, 0b10100000, len(plain))
    pieces = [plain[at:at + 128 * 1024] for at in range(0, len(plain), 128 * 1024)] or [b'']
    for at, piece in enumerate(pieces):
        frame += struct.pack('<I', (at == len(pieces) - 1) | len(piece) << 3)[:3] + piece
    return frame


def zstd_bomb(plain_size, stated_size):
    """A zstd frame (RFC 8878) of run-length blocks: each says 128 KiB of one byte in 4 bytes. The header states the size."""
    frame = bytearray(struct.pack('<IBI', 0xFD2FB528, 0b10100000, stated_size))
    left = plain_size
    while left:
        size = min(left, 128 * 1024)
        left -= size
        frame += struct.pack('<I', (left == 0) | 1 << 1 | size << 3)[:3] + b'\0'
    return bytes(frame)
