#!/usr/bin/python3
"""The second verifier held to account with published vectors and a bundle made here by hand, byte by byte: damage of every kind
must be refused, by the name of the part."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import batch  # noqa: E402
import canonical  # noqa: E402
import merkle  # noqa: E402
import note  # noqa: E402
import rating  # noqa: E402
import wire  # noqa: E402
from audit import verdict  # noqa: E402
from made_bundle import Bundle, Signer, day  # noqa: E402
from catalog import period_around  # noqa: E402
from document import shown  # noqa: E402
from keys import Keys, pre_authentication_encoding, sha256  # noqa: E402
from refusal import Refused  # noqa: E402

NOON = day('2026-01-15T12:00:00.000Z')
LEAVES = [b'', b'\x00', b'\x10', b'\x20\x21', b'\x30\x31', b'\x40\x41\x42\x43', bytes(range(0x50, 0x58)),
          bytes(range(0x60, 0x70))]


class PublishedVectors(unittest.TestCase):
    def test_tree_hashes_are_those_of_rfc_6962(self):
        """The leaves and roots that the reference implementation of certificate transparency tests with."""
        self.assertEqual(merkle.root_of([]).hex(), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
        self.assertEqual(merkle.root_of(LEAVES[:1]).hex(), '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
        self.assertEqual(merkle.root_of(LEAVES).hex(), '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328')

    def test_an_inclusion_proof_holds_for_its_leaf_alone(self):
        for size in range(1, 9):
            root = merkle.root_of(LEAVES[:size])
            for index in range(size):
                path = Bundle.path(LEAVES[:size], index)
                self.assertTrue(merkle.included(LEAVES[index], index, path, size, root))
                self.assertFalse(merkle.included(b'other', index, path, size, root))
                self.assertFalse(merkle.included(LEAVES[index], index + 1, path, size, root))
                self.assertFalse(merkle.included(LEAVES[index], index, path + [root], size, root))
                if path:
                    self.assertFalse(merkle.included(LEAVES[index], index, path[:-1], size, root))

    def test_the_pre_authentication_encoding_is_that_of_dsse(self):
        self.assertEqual(pre_authentication_encoding('http://example.com/HelloWorld', b'hello world'),
                         b'DSSEv1 29 http://example.com/HelloWorld 11 hello world')

    def test_sums_are_in_their_shortest_form(self):
        for value, encoded in ((0, '00'), (127, '7f'), (128, '0080'), (-1, 'ff'), (-128, '80'), (-129, 'ff7f')):
            self.assertEqual(batch.signed_integer(bytes.fromhex(encoded), 'it'), value)
        for encoded in ('', '0000', '007f', 'ffff', 'ff80', '00' * 17):
            with self.assertRaises(Refused):
                batch.signed_integer(bytes.fromhex(encoded), 'it')

    def test_numbers_of_protobuf(self):
        self.assertEqual(wire.varint(b'\x96\x01', 0), (150, 2))
        for wrong in (b'', b'\x80', b'\xff' * 9 + b'\x02', b'\x80' * 10 + b'\x01'):
            with self.assertRaises(wire.WireError):
                wire.varint(wrong, 0)


class CanonicalJson(unittest.TestCase):
    def test_only_the_one_form_is_read(self):
        self.assertEqual(canonical.parsed('{"a":"ä\\n\\u0001","b":[1,null,true]}'.encode()),
                         [('a', 'ä\n\x01'), ('b', [1, None, True])])
        for wrong in ('{"a": 1}', '{"a":1.0}', '{"a":-0}', '{"a":1e2}', '{"a":"\\u00e4"}', '{"a":"\\/"}', '{"a":"\\u001F"}',
                      '{"a":NaN}', '{"a":01}', '{"a":1}\n', '"\\ud800"', '{'):
            with self.assertRaises(canonical.ShapeError, msg=wrong):
                canonical.parsed(wrong.encode())

    def test_times_and_decimals_have_one_form(self):
        self.assertEqual(canonical.time_ms('1970-01-02T00:00:00.001Z', 'it'), 86_400_001)
        for wrong in ('1970-01-02T00:00:00Z', '1970-02-30T00:00:00.000Z', '1970-01-02T00:00:60.000Z'):
            with self.assertRaises(canonical.ShapeError, msg=wrong):
                canonical.time_ms(wrong, 'it')
        for wrong in ('1.0', '+1', '01', '.5', '1.', '-0', '1e3', ''):
            with self.assertRaises(canonical.ShapeError, msg=wrong):
                canonical.decimal(wrong, 'it')
        self.assertEqual([shown(canonical.decimal(text, 'it')) for text in ('0', '-0.05', '12.5', '100')],
                         ['0', '-0.05', '12.5', '100'])


class Rating(unittest.TestCase):
    def test_halves_go_to_even_in_the_currencys_places(self):
        for amount, currency, expected in (('0.125', 'EUR', '0.12'), ('0.135', 'EUR', '0.14'), ('0.5', 'JPY', '0'),
                                           ('1.5', 'JPY', '2'), ('0.0005', 'KWD', '0'), ('-0.135', 'EUR', '-0.14')):
            self.assertEqual(shown(rating.rounded(canonical.Fraction(amount), currency)), expected)

    def test_tiers_count_from_what_is_beyond_the_included_quantity(self):
        tiers = [canonical.Record({'up_to': upper, 'unit_price': canonical.Fraction(price)})
                 for upper, price in ((1000, '0.0035'), (5000, '0.002'), (None, '0.00035'))]
        price = canonical.Record({'included': 100, 'tiers': tiers})
        rated = rating.rate(canonical.Fraction(6100), price, 'EUR')
        self.assertEqual([(shown(tier.quantity), shown(tier.amount)) for tier in rated],
                         [('1000', '3.5'), ('4000', '8'), ('1000', '0.35')])


class Periods(unittest.TestCase):
    def test_months_keep_the_anchors_day_in_the_contracts_zone(self):
        contract = canonical.Record({'anchor': day('2026-01-30T23:00:00.000Z'), 'anchor_text': '2026-01-31', 'period': 'P1M',
                                     'time_zone': 'Europe/Brussels', 'until': None})
        for instant, begin, until in (
                ('2026-01-30T23:00:00.000Z', '2026-01-30T23:00:00.000Z', '2026-02-27T23:00:00.000Z'),
                ('2026-02-27T22:59:59.999Z', '2026-01-30T23:00:00.000Z', '2026-02-27T23:00:00.000Z'),
                ('2026-02-27T23:00:00.000Z', '2026-02-27T23:00:00.000Z', '2026-03-30T22:00:00.000Z')):
            self.assertEqual(period_around(contract, day(instant), 'it'), (day(begin), day(until)), instant)
        self.assertIsNone(period_around(contract, day('2026-01-30T22:59:59.999Z'), 'it'))
        contract.until = day('2026-02-01T00:00:00.000Z')
        self.assertEqual(period_around(contract, contract.until - 1, 'it'), (contract.anchor, contract.until))
        self.assertIsNone(period_around(contract, contract.until, 'it'))


class Notes(unittest.TestCase):
    def test_a_note_is_the_collectors_or_none(self):
        key, other = Signer('collector'), Signer('other')
        good = key.note(5, sha256(b'x'))
        self.assertEqual(note.verified(good, key.public).size, 5)
        for wrong in (good[:-1], good.replace(b'\n5\n', b'\n6\n'), good.replace(b'\n5\n', b'\n05\n'), other.note(5, sha256(b'x')),
                      good.replace(b'/7\n', b'/07\n'), good + b'\xe2\x80\x94 x y\n', good.replace('— '.encode(), b'- ')):
            with self.assertRaises(Refused, msg=wrong):
                note.verified(wrong, key.public)
        self.assertEqual(note.verified(good + '— witness AAAAAAAA\n'.encode(), key.public).size, 5)


class Bundles(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.bundle = Bundle()
        self.bundle.write_keys(self._folder.name)
        self.keys = Keys(self._folder.name)

    def outcome(self, data=None):
        return verdict(self.bundle.encoded() if data is None else data, self.keys)[1][0]

    def test_what_is_true_is_verified(self):
        self.assertEqual(self.outcome(), 'verified')

    def test_a_changed_byte_is_noticed_wherever_it_stands(self):
        good = self.bundle.encoded()
        for place in range(0, len(good), 5):
            damaged = good[:place] + bytes([good[place] ^ (0x80 if place & 1 else 0x01)]) + good[place + 1:]
            self.assertTrue(self.outcome(damaged).startswith('refused: '), place)

    def test_nothing_can_be_cut_off_or_added(self):
        good = self.bundle.encoded()
        for size in range(0, len(good), 7):
            self.assertTrue(self.outcome(good[:size]).startswith('refused: '))
        self.assertEqual(self.outcome(good + b'\0'), 'refused: bundle: bytes follow the last part')

    def test_what_was_edited_and_sealed_again_is_refused_by_name(self):
        cases = (
            ('another quantity', dict(quantity='301'), 'line api, calls: the readings come to 300'),
            ('another amount', dict(amount='3.01'), 'line api, calls: rated it comes to 3'),
            ('another price in the document', dict(document_price='0.02'), "line api, calls: the document's line 1 is"),
            ('another number of readings', dict(readings=2), 'line api, calls: the readings come to 300 in 3'),
            ('a dropped batch', dict(drop_batch=0), 'batch 2 of stream'),
            ('a period that is none', dict(period_until='2026-02-02T00:00:00.000Z'), 'entry'),
            ("another device's key", dict(grant_key='other'), 'grant 1: its key is not known'),
            ('a promise that ends too early', dict(promise='2026-01-31T23:59:59.999Z'), 'close at leaf'),
            ('an own section withheld', dict(withhold='aqua'), 'batch 2 of stream'),
            ('a mapping of another subscription', dict(link='another'), 'line api, calls: the readings come to 0'),
            ('an approval by the collector', dict(version={'by': 'collector'}), 'catalog-version at leaf'),
        )
        for name, change, expected in cases:
            with self.subTest(name):
                outcome = self.outcome(Bundle(**change).encoded())
                self.assertIn('refused: ' + expected, outcome)

    def test_a_byte_edited_under_a_new_seal_is_noticed_by_what_was_signed(self):
        for kind, place, expected in ((7, -1, 'refused: batch 3 of stream 000102030405060708090a0b0c0d0e0f: the hash of section 2'),
                                      (7, -400, 'refused: batch 3 of stream'), (5, 60, 'refused: entry 6: its path'),
                                      (5, 100, 'refused: entry 6: its path'), (4, 12, 'refused: close at leaf 5: its path'),
                                      (4, -1, 'refused: close at leaf 5: the signature'), (2, -1, 'refused: document: it is no JSON'),
                                      (3, -10, "refused: checkpoint: the collector's signature"),
                                      (6, -1, 'refused: grant 1: the signature'), (8, -1, 'refused: heartbeat 1: the signature')):
            self.case(expected, edited=[(kind, place)])

    def test_values_add_up_to_the_totals(self):
        readings = [('', [(1, NOON, 5)], Bundle.boot(1) + Bundle.table(1))]
        self.case('refused: batch 1 of stream 000102030405060708090a0b0c0d0e0f: the values of meter 1', batches=[(1, 6, readings)],
                  next_seq=2, links=[('', 'api')], quantity='5', readings=1, amount='0.05')

    def test_a_promise_is_the_devices_and_of_what_is_there(self):
        self.case('refused: heartbeat 1: it speaks of readings that are not there', heard_seq=6)
        self.case('verified', heard_seq=4)
        self.case('verified', heard='2026-02-02T00:00:00.000Z')
        self.case('refused: heartbeat 1: it promises less', heard='2026-01-31T00:00:00.000Z')

    def test_others_may_be_withheld(self):
        self.assertEqual(self.outcome(Bundle(withhold='borealis').encoded()), 'verified')

    def test_a_correction_counts_and_a_withdrawn_one_does_not(self):
        self.assertEqual(self.outcome(Bundle(corrections=['add'], quantity='307', readings=4, amount='3.07').encoded()), 'verified')
        self.assertEqual(self.outcome(Bundle(corrections=['add', 'withdraw']).encoded()), 'verified')
        self.assertEqual(self.outcome(Bundle(corrections=['void'], quantity='200', readings=2, amount='2').encoded()), 'verified')

    def test_a_correction_is_of_one_series_and_one_tenant(self):
        added = dict(quantity='307', readings=4, amount='3.07')
        for change in ({'device': 'gw-2'}, {'subject': 'borealis'}, {'meter': 'bytes'}, {'unit': 'GB'},
                       {'value': '7.0'}, {'value': '0'}, {'value': str(1 << 63)}, {'reason': ''}, {'at': '2026-01-14T11:59:59.999Z'}):
            self.case('verified', corrections=[('add', change)])
        self.case('verified', corrections=[('add', {'at': '2026-01-14T12:00:00.000Z'})], **added)
        for change in ({'device': 'gw-2'}, {'subject': 'borealis'}, {'meter': 'bytes'}):
            self.case('verified', corrections=['add', ('withdraw', change)], **added)
        self.case("refused: correction at leaf 5: it is another tenant's", corrections=[('void', {'tenant': 'other'})])
        self.case('verified', corrections=['add', ('withdraw', {'unit': 'GB'})])

    def test_an_accepted_gap_takes_the_place_of_a_promise(self):
        gap = Bundle(promise='2026-01-31T12:00:00.000Z', gap=('2026-01-31T12:00:00.000Z', '2026-02-01T00:00:00.000Z'))
        self.assertEqual(self.outcome(gap.encoded()), 'verified')
        late = Bundle(promise='2026-01-31T12:00:00.000Z', gap=('2026-01-31T12:00:00.001Z', '2026-02-01T00:00:00.000Z'))
        self.assertIn('refused: close', self.outcome(late.encoded()))

    def test_an_adjustment_is_the_difference_to_the_revision_before(self):
        def adjustment(**change):
            return self.outcome(Bundle(**dict(dict(before=('250', '2.5'), billable=('50', '0.5')), **change)).encoded())
        self.assertEqual(adjustment(), 'verified')
        self.assertIn("refused: line api, calls: the document's line 1 is", adjustment(billable=('51', '0.5')))
        self.assertIn('refused: line api, calls: the revision before', adjustment(before=('250', '2.4')))
        self.assertIn('refused: close at leaf 5: the close statement of revision 1', adjustment(before=None))

    def case(self, expected, **change):
        outcome = self.outcome(Bundle(**change).encoded())
        self.assertTrue(outcome.startswith(expected), outcome)

    def one_batch(self, expected, *readings, records=b'', more=(), **change):
        """Readings (time, value[, flags]) of the device itself, in one batch; `more`: records of batches behind it."""
        change.setdefault('links', [('', 'api')])
        numbered = [(seq,) + reading for seq, reading in enumerate(readings, 1)]
        total, row = sum(reading[1] for reading in readings), change.pop('row', ('1', 0, 2))
        batches = [(len(readings), total, [('', numbered, Bundle.boot(1) + Bundle.table(1, row) + records)])]
        batches += [(len(readings), total, [('', [], later)]) for later in more]
        self.case(expected, batches=batches, next_seq=len(readings) + 1, **change)

    def test_a_subjects_own_link_counts_while_it_is_in_force_and_else_the_devices(self):
        ended = ('aqua', 'another', ('2026-01-01T00:00:00.000Z', '2026-01-10T00:00:00.000Z'))
        self.case('verified', links=[('*', 'api'), ended], quantity='301', readings=4, amount='3.01')
        self.case('verified', links=[('*', 'api'), ('aqua', 'another')], quantity='1', readings=1, amount='0.01')
        self.case('verified', links=[('*', 'api'), ('borealis', 'another')], withhold='borealis')
        ended = ('borealis',) + ended[1:]
        for links in ([('*', 'api')], [('*', 'api'), ended]):
            self.case('refused: batch 2 of stream', links=links, withhold='borealis')

    def test_a_meter_counts_what_its_kind_and_aggregation_say(self):
        for aggregation, quantity, amount in (('count', '2', '0.02'), ('min', '5', '0.05'), ('max', '7', '0.07'),
                                              ('last', '7', '0.07')):
            self.one_batch('verified', (NOON + 1, 7), (NOON, 5), row=('1', 0, 3), quantity=quantity, readings=2, amount=amount,
                           meter=dict(meter_kind='gauge', aggregation=aggregation))
        self.one_batch('refused: entry', (NOON, 5), meter=dict(meter_kind='gauge', aggregation='sum'))
        self.one_batch('refused: line api, calls: the readings come to 0', (NOON, 5), row=('GB', 0, 2))
        self.one_batch('verified', (NOON, 125), row=('1', 2, 2), quantity='1.25', readings=1, amount='0.01')

    def test_no_price_is_guessed(self):
        self.one_batch('refused: line api, calls: a negative', (NOON, -5), quantity='-5', readings=1, amount='0')
        for currency, expected in (('XYZ', 'refused: entry 2: the minor unit'), ('USD', 'refused: document: its currency')):
            self.one_batch(expected, (NOON, 5), quantity='5', readings=1, amount='0.05', document=dict(currency=currency),
                           card=dict(currency='XYZ'), contract=dict(currency='XYZ'))
        self.one_batch('verified', (NOON, 5), quantity='5', readings=1, amount='0', price=dict(included='5'),
                       lines=[dict(billable_quantity='0', amount='0.00')])
        for included, expected in (('5', 'verified'), ('8', "refused: line api, calls: the document's line 1")):
            self.one_batch(expected, (NOON, 5), quantity='5', readings=1, amount='0', price=dict(included='8'),
                           lines=[dict(included=included, billable_quantity='0', amount='0.00')])

    def test_a_reading_of_another_day_or_of_a_clock_that_runs_ahead_is_none(self):
        received = day('2026-01-16T00:00:00.000Z')
        for time, counted in ((received + 86_400_000, True), (received + 86_400_001, False),
                              (day('2026-01-01T00:00:00.000Z') - 1, False)):
            self.one_batch('verified' if counted else 'refused: line api, calls: the readings come to 0', (time, 5), quantity='5',
                           readings=1, amount='0.05')

    def test_an_anchor_places_its_own_batch_and_later_ones(self):
        anchor, one = Bundle.anchor(2, 0, NOON), dict(quantity='5', readings=1, amount='0.05')
        self.one_batch('verified', (9, 5, 1), records=anchor, **one)
        self.one_batch('refused: line api, calls: the readings come to 0', (9, 5, 1), more=[anchor], **one)

    def test_a_device_is_needed_until_its_last_link_ends(self):
        links = [('', 'api', ('2026-01-01T00:00:00.000Z', '2026-01-20T00:00:00.000Z'))]
        for promise, expected in (('2026-01-20T00:00:00.000Z', 'verified'), ('2026-01-19T23:59:59.999Z', 'refused: close at leaf')):
            self.one_batch(expected, (NOON, 5), links=links, promise=promise, quantity='5', readings=1, amount='0.05')

        longer = links + [('other', 'api', ('2026-01-01T00:00:00.000Z', '2026-01-10T00:00:00.000Z'))]
        self.one_batch('refused: close at leaf', (NOON, 5), links=longer, promise='2026-01-15T12:00:00.000Z', quantity='5',
                       readings=1, amount='0.05')

    def test_names_that_entries_use_are_shown(self):
        self.case('refused: entry', link="nobody's")
        self.case('refused: entry', contract=dict(account='borealis'))

    def test_entries_that_say_two_things_say_none(self):
        def tiers(*bounds):
            return dict(price=dict(tiers=[{'up_to': bound, 'unit_price': '0.01'} for bound in bounds]))
        january = [('2026-01-%02dT00:00:00.000Z' % day_of_month) for day_of_month in range(1, 31)]
        for change in (tiers(), tiers('500'), tiers(None, None), tiers('4', '3', None), tiers('0', None),
                       dict(links=[('aqua', 'api', (january[0], None), (january[9], None))]),
                       dict(links=[('aqua', 'api', (january[19], None), (january[0], january[16]))]),
                       dict(links=[('aqua', 'api', (january[0], january[0]), (january[1], None))]),
                       dict(meter={'class': 'diagnostic'}), dict(contract=dict(approval='maybe')), dict(card=dict(prices=[])),
                       dict(contract=dict(currency='USD')), dict(price=dict(included='-1')),
                       dict(entries=[{'kind': 'widget', 'name': 'x'}])):
            self.case('refused: entry', **change)

    def test_each_open_stream_of_a_device_promises(self):
        other = bytes(range(1, 17))
        self.case('refused: close at leaf', streams=[(other, 'gw-1', None, b'')])
        self.case('verified', streams=[(other, 'gw-1', None, b'')], predecessor=other)
        self.case('refused: close at leaf', streams=[(other, 'gw-2', None, b'')], links=[('aqua', 'api'), ('gw-2/', 'another')])

    def test_a_period_ends_with_its_contract(self):
        contract = dict(until='2026-01-20T00:00:00.000Z')
        self.case('refused: entry', contract=contract)
        self.case('verified', contract=contract, period_until='2026-01-20T00:00:00.000Z')

    def test_a_close_rests_on_the_corrections_before_it_alone(self):
        self.case('refused: correction at leaf 5: the close rests', corrections=['add'], log_leaves=5)
        self.case('verified', corrections=['add'], log_leaves=6, quantity='307', readings=4, amount='3.07')

    def test_an_approval_is_of_this_document_and_does_not_refuse_it(self):
        self.case('verified', approval={})
        self.case('refused: approval at leaf 5: it is of another', approval={'revision': 2})
        self.case('refused: approval at leaf 5: it is an operator', approval={'by': 'collector'})
        self.case('refused: approval at leaf 5: it refuses', approval={'verdict': 'refused'})

    def unproven(self, **change):
        verified, lines = verdict(Bundle(**change).encoded(), self.keys)
        self.assertTrue(verified, lines)
        return '; '.join(line[len('not proven: '):] for line in lines if line.startswith('not proven: '))

    def test_what_is_not_proven_is_named(self):
        self.assertEqual(self.unproven(), 'that no other document bills the period')
        manual = dict(contract=dict(approval='manual'))
        self.assertIn('that anybody approved', self.unproven(**manual))
        self.assertNotIn('that anybody approved', self.unproven(approval={}, **manual))
        self.assertIn('that the revision before', self.unproven(before=('250', '2.5'), billable=('50', '0.5')))
        self.assertIn("before the period's begin", self.unproven(period_from='2026-01-10T00:00:00.000Z'))
        late = dict(received='2026-01-14T12:00:00.000Z', quantity='101', readings=2, amount='1.01')
        self.assertNotIn('readings count nothing', self.unproven())
        self.assertIn('that 2 readings count nothing', self.unproven(**dict(late, quantity='100', readings=1, amount='1')))
        self.assertIn('before batch 3 hold', self.unproven(drop_batch=1, proven=(1,), quantity='100', readings=1, amount='1'))

    def test_of_all_lines_each_must_be_of_the_close(self):
        self.case('refused: close at leaf 5: it has not one line of api, other', asked=0, lines=[{}, dict(meter='other')])
        self.case('verified', asked=1, lines=[{}, dict(meter='other')])
        self.case('refused: question: the document has no line 3', asked=3, lines=[{}, {}])

    def test_the_header_is_that_of_contract_account_and_close(self):
        period = dict(zip(('from', 'until', 'local_from', 'local_until', 'time_zone', 'zone_database'), (
            '2026-01-01T00:00:00.000Z', '2026-02-01T00:00:00.000Z', '2026-01-01T00:00:00+00:00', '2026-02-01T00:00:00+00:00',
            'Europe/London', '2026a')))
        account = {'name': 'acme', 'legal_name': 'Acme', 'external': 'C-1'}
        self.case('verified', document=dict(period=period, account=account, more='of it'))
        for name, other in (('kind', 'adjustment'), ('id', 'bs-2'), ('tenant', 'other'), ('contract', 'other'),
                            ('approval', 'manual'), ('currency', 'USD')):
            self.case('refused: document: its %s is' % name, document={name: other})
        for name in account:
            self.case('refused: document: its account is', document=dict(account=dict(account, **{name: 'other'})))
        for name in period:
            self.case('refused: document: its period is', document=dict(period=dict(period, **{name: 'other'})))
        self.case('refused: document: its kind is', before=('250', '2.5'), billable=('50', '0.5'),
                  document=dict(kind='billing-summary'))
        self.case('verified', document=dict(untaxed_total='4.00'))
        self.case('refused: document: its untaxed_total is', document=dict(untaxed_total='4.00'), asked=0)
        for total in ('3', '3.000'):
            self.case('verified', document=dict(untaxed_total=total), asked=0)
        self.case('refused: document: untaxed_total is no text', document=dict(untaxed_total=3), asked=0)
        for edit in (lambda body: body.replace(b',"lines"', b' ,"x":1.5,"lines"'),
                     lambda body: body.replace(b'"Calls"', b'"\\u0043alls"')):
            self.case('verified', edit=edit)
        for edit in (lambda body: body.replace(b'"lines"', b'"lines":[],"lines"'),
                     lambda body: body.replace(b'"amount"', b'"amount":"9.00","amount"')):
            self.case('refused: document: a member of an object is there twice', edit=edit)

    def test_a_line_is_all_that_follows_from_the_evidence(self):
        for name, other in (('number', 2), ('subscription', 'another'), ('product', 'X'), ('description', 'X'), ('meter', 'X'),
                            ('unit', 'k'), ('quantity', '30'), ('readings', 4), ('included', '1'), ('tier', {'from': '0', 'to': '9'}),
                            ('billable_quantity', '300.0'), ('unit_price', '0.010'), ('amount', '3.0'), ('readings', 3.5),
                            ('rate_card', {'name': 'card', 'version': 2}), ('more', 1)):
            self.case('refused: ', lines=[{name: other}])
        self.case("refused: line api, calls: the document's line 1", lines=[{'booked_quantity': '0'}])
        self.case("refused: line api, calls: the document's line 1", before=('250', '2.5'), billable=('50', '0.5'),
                  lines=[{'booked_quantity': '0'}])
        self.case('refused: line api, calls: the document has 2 lines', lines=[{}, {}])

    def test_tiers_say_from_where_to_where(self):
        price = dict(tiers=[{'up_to': '200', 'unit_price': '0.01'}, {'up_to': None, 'unit_price': '0.02'}])
        lines = [dict(tier={'from': '0', 'to': '200'}, billable_quantity='200', amount='2.00'),
                 dict(tier={'from': '200', 'to': None}, billable_quantity='100', unit_price='0.02', amount='2.00')]
        for asked in (0, 1, 2):
            self.case('verified', price=price, lines=lines, amount='4', asked=asked)

    def test_a_line_that_an_adjustment_takes_back_is_of_quantity_0(self):
        gone = dict(before=('250', '2.5'), billable=('-250', '-2.5'), close_lines=[], links=[('aqua', 'another')], quantity='0',
                    readings=0)
        self.case('verified', **gone)
        self.case('refused: line api, calls: the readings come to 300', **dict(gone, links=None))
        self.case('refused: close at leaf 5: it has not one line', close_lines=[])

    def test_the_streams_of_a_close_are_ascending(self):
        other = dict(streams=[(bytes(range(1, 17)), 'gw-1', '2026-02-01T00:00:00.000Z', b'')])
        heads = {bytes(range(1, 17)): (0, None)}
        self.case('verified', heads=heads, **other)
        self.case('refused: close at leaf 5: its streams are not ascending', heads=heads, arrange=lambda streams: streams[::-1], **other)
        self.case('refused: close at leaf 5: its streams are not ascending', arrange=lambda streams: streams * 2)

    def test_a_stream_without_batches_promises_from_its_grant(self):
        stream = bytes(range(1, 17))
        other = dict(streams=[(stream, 'gw-1', '2026-02-01T00:00:00.000Z', b'')])
        for head in ((1, None), (0, bytes(32))):
            self.case('refused: heartbeat 2: it names a batch', heads={stream: head}, **other)
        self.case('refused: close at leaf 5: device gw-1', **other)

    def test_a_grant_is_of_class_billing(self):
        self.case('refused: grant 1: its stream is of another', grant_class=2)

    def test_versions_and_gaps_are_of_the_closes_tenant(self):
        self.case("refused: catalog-version at leaf 3: it is another tenant's", version={'tenant': 'other'})
        span = '2026-01-31T12:00:00.000Z', '2026-02-01T00:00:00.000Z'
        self.case("refused: gap-acceptance at leaf 5: it is another tenant's", gap=span, gap_tenant='other')

    def test_a_correction_at_two_leaves_counts_once(self):
        added = dict(quantity='307', readings=4, amount='3.07')
        self.case('verified', corrections=['add', 'add'], **added)
        self.case('verified', corrections=['add', ('add', {'reason': 'again'})], quantity='314', readings=5, amount='3.14')

    def test_times_of_receipt_have_bounds(self):
        one = dict(quantity='5', readings=1, amount='0.05')
        for received, expected in (('1999-12-31T23:59:59.999Z', 'refused: batch 1 of'), ('9999-12-31T23:59:59.999Z', 'verified'),
                                   (day('9999-12-31T23:59:59.999Z') + 1, 'refused: batch 1 of')):
            self.one_batch(expected, (NOON, 5), received=received, **one)
        self.one_batch('refused: line api, calls: the readings come to 0', (NOON, 5), received='2000-01-01T00:00:00.000Z', **one)

    def test_a_batch_before_the_run_has_a_path_of_its_own_and_counts_nothing(self):
        one = dict(quantity='100', readings=1, amount='1')
        self.case('refused: batch 1 of stream', drop_batch=1, **one)
        self.case('verified', drop_batch=1, proven=(1,), **one)
        self.case('refused: batch 3 of stream', drop_batch=slice(2), **one)
        self.case('refused: batch 2 of stream', drop_batch=0)

        def batches(first):
            return [(1, 5, [('', [(1, NOON, 5)], Bundle.boot(1) + Bundle.table(1) + first)]), (2, 6, [('', [(2, NOON, 1)], b'')]),
                    (3, 106, [('', [(3, NOON, 100)], b'')])]
        hole = dict(one, links=[('', 'api')], next_seq=4, drop_batch=1, proven=(1,))
        self.case('verified', batches=batches(b''), **hole)
        self.case('refused: batch 3 of stream', batches=batches(b'')[:2] + [
            (3, 106, [('', [(3, 9, 100, 1)], b'')])], **hole)
        self.case('refused: batch 3 of stream', batches=batches(Bundle.anchor(2, 0, NOON))[:2] + [
            (3, 106, [('', [(3, 9, 100, 1)], b'')])], **hole)
        self.case('verified', batches=batches(b'')[:2] + [
            (4, 113, [('', [(3, NOON, 100), (4, 9, 7, 1)], Bundle.boot(4))])], **dict(hole, next_seq=5))
        self.case('refused: batch 3 of stream', batches=batches(b'')[:2] + [
            (4, 113, [('', [(3, 9, 7, 1), (4, NOON, 100)], Bundle.boot(4))])], **dict(hole, next_seq=5))

    def test_before_the_run_only_batch_1_needs_no_meters(self):
        def batches(first, second):
            return [(0, 0, [('', [], Bundle.boot(1) + first)]), (1, 1, [('', [(1, NOON, 1)], second)]), (1, 1, [('', [], b'')]),
                    (2, 101, [('', [(2, NOON, 100)], b'')])]
        hole = dict(links=[('', 'api')], quantity='100', readings=1, amount='1', next_seq=3, drop_batch=2, proven=(1, 2))
        self.case('verified', batches=batches(b'', Bundle.table(1)), **hole)
        self.case('refused: batch 2 of stream 000102030405060708090a0b0c0d0e0f: it stands', batches=batches(Bundle.table(1), b''),
                  **hole)
        for drop in (0, slice(2)):
            self.case('refused: batch %d of stream 000102030405060708090a0b0c0d0e0f: batch 1, chained' % (3 if drop else 2),
                      batches=batches(b'', Bundle.table(1)), **dict(hole, drop_batch=drop))

    def test_a_reading_that_nothing_places_counts_nothing_where_the_run_begins_at_batch_1(self):
        self.case('verified', batches=[(2, 10, [('', [(1, 9, 5, 1), (2, NOON, 5)], Bundle.table(1))])], next_seq=3,
                  links=[('', 'api')], quantity='5', readings=1, amount='0.05')

    def test_batch_1_is_chained_to_the_grant(self):
        self.case('refused: batch 1 of stream 000102030405060708090a0b0c0d0e0f: batch 1, chained', first_previous=bytes(32))

    def test_an_anchor_places_earlier_readings_of_its_boot(self):
        self.assertEqual(self.outcome(Bundle(monotonic=True).encoded()), 'verified')
        self.assertIn('refused: line api, calls: the readings come to 200',
                      self.outcome(Bundle(monotonic=True, anchored=False).encoded()))


if __name__ == '__main__':
    unittest.main()
