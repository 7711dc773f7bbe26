"""The eleven steps of PROTOCOL.md, section 8, in their order. Each refuses with refusal.Refused, naming the part."""
from types import SimpleNamespace

import batch as batches_of
import bundle as encoding
import canonical as c
import note
import rating
import statements as st
import wire
from catalog import Catalog, period_around, proven_entries
from document import Document, line_of, shown
from keys import labelled, sha256
from merkle import included
from refusal import Refused, require
from stream import StreamWalk, run_begin
from usage import Corrections, Tally, Usage

GRANT_TYPE = 'application/vnd.ledgerline.grant.v1+protobuf'
HEARTBEAT_TYPE = 'application/vnd.ledgerline.heartbeat.v1+protobuf'
BILLING = 1


class Audit:
    """One bundle, checked with these keys. Each step leaves what the later ones need."""

    def __init__(self, data, keys):
        self._data, self._keys = data, keys

    def run(self):
        """Lines for a person: what is proven."""
        for step in (self._encoding, self._checkpoint, self._statements, self._close, self._versions, self._grants,
                     self._batches, self._complete, self._withheld, self._quantities, self._amounts):
            step()
        lines = ['%s, %s: %s in %d readings, %s' % (line.subscription, line.meter, shown(line.quantity), line.readings,
                                                    shown(line.amount)) for line in self._asked_lines]
        return lines + ['not proven: ' + what for what in self._unproven()]

    def _unproven(self):
        """What a person must know of this bundle beyond what no bundle proves (end of section 8)."""
        yield 'that no other document bills the period'
        if self._closed.revision > 1:
            yield 'that the revision before says what was booked'
        if self._catalog.contract.approval == 'manual' and st.APPROVAL not in (item.kind for item in self._said):
            yield 'that anybody approved the document'
        if self._contract_begin < self._period.from_:
            yield "what was before the period's begin, which is later than the contract's"
        for stream, opened in self._opened.items():
            if opened and opened[run_begin(opened)].number > 1:
                yield 'that batches of stream %s before batch %d hold nothing of the period' % (
                    stream.hex(), opened[run_begin(opened)].number)
        if self._usage.ahead:
            yield 'that %d readings count nothing: they are dated more than a day after their receipt' % self._usage.ahead

    # 1
    def _encoding(self):
        parts = encoding.parts_of(self._data)
        encoding.check_seal(parts, self._keys.collector)
        self._bundle = encoding.contents(parts)

    # 2
    def _checkpoint(self):
        self._log = note.verified(self._bundle.checkpoint, self._keys.collector)

    # 3
    def _statements(self):
        self._said = []
        for item in self._bundle.statements:
            statement = st.statement_of(item.kind, item.leaf, item.path, item.signed)
            by = statement.content.by
            if statement.kind == st.CLOSE:
                require(by == 'collector', statement.part, 'a close statement is the collector\'s')
                keys = [self._keys.collector]
            else:
                require(by != 'collector', statement.part, "it is an operator's to make, never the collector's")
                keys = self._keys.operator(by)
                require(keys, statement.part, 'no key of operator %s is known' % by)
            require(any(key.signed_statement(statement.signed) for key in keys), statement.part,
                    'the signature is not that of %s' % by)
            require(included(statement.id, item.leaf, item.path, self._log.size, self._log.root), statement.part,
                    "its path does not lead to the checkpoint's root")
            self._said.append(statement)

    # 4
    def _close(self):
        question, digest = self._bundle.question, sha256(self._bundle.document)
        self._document = Document(self._bundle.document)
        closes = [statement for statement in self._said if statement.kind == st.CLOSE]
        named = [statement for statement in closes if statement.content.document and
                 (statement.content.document.id, statement.content.document.revision,
                  statement.content.document.sha256) == (question.document, question.revision, digest)]
        require(named, 'document', 'no close statement names its id, revision and hash')
        self._close_part, close = named[0].part, named[0].content
        self._period = close.period
        for name, value in (('id', question.document), ('tenant', close.tenant), ('contract', close.contract)):
            self._document.require_member(name, value)
        require(question.line <= len(self._document.lines), 'question', 'the document has no line %d' % question.line)
        for item in (statement for statement in self._said if statement.kind == st.APPROVAL):
            approval = item.content
            require((approval.tenant, approval.document, approval.revision, approval.sha256) == (
                close.tenant, question.document, question.revision, digest), item.part, 'it is of another document')
            require(approval.verdict == 'approved', item.part, 'it refuses the document')
        self._closed, self._before = close, None
        if close.revision > 1:
            before = [other.content for other in closes if self._is_before(other.content)]
            require(before, self._close_part, 'the close statement of revision %d is not there' % (close.revision - 1))
            self._before = before[0]

    def _is_before(self, other):
        close = self._closed
        return (other.tenant, other.contract, other.period.from_, other.period.until, other.revision) == (
            close.tenant, close.contract, close.period.from_, close.period.until, close.revision - 1)

    # 5
    def _versions(self):
        versions = {}
        for number, kind in ((self._closed.catalog, st.CATALOG_VERSION), (self._closed.mapping, st.MAPPING_VERSION)):
            require(number is not None, self._close_part, 'it names no %s' % st.WORDS[kind])
            found = [item for item in self._said if item.kind == kind and item.id == number]
            require(found, self._close_part, 'the %s that it names is not there' % st.WORDS[kind])
            require(found[0].content.tenant == self._closed.tenant, found[0].part, "it is another tenant's")
            versions[number] = found[0]
        proven = proven_entries(self._bundle.entries, versions)
        self._catalog = Catalog(proven, self._closed.contract)
        around = period_around(self._catalog.contract, self._period.from_, self._catalog.part)
        require(around is not None and around[1] == self._period.until, self._catalog.part,
                "the period does not end where the contract's does")
        self._contract_begin = around[0]
        self._document.check_header(self._closed, self._catalog.contract, self._catalog.account())

    # 6
    def _grants(self):
        self._streams, self._predecessors = {}, set()
        places = [(stream.device, stream.stream) for stream in self._closed.streams]
        require(all(before < after for before, after in zip(places, places[1:])), self._close_part,
                'its streams are not ascending by device and stream')
        named = {stream.stream: stream for stream in self._closed.streams}
        require(len(named) == len(places), self._close_part, 'it has a stream of two devices')
        for item in self._bundle.grants:
            require(item.signed.type == GRANT_TYPE, item.part, 'it is no grant')
            require(self._keys.collector.signed_statement(item.signed), item.part, "the signature is not the collector's")
            grant = encoding.decoded(wire.GRANT, item.signed.body, item.part)
            require(grant.format == 1 and grant.tenant == self._closed.tenant, item.part, "it is another tenant's")
            require(grant.stream in named and grant.stream not in self._streams, item.part,
                    'its stream is not one that the close names')
            require(grant.device == named[grant.stream].device and grant.stream_class == BILLING, item.part,
                    'its stream is of another device or class than the close says')
            keys = [key for key in self._keys.device(grant.tenant, grant.device) if key.id == grant.key_id]
            require(keys and keys[0].algorithm == grant.algorithm, item.part,
                    'its key is not known as one of %s/%s' % (grant.tenant, grant.device))
            self._predecessors.add(grant.predecessor)
            self._streams[grant.stream] = SimpleNamespace(
                named=named[grant.stream], key=keys[0], grant_id=labelled('ledgerline/grant/v1', item.signed.body))
        for stream in named:
            require(stream in self._streams, self._close_part, 'stream %s has no grant' % stream.hex())

    # 7
    def _batches(self):
        self._asked_lines = self._find_asked_lines()
        asked = {(line.subscription, line.meter): Tally(self._catalog.meter(line.meter)) for line in self._asked_lines}
        corrections = [item for item in self._said if item.kind == st.CORRECTION]
        for item in corrections:
            require(item.leaf < self._closed.log_leaves, item.part, 'the close rests on the leaves before it')
            require(item.content.tenant == self._closed.tenant, item.part, "it is another tenant's")
        self._usage = Usage(asked, self._catalog, self._period, Corrections(corrections))
        self._opened = {stream: [] for stream in self._streams}
        for item in self._bundle.batches:
            require(item.stream in self._streams, item.part, 'its stream is not one that the close names')
            self._opened[item.stream].append(batches_of.opened(item, self._streams[item.stream].key))
        for stream, known in self._streams.items():
            def take(reading, device=known.named.device):
                self._usage.take(device, reading)
            StreamWalk(known.named, known.grant_id, self._log, take).walk(self._opened[stream])

    def _find_asked_lines(self):
        """The close's lines of what is asked for: of the document's n-th line, or of all of them, subscription and meter."""
        number, asked = self._bundle.question.line, {}
        for place in [number] if number else range(1, len(self._document.lines) + 1):
            name = self._document.names(place)
            found = [close for close in self._closed.lines if (close.subscription, close.meter) == name]
            if not found and self._before:
                found = [c.Record({'subscription': name[0], 'meter': name[1], 'unit': self._catalog.meter(name[1]).unit,
                                   'quantity': 0, 'readings': 0, 'amount': 0})]
            require(len(found) == 1, self._close_part, 'it has not one line of %s, %s' % name)
            asked[name] = found[0]
        for close in self._closed.lines if not number and not self._before else ():
            billed = (close.subscription, close.meter) in asked or close.quantity == 0
            require(billed, 'document', 'it leaves out %s, %s, which the close has' % (close.subscription, close.meter))
        return list(asked.values())

    # 8
    def _complete(self):
        promises = self._promises()
        self._gaps = [item for item in self._said if item.kind == st.GAP_ACCEPTANCE and item.id in self._closed.gaps]
        for item in self._gaps:
            require(item.content.tenant == self._closed.tenant, item.part, "it is another tenant's")
        for device, (begin, until) in self._catalog.device_spans(self._period).items():
            streams = [stream for stream, known in self._streams.items()
                       if known.named.device == device and stream not in self._predecessors]
            reached = [max(begin, promises[stream]) if stream in promises else begin for stream in streams] or [begin]
            require(self._accepted_upto(device, min(reached)) >= until, self._close_part,
                    'device %s promised its readings not up to the end of the period, and no accepted gap covers it' % device)

    def _promises(self):
        """stream -> the instant up to which its device promised to have said everything, as far as the close counted it."""
        promises = {}
        for item in self._bundle.heartbeats:
            known = self._streams.get(item.stream)
            require(known is not None, item.part, 'its stream is not one that the close names')
            require(item.signed.type == HEARTBEAT_TYPE and known.key.signed_statement(item.signed), item.part,
                    "the signature is not the stream's key's")
            heartbeat = encoding.decoded(wire.HEARTBEAT, item.signed.body, item.part)
            require(heartbeat.stream == item.stream, item.part, 'it is of another stream')
            require(len(heartbeat.head_id) == 32 and len(heartbeat.boot_id) == 16 and heartbeat.next_seq >= 1 and
                    heartbeat.number >= 1, item.part, 'it is incomplete')
            require(heartbeat.next_seq <= known.named.next_seq, item.part, 'it speaks of readings that are not there')
            require(known.named.batch > 0 or (heartbeat.head_batch, heartbeat.head_id) == (0, known.grant_id), item.part,
                    'it names a batch of a stream that has none')
            if known.named.complete_through is not None:
                require(known.named.complete_through <= heartbeat.complete_through_ms, item.part,
                        'it promises less than the close says')
                promises[item.stream] = known.named.complete_through
        return promises

    def _accepted_upto(self, device, reached):
        gaps = [item.content for item in self._gaps if item.content.device == device]
        for gap in sorted(gaps, key=lambda gap: gap.from_):
            if gap.from_ <= reached:
                reached = max(reached, gap.until)
        return reached

    # 9
    def _withheld(self):
        subscriptions = {line.subscription for line in self._asked_lines}

        for stream, known in self._streams.items():
            device = known.named.device
            own = {batches_of.subject_tag(stream, subject): subject for name, subject in self._catalog.links if name == device}
            opened = self._opened[stream]
            for batch in opened[run_begin(opened):]:
                for withheld, said in zip(batch.withheld, batch.manifest.sections):
                    require(not withheld or not self._catalog.may_be_billed(
                        device, own.get(said.subject_tag), subscriptions, self._period), batch.part,
                            'a section is withheld that may hold readings of this line')

    # 10
    def _quantities(self):
        self._usage.take_corrections()
        for line in self._asked_lines:
            tally = self._usage.tallies[line.subscription, line.meter]
            part = 'line %s, %s' % (line.subscription, line.meter)
            quantity = tally.quantity()
            require(tally.meter.unit == line.unit, part, 'the meter has another unit than the close says')
            require((quantity, tally.readings) == (line.quantity, line.readings), part,
                    'the readings come to %s in %d readings, and the close says %s in %d' % (
                        shown(quantity), tally.readings, shown(line.quantity), line.readings))

    # 11
    def _amounts(self):
        currency = self._catalog.contract.currency
        require(currency in rating.PLACES, self._catalog.part, 'the minor unit of %s is not known' % currency)
        for line in self._asked_lines:
            part = 'line %s, %s' % (line.subscription, line.meter)
            price, card = self._catalog.price(line.subscription, line.meter, self._period.from_)
            require(line.quantity >= 0, part, 'a negative quantity has no price')
            tiers, booked = rating.rate(line.quantity, price, currency), None
            require(rating.amount(tiers) == line.amount, part, 'rated it comes to %s, and the close says %s' % (
                shown(rating.amount(tiers)), shown(line.amount)))
            expected = rating.billed(line.quantity, tiers)
            if self._before:
                booked, tiers_before = self._rated_before(line, price, currency, part)
                expected = rating.difference(tiers, tiers_before)
            self._check_lines(line, SimpleNamespace(meter=self._catalog.meter(line.meter), price=price, card=card), expected,
                              booked, part)
        if not self._bundle.question.line:
            self._document.check_total()

    def _check_lines(self, line, billed, expected, booked, part):
        ours = self._document.lines_of((line.subscription, line.meter))
        require(len(ours) == len(expected), part, 'the document has %d lines, and %d follow' % (len(ours), len(expected)))
        for (number, found), tier in zip(ours, expected):
            follows = line_of(number, line, billed, tier, booked)
            require(c.written(found) == c.written(follows), part, "the document's line %d is %s, and it must be %s" % (
                number, c.written(found), c.written(follows)))

    def _rated_before(self, line, price, currency, part):
        """Quantity of the revision before, and its tiers."""
        found = [other for other in self._before.lines
                 if (other.subscription, other.meter) == (line.subscription, line.meter)]
        quantity = found[0].quantity if found else 0
        tiers = rating.rate(quantity, price, currency)
        require(not found or rating.amount(tiers) == found[0].amount, part,
                'the revision before was booked at another price')
        return quantity, tiers


def verdict(data, keys):
    """(whether it is verified, lines of output)"""
    try:
        return True, ['verified'] + Audit(data, keys).run()
    except Refused as refusal:
        return False, ['refused: %s: %s' % (refusal.part, refusal.why)]
