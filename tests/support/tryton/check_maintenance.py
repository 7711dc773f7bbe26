#!/usr/bin/python3
"""Proves over the API what each user of the ERP can do with maintenance orders.

  check_maintenance.py --url http://127.0.0.1:8069 --secrets STATE/secrets

One line per check, non-zero on a failure. The orders it makes carry external ids "check/<run>/..."
and stay in the database.
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check_separation import (  # noqa: E402
    CONTEXT, RUN, Checks, Client, ErpError, by_key, check_race, today)

CREATE = 'model.project.work.create'
WRITE = 'model.project.work.write'
COMPANY = CONTEXT['company']


class Planner:
    """Builds orders the way the connector does, from codes and names."""

    def __init__(self, client):
        self.client = client
        find = client.find_id
        self.project = find('project.work', ['type', '=', 'project'], ['name', '=', 'Maintenance'])
        self.lot = find('stock.lot', ['number', '=', 'SN-100'])
        self.open, self.done = (find('project.work.status', ['progress', '=', progress])
                                for progress in (None, 1))
        self.places = {
            'from_location': client.search_read(
                'stock.location', [['type', '=', 'warehouse']], ['storage_location'],
                1)[0]['storage_location'],
            'to_location': find('stock.location', ['name', '=', 'Field service'])}
        part = client.search_read(
            'product.product', [['code', '=', 'BRG-6204']], ['default_uom'], 1)[0]
        self.move = dict(self.places, company=COMPANY, product=part['id'],
                         uom=part['default_uom'], quantity=2.0)

    def values(self, key, **more):
        key = 'check/%s/%s' % (RUN, key)
        return dict({
            'company': COMPANY, 'type': 'task', 'parent': self.project, 'asset': self.lot,
            'name': 'pump-7: compressor', 'external_id': key, 'priority': '1',
            'effort_duration': {'__class__': 'timedelta', 'seconds': 5400.0},
            'readings': 'vibration 7.3', 'parts': [['create', [self.parts(key + ':parts')]]]},
            **more)

    def parts(self, external_id, **more):
        return dict(self.places, company=COMPANY, external_id=external_id,
                    moves=[['create', [self.move]]], **more)

    def create(self, key, **more):
        return self.client.call(CREATE, [self.values(key, **more)], CONTEXT)[0]

    def read(self, order):
        return self.client.search_read(
            'project.work', [['id', '=', order]],
            ['status', 'asset.number', 'parts', 'parts.moves', 'timesheet_available',
             'timesheet_duration', 'closed_at', 'closed_by.name'])[0]


def check_identity(checks, collector, planner):
    order = checks.allowed('collector creates an order with its parts', planner.create, 'one')
    row = planner.read(order)
    checks.expect('... one draft shipment with one move, hours can be booked, not closed',
                  len(row['parts.']) == 1 and len(row['parts.'][0]['moves']) == 1
                  and row['asset.']['number'] == 'SN-100' and row['timesheet_available']
                  and row['closed_at'] is None, row)
    checks.refused('a second create with its external id is refused', planner.create, 'one')
    checks.refused('an order whose parts cannot be made is refused', planner.create, 'half',
                   parts=[['create', [planner.parts('check/%s/one:parts' % RUN)]]])
    checks.expect('... and leaves nothing behind',
                  collector.find_id('project.work', by_key('half')) is None)
    checks.refused('the external id cannot be changed', collector.call, WRITE, [order],
                   {'external_id': 'check/%s/other' % RUN}, CONTEXT)
    checks.refused('a work without an external id is refused', collector.call, CREATE,
                   [dict(planner.values('none'), external_id=None)], CONTEXT)
    checks.refused('a copy, which has none, is refused', collector.call,
                   'model.project.work.copy', [order], CONTEXT)
    check_race(checks, planner, lambda: collector, ids=1, attempts=20, model='project.work')
    checks.allowed('collector repeats the order with newer readings', collector.call, WRITE,
                   [order], {'external_revision': 2, 'readings': 'vibration 7.9'}, CONTEXT)
    return order


def check_collector_limits(checks, collector, planner, order):
    row = planner.read(order)
    shipment = row['parts'][0]
    move = row['parts.'][0]['moves'][0]
    checks.refused('collector cannot create a done order', planner.create, 'done',
                   status=planner.done, progress=1.0)
    checks.refused('collector cannot close an order', collector.call, WRITE, [order],
                   {'status': planner.done, 'progress': 1.0}, CONTEXT)
    checks.refused('collector cannot create a project', planner.create, 'project', type='project')
    checks.refused('collector cannot change the project', collector.call, WRITE,
                   [planner.project], {'name': 'x'}, CONTEXT)
    for model, record in (('project.work', order), ('stock.shipment.internal', shipment),
                          ('stock.move', move)):
        checks.refused('collector cannot delete %s' % model, collector.call,
                       'model.%s.delete' % model, [record], CONTEXT)
    for button in ('wait', 'assign_try', 'assign_force', 'assign_wizard', 'ship', 'done', 'cancel',
                   'draft'):
        checks.refused('collector cannot press "%s" of a shipment' % button, collector.call,
                       'model.stock.shipment.internal.' + button, [shipment], CONTEXT)
    for button in ('do', 'assign', 'cancel', 'draft'):
        checks.refused('collector cannot press "%s" of a move' % button, collector.call,
                       'model.stock.move.' + button, [move], CONTEXT)
    for model, record in (('stock.shipment.internal', shipment), ('stock.move', move)):
        checks.refused('collector cannot set the state of %s' % model, collector.call,
                       'model.%s.write' % model, [record], {'state': 'done'}, CONTEXT)
    checks.refused('collector cannot create a shipment without an external id', collector.call,
                   'model.stock.shipment.internal.create', [planner.parts(None)], CONTEXT)
    checks.refused('collector cannot create a done shipment', collector.call,
                   'model.stock.shipment.internal.create',
                   [planner.parts('check/%s/ready' % RUN, state='done')], CONTEXT)
    checks.refused('collector cannot move stock on its own', collector.call,
                   'model.stock.move.create', [planner.move], CONTEXT)
    for model, values in (('stock.lot', {'number': 'x', 'product': planner.move['product']}),
                          ('stock.location', {'name': 'x'}), ('project.work.status', {'name': 'x'}),
                          ('timesheet.work', {'name': 'x'}), ('timesheet.line', {}),
                          ('stock.inventory', {})):
        checks.refused('collector cannot create %s' % model, collector.call,
                       'model.%s.create' % model, [values], CONTEXT)


def check_service(checks, collector, service, planner, order):
    row, = service.search_read('timesheet.work', [['origin', '=', 'project.work,%d' % order]], ['id'])
    checks.allowed('field service books an hour', service.call, 'model.timesheet.line.create',
                   [{'company': COMPANY, 'employee': service.find_id('company.employee'),
                     'date': today(), 'work': row['id'],
                     'duration': {'__class__': 'timedelta', 'seconds': 3600.0}}], CONTEXT)
    checks.refused('field service cannot create orders', service.call, CREATE,
                   [planner.values('service')], CONTEXT)
    checks.refused('... nor delete them', service.call, 'model.project.work.delete', [order], CONTEXT)
    checks.refused('... nor change the project', service.call, WRITE, [planner.project],
                   {'name': 'x'}, CONTEXT)
    done = {'status': planner.done, 'progress': 1.0}
    checks.allowed('field service closes the order', service.call, WRITE, [order], done, CONTEXT)
    row = planner.read(order)
    checks.expect('collector reads back: done, when, by whom, one hour',
                  row['status'] == planner.done and row['closed_at'] is not None
                  and row['closed_by.']['name'] == 'Field service'
                  and float(row['timesheet_duration']['seconds']) == 3600, row)
    checks.refused('collector cannot change a closed order', collector.call, WRITE, [order],
                   {'readings': 'late'}, CONTEXT)
    checks.refused('... nor open it again', collector.call, WRITE, [order],
                   {'status': planner.open, 'progress': 0.0}, CONTEXT)
    checks.allowed('field service opens it again', service.call, WRITE, [order],
                   {'status': planner.open}, CONTEXT)
    checks.expect('... and it is no longer closed', planner.read(order)['closed_at'] is None)
    checks.allowed('field service has the parts reserved', service.call,
                   'model.stock.shipment.internal.wait', row['parts'], CONTEXT)
    checks.refused('collector cannot change a shipment that left draft', collector.call,
                   'model.stock.shipment.internal.write', row['parts'], {'reference': 'late'},
                   CONTEXT)
    checks.refused('... nor its moves', collector.call, 'model.stock.move.write',
                   row['parts.'][0]['moves'], {'quantity': 9.0}, CONTEXT)


def check_views(checks, service):
    """What a person sees in the web client."""
    view = service.call('model.project.work.fields_view_get', None, 'form', CONTEXT)
    for field in ('asset', 'priority', 'due_at', 'party', 'readings', 'parts', 'external_id'):
        checks.expect('field service sees "%s" of an order' % field,
                      'name="%s"' % field in view['arch'] and field in view['fields'], view['arch'])
    view = service.search_read('ir.ui.menu', [['name', '=', 'Maintenance Orders']], ['action'])
    checks.expect('... and finds the list in the menu', len(view) == 1, view)


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
        collector, service = connect('collector'), connect('service')
        checks, planner = Checks(), Planner(collector)
        order = check_identity(checks, collector, planner)
        check_collector_limits(checks, collector, planner, order)
        check_service(checks, collector, service, planner, order)
        check_views(checks, service)
    except (ErpError, OSError) as error:
        sys.exit('check_maintenance.py: %s' % error)
    sys.exit('%d checks failed' % checks.failed if checks.failed else 0)


if __name__ == '__main__':
    main()
