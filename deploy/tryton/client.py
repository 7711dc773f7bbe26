#!/usr/bin/python3
"""Reads our documents from Tryton 6.0 over JSON-RPC, posts invoices and closes maintenance orders: command and library.

  client.py --url http://127.0.0.1:8069 --user finance --password-file F invoices
  client.py --url http://127.0.0.1:8069 --user finance --password-file F post C-1001/2026-11
  client.py --url http://127.0.0.1:8069 --user service --password-file F orders
  client.py --url http://127.0.0.1:8069 --user service --password-file F close mo-4f1c...
  client.py --url http://127.0.0.1:8069 --user success --password-file F notes
  client.py --url http://127.0.0.1:8069 --user finance --password-file F wait --timeout 60

Numbers stay text all the way: amounts as Tryton's decimals, quantities as their JSON digits.
Python's standard library only.
"""
import argparse
import base64
import http.client
import json
import sys
import time
import urllib.parse
from decimal import Decimal

CONTEXT = {'company': 1}
INVOICE_FIELDS = [
    'external_id', 'number', 'reference', 'description', 'state', 'invoice_date', 'party.code',
    'party.name', 'currency.code', 'untaxed_amount', 'tax_amount', 'total_amount', 'lines']
LINE_FIELDS = [
    'type', 'product.code', 'description', 'quantity', 'unit.symbol', 'unit_price', 'amount']
ORDER_FIELDS = [
    'external_id', 'external_revision', 'name', 'party.code', 'party.name', 'asset.number', 'site', 'priority',
    'due_at', 'status.name', 'readings', 'parts.moves', 'closed_at', 'closed_by.name']
NOTE_FIELDS = ['external_id', 'external_revision', 'resource.rec_name', 'message']
OPPORTUNITY_FIELDS = [
    'external_id', 'external_revision', 'reference', 'description', 'party.code', 'party.name', 'amount', 'state',
    'start_date', 'end_date', 'usage', 'closed_at', 'closed_by.name']
PART_FIELDS = ['product.code', 'quantity', 'uom.symbol', 'state']


class ErpError(Exception):
    """Something the caller should show; the subclass tells what to do about it."""


class Unreachable(ErpError):
    """No answer, or not one of Tryton's: the server is down, starting, or another address."""


class LoginRefused(ErpError):
    """Wrong user or password."""


class LoginLocked(ErpError):
    """Too many wrong passwords lately: even the right one is refused for some minutes."""


class SessionGone(ErpError):
    """Log in again."""


class Refused(ErpError):
    """Tryton understood the request and said no; `kind` is its name for the error."""

    def __init__(self, kind, message):
        super().__init__('%s: %s' % (kind, message))
        self.kind = kind


def decimal(text):
    return {'__class__': 'Decimal', 'decimal': str(text)}


class Client:
    def __init__(self, url, database='ledgerline', timeout_s=60):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != 'http' or not parts.hostname:
            raise ErpError('%s is not an address like http://127.0.0.1:8069' % url)
        self.url, self.database, self.timeout_s = url, database, timeout_s
        self._host, self._port = parts.hostname, parts.port or 80
        self._authorization = None

    def login(self, user, password):
        """The session serves all later calls."""
        reply = self.call('common.db.login', user, {'password': password})
        token = '%s:%d:%s' % (user, reply[0], reply[1])
        self._authorization = 'Session ' + base64.b64encode(token.encode()).decode()
        return self

    def call(self, method, *params):
        status, reply = self.exchange({'id': 1, 'method': method, 'params': list(params)})
        if status == 401:
            if method == 'common.db.login':
                raise LoginRefused('wrong password, or no such user, for %s' % params[0])
            raise SessionGone('the session has ended')
        if status == 404:
            raise ErpError('%s has no database "%s"' % (self.url, self.database))
        if status == 429:
            raise LoginLocked('too many wrong passwords: wait five minutes')
        if status != 200 or not isinstance(reply, dict):
            raise Unreachable('%s answered HTTP %d' % (self.url, status))
        if 'error' in reply:
            kind, detail = reply['error'][0], reply['error'][1:]
            message = detail[0] if detail else ''
            raise Refused(kind, message[0] if isinstance(message, list) else message)
        return plain(reply.get('result'))

    def exchange(self, body):
        """One HTTP request: (status, JSON reply or None)."""
        headers = {'Content-Type': 'application/json'}
        if self._authorization:
            headers['Authorization'] = self._authorization
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout_s)
        try:
            connection.request('POST', '/%s/' % self.database, json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable('%s does not answer: %s' % (self.url, error or type(error).__name__))
        finally:
            connection.close()
        try:
            return response.status, json.loads(text, parse_float=str)
        except ValueError:
            return response.status, None

    def search_read(self, model, domain, fields, limit=None):
        return self.call(
            'model.%s.search_read' % model, domain, 0, limit, [['id', 'ASC']], fields, CONTEXT)

    def find_id(self, model, *domain):
        """The id of the first match, or None."""
        rows = self.search_read(model, list(domain), ['id'], 1)
        return rows[0]['id'] if rows else None

    def invoices(self, domain=()):
        """Customer invoices with their lines, oldest first, in the shape `--json` prints."""
        rows = self.search_read(
            'account.invoice', [['type', '=', 'out'], *domain], INVOICE_FIELDS)
        lines = {}
        if rows:
            ids = [line for row in rows for line in row['lines']]
            found = self.call('model.account.invoice.line.read', ids, LINE_FIELDS, CONTEXT)
            lines = {line['id']: line for line in found}
        return [invoice_view(row, lines) for row in rows]

    def post(self, invoice_id):
        """What finance does: validate, then post. A posted invoice is left alone."""
        row, = self.call('model.account.invoice.read', [invoice_id], ['state'], CONTEXT)
        if row['state'] == 'draft':
            self.call('model.account.invoice.validate_invoice', [invoice_id], CONTEXT)
        if row['state'] in ('draft', 'validated'):
            self.call('model.account.invoice.post', [invoice_id], CONTEXT)

    def orders(self, domain=()):
        """Maintenance orders with their spare parts, oldest first, in the shape `--json` prints."""
        rows = self.search_read(
            'project.work', [['type', '=', 'task'], ['external_id', '!=', None], *domain], ORDER_FIELDS)
        ids = [move for row in rows for parts in row['parts.'] for move in parts['moves']]
        moves = self.call('model.stock.move.read', ids, PART_FIELDS, CONTEXT) if ids else []
        parts = {move['id']: move for move in moves}
        return [order_view(row, parts) for row in rows]

    def notes(self, domain=()):
        """Account updates, oldest first, in the shape `--json` prints."""
        rows = self.search_read('ir.note', [['external_id', '!=', None], *domain], NOTE_FIELDS)
        return [{'id': row['id'], 'external_id': row['external_id'], 'revision': row['external_revision'],
                 'party_name': related(row, 'resource', 'rec_name'), 'message': row['message']} for row in rows]

    def opportunities(self, domain=()):
        """Ours, oldest first, in the shape `--json` prints."""
        rows = self.search_read('sale.opportunity', [['external_id', '!=', None], *domain], OPPORTUNITY_FIELDS)
        return [opportunity_view(row) for row in rows]

    def close_order(self, order_id):
        """What field service does when the work is done."""
        done = self.find_id('project.work.status', ['progress', '=', 1])
        self.call('model.project.work.write', [order_id], {'status': done, 'progress': 1.0}, CONTEXT)


def plain(value):
    """Tryton's tagged JSON values as text; everything else as it is."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get('__class__')
    if kind == 'Decimal':
        return fixed(value['decimal'])
    if kind == 'date':
        return '%04d-%02d-%02d' % (value['year'], value['month'], value['day'])
    if kind == 'datetime':
        return '%(year)04d-%(month)02d-%(day)02dT%(hour)02d:%(minute)02d:%(second)02dZ' % value
    return {k: plain(v) for k, v in value.items()}


def fixed(text):
    """The same number without an exponent: Tryton may say 1E-8."""
    return format(Decimal(text), 'f')


def related(row, field, name):
    return (row.get(field + '.') or {}).get(name)


def invoice_view(row, lines):
    return {
        'id': row['id'],
        'external_id': row['external_id'],
        'number': row['number'],
        'reference': row['reference'],
        'description': row['description'],
        'state': row['state'],
        'invoice_date': row['invoice_date'],
        'party_code': related(row, 'party', 'code'),
        'party_name': related(row, 'party', 'name'),
        'currency': related(row, 'currency', 'code'),
        'untaxed_amount': row['untaxed_amount'],
        'tax_amount': row['tax_amount'],
        'total_amount': row['total_amount'],
        'lines': [line_view(lines[i]) for i in row['lines']],
    }


def quantity_text(quantity):
    """A float in Tryton, so a whole number comes as 3.0."""
    return None if quantity is None else fixed(str(quantity)).removesuffix('.0')


def order_view(row, parts):
    return {
        'id': row['id'],
        'external_id': row['external_id'],
        'revision': row['external_revision'],
        'name': row['name'],
        'party_code': related(row, 'party', 'code'),
        'party_name': related(row, 'party', 'name'),
        'asset': related(row, 'asset', 'number'),
        'site': row['site'],
        'priority': row['priority'],
        'due_at': row['due_at'],
        'status': related(row, 'status', 'name'),
        'readings': row['readings'],
        'closed_at': row['closed_at'],
        'closed_by': related(row, 'closed_by', 'name'),
        'parts': [{'product_code': related(part, 'product', 'code'), 'quantity': quantity_text(part['quantity']),
                   'unit': related(part, 'uom', 'symbol'), 'state': part['state']}
                  for shipment in row['parts.'] for part in (parts[move] for move in shipment['moves'])],
    }


def opportunity_view(row):
    return {
        'id': row['id'],
        'external_id': row['external_id'],
        'revision': row['external_revision'],
        'contract': row['reference'],
        'description': row['description'],
        'party_code': related(row, 'party', 'code'),
        'party_name': related(row, 'party', 'name'),
        'amount': row['amount'],
        'state': row['state'],
        'start_date': row['start_date'],
        'end_date': row['end_date'],
        'usage': row['usage'],
        'closed_at': row['closed_at'],
        'closed_by': related(row, 'closed_by', 'name'),
    }


def line_view(line):
    return {
        'product_code': related(line, 'product', 'code'),
        'description': line['description'],
        'quantity': quantity_text(line['quantity']),
        'unit': related(line, 'unit', 'symbol'),
        'unit_price': line['unit_price'],
        'amount': line['amount'],
    }


def wait(client, user, password, timeout_s):
    """Until the server answers a login; a server that answers "wrong password" will not improve."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return client.login(user, password)
        except Unreachable as error:
            if not timeout_s:
                raise
            if time.monotonic() >= deadline:
                raise Unreachable('%s (waited %g s)' % (error, timeout_s))
        time.sleep(0.2)


def print_invoices(invoices):
    row = '%-5s %-40s %-16s %-9s %-28s %12s %s'
    print(row % ('id', 'external id', 'number', 'state', 'party', 'untaxed', ''))
    for invoice in invoices:
        print(row % (
            invoice['id'], invoice['external_id'] or '-', invoice['number'] or '-',
            invoice['state'], '%(party_code)s %(party_name)s' % invoice,
            invoice['untaxed_amount'], invoice['currency']))
        for line in invoice['lines']:
            print('      %s x %s = %s  %s' % (
                line['quantity'], line['unit_price'], line['amount'], line['description'] or ''))


def post_command(client, key):
    found = client.find_id('account.invoice', ['external_id', '=', key])
    if found is None and key.isdigit():
        found = client.find_id('account.invoice', ['id', '=', int(key)])
    if found is None:
        raise ErpError('no invoice with external id or id "%s"' % key)
    client.post(found)
    invoice, = client.invoices([['id', '=', found]])
    print('%(id)s %(number)s %(state)s %(total_amount)s %(currency)s' % invoice)


def print_orders(orders):
    row = '%-5s %-36s %-10s %-20s %-21s %-8s %s'
    print(row % ('id', 'external id', 'status', 'due', 'party', 'asset', 'name'))
    for order in orders:
        print(row % (order['id'], order['external_id'], order['status'], order['due_at'],
                     order['party_name'] or '-', order['asset'], order['name']))
        for part in order['parts']:
            print('      %(quantity)s %(unit)s %(product_code)s' % part)


def print_notes(notes):
    for note in notes:
        print('%(id)s %(external_id)s revision %(revision)s, %(party_name)s' % note)
        print('\n'.join('      ' + line for line in note['message'].splitlines()))


def print_opportunities(opportunities):
    row = '%-5s %-36s %-12s %-21s %10s %s'
    print(row % ('id', 'external id', 'state', 'party', 'amount', 'description'))
    for one in opportunities:
        print(row % (one['id'], one['external_id'], one['state'], one['party_name'], one['amount'] or '-', one['description']))


LISTS = {
    'invoices': (Client.invoices, print_invoices, 'customer invoices with their lines'),
    'orders': (Client.orders, print_orders, 'maintenance orders with their spare parts'),
    'notes': (Client.notes, print_notes, 'account updates'),
    'opportunities': (Client.opportunities, print_opportunities, 'opportunities that came from us'),
}


def external_id_command(client, number):
    """The document's id of ours, by the number that the invoice got when it was posted."""
    rows = client.search_read('account.invoice', [['number', '=', number]], ['external_id'], 1)
    if not rows or not rows[0]['external_id']:
        raise ErpError('no invoice of ours has the number "%s"' % number)
    print(rows[0]['external_id'])


def close_command(client, key):
    found = client.find_id('project.work', ['external_id', '=', key])
    if found is None:
        raise ErpError('no maintenance order with external id "%s"' % key)
    client.close_order(found)
    print_orders(client.orders([['id', '=', found]]))


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--url', required=True)
    parser.add_argument('--db', default='ledgerline')
    parser.add_argument('--user', required=True)
    parser.add_argument('--password-file', required=True, metavar='FILE')
    commands = parser.add_subparsers(dest='command', required=True)
    for name, (_, _, text) in LISTS.items():
        commands.add_parser(name, help=text).add_argument('--json', action='store_true')
    posting = commands.add_parser('post', help='validate and post one invoice')
    posting.add_argument('key', metavar='EXTERNAL_ID|ID')
    naming = commands.add_parser('external-id', help="our id of an invoice, by its number")
    naming.add_argument('number', metavar='NUMBER')
    closing = commands.add_parser('close', help='close one maintenance order, as field service does')
    closing.add_argument('key', metavar='EXTERNAL_ID')
    waiting = commands.add_parser('wait', help='until the server answers a login')
    waiting.add_argument('--timeout', type=float, default=60, metavar='SECONDS')
    return parser.parse_args()


def main():
    options = parse_options()
    try:
        with open(options.password_file) as file:
            password = file.read().strip()
        client = Client(options.url, options.db)
        wait(client, options.user, password,
             options.timeout if options.command == 'wait' else 0)
        if options.command in LISTS:
            read, show, _ = LISTS[options.command]
            rows = read(client)
            if options.json:
                print(json.dumps(rows, indent=2, ensure_ascii=False))
            else:
                show(rows)
        elif options.command == 'post':
            post_command(client, options.key)
        elif options.command == 'external-id':
            external_id_command(client, options.number)
        elif options.command == 'close':
            close_command(client, options.key)
    except (ErpError, OSError) as error:
        sys.exit('client.py: %s' % error)


if __name__ == '__main__':
    main()
