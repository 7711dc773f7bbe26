"""Readings and corrections -> quantity and number of readings of a subscription's meter: PROTOCOL.md, sections 4 and 7."""
from fractions import Fraction

import canonical as c

SINCE = c.time_ms('2000-01-01T00:00:00.000Z', 'it')
DAY_MS = 24 * 3_600_000
KINDS = {1: 'register', 2: 'delta', 3: 'gauge', 4: 'event'}
RESERVED = 'ledgerline.'


def _bytes(value, least, most):
    return least <= len(value.encode('utf-8')) <= most


def follows_rules(correction):
    """Whether a correction is one that changes something (section 7)."""
    if not (all(_bytes(text, 1, 200) for text in (correction.tenant, correction.device, correction.by)) and
            _bytes(correction.meter, 1, 128) and _bytes(correction.unit, 1, 32) and _bytes(correction.subject, 0, 4096) and
            _bytes(correction.reason, 1, 4096) and len(correction.references) <= 100 and
            all(_bytes(reference, 1, 4096) for reference in correction.references)):
        return False
    if correction.action == 'add':
        return correction.until is None and correction.withdraws is None and _addend(correction.value) is not None
    if correction.value is not None:
        return False
    if correction.action == 'void':
        return correction.withdraws is None and correction.until is not None and correction.from_ < correction.until
    return correction.action == 'withdraw' and correction.withdraws is not None


def _addend(text):
    if text is None or not c.DECIMAL.fullmatch(text):
        return None
    digits = int(text.replace('.', ''))
    return Fraction(text) if digits and -(1 << 63) <= digits < 1 << 63 else None


class Corrections:
    """The corrections of one tenant that are in force: adds and voids that nothing withdraws."""

    def __init__(self, statements):
        rules = {item.id: item.content for item in statements if follows_rules(item.content)}
        withdrawn = {(content.withdraws, content.device, content.subject, content.meter)
                     for content in rules.values() if content.action == 'withdraw'}
        self.adds, self._voids = [], {}
        for number, content in rules.items():
            series = content.device, content.subject, content.meter
            if (number,) + series in withdrawn:
                continue
            if content.action == 'add' and SINCE <= content.from_ <= content.at + DAY_MS:
                self.adds.append((number, content))
            elif content.action == 'void':
                self._voids.setdefault(series, []).append((content.from_, content.until))

    def voided(self, device, subject, meter, time):
        return any(begin <= time < until for begin, until in self._voids.get((device, subject, meter), ()))


class Tally:
    """One (subscription, meter): what has been counted so far. The place orders readings: time, stream, seq."""

    def __init__(self, meter):
        self.meter, self.readings = meter, 0
        self._sum, self._by_scale, self._least, self._most, self._last = Fraction(0), {}, None, None, None

    def add(self, value, scale, place):
        self.readings += 1
        if self.meter.aggregation == 'sum':
            self._by_scale[scale] = self._by_scale.get(scale, 0) + value
            return
        exact = Fraction(value, 10 ** scale)
        self._least = exact if self._least is None else min(self._least, exact)
        self._most = exact if self._most is None else max(self._most, exact)
        if self._last is None or place > self._last[0]:
            self._last = place, exact

    def quantity(self):
        if self.meter.aggregation == 'sum':
            return sum((Fraction(value, 10 ** scale) for scale, value in self._by_scale.items()), Fraction(0))
        if self.meter.aggregation == 'count':
            return Fraction(self.readings)
        found = {'min': self._least, 'max': self._most, 'last': self._last and self._last[1]}[self.meter.aggregation]
        return Fraction(0) if found is None else found


class Usage:
    """Counts what belongs to the asked subscriptions and meters in the period."""

    def __init__(self, asked, catalog, period, corrections):
        """asked: (subscription, meter) -> Tally"""
        self.tallies = asked
        self._catalog, self._period, self._corrections = catalog, period, corrections
        self._meters = {meter for _, meter in asked}
        self.ahead = 0      # readings that do not count because they are dated more than a day after their receipt

    def _tallies_of(self, device, subject, name, unit, kind, time):
        for subscription in self._catalog.subscriptions_at(device, subject, time):
            tally = self.tallies.get((subscription, name))
            if tally and tally.meter.unit == unit and kind in (None, tally.meter.meter_kind):
                yield tally

    def take(self, device, reading):
        row, time = reading.row, reading.time
        if row.name not in self._meters or not self._period.from_ <= time < self._period.until:
            return
        if time < SINCE:
            return
        if any(name.startswith(RESERVED) for name, _ in reading.dimensions):
            return
        if self._corrections.voided(device, reading.subject, row.name, time):
            return
        for tally in self._tallies_of(device, reading.subject, row.name, row.unit, KINDS[row.kind], time):
            if time > reading.received + DAY_MS:
                self.ahead += 1
            else:
                tally.add(reading.value, row.scale, (time, reading.stream, reading.seq))

    def take_corrections(self):
        for number, add in self._corrections.adds:
            if self._period.from_ <= add.from_ < self._period.until:
                value, scale = int(add.value.replace('.', '')), len(add.value.partition('.')[2])
                for tally in self._tallies_of(add.device, add.subject, add.meter, add.unit, None, add.from_):
                    tally.add(value, scale, (add.from_, number[:16], 0))
