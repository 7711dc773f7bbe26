#!/usr/bin/python3
"""Proves over the API what each user of the ERP can do with invoices.

  check_separation.py --url http://127.0.0.1:8069 --secrets STATE/secrets

One line per check, non-zero on a failure. The invoices it makes carry external ids "check/<run>/..."
and stay in the database.
"""
import argparse
import datetime
import os
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../deploy/tryton'))
from client import CONTEXT, Client, ErpError, Refused, decimal  # noqa: E402

RUN = '%x' % time.time_ns()
CREATE = 'model.account.invoice.create'
WRITE = 'model.account.invoice.write'


class Checks:
    def __init__(self):
        self.failed = 0

    def expect(self, name, ok, detail=''):
        self.failed += not ok
        print('%-4s %s%s' % ('ok' if ok else 'FAIL', name, '' if ok else ': %s' % (detail,)))

    def refused(self, name, call, *args, **more):
        """The call must come back as a refusal of Tryton's, not as a success or a breakdown."""
        try:
            result = call(*args, **more)
        except Refused as error:
            self.expect(name, error.kind == 'UserError', error)
        except ErpError as error:
            self.expect(name, False, error)
        else:
            self.expect(name, False, 'allowed, answered %r' % (result,))

    def allowed(self, name, call, *args, **more):
        try:
            result = call(*args, **more)
        except ErpError as error:
            self.expect(name, False, error)
            return None
        self.expect(name, True)
        return result


class Drafter:
    """Builds invoice values the way the connector does, from codes and names."""

    def __init__(self, client):
        self.client = client
        find = client.find_id
        self.party = find('party.party', ['code', '=', 'C-1001'])
        self.common = {
            'company': CONTEXT['company'], 'type': 'out', 'party': self.party,
            'invoice_address': find('party.address', ['party', '=', self.party]),
            'account': find('account.account', ['type.receivable', '=', True]),
            'journal': find('account.journal', ['type', '=', 'revenue']),
            'payment_term': find('account.invoice.payment_term'),
            'currency': find('currency.currency', ['code', '=', 'EUR'])}
        product = client.search_read(
            'product.product', [['code', '=', 'API-CALL']],
            ['default_uom', 'account_category.account_revenue'], 1)[0]
        self.line = {
            'type': 'line', 'product': product['id'], 'unit': product['default_uom'],
            'account': product['account_category.']['account_revenue']}

    def values(self, key, lines=(('1000', '0.35'),), **more):
        return dict(
            self.common, external_id='check/%s/%s' % (RUN, key),
            lines=[['create', [self.line_values(*line) for line in lines]]], **more)

    def line_values(self, quantity, price):
        return dict(self.line, quantity=float(quantity), unit_price=decimal(price),
                    description='%s API calls at %s EUR' % (quantity, price))

    def create(self, key, **more):
        return self.client.call(CREATE, [self.values(key, **more)], CONTEXT)[0]


def today():
    now = datetime.datetime.utcnow()
    return {'__class__': 'date', 'year': now.year, 'month': now.month, 'day': now.day}


def check_identity(checks, collector, drafter, connect):
    first = checks.allowed('collector creates a draft', drafter.create, 'one')
    checks.refused('a second create with its external id is refused', drafter.create, 'one')
    checks.refused(
        'one taken id refuses the whole request', collector.call, CREATE,
        [drafter.values('new'), drafter.values('one')], CONTEXT)
    checks.expect('... and leaves nothing behind',
                  drafter.client.find_id('account.invoice', by_key('new')) is None)
    checks.refused('the external id cannot be changed', collector.call, WRITE,
                   [first], {'external_id': 'check/%s/other' % RUN}, CONTEXT)
    checks.refused('an invoice without an external id is refused', collector.call, CREATE,
                   [dict(drafter.values('none'), external_id=None)], CONTEXT)
    checks.refused('a copy, which has none, is refused', collector.call,
                   'model.account.invoice.copy', [first], CONTEXT)
    check_race(checks, drafter, connect)
    return first


def by_key(key):
    return ['external_id', '=', 'check/%s/%s' % (RUN, key)]


def check_race(checks, drafter, connect, ids=5, attempts=8, model='account.invoice'):
    """Every attempt on its own connection, all at once; the database must let one through."""
    outcomes = []
    barrier = threading.Barrier(ids * attempts)

    def attempt(key):
        values = drafter.values(key)
        barrier.wait()
        try:
            outcomes.append(connect().call('model.%s.create' % model, [values], CONTEXT)[0])
        except ErpError as error:
            outcomes.append(error)
    threads = [threading.Thread(target=attempt, args=('race-%d' % (n % ids),))
               for n in range(ids * attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    created = [o for o in outcomes if isinstance(o, int)]
    found = [drafter.client.search_read(model, [by_key('race-%d' % n)], ['id'])
             for n in range(ids)]
    checks.expect('%d concurrent creates of %d ids make %d records' % (ids * attempts, ids, ids),
                  len(created) == ids and all(len(rows) == 1 for rows in found),
                  (outcomes, found))
    checks.expect('... and every other one was refused as a duplicate',
                  all(isinstance(o, (int, Refused)) for o in outcomes), outcomes)


def check_collector_limits(checks, collector, drafter, draft):
    for button in ('validate_invoice', 'post', 'cancel', 'pay', 'draft', 'process'):
        checks.refused('collector cannot press "%s"' % button, collector.call,
                       'model.account.invoice.' + button, [draft], CONTEXT)
    for field, value in (('state', 'posted'), ('number', 'INV-1'), ('move', 1), ('sequence', 1)):
        values = dict(drafter.values('with-' + field), invoice_date=today(), **{field: value})
        checks.refused('collector cannot create with "%s"' % field, collector.call,
                       CREATE, [values], CONTEXT)
        checks.refused('collector cannot write "%s"' % field, collector.call,
                       WRITE, [draft], {field: value}, CONTEXT)
    checks.refused('collector cannot delete', collector.call,
                   'model.account.invoice.delete', [draft], CONTEXT)
    for model, values in (('party.party', {'name': 'x'}), ('party.address', {'city': 'x'}),
                          ('product.product', {}), ('account.move', {}), ('res.user', {'name': 'x'}),
                          ('res.group', {'name': 'x'}), ('currency.currency', {'name': 'x'})):
        checks.refused('collector cannot create %s' % model, collector.call,
                       'model.%s.create' % model, [values], CONTEXT)
    checks.refused('collector cannot change a party', collector.call,
                   'model.party.party.write', [drafter.party], {'name': 'x'}, CONTEXT)
    for wizard in ('account.invoice.credit', 'account.invoice.pay'):
        active = dict(CONTEXT, active_model='account.invoice', active_id=draft, active_ids=[draft])
        checks.refused('collector cannot start the wizard %s' % wizard, collector.call,
                       'wizard.%s.create' % wizard, active)
    checks.allowed('collector amends its draft', collector.call, WRITE, [draft],
                   {'comment': 'amended'}, CONTEXT)


def check_amounts(checks, collector, finance, drafter):
    """Quantity is a float in Tryton: these lines show where that is harmless, and the way out."""
    cases = [('1000', '0.35', '350.00'), ('123456789', '0.00035', '43209.88'),
             ('3', '0.00000001', '0.00'), ('1', '1234567.89', '1234567.89'),
             ('1', '0.025', '0.02'), ('1', '0.035', '0.04'),  # half to even
             ('9007199254740991', '0.01', '90071992547409.91')]
    draft = drafter.create('amounts', lines=[(q, p) for q, p, _ in cases])
    invoice, = finance.invoices([['id', '=', draft]])
    for (quantity, price, amount), line in zip(cases, invoice['lines']):
        checks.expect('%s x %s reads back as %s' % (quantity, price, amount),
                      line['amount'] == amount and line['unit_price'] == price, line)
    checks.refused('a fraction of a whole unit is refused (book 1 x the amount)',
                   collector.call, CREATE, [drafter.values('fraction', [('0.5', '0.35')])], CONTEXT)
    checks.refused('a price with 9 decimals is refused (book 1 x the amount)', collector.call,
                   CREATE, [drafter.values('price', [('1', '0.000000001')])], CONTEXT)


def check_finance(checks, collector, finance, draft):
    checks.allowed('finance validates', finance.call,
                   'model.account.invoice.validate_invoice', [draft], CONTEXT)
    checks.refused('collector cannot change a validated invoice', collector.call, WRITE,
                   [draft], {'comment': 'late'}, CONTEXT)
    line, = collector.call('model.account.invoice.read', [draft], ['lines'], CONTEXT)[0]['lines']
    checks.refused('... nor its lines', collector.call, 'model.account.invoice.line.write',
                   [line], {'quantity': 1.0}, CONTEXT)
    checks.allowed('finance posts', finance.post, draft)
    invoice, = collector.invoices([['id', '=', draft]])
    checks.expect('collector reads back: posted, numbered, 350.00 EUR',
                  (invoice['state'], bool(invoice['number']), invoice['untaxed_amount'],
                   invoice['currency']) == ('posted', True, '350.00', 'EUR'), invoice)
    checks.refused('collector cannot change a posted invoice', collector.call, WRITE,
                   [draft], {'comment': 'late'}, CONTEXT)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--url', required=True)
    parser.add_argument('--secrets', required=True, metavar='DIR')
    options = parser.parse_args()

    def connect(user):
        with open(os.path.join(options.secrets, user)) as file:
            return Client(options.url).login(user, file.read().strip())
    try:
        collector, finance = connect('collector'), connect('finance')
        checks, drafter = Checks(), Drafter(collector)
        draft = check_identity(checks, collector, drafter, lambda: collector)
        check_collector_limits(checks, collector, drafter, draft)
        check_amounts(checks, collector, finance, drafter)
        check_finance(checks, collector, finance, draft)
    except (ErpError, OSError) as error:
        sys.exit('check_separation.py: %s' % error)
    sys.exit('%d checks failed' % checks.failed if checks.failed else 0)


if __name__ == '__main__':
    main()
