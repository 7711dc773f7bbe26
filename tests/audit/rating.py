"""Quantity x price -> amount, tier by tier."""
from fractions import Fraction
from typing import NamedTuple

PLACES = dict.fromkeys('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'.split(), 0)
PLACES.update(dict.fromkeys('BHD IQD JOD KWD LYD OMR TND'.split(), 3))
PLACES.update(dict.fromkeys('CLF UYW'.split(), 4))


class Tiered(NamedTuple):
    """What one tier of a price makes of a quantity."""
    quantity: Fraction
    unit_price: Fraction
    amount: Fraction


def rounded(amount, currency):
    """To the currency's exponent, half to even."""
    unit = 10 ** PLACES.get(currency, 2)
    return Fraction(round(amount * unit), unit)


def rate(quantity, price, currency):
    """A Tiered for each tier of the price; tiers count from what is beyond `included`."""
    rest, below, tiers = max(quantity - price.included, Fraction(0)), Fraction(0), []
    for tier in price.tiers:
        upper = rest if tier.up_to is None else min(rest, tier.up_to)
        part = max(upper - below, Fraction(0))
        tiers.append(Tiered(part, tier.unit_price, rounded(part * tier.unit_price, currency)))
        below = upper if tier.up_to is None else tier.up_to
    return tiers


def amount(tiers):
    return sum((tier.amount for tier in tiers), Fraction(0))


def billed(tiers):
    """The tiers that a document has a line for: those with a quantity, else the first."""
    return [tier for tier in tiers if tier.quantity] or tiers[:1]


def difference(now, before):
    """Of an adjustment: what each tier has more or less than before."""
    tiers = [Tiered(a.quantity - b.quantity, a.unit_price, a.amount - b.amount) for a, b in zip(now, before)]
    return [tier for tier in tiers if tier.quantity or tier.amount]
