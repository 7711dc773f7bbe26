"""What a billing document says, and what it must say: PROTOCOL.md, section 8, steps 5 and 11."""
from datetime import timedelta
from zoneinfo import ZoneInfo

import canonical as c
import rating
from refusal import Refused, require

PART = 'document'


def shown(value):
    """An exact decimal, as far as it is one."""
    scale = 0
    while (value * 10 ** scale).denominator != 1 and scale < 40:
        scale += 1
    return _digits(value, scale)


def _digits(value, scale):
    digits = '%0*d' % (scale + 1, abs(value * 10 ** scale))
    text = digits[:len(digits) - scale] + ('.' + digits[len(digits) - scale:] if scale else '')
    return ('-' if value < 0 else '') + text


def money(amount, currency):
    """With all places of the currency's minor unit."""
    return _digits(amount, rating.PLACES[currency])


def _period(period, zone_name, zone_database):
    moments = [c.EPOCH + timedelta(milliseconds=instant) for instant in (period.from_, period.until)]
    utc = [moment.isoformat(timespec='milliseconds').replace('+00:00', 'Z') for moment in moments]
    local = [moment.astimezone(ZoneInfo(zone_name)).isoformat(timespec='seconds') for moment in moments]
    return c.Pairs(zip(('from', 'until', 'local_from', 'local_until', 'time_zone', 'zone_database'),
                       utc + local + [zone_name, zone_database]))


def line_of(number, line, billed, tier, booked):
    """The document's line of one tier. line: of the close; billed: meter, price and card; booked: None where it is no adjustment."""
    price, card = billed.price, billed.card
    members = [('number', number), ('subscription', line.subscription), ('product', price.product),
               ('description', price.description), ('meter', line.meter), ('unit', billed.meter.unit),
               ('quantity', shown(line.quantity))]
    if booked is not None:
        members.append(('booked_quantity', shown(booked)))
    members += [('readings', line.readings), ('included', shown(min(line.quantity, price.included))),
                ('tier', c.Pairs([('from', shown(tier.lower)), ('to', None if tier.upper is None else shown(tier.upper))])),
                ('billable_quantity', shown(tier.quantity)), ('unit_price', shown(tier.unit_price)),
                ('amount', money(tier.amount, card.currency)),
                ('rate_card', c.Pairs([('name', card.name), ('version', card.version)]))]
    return c.Pairs(members)


class Document:
    """A JSON object. What it must say is compared in the canonical form of statements."""

    def __init__(self, body):
        try:
            members = c.loose(body)
        except c.ShapeError as error:
            raise Refused(PART, str(error)) from None
        self._members = self._object(members)
        self.lines = self._members.get('lines')
        require(isinstance(self.lines, list) and not isinstance(self.lines, c.Pairs) and self.lines, PART, 'it has no lines')
        self._names = [self._object(line) for line in self.lines]

    @staticmethod
    def _object(members):
        require(isinstance(members, c.Pairs), PART, 'it or a line is no object')
        return dict(members)

    def names(self, number):
        """(subscription, meter) of the n-th line."""
        return self._names[number - 1].get('subscription'), self._names[number - 1].get('meter')

    def lines_of(self, name):
        """(number, line) of a (subscription, meter)."""
        return [(number, line) for number, line in enumerate(self.lines, 1) if self.names(number) == name]

    def require_member(self, name, expected):
        found = self._members.get(name)
        require(name in self._members and c.written(found) == c.written(expected), PART, 'its %s is %s, and it must be %s' % (
            name, c.written(found), c.written(expected)))

    def check_header(self, close, contract, account):
        self.require_member('kind', 'billing-summary' if close.revision == 1 else 'adjustment')
        self.require_member('account', c.Pairs([('name', account.name), ('legal_name', account.legal_name),
                                                ('external', account.external)]))
        self.require_member('approval', contract.approval)
        self.require_member('currency', contract.currency)
        self.require_member('period', _period(close.period, contract.time_zone, close.zone_database))

    def check_total(self):
        """By value the sum of its lines' amounts, which are checked before."""
        try:
            said = c.padded_decimal(self._members.get('untaxed_total'), 'untaxed_total')
        except c.ShapeError as error:
            raise Refused(PART, str(error)) from None
        total = sum(c.padded_decimal(line['amount'], 'amount') for line in self._names)
        require(said == total, PART, 'its untaxed_total is %s, and its lines come to %s' % (shown(said), shown(total)))
