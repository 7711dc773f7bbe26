"""What entries of a version must be, each by itself and together: PROTOCOL.md, section 7."""
from refusal import require

ANY = ('sum', 'count', 'min', 'max', 'last')
AGGREGATIONS = {'register': ('sum',), 'delta': ANY, 'event': ANY, 'gauge': ANY[1:]}
OTHER_KINDS = ('maintenance', 'account_update')      # no amount rests on them


def check_entry(content, part):
    check = {'meter': _check_meter, 'rate_card': _check_card, 'contract': _check_contract, 'links': _check_links}
    require(content.kind in check or content.kind in ('account', 'asset') + OTHER_KINDS, part,
            'entries of kind %s are not known' % content.kind)
    if content.kind in check:
        check[content.kind](content, part)


def _check_meter(meter, part):
    require(meter.aggregation in AGGREGATIONS.get(meter.meter_kind, ()), part,
            'a meter of kind %s is not counted by %s' % (meter.meter_kind, meter.aggregation))
    require(meter.class_ in ('billing', 'diagnostic'), part, 'class %s is not known' % meter.class_)


def _check_card(card, part):
    meters = [price.meter for price in card.prices]
    require(meters and meters == sorted(set(meters), key=lambda name: name.encode('utf-8')), part,
            'the card has no prices, or not in the order of their meters')
    for price in card.prices:
        bounds = [tier.up_to for tier in price.tiers]
        require(bounds and bounds[-1] is None and None not in bounds[:-1], part, 'the last tier alone has no up_to')
        require(all(before < after for before, after in zip([0] + bounds[:-1], bounds[:-1])), part,
                'the bounds of the tiers do not rise')
        require(price.included >= 0 and all(tier.unit_price >= 0 for tier in price.tiers), part,
                'a price or an included quantity is negative')


def _check_contract(contract, part):
    require(contract.approval in ('auto', 'manual'), part, 'approval %s is not known' % contract.approval)


def _check_links(entry, part):
    for link in entry.links:
        require(link.subscription or link.asset, part, 'a link has neither subscription nor asset')
        require(link.until is None or link.from_ < link.until, part, 'a link ends before it begins')
    for before, after in zip(entry.links, entry.links[1:]):
        require(before.until is not None and before.until <= after.from_, part, 'its links are not one behind the other')


def check_cards(proven):
    """What cards, meters and contracts say of each other; their names are checked before."""
    cards = [entry.content for entry in proven if entry.content.kind == 'rate_card']
    classes = {entry.content.name: entry.content.class_ for entry in proven if entry.content.kind == 'meter'}
    for entry in proven:
        content = entry.content
        if content.kind == 'rate_card':
            require(sum((card.name, card.from_) == (content.name, content.from_) for card in cards) == 1, entry.part,
                    'two versions of the card begin at the same instant')
            require(all(classes[price.meter] == 'billing' for price in content.prices), entry.part,
                    'a diagnostic meter has a price')
        elif content.kind == 'contract':
            used = {subscription.rate_card for subscription in content.subscriptions}
            require(all(card.currency == content.currency for card in cards if card.name in used), entry.part,
                    'a rate card is in another currency than its contract')


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
