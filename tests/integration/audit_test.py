#!/usr/bin/python3
"""Holds the auditor itself to account: each way of losing, doubling or changing something must be noticed, and a clean
run must not be blamed. No process is started; documents and invoices are made up from a made-up sender's log.
"""
import json
import os
import sys
import tempfile
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, '..', 'support', 'harness'))
import audit  # noqa: E402
import by_hand  # noqa: E402
from stack import ROOT  # noqa: E402

CATALOG = os.path.join(ROOT, 'deploy', 'demo', 'catalog.d')
CUSTOMERS = ('aqua', 'borealis', 'cedar')
EVENTS = 600
PER_ANSWER = 20


def answers():
    """Lines as deploy/demo/app.py writes them: three minutes, two meters, three customers."""
    lines = []
    for first in range(0, EVENTS, PER_ANSWER):
        events = []
        for n in range(first, first + PER_ANSWER):
            meter, value = ('api.requests', str(7 + n % 90)) if n % 5 else ('data.volume', '0.%06d' % (n + 1))
            time = '2026-11-20T08:%02d:%02d.000Z' % (n // 200, n % 60)
            events.append(['e-%d' % n, CUSTOMERS[n % 3], meter, value, time])
        lines.append({'answer': {'stream': 'ab', 'seqs': [[first + 1, first + PER_ANSWER]]}, 'events': events})
    return lines


class FakeStack:
    """What a run without any fault leaves behind."""

    def __init__(self, folder):
        self._log = os.path.join(folder, 'answers.jsonl')
        self.write(answers())
        catalog = by_hand.Catalog(CATALOG)
        sent = by_hand.quantities(catalog, 'app-1', self._log)
        self.documents, self._invoices, self.exceptions = [], [], []
        for number, (key, document) in enumerate(by_hand.documents_for(catalog, sent).items(), 1):
            used = sent[document['contract'], by_hand.instant_ms(document['start'])]
            lines = [{'subscription': s, 'meter': m, 'quantity': str(q)} for (s, m), q in used.items()]
            self.documents.append({
                'id': key, 'kind': 'billing-summary', 'contract': document['contract'], 'state': 'confirmed',
                'delivery': {'state': 'confirmed'}, 'body': {'lines': lines}, 'total': str(document['amount']),
                'external_id': str(number)})
            self._invoices.append({
                'id': number, 'external_id': key, 'state': 'draft', 'party_code': document['party'],
                'untaxed_amount': str(document['amount']), 'lines': [{'amount': str(line[3])} for line in document['lines']]})
        self.status = {'next_seq': EVENTS + 1, 'sealed_upto': EVENTS, 'head_batch': 9, 'acked_upto': 9}

    def write(self, lines):
        with open(self._log, 'w') as file:
            file.writelines(json.dumps(line) + '\n' for line in lines)

    def path(self, *_):
        return self._log

    def agent_status(self, _):
        return self.status

    def collector(self, what, document=None):
        if what == 'exceptions':
            return self.exceptions
        return next(row for row in self.documents if row['id'] == document) if document else self.documents

    def invoices(self):
        return self._invoices


def lose_an_event(stack):
    line = stack.documents[0]['body']['lines'][0]
    line['quantity'] = str(Decimal(line['quantity']) - 1)


def answer_twice(stack):
    lines = answers()
    lines[3]['answer']['seqs'] = lines[2]['answer']['seqs']
    stack.write(lines)


def another_stream(stack):
    lines = answers()
    lines[5]['answer']['stream'] = 'cd'
    stack.write(lines)


def late_usage(stack):
    """Ten requests of one customer came after the period closed: in an exception, and not in the document."""
    row, invoice = stack.documents[0], stack._invoices[0]
    line = next(line for line in row['body']['lines'] if line['meter'] == 'api.requests')
    sent = Decimal(line['quantity'])
    line['quantity'] = str(sent - 10)
    start = '2026-11-20T08:00:00.000Z'
    stack.exceptions.append({
        'id': 'ex-1', 'kind': 'late', 'state': 'open', 'device': '', 'contract': row['contract'], 'meter': 'api.requests', 'value': '10',
        'detail': 'subscription %s, period %s to 2026-11-20T08:01:00.000Z: booked %s of 5 readings, now %s of 6' % (
            line['subscription'], start, sent - 10, sent)})
    catalog = by_hand.Catalog(CATALOG)
    used = by_hand.quantities(catalog, 'app-1', stack.path())
    used[row['contract'], by_hand.instant_ms(start)][line['subscription'], 'api.requests'] -= 10
    document = by_hand.documents_for(catalog, used)[row['id']]
    row['total'] = invoice['untaxed_amount'] = str(document['amount'])
    invoice['lines'] = [{'amount': str(line[3])} for line in document['lines']]


def adjusted_usage(stack, cents=0):
    """The same ten requests, booked by an adjustment."""
    row = stack.documents[0]
    amount = Decimal(row['total'])
    late_usage(stack)
    stack.exceptions.clear()
    line = next(line for line in row['body']['lines'] if line['meter'] == 'api.requests')
    total = str(amount - Decimal(row['total']) + Decimal(cents) / 100)
    stack.documents.append({
        'id': 'ad-1', 'kind': 'adjustment', 'contract': row['contract'], 'state': 'confirmed', 'delivery': {'state': 'confirmed'},
        'total': total, 'external_id': '99', 'body': {'period': {'from': '2026-11-20T08:00:00.000Z'}, 'lines': [
            dict(line, booked_quantity=line['quantity'], quantity=str(Decimal(line['quantity']) + 10))]}})
    stack._invoices.append(dict(stack._invoices[0], id=99, external_id='ad-1', untaxed_amount=total, lines=[{'amount': total}]))


CASES = [
    ('a clean run', lambda s: None, False),
    ('late usage in an exception', late_usage, False),
    ('late usage in an adjustment', adjusted_usage, False),
    ('an adjustment of a cent too much', lambda s: adjusted_usage(s, 1), True),
    ('an adjustment that is not in the ERP', lambda s: (adjusted_usage(s), s._invoices.pop()), True),
    ('an event is not counted', lose_an_event, True),
    ('two requests got the same seqs', answer_twice, True),
    ('an answer names another stream', another_stream, True),
    ('an event was never answered', lambda s: s.write(answers()[:-1]), True),
    ('the agent holds a batch back', lambda s: s.status.update(acked_upto=8), True),
    ('the agent recorded one more', lambda s: s.status.update(next_seq=EVENTS + 2), True),
    ('an invoice is missing', lambda s: s._invoices.pop(), True),
    ('an invoice is there twice', lambda s: s._invoices.append(s._invoices[0]), True),
    ('an invoice nobody sent', lambda s: s._invoices.append(dict(s._invoices[0], external_id='bs-0')), True),
    ('an amount differs by a cent', lambda s: s._invoices[1].update(
        untaxed_amount=str(Decimal(s._invoices[1]['untaxed_amount']) + Decimal('0.01'))), True),
    ('a line differs', lambda s: s._invoices[1]['lines'][0].update(amount='999'), True),
    ('the wrong party pays', lambda s: s._invoices[0].update(party_code='C-1000'), True),
    ('an invoice was posted', lambda s: s._invoices[0].update(state='posted'), True),
    ('a document is not confirmed', lambda s: s.documents[0].update(state='approved'), True),
    ('a document is missing', lambda s: s.documents.pop(), True),
    ('an exception is open', lambda s: s.exceptions.append(
        {'id': 'ex-2', 'kind': 'totals_mismatch', 'state': 'open', 'device': 'app-1', 'detail': ''}), True),
]


def main():
    failures = 0
    for name, spoil, blamed in CASES:
        with tempfile.TemporaryDirectory() as folder:
            stack = FakeStack(folder)
            spoil(stack)
            problems = audit.run(stack, CATALOG, 'app-1', EVENTS).problems
        if bool(problems) != blamed:
            failures += 1
            print('FAILED: %s: %s' % (name, problems))
    print('%d of %d cases judged rightly' % (len(CASES) - failures, len(CASES)))
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    # tests/run names a state folder to every test; this one needs none.
    main()
