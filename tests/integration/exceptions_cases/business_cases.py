"""Exceptions of catalog, mapping, periods and deliveries: each holds money up, and solving it lets it through."""
from desk import CALLS, LINK, METER, REQUESTS, SEATS, VOLUME, Unexpected


def unmapped_subject(desk):
    device = desk.device('unmapped')
    device.send([(REQUESTS, 'newcomer', 60, 700)])
    row = desk.exception('unmapped_subject', device='unmapped', value='700')
    line = desk.do(row, 'map', 'order 4711', SUBSCRIPTION='unmapped-api')
    done = desk.by_itself(row)  # the running collector has taken the link without a signal
    device.promise()
    return 'usage of a subject that no link names', line, done + '; ' + desk.billed('unmapped', '7.00')


def unknown_meter(desk):
    device = desk.device('unknown')
    device.send([(CALLS, 'unknown', 60, 300)])
    row = desk.exception('unknown_meter', device='unknown', value='300')
    desk.refuse_catalog()
    desk.meters['calls'] = METER % ('calls', '1', 'delta', 'sum')
    desk.prices.append('calls')
    desk.write_meters()
    desk.load()
    done = desk.by_itself(row)
    device.promise()
    return ('readings of a meter that the catalog has not', 'adds the meter and its price to the catalog, `catalog load`',
            done + '; ' + desk.billed('unknown', '3.00'))


def wrong_unit(desk):
    device = desk.device('unit')
    device.send([(VOLUME, 'unit', 60, 400)])
    row = desk.exception('wrong_unit', device='unit', value='400')
    desk.meters['volume'] = METER % ('volume', 'MB', 'delta', 'sum')
    desk.write_meters()
    desk.load()
    done = desk.by_itself(row)
    device.promise()
    return ('a meter declared in MB that the catalog has in GB', 'mends the meter\'s unit in the catalog, `catalog load`',
            done + '; ' + desk.billed('unit', '4.00'))


def late(desk):
    device = desk.device('late')
    device.send([(REQUESTS, 'late', 60, 100)])
    device.promise()
    desk.billed('late', '1.00')
    desk.refuse_price()
    device.send([(REQUESTS, 'late', 90, 7)])
    row = desk.exception('late', contract='late', value='7')
    desk.do(row, 'assign', 'to look at')
    desk.cannot_ignore(row)
    return ('a reading of 7 after its period was closed', 'waits for the contract\'s adjust_after (`ignore` is refused)',
            desk.by_itself(row) + '; ' + desk.billed('late', '1.00', '0.07'))


def silent_device(desk):
    device = desk.device('silent')
    device.send([(REQUESTS, 'silent', 60, 500)])
    device.promise()
    row = desk.exception('silent_device', contract='silent', device='gone')
    if desk.erp.total_of('C-silent'):
        raise Unexpected('the period closed on a silent device')
    desk.write_contract('silent')
    desk.load()
    return ('a contract with a device that never reports', 'takes its [[link]] out of the catalog, `catalog load`',
            desk.by_itself(row) + '; ' + desk.billed('silent', '5.00'))


def not_rated(desk):
    device = desk.device('unrated')
    device.send([(SEATS, 'unrated', 60, -4), (REQUESTS, 'unrated', 60, 100)])
    device.promise()
    row = desk.exception('not_rated', contract='unrated')
    desk.do(row, 'assign', 'to look at')
    desk.cannot_ignore(row)
    device.send([(SEATS, 'unrated', 61, 3)])
    device.promise()
    return ('a quantity of -4 seats, which no rate card can price',
            'the device sends its 3 seats (`ignore` is refused); within a minute it is rated again',
            desk.by_itself(row) + '; ' + desk.billed('unrated', '1.03'))


def delivery(desk, name, kind, made, mend, done):
    """`mend` is what a person does in the ERP before the delivery is released."""
    device = desk.device(name)
    device.send([(REQUESTS, name, 60, 900)])
    device.promise()
    row = desk.exception(kind)
    if row['document'] not in {document['id'] for document in desk.stack.collector('documents')
                               if document['contract'] == name}:
        raise Unexpected('another document: %s' % row)
    mend(row)
    line = desk.do(row, 'requeue', 'mended in the ERP')
    return made, done + ', then ' + line, desk.by_itself(row) + '; ' + desk.billed(name, '9.00')


def delivery_rejected(desk):
    desk.erp.unknown.add('C-rejected')
    return delivery(desk, 'rejected', 'delivery_rejected', 'the ERP knows no such account',
                    lambda row: desk.erp.unknown.clear(), 'makes the account')


def delivery_conflict(desk):
    desk.erp.other_total['C-conflict'] = '8.99'

    def mend(row):
        desk.erp.other_total.clear()
        desk.erp.documents[row['document']]['total'] = '9.00'

    return delivery(desk, 'conflict', 'delivery_conflict', 'the ERP books 8.99 instead of 9.00', mend, 'mends the total there')


def delivery_held(desk):
    desk.erp.silent.add('C-held')
    return delivery(desk, 'held', 'delivery_held',
                    'the ERP takes the document, hangs up, and has not got it at two look-ups',
                    lambda row: desk.erp.silent.clear(), 'looks that it is not there')


# What a contract has beside its own link.
CONTRACTS = {'late': {'adjust_after': '15s'}, 'silent': {'more': LINK % ('gone', 'gone', 'silent'), 'silence': '1s'}}
CASES = [
    ('unmapped_subject', 'unmapped', unmapped_subject),
    ('unknown_meter', 'unknown', unknown_meter),
    ('wrong_unit', 'unit', wrong_unit),
    ('late', 'late', late),
    ('silent_device', 'silent', silent_device),
    ('not_rated', 'unrated', not_rated),
    ('delivery_rejected', 'rejected', delivery_rejected),
    ('delivery_conflict', 'conflict', delivery_conflict),
    ('delivery_held', 'held', delivery_held),
]
