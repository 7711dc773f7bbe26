#!/usr/bin/python3
"""Reads the invoices back from the ERP, compares them with the amounts worked out by hand, and says so.

  summary.py --state /var/lib/ledgerline-quickstart            the whole summary
  summary.py --state /var/lib/ledgerline-quickstart --check    only whether all is there and equal

Ends with 0 only where every document is in the ERP exactly once and equal. Python's standard library only.
"""
import argparse
import json
import os
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


def read_invoices(state, ports):
    """As the user finance, who decides about them; not as the collector, who wrote them."""
    with open(os.path.join(state, 'tryton', 'secrets', 'finance')) as file:
        password = file.read().strip()
    erp = client.Client('http://127.0.0.1:%s' % ports['ERP_PORT'])
    return [invoice for invoice in erp.login('finance', password).invoices() if invoice['external_id']]


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
    row = '  %-20s %-4s %-35s %-9s %-20s %10s %10s  %s'
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


def status_of(program, config):
    """What `status --json` of one of our programs says, or None."""
    done = subprocess.run([program, 'status', '--config', config, '--json'], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--state', required=True, type=os.path.abspath)
    parser.add_argument('--catalog', default=os.path.join(HERE, 'catalog.d'))
    parser.add_argument('--check', action='store_true', help='one line, no tables')
    options = parser.parse_args()
    try:
        ports = read_ports(options.state)
        catalog = by_hand.Catalog(options.catalog)
        expected = by_hand.documents(catalog, DEVICE, os.path.join(options.state, 'app', 'answers.jsonl'))
        invoices = read_invoices(options.state, ports)
    except (OSError, client.ErpError) as error:
        sys.exit('summary.py: %s' % error)
    verdicts = judge(expected, invoices)
    wrong = {key: verdict for key, verdict in verdicts.items() if verdict}
    if not options.check:
        print_documents(expected, invoices, verdicts)
        print()
    for key, verdict in wrong.items():
        print('%s: %s' % (key, verdict))
    print('%d documents worked out by hand, %d of them in the ERP and equal%s' % (
        len(expected), len(expected) - len(wrong.keys() & expected.keys()), '' if wrong else ': all of them'))
    sys.exit(1 if wrong or not expected else 0)


if __name__ == '__main__':
    main()
