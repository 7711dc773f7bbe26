"""A checkpoint, which is a signed note: PROTOCOL.md, section 6."""
import base64
import binascii
import re
from types import SimpleNamespace

from keys import ED25519, NAME, sha256
from refusal import require

PART = 'checkpoint'
ORIGIN = re.compile(r'ledgerline/([0-9a-f]{64})/([^/]*)/([1-9][0-9]{0,9})')
NOTE_SIZE_MAX = 64 * 1024
SIGNATURES_MAX = 16


def base64_bytes(text):
    """RFC 4648, section 4: padded, no set bits beneath the padding; None where it is not."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode('ascii') == text else None


def _lines(data):
    require(len(data) <= NOTE_SIZE_MAX, PART, 'the note has more than 64 KiB')
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError:
        text = ''
    require(text.endswith('\n'), PART, 'the note is no UTF-8 text whose every line ends with a line feed')
    require(not re.search('[\x00-\x09\x0b-\x1f\x7f]', text), PART, 'the note holds a control character')
    lines = text[:-1].split('\n')
    require(len(lines) >= 5 and lines[3] == '', PART, 'the note is not three lines, an empty one and signatures')
    return lines


def _log(lines):
    origin = ORIGIN.fullmatch(lines[0])
    require(origin and NAME.fullmatch(origin[2]) and int(origin[3]) < 1 << 32, PART, 'the origin names no log of ours')
    require(re.fullmatch('0|[1-9][0-9]{0,19}', lines[1]), PART, 'the number of leaves is no number')
    root = base64_bytes(lines[2])
    require(root is not None and len(root) == 32, PART, 'the root is no base64 of 32 bytes')
    require(int(lines[1]) <= 1 << 63, PART, 'nothing is proven by a tree of more than 2^63 leaves')
    return SimpleNamespace(origin=lines[0], key_id=bytes.fromhex(origin[1]), size=int(lines[1]), root=root)


def _hint(origin, key):
    if key.algorithm != ED25519:
        return key.id[:4]
    return sha256(origin.encode('utf-8'), b'\n\x01', key.raw_ed25519())[:4]


def verified(data, key):
    """origin, size and root of the note, signed by the collector's `key`."""
    lines = _lines(data)
    log = _log(lines)
    require(log.key_id == key.id, PART, "the origin names another collector's key")
    require(len(lines) - 4 <= SIGNATURES_MAX, PART, 'the note has more than 16 signatures')
    text = '\n'.join(lines[:3]).encode('utf-8') + b'\n'
    hint, signed = _hint(log.origin, key), False
    for line in lines[4:]:
        parts = re.fullmatch(r'— ([^\s+]+) ([^ ]+)', line)
        signature = base64_bytes(parts[2]) if parts else None
        require(signature is not None and len(signature) > 4, PART, 'a signature line is malformed')
        if parts[1] == log.origin and signature[:4] == hint:
            require(key.signed(signature[4:], text), PART, "the collector's signature is wrong")
            signed = True
    require(signed, PART, 'the collector did not sign it')
    return log
