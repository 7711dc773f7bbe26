"""Compares what the sender was promised with what the ERP holds, sharing no arithmetic with the pipeline.

Three witnesses: the sender's own synced log (deploy/demo/app.py), the collector's documents and exceptions as its command
line prints them, and the invoices as the ERP's API gives them to the user finance. Amounts are worked out by
deploy/demo/by_hand.py with exact decimals.
"""
import json
import re
from collections import Counter, defaultdict
from decimal import Decimal

from stack import StackError  # first: it knows where the modules of deploy/ are
import by_hand
import client

LATE = re.compile(r'subscription (\S+), period (\S+) to (\S+): booked (\S+) of (\d+) readings, now (\S+) of (\d+)')


class Audit:
    """`problems` is empty where every event counts exactly once; `counts` is what was compared."""

    def __init__(self, catalog, device, log):
        self.catalog, self.device, self.log = catalog, device, log
        self.problems, self.counts = [], {}
        self.sent = by_hand.quantities(catalog, device, log)

    def problem(self, text, *values):
        self.problems.append(text % values if values else text)

    def equal(self, what, found, wanted):
        if found != wanted:
            self.problem('%s: %s instead of %s', what, found, wanted)

    # ---- The sender's log alone

    def check_answers(self, events):
        """Every id answered once; in one stream; seqs 1 to n without a hole or a double."""
        ids, seqs, streams = [], [], set()
        with open(self.log, encoding='utf-8') as lines:
            for text in lines:
                line = json.loads(text)
                given = [seq for first, last in line['answer']['seqs'] for seq in range(first, last + 1)]
                self.equal('seqs in one answer', len(given), len(line['events']))
                ids += [event[0] for event in line['events']]
                seqs += given
                streams.add(line['answer']['stream'])
        self.counts['events answered'] = len(ids)
        self.equal('events answered', len(ids), events)
        self.equal('different event ids', len(set(ids)), len(ids))
        self.equal('streams', len(streams), 1)
        if sorted(seqs) != list(range(1, len(seqs) + 1)):
            self.problem('seqs are not 1 to %d: %d different, from %d to %d',
                         len(seqs), len(set(seqs)), min(seqs, default=0), max(seqs, default=0))

    # ---- Agent

    def check_agent(self, status, events):
        self.equal('next seq of the agent', status['next_seq'], events + 1)
        self.equal("agent's last seq in a batch", status['sealed_upto'], events)
        self.equal('batches with a receipt', status['acked_upto'], status['head_batch'])
        self.counts['batches'] = status['head_batch']

    # ---- Exceptions

    def take_exceptions(self, rows):
        """Open late usage is owed by a person, not lost: it leaves the expected documents. Any other open one is wrong."""
        late = 0
        for row in rows:
            if row['state'] != 'open' or row['device'] not in ('', self.device):
                continue  # the demonstration's catalog knows a second device, which does not run here
            match = LATE.search(row['detail']) if row['kind'] == 'late' else None
            if match is None:
                self.problem('open exception %s: %s', row['kind'], row['detail'])
                continue
            late += 1
            subscription, start = match[1], by_hand.instant_ms(match[2])
            self.equal('value of late exception %s' % row['id'],
                       Decimal(row['value']), Decimal(match[6]) - Decimal(match[4]))
            self.sent[row['contract'], start][subscription, row['meter']] -= Decimal(row['value'])
        self.counts['late exceptions'] = late

    # ---- Collector's documents and the ERP's invoices

    def _amounts(self):
        return {(d['contract'], d['start']): d['amount'] for d in by_hand.documents_for(self.catalog, self.sent).values()}

    def take_adjustments(self, rows, invoices):
        """Late usage that was booked leaves the expected first documents; both together are what was sent."""
        there = {invoice['external_id']: Decimal(invoice['untaxed_amount']) for invoice in invoices}
        before, adjusted = self._amounts(), defaultdict(Decimal)
        for row in rows:
            start = row['body']['period']['from']
            used = self.sent[row['contract'], by_hand.instant_ms(start)]
            changes = {(line['subscription'], line['meter']): Decimal(line['quantity']) - Decimal(line['booked_quantity'])
                       for line in row['body']['lines']}
            for key, change in changes.items():
                used[key] -= change
            adjusted[row['contract'], start] += Decimal(row['total'])
            self.equal("%s: the ERP's amount" % row['id'], there.get(row['id']), Decimal(row['total']))
        after = self._amounts()
        for key, amount in adjusted.items():
            self.equal('adjustments of %s from %s' % key, amount, before.get(key, Decimal(0)) - after.get(key, Decimal(0)))
        self.counts['adjustments'] = len(rows)

    def check_documents(self, documents, invoices, adjustments=()):
        expected = by_hand.documents_for(self.catalog, self.sent)
        ours = {row['id']: row for row in documents if row['contract'] in {d['contract'] for d in expected.values()}}
        for key in sorted(expected.keys() - ours.keys()):
            self.problem('%s (%s from %s) is missing', key, expected[key]['contract'], expected[key]['start'])
        for key in sorted(ours.keys() - expected.keys()):
            self.problem('%s (%s) exists, but no event was sent for it', key, ours[key]['contract'])
        self._check_invoices({row['id']: row for row in (*documents, *adjustments)}, invoices)
        by_id = {invoice['external_id']: invoice for invoice in invoices}
        for key in sorted(expected.keys() & ours.keys() & by_id.keys()):
            self._check_one(key, expected[key], ours[key], by_id[key])
        self._check_sums(documents)
        self.counts['documents'] = len(documents)
        self.counts['invoices in the ERP'] = len(invoices)
        self.counts['amount'] = sum((d['amount'] for d in expected.values()), Decimal(0))

    def _check_invoices(self, documents, invoices):
        times = Counter(invoice['external_id'] for invoice in invoices)
        for key, count in times.items():
            if count != 1:
                self.problem('%s is in the ERP %d times', key, count)
            if key not in documents:
                self.problem('%s is in the ERP, but the collector does not know it', key)
        for key, row in documents.items():
            self.equal('state of %s' % key, (row['state'], row['delivery']['state']), ('confirmed', 'confirmed'))
            if key not in times:
                self.problem('%s is not in the ERP', key)

    def _check_one(self, key, by_hands, row, invoice):
        self.equal('%s: total' % key, Decimal(row['total']), by_hands['amount'])
        self.equal("%s: the ERP's amount" % key, Decimal(invoice['untaxed_amount']), by_hands['amount'])
        self.equal('%s: party' % key, invoice['party_code'], by_hands['party'])
        self.equal('%s: state in the ERP' % key, invoice['state'], 'draft')
        self.equal('%s: id in the ERP' % key, str(row['external_id']), str(invoice['id']))
        amounts = sorted(Decimal(line['amount']) for line in invoice['lines'] if line['amount'] is not None)
        wanted = sorted(line[3] for line in by_hands['lines'])
        self.equal('%s: lines' % key, [a for a in amounts if a], [a for a in wanted if a])

    def _check_sums(self, documents):
        """Conservation: per subscription and meter, all invoiced quantities and all open exceptions are what was sent."""
        booked = defaultdict(Decimal)
        for row in documents:
            metered = {(line['subscription'], line['meter']): Decimal(line['quantity']) for line in row['body']['lines']}
            for key, quantity in metered.items():
                booked[key] += quantity
        sent = defaultdict(Decimal)
        for used in self.sent.values():
            for key, quantity in used.items():
                sent[key] += quantity
        for key in sorted(sent.keys() | (booked.keys() & set(sent))):
            self.equal('sum of %s %s' % key, booked[key], sent[key])
        self.counts['sums'] = {'%s %s' % key: str(quantity) for key, quantity in sorted(sent.items())}


def run(stack, catalog_folder, device, events):
    audit = Audit(by_hand.Catalog(catalog_folder), device, stack.path('app', 'answers.jsonl'))
    audit.check_answers(events)
    audit.check_agent(stack.agent_status(device), events)
    audit.take_exceptions(stack.collector('exceptions', 'list'))
    invoices, documents = stack.invoices(), {'billing-summary': [], 'adjustment': []}
    for row in stack.collector('documents'):
        if row['kind'] in documents:
            documents[row['kind']].append(stack.collector('documents', row['id']))
    audit.take_adjustments(documents['adjustment'], invoices)
    audit.check_documents(documents['billing-summary'], invoices, documents['adjustment'])
    return audit


def until_clean(stack, catalog_folder, device, events, seconds, clock, sleep):
    """The first audit without a problem, or the last one when the time is over."""
    deadline = clock() + seconds
    while True:
        try:
            audit = run(stack, catalog_folder, device, events)
        except (OSError, ValueError, StackError, client.ErpError):
            if clock() > deadline:
                raise
            audit = None  # something of the stack does not answer yet
        if audit and (not audit.problems or clock() > deadline):
            return audit
        sleep(2)
