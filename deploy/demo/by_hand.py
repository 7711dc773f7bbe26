"""Amounts worked out from the sample application's log and the price list alone, sharing nothing with the pipeline.

The log says what the agent answered; the catalog's files are read for prices, links and periods. Exact decimals; every
line is rounded once, half to even.
"""
import csv
import datetime
import hashlib
import json
import re
import tomllib
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

CENT = Decimal('0.01')


class Catalog:
    def __init__(self, folder):
        tables, self.tenant = defaultdict(list), None
        for path in sorted(Path(folder).glob('*.toml')):
            content = tomllib.loads(path.read_text(encoding='utf-8'))
            self.tenant = content.pop('tenant', self.tenant)
            for name, rows in content.items():
                tables[name] += rows
        self.accounts = {row['name']: row for row in tables['account']}
        self.cards = {row['name']: row for row in tables['rate_card']}
        self.contracts = {s['name']: row for row in tables['contract'] for s in row['subscription']}
        self.card_of = {s['name']: s['rate_card'] for row in tables['contract'] for s in row['subscription']}
        self.links = {(row['device'], row['subject']): row['subscription'] for row in tables['link'] if 'subscription' in row}
        self.assets = {row['name']: row for row in tables['asset']}
        self.rules = tables['maintenance']
        self.account_rules = tables['account_update']
        if len(self.cards) != len(tables['rate_card']):
            raise ValueError('this reckoning knows one version per rate card')

    def subscription(self, device, subject):
        return self.links.get((device, subject)) or self.links.get((device, '*'))


def instant_ms(text):
    moment = datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))
    return round(moment.timestamp() * 1000)


def instant_text(milliseconds):
    moment = datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.timezone.utc)
    return moment.strftime('%Y-%m-%dT%H:%M:%S.000Z')


def period_length_ms(text):
    match = re.fullmatch(r'PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?', text)
    if not match:
        raise ValueError('this reckoning knows periods below a day, not %s' % text)
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def period_start(contract, time_text):
    length = period_length_ms(contract['period'])
    anchor = instant_ms(contract['anchor'])
    return anchor + (instant_ms(time_text) - anchor) // length * length


def answered_events(log):
    """(subject, meter, value, time) of each event that the agent has answered for."""
    with open(log, encoding='utf-8') as lines:
        for line in lines:
            for _, subject, meter, value, time in json.loads(line)['events']:
                yield subject, meter, Decimal(value), time


def quantities(catalog, device, log):
    """{(contract name, period start in ms): {(subscription, meter): quantity}}"""
    found = defaultdict(lambda: defaultdict(Decimal))
    for subject, meter, value, time in answered_events(log):
        subscription = catalog.subscription(device, subject)
        contract = catalog.contracts[subscription]
        found[contract['name'], period_start(contract, time)][subscription, meter] += value
    return found


def rated_lines(price, quantity):
    """[(product, billable quantity, unit price, amount)], one per tier that is reached."""
    billable = max(quantity - Decimal(price.get('included', '0')), Decimal(0))
    tiers = price.get('tiers') or [{'unit_price': price['unit_price']}]
    lines, start = [], Decimal(0)
    for tier in tiers:
        end = min(Decimal(tier['up_to']), billable) if 'up_to' in tier else billable
        amount = ((end - start) * Decimal(tier['unit_price'])).quantize(CENT, ROUND_HALF_EVEN)
        lines.append((price['product'], end - start, Decimal(tier['unit_price']), amount))
        if end == billable:
            break
        start = end
    return lines


def hashed_id(prefix, *parts):
    """The id that a document carries into the ERP; it names what the document is about, so it cannot move."""
    digest = hashlib.sha256(b'ledgerline/document/v1\0')
    for part in parts:
        digest.update(b'%d:%s' % (len(part.encode()), part.encode()))
    return prefix + '-' + digest.hexdigest()[:32]


def document_id(tenant, contract, start):
    end = start + period_length_ms(contract['period'])
    return hashed_id('bs', 'billing-summary', tenant, contract['name'], instant_text(start), instant_text(end), '1')


def documents(catalog, device, log):
    """{document id: {'contract', 'party', 'start', 'lines', 'amount'}}: what must be in the ERP, no more and no less."""
    return documents_for(catalog, quantities(catalog, device, log))


def documents_for(catalog, used_by_period):
    expected = {}
    for (name, start), used in used_by_period.items():
        contract = next(c for c in catalog.contracts.values() if c['name'] == name)
        lines = []
        for (subscription, meter), quantity in sorted(used.items()):
            card = catalog.cards[catalog.card_of[subscription]]
            price = next(p for p in card['price'] if p['meter'] == meter)
            lines += rated_lines(price, quantity) if quantity else []
        if lines:
            expected[document_id(catalog.tenant, contract, start)] = {
                'contract': name, 'party': catalog.accounts[contract['account']]['external'],
                'start': instant_text(start), 'lines': lines,
                'amount': sum((line[3] for line in lines), Decimal(0))}
    return expected


# ---- Account updates and opportunities

def account_updates(catalog, used_by_period):
    """{document id: {'contract', 'start', 'quantities': {(subscription, meter): quantity}}} of the closed periods."""
    expected = {}
    for (name, start), used in used_by_period.items():
        for rule in catalog.account_rules:
            key = hashed_id('au', 'account-update', catalog.tenant, rule['name'], name, instant_text(start))
            expected[key] = {'contract': name, 'start': instant_text(start), 'quantities': dict(used)}
    return expected


def included(catalog, subscription, meter):
    prices = catalog.cards[catalog.card_of[subscription]]['price']
    return Decimal(next(price.get('included', '0') for price in prices if price['meter'] == meter))


def opportunities(catalog, used_by_period):
    """{document id: contract}: where more was used than is included, and not in the period just before."""
    expected, beyond = {}, {}
    for (name, start), used in used_by_period.items():
        beyond[name, start] = {key for key, quantity in used.items() if 0 < included(catalog, *key) < quantity}
    for (name, start), lines in beyond.items():
        contract = next(c for c in catalog.contracts.values() if c['name'] == name)
        before = beyond.get((name, start - period_length_ms(contract['period'])), set())
        for rule in catalog.account_rules:
            if rule['overage_periods'] != 1:
                raise ValueError('this reckoning knows overage_periods = 1')
            if lines - before:
                expected[hashed_id('op', 'opportunity', catalog.tenant, rule['name'], name, 'overage',
                                   instant_text(start))] = name
    return expected


# ---- Maintenance orders

HOUR_MS = 3_600_000


def vibrations(table):
    """{pump: {hour: [value of each row]}} of the pump controller's table."""
    found = defaultdict(lambda: defaultdict(list))
    with open(table, encoding='utf-8') as rows:
        for time, pump, vibration, _ in csv.reader(rows):
            if time != 'time':
                found[pump][instant_ms(time) // HOUR_MS].append(Decimal(vibration))
    return found


def newest_ms(table):
    """Where the table's last quarter hour ends."""
    with open(table, encoding='utf-8') as rows:
        return max(instant_ms(row[0]) for row in csv.reader(rows) if row[0] != 'time') + HOUR_MS // 4


def first_order(rule, hours, until_ms):
    """When the mean over a day was above the limit for the first time, in ms; None: never."""
    when, = (w for w in rule['when'] if w['value'] == 'mean')
    if (rule['step'], when['window'], when['steps_min']) != ('1h', '24h', 12):
        raise ValueError('this reckoning knows steps of an hour and windows of a day')
    for end in range(min(hours) + 12, until_ms // HOUR_MS + 1):
        seen = [hours[hour] for hour in range(end - 24, end) if hour in hours]
        values = [value for hour in seen for value in hour]
        if len(seen) >= when['steps_min'] and sum(values) > Decimal(when['above']) * len(values):
            return end * HOUR_MS
    return None


def orders(catalog, table, until_ms):
    """{number of the asset in the ERP: when its first order is due}, of each that the rules must have made by then."""
    expected = {}
    used = vibrations(table)
    for rule in catalog.rules:
        days = int(rule['due'].removesuffix('d'))
        for name, asset in catalog.assets.items():
            opened = first_order(rule, used[name], until_ms) if asset['model'] == rule['model'] and name in used else None
            if opened is not None:
                expected[asset['external']] = instant_text(opened + days * 24 * HOUR_MS)
    return expected
