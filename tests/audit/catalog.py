"""What the versions that a close names say, as far as a bundle shows it: contract, periods, cards, meters, links."""
import re
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import entries as rules
import statements
from canonical import EPOCH
from keys import labelled
from merkle import included
from refusal import Refused, require

MONTHS = re.compile(r'P(?=.)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?', re.ASCII)
DAYS = re.compile(r'P(?=.)(?:(\d{1,6})W)?(?:(\d{1,6})D)?', re.ASCII)
EXACT = re.compile(r'PT(?=.)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?', re.ASCII)
DATE = re.compile(r'\d{4}-\d\d-\d\d', re.ASCII)
MONTH_ABOUT_MS, DAY_MS = 2_629_746_000, 86_400_000
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
        rules.check_entry(content, entry.part)
    rules.check_names(proven)
    rules.check_cards(proven)
    return proven


def _instant_ms(local, zone):
    """UTC instant of a local time: of two the earlier; one that a leap of the clock leaves out counts by the offset before."""
    moment = local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _months_later(local, months):
    """The same day, or the last one of a month that is too short."""
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    next_month = datetime(year + (month == 11), (month + 1) % 12 + 1, 1)
    return local.replace(year=year, month=month + 1, day=min(local.day, (next_month - timedelta(days=1)).day))


def _count(pattern, period, *worth):
    """What a duration such as P1Y6M comes to in the smallest unit; 0 where it has another form."""
    found = pattern.fullmatch(period)
    return sum(int(count or 0) * each for count, each in zip(found.groups(), worth)) if found else 0


def _anchor(contract, zone):
    """The instant that anchor_text means: a local date, or a time with its offset; None where it is neither."""
    text = contract.anchor_text
    try:
        moment = datetime.fromisoformat(text.replace('Z', '+00:00'))
    except ValueError:
        return None
    if DATE.fullmatch(text):
        return _instant_ms(moment, zone)
    return (moment - EPOCH) // timedelta(milliseconds=1) if moment.tzinfo else None


def _begins(contract, part):
    """number of period -> its first instant, and about how long a period is."""
    try:
        zone = ZoneInfo(contract.time_zone)
        require(_anchor(contract, zone) == contract.anchor, part, 'the anchor is not what its text means in the time zone')
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(part, 'the time zone %s is not known here' % contract.time_zone) from None
    exact = _count(EXACT, contract.period, 3_600_000, 60_000, 1000)
    if exact:
        return lambda number: contract.anchor + number * exact, exact
    days, months = _count(DAYS, contract.period, 7, 1), _count(MONTHS, contract.period, 12, 1)
    require(days or months, part, "the contract's period is not understood: %s" % contract.period)
    require(DATE.fullmatch(contract.anchor_text), part, 'a period of months or days begins at a local date')
    local = datetime.fromisoformat(contract.anchor_text)
    if days:
        return lambda number: _instant_ms(local + timedelta(days=number * days), zone), days * DAY_MS
    return lambda number: _instant_ms(_months_later(local, number * months), zone), months * MONTH_ABOUT_MS


def period_around(contract, instant, part):
    """[begin, until) of the contract's period that holds an instant; None where there is none."""
    begin, about_ms = _begins(contract, part)
    guess = (instant - contract.anchor) // about_ms
    for number in range(max(guess - 2, 0), max(guess, 0) + 3):
        try:
            first, until = begin(number), begin(number + 1)
        except (OverflowError, ValueError):
            return None
        if contract.until is not None:
            until = min(until, contract.until)
        if first <= instant < until:
            return first, until
    return None


def in_force(link, time):
    return link.from_ <= time and (link.until is None or time < link.until)


class Catalog:
    """The proven entries, by what they are looked up with."""

    def __init__(self, proven, contract_name):
        self.contract, self._cards, self._meters, self._accounts, self.links = None, [], {}, {}, {}
        self.part = 'entry'
        for entry in proven:
            content = entry.content
            if content.kind == 'contract' and content.name == contract_name:
                self.contract, self.part = content, entry.part
            elif content.kind == 'rate_card':
                self._cards.append(content)
            elif content.kind == 'meter':
                self._meters[content.name] = content
            elif content.kind == 'account':
                self._accounts[content.name] = content
            elif content.kind == 'links':
                self.links[content.device, content.subject] = content.links
        require(self.contract is not None, 'entry', 'contract %s is not shown' % contract_name)

    def account(self):
        """The contract's, which check_names has found."""
        return self._accounts[self.contract.account]

    def subscriptions(self):
        return {subscription.name: subscription.rate_card for subscription in self.contract.subscriptions}

    def meter(self, name):
        require(name in self._meters, 'entry', 'meter %s is not shown' % name)
        return self._meters[name]

    def price(self, subscription, meter, at):
        """The price of a meter by the card that is in force at an instant, and the card."""
        card_name = self.subscriptions().get(subscription)
        require(card_name is not None, self.part, 'the contract has no subscription %s' % subscription)
        cards = [card for card in self._cards if card.name == card_name and card.from_ <= at]
        require(cards, 'entry', 'no rate card %s that is in force at the period is shown' % card_name)
        card = max(cards, key=lambda card: (card.from_, card.version))
        prices = [price for price in card.prices if price.meter == meter]
        require(len(prices) == 1, 'entry', 'rate card %s has no price of meter %s' % (card_name, meter))
        return prices[0], card

    def subscriptions_at(self, device, subject, time):
        """Those that a subject is linked to at an instant: by its own links in force then, else by the device's."""
        for name in (subject, EVERY_SUBJECT):
            links = [link for link in self.links.get((device, name), ()) if in_force(link, time)]
            if links:
                return [link.subscription for link in links]
        return []

    def may_be_billed(self, device, subject, subscriptions, period):
        """Whether readings of a subject in a period may count for one of the subscriptions. None: an unknown subject."""
        own = self.links.get((device, subject), ()) if subject is not None else ()
        instants = {period.from_}.union(*({link.from_, link.until} for link in own), *(
            {link.from_, link.until} for link in self.links.get((device, EVERY_SUBJECT), ())))
        return any(subscription in subscriptions for instant in instants
                   if instant is not None and period.from_ <= instant < period.until
                   for subscription in self.subscriptions_at(device, subject, instant))

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
