#!/usr/bin/python3
"""Reads the documents back from the ERP, compares them with what was worked out by hand, and says so.

  summary.py --state /var/lib/ledgerline-quickstart            the whole summary
  summary.py --state /var/lib/ledgerline-quickstart --check    only whether all is there and equal
  summary.py --state /var/lib/ledgerline-quickstart --invoice  an invoice's number in the ERP

Ends with 0 only where every document is in the ERP exactly once and equal. A folder without the table of the pumps
(STATE/plant/pumps.csv) expects no maintenance orders. Python's standard library only.
"""
import argparse
import http.client
import json
import os
import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, '..', 'tryton'))
import by_hand  # noqa: E402
import client  # noqa: E402

DEVICE = 'app-1'


def read_ports(state):
    with open(os.path.join(state, 'ports')) as file:
        return dict(line.strip().split('=', 1) for line in file)


def erp_as(user, state, ports):
    """Read as who decides about the documents; not as the collector, who wrote them."""
    with open(os.path.join(state, 'tryton', 'secrets', user)) as file:
        password = file.read().strip()
    return client.Client('http://127.0.0.1:%s' % ports['ERP_PORT']).login(user, password)


def read_invoices(state, ports):
    return [invoice for invoice in erp_as('finance', state, ports).invoices() if invoice['external_id']]


def expected_orders(catalog, state):
    table = os.path.join(state, 'plant', 'pumps.csv')
    if not os.path.exists(table):
        return {}
    return by_hand.orders(catalog, table, by_hand.newest_ms(table))


def judge_orders(expected, orders):
    """[what is wrong]; an asset's first order is the one that was worked out."""
    wrong, seen = [], {}
    for order in orders:
        seen.setdefault(order['asset'], order)
    for asset, due_at in expected.items():
        if asset not in seen:
            wrong.append('no maintenance order for asset %s in the ERP (yet)' % asset)
        elif by_hand.instant_ms(seen[asset]['due_at']) != by_hand.instant_ms(due_at):
            wrong.append('the order for asset %s is due %s instead of %s' % (asset, seen[asset]['due_at'], due_at))
    wrong += ['an order for asset %s, which needs none' % asset for asset in seen if asset not in expected]
    ids = Counter(order['external_id'] for order in orders)
    return wrong + ['the order %s is in the ERP %d times' % (key, count) for key, count in ids.items() if count > 1]


def judge(expected, invoices):
    """{document id: what is wrong, or None}, for every document of the sample application's customers."""
    count = Counter(invoice['external_id'] for invoice in invoices)
    found = {invoice['external_id']: invoice for invoice in invoices}
    parties = {document['party'] for document in expected.values()}
    verdicts = {}
    for key, document in expected.items():
        if count[key] == 0:
            verdicts[key] = 'not in the ERP (yet)'
        elif count[key] > 1:
            verdicts[key] = 'in the ERP %d times' % count[key]
        else:
            verdicts[key] = difference(document, found[key])
    for invoice in invoices:
        if invoice['party_code'] in parties and invoice['external_id'] not in expected:
            verdicts[invoice['external_id']] = 'in the ERP, but nobody sent events for it'
    return verdicts


def difference(document, invoice):
    if invoice['party_code'] != document['party']:
        return 'is for %s instead of %s' % (invoice['party_code'], document['party'])
    amounts = sorted(Decimal(line['amount']) for line in invoice['lines'] if line['amount'] is not None)
    by_hand_amounts = sorted(line[3] for line in document['lines'])
    if Decimal(invoice['untaxed_amount']) != document['amount']:
        return '%s instead of %s' % (invoice['untaxed_amount'], document['amount'])
    if [a for a in amounts if a] != [a for a in by_hand_amounts if a]:
        return 'lines %s instead of %s' % (amounts, by_hand_amounts)
    return None


def print_documents(expected, invoices, verdicts):
    row = '  %-24s %-4s %-35s %-9s %-20s %10s %10s  %s'
    print(row % ('period from', 'ERP', 'document', 'state', 'customer', 'ERP amount', 'by hand', ''))
    for invoice in invoices:
        document = expected.get(invoice['external_id'])
        verdict = verdicts.get(invoice['external_id'])
        print(row % (
            document['start'] if document else '', invoice['id'], invoice['external_id'], invoice['state'],
            invoice['party_name'], invoice['untaxed_amount'], document['amount'] if document else '-',
            'EQUAL' if document and not verdict else verdict or 'from the host agent'))
    for key, verdict in verdicts.items():
        if verdict and key in expected and key not in {i['external_id'] for i in invoices}:
            print(row % (expected[key]['start'], '-', key, '-', expected[key]['party'], '-', expected[key]['amount'], verdict))


def note_quantities(message):
    """{(subscription, meter): quantity} of the lines "- meter: quantity unit, ... [subscription]"."""
    found = {}
    for line in message.splitlines():
        match = re.fullmatch(r'- (\S+): ([0-9.]+)\b.* \[(\S+)\]', line)
        if match:
            found[match[3], match[1]] = Decimal(match[2])
    return found


def judge_notes(expected, notes):
    """{document id: what is wrong, or None} of the account updates that were worked out."""
    count, found = Counter(note['external_id'] for note in notes), {note['external_id']: note for note in notes}
    verdicts = {}
    for key, update in expected.items():
        quantities = {line: used for line, used in update['quantities'].items() if used}
        if count[key] != 1:
            verdicts[key] = 'in the ERP %d times' % count[key]
        else:
            there = {line: used for line, used in note_quantities(found[key]['message']).items() if used}
            verdicts[key] = None if there == quantities else '%s instead of %s' % (there, quantities)
    return verdicts


def judge_opportunities(expected, opportunities):
    count = Counter(one['external_id'] for one in opportunities)
    verdicts = {key: None if count[key] == 1 else 'in the ERP %d times' % count[key] for key in expected}
    verdicts.update({key: 'nobody used more than is included' for key in count if key not in expected})
    return verdicts


def print_notes(notes, verdicts):
    for note in notes:
        if note['external_id'] in verdicts:
            print('  %s  %s  %s' % (
                note['external_id'], note['message'].partition('\n')[0], verdicts[note['external_id']] or 'EQUAL'))


def print_opportunities(opportunities, verdicts):
    for one in opportunities:
        print('  %s  %s  %s %s, amount %s  %s' % (
            one['external_id'], one['party_name'], one['state'], one['description'], one['amount'],
            verdicts[one['external_id']] or 'EQUAL'))


def print_orders(orders, wrong):
    row = '  %-36s %-8s %-21s %-10s %-20s %-26s %s'
    print(row % ('maintenance order', 'asset', 'customer', 'status', 'due', 'parts', ''))
    for order in orders:
        parts = ', '.join('%(quantity)s %(unit)s %(product_code)s' % part for part in order['parts'])
        print(row % (order['external_id'], order['asset'], order['party_name'] or '-', order['status'],
                     order['due_at'], parts, '' if wrong else 'EQUAL'))


def metrics_of(port):
    """{name: value} of the collector's counters without labels."""
    # Not urllib: it would ask through a proxy that the environment names.
    connection = http.client.HTTPConnection('127.0.0.1', int(port), timeout=10)
    connection.request('GET', '/metrics')
    text = connection.getresponse().read().decode()
    lines = [line.split() for line in text.splitlines() if line and line[0] != '#']
    return {line[0].removeprefix('ledgerline_collector_'): int(line[1]) for line in lines if line[1].isdigit()}


def status_of(program, config):
    done = subprocess.run([program, 'status', '--config', config, '--json'], stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def print_pipeline(state, ports, build):
    """What the agents recorded and what the collector holds of it."""
    print('  %-10s %12s %12s %12s %12s' % ('device', 'recorded', 'folded', 'sealed', 'in custody'))
    collector = status_of(
        os.path.join(build, 'ledgerline-collector'), os.path.join(state, 'collector', 'collector.toml'))
    for stream in sorted(collector['streams'], key=lambda s: s['device']):
        agent = status_of(os.path.join(build, 'ledgerline-agent'),
                          os.path.join(state, 'agents', stream['device'], 'agent.toml'))
        print('  %-10s %12s %12s %12s %12s' % (
            stream['device'], '%d readings' % (agent['next_seq'] - 1), stream['readings'],
            '%d batches' % agent['head_batch'], stream['linked_upto']))
    metrics = metrics_of(ports['COLLECTOR_PORT'])
    readings, size = metrics.get('folded_readings_total', 0), metrics.get('batch_bytes_total', 0)
    if readings:
        print('  %.1f bytes per reading on the wire: %d bytes of signed batches for %d readings since the collector started'
              % (size / readings, size, readings))


def print_addresses(state, ports):
    print('Web client of the ERP: http://127.0.0.1:%s/   database ledgerline' % ports['ERP_PORT'])
    print('  user finance, password in %s' % os.path.join(state, 'tryton', 'secrets', 'finance'))
    print('  user service, password in %s' % os.path.join(state, 'tryton', 'secrets', 'service'))
    print('  user success, password in %s' % os.path.join(state, 'tryton', 'secrets', 'success'))
    print('  user admin,   password in %s' % os.path.join(state, 'tryton', 'secrets', 'admin'))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--state', required=True, type=os.path.abspath)
    parser.add_argument('--catalog', default=os.path.join(HERE, 'catalog.d'))
    parser.add_argument('--build', default=os.environ.get('BUILD') or os.path.join(HERE, '..', '..', 'build', 'release'))
    parser.add_argument('--check', action='store_true', help='one line, no tables')
    parser.add_argument('--invoice', action='store_true', help='only the number in the ERP of the first invoice that is equal')
    options = parser.parse_args()
    try:
        ports = read_ports(options.state)
        catalog = by_hand.Catalog(options.catalog)
        used = by_hand.quantities(catalog, DEVICE, os.path.join(options.state, 'app', 'answers.jsonl'))
        invoices = read_invoices(options.state, ports)
        service, success = (erp_as(user, options.state, ports) for user in ('service', 'success'))
        orders, notes, opportunities = service.orders(), success.notes(), success.opportunities()
    except (OSError, client.ErpError) as error:
        sys.exit('summary.py: %s' % error)
    bills, needed = by_hand.documents_for(catalog, used), expected_orders(catalog, options.state)
    verdicts = judge(bills, invoices)
    if options.invoice:
        print(next(row['id'] for row in invoices if verdicts.get(row['external_id'], 'unknown') is None))
        return
    wrong_orders = judge_orders(needed, orders)
    told = judge_notes(by_hand.account_updates(catalog, used), notes)
    opened = judge_opportunities(by_hand.opportunities(catalog, used), opportunities)
    if not options.check:
        print_pipeline(options.state, ports, options.build)
        print('\nBilling summaries, read back from the ERP as its user finance:')
        print_documents(bills, invoices, verdicts)
        print('\nMaintenance orders, as field service:')
        print_orders(orders, wrong_orders)
        print('\nAccount updates and opportunities, as customer success:')
        print_notes(notes, told)
        print_opportunities(opportunities, opened)
        print()
    wrong = ['%s: %s' % entry for found in (verdicts, told, opened) for entry in found.items() if entry[1]] + wrong_orders
    print('\n'.join(wrong + ['worked out by hand: %d billing summaries, %d maintenance orders, %d account updates, '
                             '%d opportunities; in the ERP%s' % (len(bills), len(needed), len(told), len(opened),
                                                                 ': not all' if wrong else ' and equal: all of them')]))
    if not options.check:
        print()
        print_addresses(options.state, ports)
    sys.exit(1 if wrong or not bills else 0)


if __name__ == '__main__':
    main()
