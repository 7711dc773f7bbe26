"""Statements and entries of versions: shapes and ids of PROTOCOL.md, section 7."""
from types import SimpleNamespace

import canonical as c
from keys import labelled
from refusal import Refused, require

# Kinds of statements in a bundle.
CATALOG_VERSION, MAPPING_VERSION, CORRECTION, GAP_ACCEPTANCE, APPROVAL, CLOSE = range(2, 8)
WORDS = {CATALOG_VERSION: 'catalog-version', MAPPING_VERSION: 'mapping-version', CORRECTION: 'correction',
         GAP_ACCEPTANCE: 'gap-acceptance', APPROVAL: 'approval', CLOSE: 'close'}

VERSION = c.record(format=c.exactly(1), tenant=c.text, number=c.number_from_one, previous=c.optional(c.digest()),
                   entries=c.whole, root=c.digest(), by=c.text, at=c.time_ms, reason=c.text)
CORRECTION_SHAPE = c.record(format=c.exactly(1), tenant=c.text, action=c.text, device=c.text, subject=c.text, meter=c.text,
                            unit=c.text, from_=c.time_ms, until=c.optional(c.time_ms), value=c.optional(c.text),
                            withdraws=c.optional(c.digest()), references=c.listed(c.text), by=c.text, at=c.time_ms,
                            reason=c.text)
GAP_SHAPE = c.record(format=c.exactly(1), tenant=c.text, device=c.text, from_=c.time_ms, until=c.time_ms, by=c.text,
                     at=c.time_ms, reason=c.sized(1, 4096))
APPROVAL_SHAPE = c.record(format=c.exactly(1), tenant=c.text, document=c.text, revision=c.whole, sha256=c.digest(),
                          verdict=c.one_of('approved', 'refused'), by=c.text, at=c.time_ms, reason=c.text)
STREAM = c.record(stream=c.digest(16), device=c.text, batch=c.whole, batch_id=c.digest(), next_seq=c.number_from_one,
                  complete_through=c.optional(c.time_ms))
LINE = c.record(subscription=c.text, meter=c.text, unit=c.text, quantity=c.decimal, readings=c.whole, amount=c.decimal)
DOCUMENT = c.record(id=c.text, revision=c.whole, sha256=c.digest())
CLOSE_SHAPE = c.record(format=c.exactly(1), tenant=c.text, contract=c.text,
                       period=c.record(from_=c.time_ms, until=c.time_ms), revision=c.number_from_one, log_leaves=c.whole,
                       catalog=c.optional(c.digest()), mapping=c.optional(c.digest()), zone_database=c.text,
                       streams=c.listed(STREAM), gaps=c.listed(c.digest()), lines=c.listed(LINE),
                       document=c.optional(DOCUMENT), by=c.text, at=c.time_ms)
SHAPES = {CATALOG_VERSION: VERSION, MAPPING_VERSION: VERSION, CORRECTION: CORRECTION_SHAPE, GAP_ACCEPTANCE: GAP_SHAPE,
          APPROVAL: APPROVAL_SHAPE, CLOSE: CLOSE_SHAPE}

# Entries of a catalog or mapping.
TIER = c.record(up_to=c.optional(c.decimal), unit_price=c.decimal)
PRICE = c.record(meter=c.text, product=c.text, description=c.text, included=c.decimal, tiers=c.listed(TIER))
LINK = c.record(subscription=c.text, asset=c.text, from_=c.time_ms, until=c.optional(c.time_ms))
ENTRIES = {
    'meter': c.record(kind=c.text, name=c.text, unit=c.text, meter_kind=c.text, aggregation=c.text, class_=c.text),
    'rate_card': c.record(kind=c.text, name=c.text, version=c.whole, currency=c.text, from_=c.time_ms,
                          prices=c.listed(PRICE)),
    'account': c.record(kind=c.text, name=c.text, legal_name=c.text, external=c.text),
    'contract': c.record(kind=c.text, name=c.text, account=c.text, connector=c.text, currency=c.text, time_zone=c.text,
                         anchor=c.time_ms, anchor_text=c.text, period=c.text, until=c.optional(c.time_ms),
                         grace_ms=c.whole, silence_ms=c.whole, adjust_after_ms=c.whole, approval=c.text,
                         subscriptions=c.listed(c.record(name=c.text, rate_card=c.text))),
    'asset': c.record(kind=c.text, name=c.text, model=c.text, site=c.text, account=c.text, external=c.text,
                      in_service_from=c.optional(c.time_ms)),
    'links': c.record(kind=c.text, device=c.text, subject=c.text, links=c.listed(LINK)),
}


def payload_type(word):
    return 'application/vnd.ledgerline.%s.v1+json' % word


def statement_of(kind, leaf, path, signed):
    """The statement that a Signed message of this kind holds, with its id."""
    part = '%s at leaf %d' % (WORDS.get(kind, 'statement'), leaf)
    require(kind in WORDS, part, 'kind %d is not known' % kind)
    require(signed.type == payload_type(WORDS[kind]), part, 'the payload type is not that of its kind')
    try:
        content = c.read(signed.body, SHAPES[kind])
    except c.ShapeError as error:
        raise Refused(part, str(error)) from None
    return SimpleNamespace(kind=kind, leaf=leaf, path=path, part=part, signed=signed, content=content,
                           id=labelled('ledgerline/%s/v1' % WORDS[kind], signed.body))


def entry_of(text, part):
    """The members of an entry; of kinds that no amount rests on, the kind alone."""
    try:
        value = c.parsed(text)
        kind = dict(value).get('kind') if isinstance(value, list) and value else None
        shape = ENTRIES.get(kind) if isinstance(kind, str) else None
        require(isinstance(kind, str), part, 'the entry has no kind')
        return shape(value, 'the entry') if shape else c.Record({'kind': kind})
    except (c.ShapeError, TypeError, ValueError) as error:
        raise Refused(part, str(error)) from None
