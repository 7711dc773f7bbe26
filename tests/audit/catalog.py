"""What the versions that a close names say, as far as a bundle shows it: contract, periods, cards, meters, links."""
import re
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import statements
from canonical import EPOCH
from keys import labelled
from merkle import included
from refusal import Refused, require

DURATION = re.compile(r'P(?:(\d{1,6})([YMWD])|T(\d{1,6})([HMS]))', re.ASCII)
EXACT_MS = {'H': 3_600_000, 'M': 60_000, 'S': 1000}
ABOUT_MS = {'D': 86_400_000, 'W': 7 * 86_400_000, 'M': 2_629_746_000, 'Y': 31_556_952_000}
EVERY_SUBJECT = '*'


def proven_entries(entries, versions):
    """The entries, each in its version's tree; `versions`: id -> version statement."""
    proven = []
    for entry in entries:
        require(entry.version in versions, entry.part, 'it is of a version that the close does not name')
        version = versions[entry.version]
        content = statements.entry_of(entry.text, entry.part)
        hashed = labelled('ledgerline/entry/v1', entry.salt, entry.text)
        require(included(hashed, entry.index, entry.path, version.content.entries, version.content.root), entry.part,
                "its path does not lead to its version's root")
        of_mapping = version.kind == statements.MAPPING_VERSION
        require((content.kind == 'links') == of_mapping, entry.part, 'a version of this kind has no such entry')
        proven.append(SimpleNamespace(part=entry.part, content=content))
    check_names(proven)
    return proven


def check_names(proven):
    """Names that an entry uses are those of entries shown, and no name is given twice."""
    kinds = {}
    for entry in proven:
        content = entry.content
        name = {'rate_card': lambda: (content.name, content.version), 'links': lambda: (content.device, content.subject)}.get(
            content.kind, lambda: getattr(content, 'name', len(kinds.get(content.kind, ()))))()
        require(name not in kinds.setdefault(content.kind, set()), entry.part, '%s %s is there twice' % (content.kind, name))
        kinds[content.kind].add(name)
        if content.kind == 'contract':
            kinds.setdefault('subscription', set()).update(subscription.name for subscription in content.subscriptions)
    kinds['rate_card'] = {name for name, _ in kinds.get('rate_card', ())}
    for entry in proven:
        for kind, name in _names_used(entry.content):
            require(name in kinds.get(kind, ()), entry.part, 'it names %s %s, which is not shown' % (kind, name))


def _names_used(content):
    if content.kind == 'contract':
        return [('account', content.account)] + [('rate_card', used.rate_card) for used in content.subscriptions]
    if content.kind == 'rate_card':
        return [('meter', price.meter) for price in content.prices]
    if content.kind == 'links':
        used = [('subscription', link.subscription) for link in content.links]
        return [(kind, name) for kind, name in used + [('asset', link.asset) for link in content.links] if name]
    return []


def _instant_ms(local, zone):
    """UTC instant of a local time: of two the earlier; one that a leap of the clock leaves out counts by the offset before."""
    moment = local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _stepped(local, unit, steps):
    if unit in 'WD':
        return local + timedelta(days=steps * (7 if unit == 'W' else 1))
    months = local.year * 12 + local.month - 1 + steps * (12 if unit == 'Y' else 1)
    year, month = divmod(months, 12)
    next_month = datetime(year + (month == 11), (month + 1) % 12 + 1, 1)
    return local.replace(year=year, month=month + 1, day=min(local.day, (next_month - timedelta(days=1)).day))


def _begins(contract, part):
    """number of period -> its first instant, and a period that is at most one off for an instant."""
    rule = DURATION.fullmatch(contract.period)
    require(rule is not None, part, "the contract's period is not understood: %s" % contract.period)
    count, unit = int(rule[1] or rule[3]), rule[2] or rule[4]
    require(count > 0, part, "the contract's period is empty")
    if rule[4]:
        step = count * EXACT_MS[unit]
        return (lambda n: contract.anchor + n * step), (lambda at: (at - contract.anchor) // step)
    try:
        zone = ZoneInfo(contract.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(part, 'the time zone %s is not known here' % contract.time_zone) from None
    try:
        local = (EPOCH + timedelta(milliseconds=contract.anchor)).astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise Refused(part, "the contract's anchor has no local time") from None
    step = count * ABOUT_MS[unit]
    return (lambda n: _instant_ms(_stepped(local, unit, n * count), zone),
            lambda at: (at - contract.anchor) // step)


def has_period(contract, period, part):
    """Whether the contract's rule has a period of exactly these instants."""
    begin, near = _begins(contract, part)
    guess = near(period.from_)
    for number in range(max(guess - 2, 0), max(guess, 0) + 3):
        try:
            first, until = begin(number), begin(number + 1)
        except (OverflowError, ValueError):
            return False
        if contract.until is not None:
            until = min(until, contract.until)
        if (first, until) == (period.from_, period.until) and first < until:
            return True
    return False


class Catalog:
    """The proven entries, by what they are looked up with."""

    def __init__(self, proven, contract_name):
        self.contract, self._cards, self._meters, self.links = None, [], {}, {}
        self.part = 'entry'
        for entry in proven:
            content = entry.content
            if content.kind == 'contract' and content.name == contract_name:
                self.contract, self.part = content, entry.part
            elif content.kind == 'rate_card':
                self._cards.append(content)
            elif content.kind == 'meter':
                self._meters[content.name] = content
            elif content.kind == 'links':
                self.links[content.device, content.subject] = content.links
        require(self.contract is not None, 'entry', 'contract %s is not shown' % contract_name)

    def subscriptions(self):
        return {subscription.name: subscription.rate_card for subscription in self.contract.subscriptions}

    def meter(self, name):
        require(name in self._meters, 'entry', 'meter %s is not shown' % name)
        return self._meters[name]

    def price(self, subscription, meter, at):
        """The price of a meter by the card that is in force at an instant, and the card's currency."""
        card_name = self.subscriptions().get(subscription)
        require(card_name is not None, self.part, 'the contract has no subscription %s' % subscription)
        cards = [card for card in self._cards if card.name == card_name and card.from_ <= at]
        require(cards, 'entry', 'no rate card %s that is in force at the period is shown' % card_name)
        card = max(cards, key=lambda card: (card.from_, card.version))
        prices = [price for price in card.prices if price.meter == meter]
        require(len(prices) == 1, 'entry', 'rate card %s has no price of meter %s' % (card_name, meter))
        return prices[0], card.currency

    def links_of(self, device, subject):
        """Those of the subject's own entry, else of the device's."""
        own = self.links.get((device, subject))
        return own if own is not None else self.links.get((device, EVERY_SUBJECT), [])

    def device_spans(self, period):
        """device -> [begin, end) of what the contract needs of it in a period."""
        spans, ours = {}, self.subscriptions()
        for (device, _), links in self.links.items():
            for link in links:
                until = period.until if link.until is None else min(link.until, period.until)
                begin = max(link.from_, period.from_)
                if link.subscription in ours and begin < until:
                    known = spans.get(device, (begin, until))
                    spans[device] = min(known[0], begin), max(known[1], until)
        return spans
