#!/usr/bin/python3
"""Proves over the API what each user of the ERP can do with account updates and opportunities.

  check_crm.py --url http://127.0.0.1:8069 --secrets STATE/secrets

One line per check, non-zero on a failure. The notes and opportunities it makes carry external ids
"check/<run>/..." and stay in the database.
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check_separation import (  # noqa: E402
    CONTEXT, RUN, Checks, Client, ErpError, by_key, check_race, decimal, today)

NOTE, OPPORTUNITY = 'ir.note', 'sale.opportunity'
BUTTONS = ('lead', 'opportunity', 'convert', 'lost', 'cancel')


class Notes:
    """Builds notes the way the connector does."""

    def __init__(self, client):
        self.client = client
        self.party = client.find_id('party.party', ['code', '=', 'C-1001'])

    def values(self, key, **more):
        return dict({'resource': 'party.party,%d' % self.party, 'message': 'at 85 %\n\nmore',
                     'external_id': 'check/%s/%s' % (RUN, key), 'external_revision': 1}, **more)

    def create(self, key, **more):
        return self.client.call('model.ir.note.create', [self.values(key, **more)], CONTEXT)[0]


class Opportunities:
    """Builds opportunities the way the connector does."""

    def __init__(self, client):
        self.client = client
        self.party = client.find_id('party.party', ['code', '=', 'C-1001'])
        self.address = client.find_id('party.address', ['party', '=', self.party])

    def values(self, key, **more):
        return dict({'company': CONTEXT['company'], 'party': self.party, 'address': self.address,
                     'description': 'Renew the contract', 'reference': 'aqua-2026',
                     'amount': decimal('412.50'), 'start_date': today(), 'usage': 'calls: 1200000',
                     'external_id': 'check/%s/%s' % (RUN, key), 'external_revision': 1}, **more)

    def create(self, key, **more):
        return self.client.call(
            'model.sale.opportunity.create', [self.values(key, **more)], CONTEXT)[0]

    def read(self, opportunity):
        return self.client.search_read(
            OPPORTUNITY, [['id', '=', opportunity]],
            ['state', 'amount', 'usage', 'comment', 'closed_at', 'closed_by.name'])[0]


def check_identity(checks, collector, builder, model):
    what = model.split('.')[1]
    create, write = 'model.%s.create' % model, 'model.%s.write' % model
    record = checks.allowed('collector creates a %s' % what, builder.create, what)
    checks.refused('a second create with its external id is refused', builder.create, what)
    checks.refused('the external id cannot be changed', collector.call, write, [record],
                   {'external_id': 'check/%s/other' % RUN}, CONTEXT)
    checks.refused('a %s without an external id is refused' % what, collector.call, create,
                   [builder.values('none', external_id=None)], CONTEXT)
    checks.refused('a copy, which has none, is refused', collector.call, 'model.%s.copy' % model,
                   [record], CONTEXT)
    checks.refused('collector cannot delete it', collector.call, 'model.%s.delete' % model,
                   [record], CONTEXT)
    check_race(checks, builder, lambda: collector, ids=1, attempts=20, model=model)
    return record


def check_note(checks, collector, success, notes, note):
    def unread():
        return bool(success.search_read(NOTE, [['id', '=', note]], ['unread'])[0]['unread'])
    write = 'model.ir.note.write'
    checks.expect('customer success has not read the note', unread())
    checks.allowed('customer success marks it as read', success.call, write, [note],
                   {'unread': False}, CONTEXT)
    checks.expect('... and has read it', not unread())
    checks.allowed('collector amends the note', collector.call, write, [note],
                   {'external_revision': 2, 'message': 'at 101 %\n\nmore'}, CONTEXT)
    checks.expect('... and it is unread again', unread())
    row, = success.search_read(NOTE, [['id', '=', note]], ['gist', 'resource', 'external_revision'])
    checks.expect('... with the new gist, still on the party',
                  (row['gist'], row['resource'], row['external_revision'])
                  == ('at 101 %', 'party.party,%d' % notes.party, 2), row)
    own, = success.call('model.ir.note.create', [
        {'resource': 'party.party,%d' % notes.party, 'message': 'called them'}], CONTEXT)
    checks.refused("collector cannot change a person's note", collector.call, write, [own],
                   {'message': 'x'}, CONTEXT)
    checks.expect('... nor see it', collector.find_id(NOTE, ['id', '=', own]) is None)
    checks.refused('collector cannot note anything but a party', notes.create, 'elsewhere',
                   resource='company.company,1')
    checks.refused('... nor move a note away from it', collector.call, write, [note],
                   {'resource': 'company.company,1'}, CONTEXT)
    checks.refused('collector cannot attach a file to the party', collector.call,
                   'model.ir.attachment.create',
                   [{'resource': 'party.party,%d' % notes.party, 'name': 'x'}], CONTEXT)
    checks.refused('collector cannot change the party', collector.call, 'model.party.party.write',
                   [notes.party], {'name': 'x'}, CONTEXT)


def check_collector_limits(checks, collector, opportunities, opportunity):
    write = 'model.sale.opportunity.write'
    for button in BUTTONS:
        checks.refused('collector cannot press "%s"' % button, collector.call,
                       'model.sale.opportunity.' + button, [opportunity], CONTEXT)
    for field, value in (('state', 'won'), ('converted_by', 1), ('closed_at', None),
                         ('closed_by', 1)):
        checks.refused('collector cannot create with "%s"' % field, opportunities.create,
                       'with-' + field, **{field: value})
        checks.refused('collector cannot write "%s"' % field, collector.call, write,
                       [opportunity], {field: value}, CONTEXT)
    for model, values in (('sale.sale', {'party': opportunities.party}),
                          ('sale.opportunity.line', {'opportunity': opportunity})):
        checks.refused('collector cannot create %s' % model, collector.call,
                       'model.%s.create' % model, [values], CONTEXT)
    checks.allowed('collector amends the opportunity', collector.call, write, [opportunity],
                   {'external_revision': 2, 'usage': 'calls: 1300000'}, CONTEXT)


def check_success(checks, collector, success, opportunities, opportunity):
    def press(button):
        return success.call('model.sale.opportunity.' + button, [opportunity], CONTEXT)
    write, late = 'model.sale.opportunity.write', {'usage': 'late'}
    employee = success.call('model.res.user.get_preferences', True, CONTEXT)['employee']
    checks.refused('customer success cannot create opportunities', success.call,
                   'model.sale.opportunity.create', [opportunities.values('success')], CONTEXT)
    checks.refused('... nor delete them', success.call, 'model.sale.opportunity.delete',
                   [opportunity], CONTEXT)
    checks.allowed('customer success takes it up', success.call, write, [opportunity],
                   {'employee': employee}, CONTEXT)
    checks.allowed('... as an opportunity', press, 'opportunity')
    checks.allowed('collector may still amend it', collector.call, write, [opportunity],
                   {'external_revision': 3}, CONTEXT)
    checks.allowed('customer success converts it', press, 'convert')
    checks.refused('collector cannot change a converted opportunity', collector.call, write,
                   [opportunity], late, CONTEXT)
    sale, = success.search_read('sale.sale', [['origin', '=', 'sale.opportunity,%d' % opportunity]],
                                ['comment', 'description'])
    checks.expect("what is printed for the customer has none of our usage",
                  not sale['comment'] and sale['description'] == 'Renew the contract', sale)
    checks.expect('... and nothing is closed yet', opportunities.read(opportunity)['closed_at'] is None)
    for button in ('quote', 'confirm'):
        checks.allowed('customer success has the sale: %s' % button, success.call,
                       'model.sale.sale.' + button, [sale['id']], CONTEXT)
    row = opportunities.read(opportunity)
    checks.expect('collector reads back: won, when, by whom',
                  row['state'] == 'won' and row['closed_at'] is not None
                  and row['closed_by.']['name'] == 'Customer success', row)
    for end, state in (('lost', 'lost'), ('cancel', 'cancelled')):
        opportunity = opportunities.create(end)
        checks.allowed('customer success presses "%s"' % end, press, end)
        row = opportunities.read(opportunity)
        checks.expect('collector reads back: %s, when' % state,
                      row['state'] == state and row['closed_at'] is not None, row)
        checks.refused('collector cannot change it any more', collector.call, write,
                       [opportunity], late, CONTEXT)
        checks.allowed('customer success opens it again', press, 'lead')
        checks.expect('... and it is no longer closed',
                      opportunities.read(opportunity)['closed_at'] is None)


def check_views(checks, success):
    """What a person sees in the web client."""
    for model, fields in ((NOTE, ('external_id', 'message')),
                          (OPPORTUNITY, ('external_id', 'usage', 'closed_at'))):
        view = success.call('model.%s.fields_view_get' % model, None, 'form', CONTEXT)
        for field in fields:
            checks.expect('customer success sees "%s" of %s' % (field, model),
                          'name="%s"' % field in view['arch'] and field in view['fields'],
                          view['arch'])
    for name in ('Account Updates', 'Leads and Opportunities'):
        menu = success.search_read('ir.ui.menu', [['name', '=', name]], ['action'])
        checks.expect('... and finds "%s" in the menu' % name, len(menu) == 1, menu)


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
        collector, success = connect('collector'), connect('success')
        checks, notes, opportunities = Checks(), Notes(collector), Opportunities(collector)
        note = check_identity(checks, collector, notes, NOTE)
        check_note(checks, collector, success, notes, note)
        opportunity = check_identity(checks, collector, opportunities, OPPORTUNITY)
        check_collector_limits(checks, collector, opportunities, opportunity)
        check_success(checks, collector, success, opportunities, opportunity)
        check_views(checks, success)
    except (ErpError, OSError) as error:
        sys.exit('check_crm.py: %s' % error)
    sys.exit('%d checks failed' % checks.failed if checks.failed else 0)


if __name__ == '__main__':
    main()
