"""The one canonical form of JSON in statements and entries: PROTOCOL.md, section 7. A shape is a function (value, where) that
raises ShapeError; an object's shape says its members in order. Decimals are exact fractions."""
import json
import re
from datetime import datetime, timedelta, timezone
from fractions import Fraction

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TIME = re.compile(r'(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z', re.ASCII)
DECIMAL = re.compile(r'-?(0|[1-9]\d{0,39})(\.\d{0,39}[1-9])?', re.ASCII)
PADDED = re.compile(r'-?\d{1,40}(\.\d{1,40})?', re.ASCII)
ESCAPES = {'"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t'}
ESCAPES.update({chr(code): '\\u%04x' % code for code in range(0x20) if chr(code) not in ESCAPES})


class ShapeError(ValueError):
    """A text that is not in the canonical form or not of the shape that is asked for."""


class Pairs(list):
    """An object's members as they stand, which a dict would hide."""


def _refused_number(text):
    raise ShapeError('%s is no whole number' % text)


def quoted(text):
    return '"' + ''.join(ESCAPES.get(character, character) for character in text) + '"'


def written(value):
    """The canonical form of what `parsed` or `loose` returned."""
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, _Fraction):
        return value.text
    if isinstance(value, Pairs):
        return '{' + ','.join(quoted(name) + ':' + written(member) for name, member in value) + '}'
    return '[' + ','.join(map(written, value)) + ']'


def parsed(body):
    """JSON whose numbers are whole, from bytes that are its canonical form."""
    try:
        value = json.loads(body.decode('utf-8'), object_pairs_hook=Pairs, parse_float=_refused_number,
                           parse_constant=_refused_number)
        again = written(value).encode('utf-8')
    except ShapeError:
        raise
    except (ValueError, RecursionError) as error:
        raise ShapeError('it is no JSON: %s' % error) from None
    if again != body:
        raise ShapeError('it is not in the canonical form')
    return value


def read(body, shape):
    return shape(parsed(body), 'it')


class _Fraction:
    """A number that is not whole, as it was written."""

    def __init__(self, text):
        self.text = text


def _each_once(members):
    if len(dict(members)) != len(members):
        raise ShapeError('a member of an object is there twice')
    return Pairs(members)


def loose(body):
    """Any JSON whose members each stand once, for `written`: a document's body."""
    try:
        return json.loads(body.decode('utf-8'), object_pairs_hook=_each_once, parse_float=_Fraction,
                          parse_constant=_refused_number)
    except ShapeError:
        raise
    except (ValueError, RecursionError) as error:
        raise ShapeError('it is no JSON: %s' % error) from None


# ---- Shapes

def text(value, where):
    if not isinstance(value, str):
        raise ShapeError('%s is no text' % where)
    return value


def flag(value, where):
    if not isinstance(value, bool):
        raise ShapeError('%s is neither true nor false' % where)
    return value


def whole(value, where):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise ShapeError('%s is no whole number' % where)
    return value


def number_from_one(value, where):
    if whole(value, where) == 0:
        raise ShapeError('%s is 0' % where)
    return value


def exactly(expected):
    def shape(value, where):
        if type(value) is not type(expected) or value != expected:
            raise ShapeError('%s is not %s' % (where, written(expected)))
        return value
    return shape


def one_of(*expected):
    def shape(value, where):
        if value not in expected or not isinstance(value, str):
            raise ShapeError('%s is none of %s' % (where, ', '.join(expected)))
        return value
    return shape


def optional(inner):
    return lambda value, where: None if value is None else inner(value, where)


def sized(least, most):
    def shape(value, where):
        if not least <= len(text(value, where).encode('utf-8')) <= most:
            raise ShapeError('%s has not %d to %d bytes' % (where, least, most))
        return value
    return shape


def digest(size=32):
    def shape(value, where):
        if not re.fullmatch('([0-9a-f]{2}){%d}' % size, text(value, where)):
            raise ShapeError('%s is not %d bytes in hexadecimal' % (where, size))
        return bytes.fromhex(value)
    return shape


def time_ms(value, where):
    """RFC 3339 in UTC with milliseconds -> milliseconds since 1970."""
    match = TIME.fullmatch(text(value, where))
    try:
        parts = list(map(int, match.groups()))
        moment = datetime(*parts[:6], tzinfo=timezone.utc)
    except (AttributeError, ValueError):
        raise ShapeError('%s is no time' % where) from None
    return (moment - EPOCH) // timedelta(milliseconds=1) + parts[6]


def decimal(value, where):
    """An exact decimal without superfluous zeros -> Fraction."""
    if not DECIMAL.fullmatch(text(value, where)) or value == '-0':
        raise ShapeError('%s is no decimal in its shortest form' % where)
    return Fraction(value)


def padded_decimal(value, where):
    """A decimal that may have more zeros than it needs, as amounts in a document's lines do -> Fraction."""
    if not PADDED.fullmatch(text(value, where)):
        raise ShapeError('%s is no decimal' % where)
    return Fraction(value)


def listed(inner, most=None):
    def shape(value, where):
        if not isinstance(value, list) or isinstance(value, Pairs):
            raise ShapeError('%s is no list' % where)
        if most is not None and len(value) > most:
            raise ShapeError('%s has more than %d members' % (where, most))
        return [inner(member, '%s[%d]' % (where, n)) for n, member in enumerate(value)]
    return shape


class Record:
    """The members of an object as attributes."""

    def __init__(self, members):
        self.__dict__.update(members)


def record(**members):
    """An object with exactly these members in this order, as attributes; `from_` is the member "from"."""
    names = [name.rstrip('_') for name in members]

    def shape(value, where):
        if not isinstance(value, Pairs):
            raise ShapeError('%s is no object' % where)
        if [name for name, _ in value] != names:
            raise ShapeError('%s has not exactly the members %s in this order' % (where, ', '.join(names)))
        return Record({attribute: inner(member, name) for (attribute, inner), (name, member) in zip(members.items(), value)})
    return shape
