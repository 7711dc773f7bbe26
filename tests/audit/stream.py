"""One stream's batches in a bundle: the run, its chain, totals, meters, and the wall-clock time of each reading. PROTOCOL.md,
sections 3, 4 and 8 (step 7)."""
from collections import Counter
from typing import NamedTuple, Tuple

import batch as batches_of
import canonical as c
import columns
from merkle import included
from refusal import require


RECEIVED_MIN, RECEIVED_MAX = (c.time_ms(text, 'it') for text in ('2000-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z'))


class Reading(NamedTuple):
    """A reading with the time that it is counted at and the meter that its device declared."""
    stream: bytes
    seq: int
    received: int
    row: object
    subject: str
    dimensions: Tuple
    time: int
    value: int


class Clock:
    """Monotonic time of one boot -> wall-clock time. A reading before its boot's first anchor waits for it, within its batch.
    behind_boot: whether the boot of what comes first is known, so that no anchor of it can have stood before.
    """

    def __init__(self, take, behind_boot):
        self.take, self._behind_boot, self._anchor, self._waiting = take, behind_boot, None, []

    def boot(self, part):
        self.batch_ends(part)
        self._anchor, self._behind_boot = None, True

    def batch_ends(self, part):
        """What still waits has no place in time: it is no usage."""
        require(self._behind_boot or not self._waiting, part,
                'a reading on a monotonic clock has no anchor, and its boot is not in the run')
        self._waiting = []

    def anchor(self, anchor):
        self._anchor = anchor
        waiting, self._waiting = self._waiting, []
        for reading in waiting:
            self.place(reading)

    def place(self, reading):
        if self._anchor is None:
            self._waiting.append(reading)
        else:
            self.take(reading._replace(time=self._anchor.wall_ms + reading.time - self._anchor.monotonic_ms))


def _not_counted(_):
    """What becomes of readings before the run."""


def run_begin(batches):
    """Index of the first batch that is chained to the last one without a hole."""
    begin = len(batches) - 1
    while begin > 0:
        before, after = batches[begin - 1], batches[begin]
        if (before.number + 1, before.id, before.manifest.last_seq + 1) != (
                after.number, after.manifest.previous_batch_id, after.manifest.first_seq):
            break
        begin -= 1
    return max(begin, 0)


class StreamWalk:
    """Checks a stream's batches in order and hands every reading that has a time to `take`."""

    def __init__(self, stream, grant_id, log, take):
        """stream: of the close statement; log: size and root of the checkpoint."""
        self._stream, self._grant_id, self._log, self._take = stream, grant_id, log, take
        self._meters = columns.Meters()
        self._part = 'stream %s' % stream.stream.hex()

    def walk(self, batches):
        named = self._stream
        if named.batch == 0:
            require(not batches, self._part, 'the close was made before its first batch')
            require(named.batch_id == self._grant_id and named.next_seq == 1, self._part,
                    "the close does not begin it with its grant")
            return
        require(batches and batches[-1].number == named.batch and batches[-1].id == named.batch_id, self._part,
                'its last batch is not the one that the close names')
        require(batches[-1].proof is not None, batches[-1].part, 'it has no path to the log')
        require(batches[-1].manifest.last_seq + 1 == named.next_seq, self._part, "it does not end at the close's next_seq")
        first = batches[0]
        require(first.number == 1 and first.manifest.first_seq == 1 and first.manifest.previous_batch_id == self._grant_id,
                first.part, 'batch 1, chained to the grant, is not there')
        for batch in batches:
            require(RECEIVED_MIN <= batch.received <= RECEIVED_MAX, batch.part, 'it was received before 2000 or after 9999')
        begin = run_begin(batches)
        for batch in batches[:begin]:
            self._before_run(batch)
        clock = Clock(self._take, begin == 0)
        for before, batch in zip([None] + batches[begin:-1], batches[begin:]):
            self._in_run(before, batch, clock)

    def _check_path(self, batch):
        if batch.proof is not None:
            require(included(batch.id, *batch.proof, self._log.size, self._log.root), batch.part,
                    "its path does not lead to the checkpoint's root")

    def _before_run(self, batch):
        require(batch.proof is not None, batch.part, 'it is not chained to the batches behind it and has no path of its own')
        self._check_path(batch)
        content = batches_of.read_back(batch)
        require(batch.number == 1 or any(record.kind == 'meter_table' for record in content.records), batch.part,
                'it stands before the run and declares no meters')
        self._read(batch, content, Clock(_not_counted, True))

    def _in_run(self, before, batch, clock):
        self._check_path(batch)
        sums = self._read(batch, batches_of.read_back(batch), clock)
        if any(batch.withheld) or before is None and batch.number > 1:
            return
        totals = Counter(before.totals if before else {})
        for meter in set(totals) | set(batch.totals) | set(sums):
            require(totals[meter] + sums[meter] == batch.totals.get(meter, 0), batch.part,
                    'the values of meter %d do not add up to the difference of its totals' % meter)

    def _record(self, batch, record, clock):
        if record.kind == 'meter_table':
            self._meters.declare(record.content, batch.part)
        elif record.kind == 'boot':
            clock.boot(batch.part)
        elif record.kind == 'clock_anchor':
            clock.anchor(record.content)

    def _read(self, batch, content, clock):
        """Sum of the values by meter number."""
        sums, records = Counter(), content.records[::-1]
        for reading in content.readings:
            while records and records[-1].before_seq <= reading.seq:
                self._record(batch, records.pop(), clock)
            row = self._meters.row(reading.meter, batch.part)
            reading.row = row
            sums[reading.meter] += reading.value
            placed = Reading(self._stream.stream, reading.seq, batch.received, row, reading.subject, reading.dimensions,
                             reading.time, reading.value)
            (clock.place if reading.flags & columns.MONOTONIC else clock.take)(placed)
        for record in records[::-1]:
            self._record(batch, record, clock)
        clock.batch_ends(batch.part)
        require(batch.manifest.meter_table == self._meters.table, batch.part,
                'its manifest names meter table %d, and the newest declared is %d' % (
                    batch.manifest.meter_table, self._meters.table))
        for section in content.sections:
            registers = sum(1 for reading in section.readings if reading.row.kind == columns.REGISTER)
            ids = sum(1 for reading in section.readings if reading.row.forward_ids)
            require((section.registers, section.ids) == (registers, ids), batch.part,
                    'registers or ids are not those of its readings')
        return sums
