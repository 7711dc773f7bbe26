"""Reads Protobuf, strictly: https://protobuf.dev/programming-guides/encoding. Messages are tables of fields, after
proto/ledgerline.proto; unknown fields are passed over (section 1.1: nothing is ever written again), all else that is wrong is
an error. A field that is not repeated may stand once."""
from types import SimpleNamespace


class WireError(ValueError):
    """The bytes are no message of this kind."""


def varint(data, at):
    """(value, next position) of the varint at `at`; at most 64 bits."""
    value, shift = 0, 0
    while True:
        if at >= len(data):
            raise WireError('the message ends within a number')
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise WireError('a number has more than 10 bytes')
    if value >> 64:
        raise WireError('a number has more than 64 bits')
    return value, at


def varints(data):
    """All numbers of a packed field."""
    values, at, end = [], 0, len(data)
    while at < end:
        byte = data[at]
        if byte < 0x80:
            values.append(byte)
            at += 1
        else:
            value, at = varint(data, at)
            values.append(value)
    return values


def _u32(value):
    if value >> 32:
        raise WireError('a number has more than 32 bits')
    return value


def _i64(value):
    return value - (1 << 64) if value >> 63 else value


def _s64(value):
    return (value >> 1) ^ -(value & 1)


def _bool(value):
    return value != 0


NUMBERS = {'u32': _u32, 'u64': lambda value: value, 'i64': _i64, 's64': _s64, 'enum': _u32, 'bool': _bool}


def _delimited(data, at):
    size, at = varint(data, at)
    if size > len(data) - at:
        raise WireError('a field is longer than its message')
    return data[at:at + size], at + size


def raw_fields(data):
    """(number, wire type, value) of each field in turn."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or tag >> 32:
            raise WireError('a field has no valid number')
        if wire_type == 0:
            value, at = varint(data, at)
        elif wire_type == 2:
            value, at = _delimited(data, at)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
            if size > len(data) - at:
                raise WireError('the message ends within a field')
            value, at = data[at:at + size], at + size
        else:
            raise WireError('wire type %d is not known' % wire_type)
        yield number, wire_type, value


def _text(value):
    try:
        return value.decode('utf-8')
    except UnicodeDecodeError:
        raise WireError('a text is not UTF-8') from None


def _one(kind, wire_type, value):
    if wire_type != 2:
        raise WireError('a field is a number where bytes are expected')
    if kind == 'bytes':
        return value
    return _text(value) if kind == 'string' else decode(kind, value)


def _default(kind):
    if isinstance(kind, dict):
        return None
    return {'bytes': b'', 'string': '', 'bool': False}.get(kind, 0)


def decode(message, data):
    """The fields of `message`, a table {number: (name, kind)} or {number: (name, kind, 'repeated')}."""
    result = SimpleNamespace(**{field[0]: [] if len(field) > 2 else _default(field[1]) for field in message.values()})
    seen = set()
    for number, wire_type, value in raw_fields(data):
        if number not in message:
            continue
        name, kind, *repeated = message[number]
        if not repeated:
            if number in seen:
                raise WireError('field %s stands twice' % name)
            seen.add(number)
        if isinstance(kind, str) and kind in NUMBERS:
            convert = NUMBERS[kind]
            if repeated and wire_type == 2:
                getattr(result, name).extend(map(convert, varints(value)))
                continue
            if wire_type != 0:
                raise WireError('field %s is not a number' % name)
            value = convert(value)
        else:
            value = _one(kind, wire_type, value)
        if repeated:
            getattr(result, name).append(value)
        else:
            setattr(result, name, value)
    return result


SIGNED = {1: ('type', 'string'), 2: ('body', 'bytes'), 3: ('key_id', 'bytes'), 4: ('signature', 'bytes')}
GRANT = {1: ('format', 'u32'), 2: ('tenant', 'string'), 3: ('device', 'string'), 4: ('stream_class', 'enum'),
         5: ('stream', 'bytes'), 6: ('partition', 'u32'), 7: ('key_id', 'bytes'), 8: ('algorithm', 'enum'),
         9: ('epoch', 'u32'), 10: ('predecessor', 'bytes'), 11: ('reason', 'string'), 12: ('issued_at_ms', 'i64')}
SEALED_SECTION = {1: ('salt', 'bytes'), 2: ('compressed', 'bytes')}
SEALED_BATCH = {1: ('manifest', 'bytes'), 2: ('key_id', 'bytes'), 3: ('signature', 'bytes'),
                4: ('sections', SEALED_SECTION, 'repeated')}
MANIFEST_SECTION = {1: ('hash', 'bytes'), 2: ('compressed_size', 'u32'), 3: ('plain_size', 'u32'),
                    4: ('dictionary', 'u32'), 5: ('subject_tag', 'bytes')}
TOTAL = {1: ('meter', 'u32'), 2: ('sum', 'bytes')}
MANIFEST = {1: ('format', 'u32'), 2: ('stream', 'bytes'), 3: ('batch_number', 'u64'), 4: ('first_seq', 'u64'),
            5: ('last_seq', 'u64'), 6: ('previous_batch_id', 'bytes'), 7: ('sections', MANIFEST_SECTION, 'repeated'),
            8: ('totals', TOTAL, 'repeated'), 9: ('meter_table', 'u32'), 15: ('critical', 'u32', 'repeated')}
BOOT = {1: ('boot_id', 'bytes'), 2: ('software', 'string'), 3: ('configuration_hash', 'bytes'),
        4: ('last_receipt_number', 'u64'), 5: ('last_receipt_upto', 'u64')}
METER_ROW = {1: ('number', 'u32'), 2: ('name', 'string'), 3: ('unit', 'string'), 4: ('scale', 'u32'), 5: ('kind', 'enum'),
             6: ('definition_version', 'u32'), 7: ('forward_ids', 'bool')}
METER_TABLE = {1: ('number', 'u32'), 2: ('rows', METER_ROW, 'repeated')}
ANCHOR = {1: ('monotonic_ms', 'i64'), 2: ('wall_ms', 'i64'), 3: ('quality', 'enum')}
COARSENED = {1: ('readings', 'u32'), 2: ('measurements', 'u64'), 3: ('from_ms', 'i64'), 4: ('to_ms', 'i64'),
             5: ('step_ms', 'i64')}
RECORD = {1: ('before_seq', 'u64'), 2: ('boot', BOOT), 3: ('meter_table', METER_TABLE), 4: ('clock_anchor', ANCHOR),
          5: ('coarsened', COARSENED)}
DIMENSION = {1: ('name', 'string'), 2: ('value', 'string')}
DIMENSION_SET = {1: ('dimensions', DIMENSION, 'repeated')}
FLAG_RUN = {1: ('count', 'u32'), 2: ('flags', 'u32')}
SECTION = {1: ('format', 'u32'), 2: ('records', RECORD, 'repeated'), 3: ('subjects', 'string', 'repeated'),
           4: ('dimension_sets', DIMENSION_SET, 'repeated'), 5: ('seq_steps', 'u32', 'repeated'),
           6: ('meters', 'u32', 'repeated'), 7: ('subject_indexes', 'u32', 'repeated'),
           8: ('dimension_indexes', 'u32', 'repeated'), 9: ('times', 's64', 'repeated'),
           10: ('values', 's64', 'repeated'), 11: ('registers', 's64', 'repeated'), 12: ('flags', FLAG_RUN, 'repeated'),
           13: ('ids', 'bytes', 'repeated'), 14: ('reading_count', 'u32')}
HEARTBEAT = {1: ('stream', 'bytes'), 2: ('number', 'u64'), 3: ('next_seq', 'u64'), 4: ('head_batch', 'u64'),
             5: ('head_id', 'bytes'), 6: ('totals', TOTAL, 'repeated'), 7: ('boot_id', 'bytes'), 8: ('acked_upto', 'u64'),
             9: ('receipt_number', 'u64'), 10: ('complete_through_ms', 'i64'), 11: ('free_bytes', 'u64'),
             12: ('sent_at_ms', 'i64'), 13: ('monotonic_ms', 'i64'), 14: ('coarsening', 'bool')}
