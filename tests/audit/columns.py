"""A section's plain bytes -> its readings and records: PROTOCOL.md, section 3."""
from types import SimpleNamespace

import wire
from refusal import Refused, require

READINGS_MAX = 4096
MONOTONIC, RESET, LATE = 1, 2, 4
KINDS = ('boot', 'meter_table', 'clock_anchor', 'coarsened')
REGISTER, DELTA, GAUGE, EVENT = 1, 2, 3, 4
TEXT_MAX = 1024


def _wrapped(value):
    """Modulo 2^64, as a signed number."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _column(section, name, part):
    column, count = getattr(section, name), section.reading_count
    require(len(column) in (0, count), part, 'column %s has %d entries for %d readings' % (name, len(column), count))
    return column or [0] * count


def _flags(section, part):
    flags = []
    for run in section.flags:
        require(0 < run.count <= section.reading_count and run.flags & ~(MONOTONIC | RESET | LATE) == 0, part,
                'a run of flags is wrong')
        flags += [run.flags] * run.count
    require(len(flags) in (0, section.reading_count), part, 'the flags are not those of all readings')
    return flags or [0] * section.reading_count


def _seqs(section, first_seq, tagged, part):
    require(tagged or not section.seq_steps, part, 'a section without a subject tag has seq_steps')
    steps = _column(section, 'seq_steps', part) if section.seq_steps else [1] * section.reading_count
    seqs, seq = [], first_seq - 1
    for step in steps:
        require(step >= 1, part, 'a seq does not rise')
        seq += step
        seqs.append(seq)
    return seqs


def _times(section, flags, part):
    require(section.reading_count == 0 or section.times, part, 'its readings have no times')
    newest, times = [0, 0], []
    for difference, flag in zip(_column(section, 'times', part), flags):
        clock = flag & MONOTONIC
        newest[clock] = _wrapped(newest[clock] + difference)
        times.append(newest[clock])
    return times


def _dimensions(section, part):
    sets = []
    for entry in section.dimension_sets:
        names = [dimension.name for dimension in entry.dimensions]
        require(names and names == sorted(set(names), key=lambda name: name.encode('utf-8')), part,
                'a set of dimensions is empty or not ascending')
        sets.append(tuple((dimension.name, dimension.value) for dimension in entry.dimensions))
    return sets


def _indexed(section, name, choices, none, part):
    for index in _column(section, name, part):
        require(index <= len(choices), part, '%s points behind what there is' % name)
        yield none if index == 0 else choices[index - 1]


def _record(raw, first_seq, last_seq, part):
    kinds = [kind for kind in KINDS if getattr(raw, kind) is not None]
    require(len(kinds) == 1, part, 'a record is of no known kind')
    require(first_seq <= raw.before_seq <= last_seq + 1, part, 'a record stands outside of the batch')
    require(kinds != ['boot'] or len(raw.boot.boot_id) == 16 and len(raw.boot.configuration_hash) == 32, part,
            'a boot record is incomplete')
    return SimpleNamespace(before_seq=raw.before_seq, kind=kinds[0], content=getattr(raw, kinds[0]))


def read_section(plain, first_seq, last_seq, tagged, part):
    """Readings and records as they stand, and the subjects. What meters say of registers and ids is checked later."""
    try:
        section = wire.decode(wire.SECTION, plain)
    except wire.WireError as error:
        raise Refused(part, str(error)) from None
    require(section.format == 1, part, 'the format is not 1')
    require(section.reading_count <= READINGS_MAX, part, 'it has more than 4096 readings')
    flags = _flags(section, part)
    columns = zip(_seqs(section, first_seq, tagged, part), _column(section, 'meters', part),
                  _indexed(section, 'subject_indexes', section.subjects, '', part),
                  _indexed(section, 'dimension_indexes', _dimensions(section, part), (), part),
                  _times(section, flags, part), _column(section, 'values', part), flags)
    readings = [SimpleNamespace(seq=seq, meter=meter, subject=subject, dimensions=dimensions, time=time, value=value,
                                flags=flag) for seq, meter, subject, dimensions, time, value, flag in columns]
    require(not readings or readings[-1].seq <= last_seq, part, 'a seq passes the last one of the batch')
    for reading in readings:
        size = len(reading.subject.encode('utf-8')) + sum(
            len((name + value).encode('utf-8')) for name, value in reading.dimensions)
        require(size <= 4096, part, 'subject and dimensions of a reading have more than 4096 bytes')
    records = [_record(raw, first_seq, last_seq, part) for raw in section.records]
    places = [record.before_seq for record in records]
    require(places == sorted(places), part, 'the records are not ascending')
    return SimpleNamespace(readings=readings, records=records, subjects=section.subjects,
                           registers=len(section.registers), ids=len(section.ids),
                           indexes=_column(section, 'subject_indexes', part))


class Meters:
    """The meters of a stream so far: a number keeps its meaning for ever."""

    def __init__(self):
        self.table, self._in_force, self._known = 0, {}, {}

    def declare(self, table, part):
        numbers = [row.number for row in table.rows]
        require(table.number > self.table, part, 'meter table %d follows table %d' % (table.number, self.table))
        require(numbers == sorted(set(numbers)) and (not numbers or numbers[0] >= 1), part,
                'the rows of a meter table are not ascending')
        for row in table.rows:
            require(1 <= len(row.name.encode('utf-8')) <= 128 and len(row.unit.encode('utf-8')) <= 32 and
                    row.kind in (REGISTER, DELTA, GAUGE, EVENT), part, 'meter %d is none' % row.number)
            require(self._known.setdefault(row.number, row) == row, part,
                    'meter %d has another meaning than before' % row.number)
        require(len(self._known) <= 1024, part, 'the stream has more than 1024 meters')
        self.table, self._in_force = table.number, {row.number: row for row in table.rows}

    def row(self, number, part):
        require(number in self._in_force, part, 'meter %d is declared nowhere' % number)
        return self._in_force[number]
