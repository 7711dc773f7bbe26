"""What an operator sees when the ERP is away, refuses a document, or refuses the collector."""
from bench import Unexpected, shown_exception, without_time


def bills(stack, contract):
    return [row for row in stack.collector('documents') if row['contract'] == contract and row['kind'] == 'billing-summary']


def confirmed(bench, contract, more_than):
    rows = bills(bench.stack, contract)
    return rows if len(rows) > more_than and all(row['state'] == 'confirmed' for row in rows) else None


def unknown_party(bench):
    bench.send(subject='ghost', data={'value': '500'})
    row = bench.exception('delivery_rejected', 120)
    return [('the account\'s `external = "C-9999"` is no party in Tryton', shown_exception(row))]


def erp_down(bench):
    stack = bench.stack
    stack.call('stop_process', 'erp')
    before = len(stack.log('collector'))
    bench.known = len(bills(stack, 'aqua-2026'))
    bench.send(subject='aqua', data={'value': '5000'})
    line = bench.log_line('collector', 'delivery_retry.*cannot connect', 120, before)
    return [('Tryton is stopped when a document is due', without_time(line) + '; the document waits')]


def wrong_password(bench):
    stack = bench.stack
    secret = stack.path('tryton', 'secrets', 'collector')
    with open(secret) as file:
        password = file.read()
    stack.call('stop_process', 'collector')
    with open(secret, 'w') as file:
        file.write('not-the-password\n')
    before = len(stack.log('collector'))
    stack.start('collector')
    with open(secret, 'w') as file:
        file.write(password)  # read at the start; start_erp asks with it
    stack.start('erp')
    line = bench.log_line('collector', '(?i)password', 120, before)
    stack.call('stop_process', 'collector')
    stack.start('collector')
    rows = bench.until(420, 'the document that waited is confirmed', lambda: confirmed(bench, 'aqua-2026', bench.known))
    if len({row['external_id'] for row in rows}) != len(rows):
        raise Unexpected('two documents share an invoice')
    return [('a wrong password in `password_file`', without_time(line) +
             '; once it is right, the document that waited is in Tryton exactly once')]


CASES = [
    ('ERP refusing', unknown_party),
    ('ERP down', erp_down),
    ('wrong ERP password', wrong_password),
]
