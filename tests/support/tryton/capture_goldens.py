#!/usr/bin/python3
"""Records deploy/tryton/goldens/*.json: real request and reply pairs for the connector's tests.

  prepare --state S --port N; TRYTOND_SESSION__MAX_ATTEMPT=0 serve --state S
  capture_goldens.py --url http://127.0.0.1:N --secrets S/secrets --out deploy/tryton/goldens

Run it on a state that nobody has used: ids in the goldens are then those of the demo data. Without
MAX_ATTEMPT=0 the login lock takes six wrong passwords, each slower than the one before.
The reply body is kept as text, as it came; password and session are replaced by placeholders.
"""
import argparse
import base64
import http.client
import json
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../deploy/tryton'))
from client import Client  # noqa: E402

CONTEXT = {'company': 1}
PASSWORD, TOKEN = 'PASSWORD', 'SESSION-TOKEN'
KEY = 'bs-acme-C-1001-2026-11-r0'
READ_FIELDS = ['external_id', 'state', 'number', 'party.code', 'currency.code', 'untaxed_amount',
               'lines']
ADJUSTMENT_KEY = 'ad-0123456789abcdef0123456789abcdef'
ORDER_KEY = 'mo-0123456789abcdef0123456789abcdef'
ORDER_FIELDS = ['external_id', 'external_revision', 'status.name', 'status.progress', 'asset.number',
                'parts.moves', 'closed_at', 'closed_by.name', 'timesheet_duration']
UPDATE_KEY = 'au-0123456789abcdef0123456789abcdef'
UPDATE_FIELDS = ['external_id', 'external_revision', 'resource.code']
OPPORTUNITY_KEY = 'op-0123456789abcdef0123456789abcdef'
OPPORTUNITY_FIELDS = ['external_id', 'external_revision', 'state', 'party.code', 'amount',
                      'currency_digits', 'closed_at', 'closed_by.name']
LINE_FIELDS = ['product.code', 'description', 'quantity', 'unit', 'unit_price', 'amount']


def decimal(text):
    return {'__class__': 'Decimal', 'decimal': text}


def date(day, month=11):
    return {'__class__': 'date', 'year': 2026, 'month': month, 'day': day}


class Recorder:
    def __init__(self, url, out):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.out = parts.hostname, parts.port, out
        self.user, self.user_id, self.token = 'collector', None, None

    def exchange(self, body, token=None, database='ledgerline'):
        headers = {'Content-Type': 'application/json'}
        if token:
            session = '%s:%d:%s' % (self.user, self.user_id, token)
            headers['Authorization'] = 'Session ' + base64.b64encode(session.encode()).decode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        text = body if isinstance(body, str) else json.dumps(body)
        connection.request('POST', '/%s/' % database, text, headers)
        response = connection.getresponse()
        return headers, response, response.read().decode()

    def login(self, password):
        body = {'id': 0, 'method': 'common.db.login',
                'params': [self.user, {'password': password}]}
        _, response, text = self.exchange(body)
        if response.status != 200:
            sys.exit('capture_goldens.py: login answered HTTP %d' % response.status)
        self.user_id, self.token = json.loads(text)['result']
        body['params'][1]['password'] = PASSWORD
        self.save('login', body, {'Content-Type': 'application/json'}, response, text)

    def record(self, name, method, *params, token=None):
        body = {'id': 1, 'method': method, 'params': list(params)}
        headers, response, text = self.exchange(body, token or self.token)
        shown = base64.b64encode(
            ('%s:%d:%s' % (self.user, self.user_id, TOKEN)).encode()).decode()
        self.save(name, body, dict(headers, Authorization='Session ' + shown), response, text)
        reply = json.loads(text) if text.startswith('{') else {}
        return reply.get('result')

    def save(self, name, body, headers, response, text):
        golden = {
            'request': {'method': 'POST', 'path': '/ledgerline/', 'headers': headers, 'body': body},
            'reply': {'status': response.status, 'content_type': response.getheader('Content-Type'),
                      'body': text.replace(self.token, TOKEN) if self.token else text}}
        with open(os.path.join(self.out, name + '.json'), 'w') as file:
            json.dump(golden, file, indent=2, ensure_ascii=False)
            file.write('\n')
        print('%-28s HTTP %d %s' % (name, response.status, text[:100].replace('\n', ' ')))


def search(recorder, name, model, domain, fields):
    return recorder.record(name, 'model.%s.search_read' % model, domain, 0, 2, None, fields,
                           CONTEXT)


def record_lookups(recorder):
    party = search(recorder, 'party', 'party.party', [['code', '=', 'C-1001']],
                   ['code', 'name', 'customer_payment_term'])[0]['id']
    search(recorder, 'party-unknown', 'party.party', [['code', '=', 'C-9999']],
           ['code', 'name', 'customer_payment_term'])
    address = search(recorder, 'address', 'party.address', [['party', '=', party]],
                     ['rec_name'])[0]['id']
    account = search(recorder, 'account-receivable', 'account.account',
                     [['type.receivable', '=', True], ['company', '=', 1]], ['name'])[0]['id']
    journal = search(recorder, 'journal', 'account.journal', [['type', '=', 'revenue']],
                     ['code'])[0]['id']
    term = search(recorder, 'payment-term', 'account.invoice.payment_term', [], ['name'])[0]['id']
    currency = search(recorder, 'currency', 'currency.currency', [['code', '=', 'EUR']],
                      ['code', 'digits'])[0]['id']
    product = search(recorder, 'product', 'product.product', [['code', '=', 'API-CALL']],
                     ['code', 'default_uom.digits', 'account_category.account_revenue'])[0]
    search(recorder, 'product-unknown', 'product.product', [['code', '=', 'NOPE']],
           ['code', 'default_uom.digits', 'account_category.account_revenue'])
    unit = search(recorder, 'uom', 'product.uom', [['name', '=', 'Unit']],
                  ['name', 'symbol', 'digits'])[0]['id']
    recorder.record('price-digits', 'model.account.invoice.line.fields_get', ['unit_price'], CONTEXT)
    line = {'type': 'line', 'product': product['id'], 'unit': unit,
            'account': product['account_category.']['account_revenue']}
    return line, {
        'company': 1, 'type': 'out', 'party': party, 'invoice_address': address,
        'account': account, 'journal': journal, 'payment_term': term, 'currency': currency,
        'external_id': KEY, 'reference': '2026-11', 'description': 'Usage 2026-11'}


def record_invoice(recorder, line, values):
    find = [['external_id', '=', KEY]]
    search(recorder, 'find-absent', 'account.invoice', find, READ_FIELDS)
    values = dict(values, lines=[['create', [
        dict(line, quantity=1234, unit_price=decimal('0.00035'),
             description='API calls 2026-11: 1234 calls at 0.00035 EUR'),
        dict(line, quantity=1, unit_price=decimal('12.34'),
             description='API calls 2026-11: 45678.901 calls, tiers 1-2')]]])
    create = 'model.account.invoice.create'
    invoice, = recorder.record('create', create, [values], CONTEXT)
    lines = search(recorder, 'find-present', 'account.invoice', find, READ_FIELDS)[0]['lines']
    recorder.record('read-lines', 'model.account.invoice.line.read', lines, LINE_FIELDS, CONTEXT)
    recorder.record('error-duplicate', create, [values], CONTEXT)
    other = dict(values, external_id=KEY + '-other')
    recorder.record('error-access-field', create, [dict(other, state='posted')], CONTEXT)
    recorder.record('error-access-button', 'model.account.invoice.post', [invoice], CONTEXT)
    recorder.record('error-access-delete', 'model.account.invoice.delete', [invoice], CONTEXT)
    recorder.record('error-party-missing', create, [dict(other, party=424242)], CONTEXT)
    required = {k: v for k, v in other.items() if k != 'invoice_address'}
    recorder.record('error-required', create, [required], CONTEXT)
    recorder.record('error-digits', create, [dict(other, lines=[['create', [
        dict(line, quantity=0.5, unit_price=decimal('0.35'), description='half')]]])], CONTEXT)
    recorder.record('error-unknown-field', create, [dict(other, nope=1)], CONTEXT)
    recorder.record('error-session', 'model.party.party.search', [], 0, 1, None, CONTEXT,
                    token='0' * 64)
    recorder.record('error-not-exposed', 'model.account.invoice.frobnicate', [invoice], CONTEXT)


def record_adjustment(recorder, line, values):
    values = dict(values, external_id=ADJUSTMENT_KEY, lines=[['create', [
        dict(line, quantity=-1234, unit_price=decimal('0.00035'), description='API calls: taken back'),
        dict(line, quantity=1, unit_price=decimal('-12.34'), description='API calls: taken back')]]])
    recorder.record('adjustment-create', 'model.account.invoice.create', [values], CONTEXT)
    search(recorder, 'adjustment-find-present', 'account.invoice', [['external_id', '=', ADJUSTMENT_KEY]],
           READ_FIELDS)


def record_order(recorder, party, address, connect):
    project = search(recorder, 'order-project', 'project.work',
                     [['type', '=', 'project'], ['name', '=', 'Maintenance']], ['name'])[0]['id']
    lot = search(recorder, 'order-lot', 'stock.lot', [['number', '=', 'SN-100']],
                 ['number'])[0]['id']
    search(recorder, 'order-lot-unknown', 'stock.lot', [['number', '=', 'SN-999']], ['number'])
    place = {
        'from_location': search(recorder, 'order-warehouse', 'stock.location',
                                [['type', '=', 'warehouse']],
                                ['storage_location'])[0]['storage_location'],
        'to_location': search(recorder, 'order-location', 'stock.location',
                              [['type', '=', 'storage'], ['name', '=', 'Field service']],
                              ['name'])[0]['id']}
    moves = []
    for name, code, quantity in (('order-part-1', 'SEAL-7', 2), ('order-part-2', 'BRG-6204', 1)):
        part = search(recorder, name, 'product.product', [['code', '=', code]],
                      ['code', 'default_uom.digits', 'account_category.account_revenue'])[0]
        moves.append(dict(place, company=1, product=part['id'], uom=part['default_uom.']['id'],
                          quantity=quantity))
    due = date(27)
    values = {
        'company': 1, 'type': 'task', 'parent': project, 'name': 'pump-7: Replace the seals',
        'external_id': ORDER_KEY, 'external_revision': 1, 'asset': lot, 'site': 'Hall 3',
        'priority': '1', 'due_at': dict(due, __class__='datetime', hour=8, minute=0, second=0,
                                        microsecond=0),
        'effort_duration': {'__class__': 'timedelta', 'seconds': 5400},
        'readings': 'vibration 7.25', 'party': party, 'party_address': address,
        'parts': [['create', [dict(
            place, company=1, external_id=ORDER_KEY + ':parts', reference='pump-7 compressor',
            planned_start_date=due, planned_date=due, moves=[['create', moves]])]]]}
    find = [['external_id', '=', ORDER_KEY]]
    search(recorder, 'order-find-absent', 'project.work', find, ORDER_FIELDS)
    order, = recorder.record('order-create', 'model.project.work.create', [values], CONTEXT)
    search(recorder, 'order-find-present', 'project.work', find, ORDER_FIELDS)
    update = ('model.project.work.write', [order],
              {'external_revision': 2, 'readings': 'vibration 7.5'}, CONTEXT)
    recorder.record('order-update', *update)
    search(recorder, 'order-find-updated', 'project.work', find, ORDER_FIELDS)
    close_order(connect('service'), order)
    recorder.record('order-error-closed', *update)
    search(recorder, 'order-find-closed', 'project.work', find, ORDER_FIELDS)


def close_order(service, order):
    """90 minutes on the day of the visit, then the status Done."""
    service.call('model.timesheet.line.create', [{
        'company': 1, 'employee': service.find_id('company.employee'),
        'work': service.find_id('timesheet.work', ['origin', '=', 'project.work,%d' % order]),
        'date': date(21),
        'duration': {'__class__': 'timedelta', 'seconds': 5400}}], CONTEXT)
    done = service.find_id('project.work.status', ['progress', '=', 1])
    service.call('model.project.work.write', [order], {'status': done, 'progress': 1.0}, CONTEXT)


def record_account_update(recorder, party):
    find = [['external_id', '=', UPDATE_KEY]]
    search(recorder, 'update-find-absent', 'ir.note', find, UPDATE_FIELDS)
    note, = recorder.record(
        'update-create', 'model.ir.note.create', [{
            'resource': 'party.party,%d' % party, 'message': 'api.requests at 85 %',
            'external_id': UPDATE_KEY, 'external_revision': 1}], CONTEXT)
    search(recorder, 'update-find-present', 'ir.note', find, UPDATE_FIELDS)
    recorder.record('update-amend', 'model.ir.note.write', [note],
                    {'external_revision': 2, 'message': 'api.requests at 101 %'}, CONTEXT)
    search(recorder, 'update-find-amended', 'ir.note', find, UPDATE_FIELDS)


def record_opportunity(recorder, party, address, connect):
    search(recorder, 'opportunity-company', 'company.company', [['id', '=', 1]],
           ['currency.code', 'currency.digits'])
    find = [['external_id', '=', OPPORTUNITY_KEY]]
    search(recorder, 'opportunity-find-absent', 'sale.opportunity', find, OPPORTUNITY_FIELDS)
    opportunity, = recorder.record(
        'opportunity-create', 'model.sale.opportunity.create', [{
            'company': 1, 'party': party, 'address': address, 'external_id': OPPORTUNITY_KEY,
            'external_revision': 1, 'reference': 'aqua-2026', 'description': 'Renew the contract',
            'amount': decimal('412.50'), 'start_date': date(20), 'end_date': date(31, month=12),
            'usage': 'api.requests 1200000'}], CONTEXT)
    search(recorder, 'opportunity-find-present', 'sale.opportunity', find, OPPORTUNITY_FIELDS)
    amend = ('model.sale.opportunity.write', [opportunity],
             {'external_revision': 2, 'usage': 'api.requests 1300000'}, CONTEXT)
    recorder.record('opportunity-amend', *amend)
    search(recorder, 'opportunity-find-amended', 'sale.opportunity', find, OPPORTUNITY_FIELDS)
    success = connect('success')
    take_up(success, opportunity)
    search(recorder, 'opportunity-find-taken', 'sale.opportunity', find, OPPORTUNITY_FIELDS)
    success.call('model.sale.opportunity.lost', [opportunity], CONTEXT)
    recorder.record('opportunity-error-closed', *amend)
    search(recorder, 'opportunity-find-closed', 'sale.opportunity', find, OPPORTUNITY_FIELDS)


def take_up(success, opportunity):
    """Somebody of the company works on it, with another amount in mind."""
    employee = success.call('model.res.user.get_preferences', True, CONTEXT)['employee']
    success.call('model.sale.opportunity.write', [opportunity],
                 {'employee': employee, 'amount': decimal('450')}, CONTEXT)
    success.call('model.sale.opportunity.opportunity', [opportunity], CONTEXT)


def record_login_errors(recorder):
    body = {'id': 0, 'method': 'common.db.login', 'params': ['collector', {'password': 'wrong'}]}
    for name, wanted in (('error-password', 401), ('error-login-locked', 429)):
        for _ in range(8):
            headers, response, text = recorder.exchange(body)
            if response.status == wanted:
                break
        recorder.save(name, body, headers, response, text)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--url', required=True)
    parser.add_argument('--secrets', required=True, metavar='DIR')
    parser.add_argument('--out', required=True, metavar='DIR')
    options = parser.parse_args()
    recorder = Recorder(options.url, options.out)

    def password(user):
        with open(os.path.join(options.secrets, user)) as file:
            return file.read().strip()
    recorder.login(password('collector'))
    line, values = record_lookups(recorder)
    record_invoice(recorder, line, values)

    def connect(user):
        return Client(options.url).login(user, password(user))
    record_order(recorder, values['party'], values['invoice_address'], connect)
    record_account_update(recorder, values['party'])
    record_opportunity(recorder, values['party'], values['invoice_address'], connect)
    record_adjustment(recorder, line, values)
    record_login_errors(recorder)


if __name__ == '__main__':
    main()
