"""Quantity x price -> amount, tier by tier."""
from fractions import Fraction
from typing import NamedTuple, Optional

# ISO 4217: the currencies with a minor unit of two places, and the others.
PLACES = dict.fromkeys("""
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP
    COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
    KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD
    PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD
    TWD TZS UAH USD USN UYU UZS VED VES WST XCD YER ZAR ZMW ZWL""".split(), 2)
PLACES.update(dict.fromkeys('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'.split(), 0))
PLACES.update(dict.fromkeys('BHD IQD JOD KWD LYD OMR TND'.split(), 3))
PLACES.update(dict.fromkeys('CLF UYW'.split(), 4))


class Tiered(NamedTuple):
    """What one tier of a price makes of a quantity."""
    quantity: Fraction
    unit_price: Fraction
    amount: Fraction
    lower: Fraction
    upper: Optional[Fraction]


def rounded(amount, currency):
    """To the currency's exponent, half to even."""
    unit = 10 ** PLACES[currency]
    return Fraction(round(amount * unit), unit)


def rate(quantity, price, currency):
    """A Tiered for each tier of the price; tiers count from what is beyond `included`. The quantity is not negative."""
    rest, below, tiers = max(quantity - price.included, Fraction(0)), Fraction(0), []
    for tier in price.tiers:
        upper = rest if tier.up_to is None else min(rest, tier.up_to)
        part = max(upper - below, Fraction(0))
        tiers.append(Tiered(part, tier.unit_price, rounded(part * tier.unit_price, currency), below, tier.up_to))
        below = tier.up_to
    return tiers


def amount(tiers):
    return sum((tier.amount for tier in tiers), Fraction(0))


def billed(quantity, tiers):
    """The tiers that a document has a line for: those that are used; the first where all is included; none of no quantity."""
    return [tier for tier in tiers if tier.quantity] or (tiers[:1] if quantity else [])


def difference(now, before):
    """Of an adjustment: what each tier has more or less than before."""
    tiers = [a._replace(quantity=a.quantity - b.quantity, amount=a.amount - b.amount) for a, b in zip(now, before)]
    return [tier for tier in tiers if tier.quantity or tier.amount]
