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
MIB = 1 << 20


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
    """An enrolled device's state folder; its agent must not run."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, 'enrolment.pem')) as file:
            text = re.search(r'-----BEGIN LEDGERLINE ENROLMENT-----(.*?)-----END', file.read(), re.DOTALL)[1]
        enrolment = member(base64.b64decode(text), 2)
        grant = member(member(enrolment, 8), 2)
        self.tenant, self.device = member(grant, 2).decode(), member(grant, 3).decode()
        self.stream, self.key_id = member(grant, 5), member(grant, 7)
        self.partition = next((value for key, value in parse(grant) if key == 6), 0)
        self.previous, self.number, self.next_seq = labelled(b'ledgerline/grant/v1', grant), 0, 1

    def topic(self, kind):
        return 'ledgerline/v1/%s/%02x/%s/%s' % (self.tenant, self.partition, self.device, kind)

    def sign(self, body):
        text = b'DSSEv1 %d %s %d %s' % (len(MANIFEST_TYPE), MANIFEST_TYPE, len(body), body)
        path = os.path.join(self.folder, 'to-be-signed')
        with open(path, 'wb') as file:
            file.write(text)
        done = subprocess.run(['openssl', 'pkeyutl', '-sign', '-rawin', '-in', path, '-inkey',
                               os.path.join(self.folder, 'keys', 'signing.pem')], capture_output=True, check=True)
        os.unlink(path)
        return done.stdout

    def batch(self, compressed, plain_size, readings=1):
        """The next batch of the stream, sealed, around this compressed section."""
        salt = os.urandom(16)
        self.number += 1
        section = (field(1, labelled(b'ledgerline/section/v1', salt + compressed)) + field(2, len(compressed)) +
                   field(3, plain_size))
        manifest = (field(1, 1) + field(2, self.stream) + field(3, self.number) + field(4, self.next_seq) +
                    field(5, self.next_seq + readings - 1) + field(6, self.previous) + field(7, section) + field(9, 1))
        self.next_seq += readings
        self.previous = labelled(b'ledgerline/batch/v1', manifest)
        return (field(1, manifest) + field(2, self.key_id) + field(3, self.sign(manifest)) +
                field(4, field(1, salt) + field(2, compressed)))

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


def zstd_bomb(plain_size, stated_size):
    """A zstd frame (RFC 8878) of run-length blocks: each says 128 KiB of one byte in 4 bytes. The header states the size."""
    frame = bytearray(struct.pack('<IBI', 0xFD2FB528, 0b10100000, stated_size))
    left = plain_size
    while left:
        size = min(left, 128 * 1024)
        left -= size
        frame += struct.pack('<I', (left == 0) | 1 << 1 | size << 3)[:3] + b'\0'
    return bytes(frame)
