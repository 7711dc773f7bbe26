"""Days that are longer or shorter than others, and the day that 32 bits cannot count beyond."""
from world import World, instant

# When, how many. Each number is a bit of its own, so a sum tells which readings are in it.
SPRING = (('2027-03-27T23:30+01:00', 1), ('2027-03-28T01:59:52+01:00', 2), ('2027-03-28T03:00:01+02:00', 4),
          ('2027-03-28T23:30+02:00', 8), ('2027-03-29T00:30+02:00', 16))
SPRING_DAYS = (('2027-03-27T00:00+01:00', '2027-03-28T00:00+01:00', 1),
               ('2027-03-28T00:00+01:00', '2027-03-29T00:00+02:00', 2 + 4 + 8),
               ('2027-03-29T00:00+02:00', '2027-03-30T00:00+02:00', 16))
SPRING_HOURS = (('2027-03-27T23:00+01:00', '2027-03-28T00:00+01:00', 1),
                ('2027-03-28T01:00+01:00', '2027-03-28T03:00+02:00', 2),
                ('2027-03-28T03:00+02:00', '2027-03-28T04:00+02:00', 4),
                ('2027-03-28T23:00+02:00', '2027-03-29T00:00+02:00', 8),
                ('2027-03-29T00:00+02:00', '2027-03-29T01:00+02:00', 16))
AUTUMN = (('2027-10-30T23:30+02:00', 1), ('2027-10-31T00:30+02:00', 2), ('2027-10-31T02:30+02:00', 4),
          ('2027-10-31T02:59:52+02:00', 8), ('2027-10-31T02:00:01+01:00', 16), ('2027-10-31T02:30+01:00', 32),
          ('2027-10-31T23:30+01:00', 64), ('2027-11-01T00:30+01:00', 128))
AUTUMN_DAYS = (('2027-10-30T00:00+02:00', '2027-10-31T00:00+02:00', 1),
               ('2027-10-31T00:00+02:00', '2027-11-01T00:00+01:00', 2 + 4 + 8 + 16 + 32 + 64),
               ('2027-11-01T00:00+01:00', '2027-11-02T00:00+01:00', 128))
AUTUMN_HOURS = (('2027-10-30T23:00+02:00', '2027-10-31T00:00+02:00', 1),
                ('2027-10-31T00:00+02:00', '2027-10-31T01:00+02:00', 2),
                ('2027-10-31T02:00+02:00', '2027-10-31T02:00+01:00', 4 + 8),
                ('2027-10-31T02:00+01:00', '2027-10-31T03:00+01:00', 16 + 32),
                ('2027-10-31T23:00+01:00', '2027-11-01T00:00+01:00', 64),
                ('2027-11-01T00:00+01:00', '2027-11-01T01:00+01:00', 128))
LIVE_S = 30  # so near to the moment before, time passes by itself

BEFORE_2038, AFTER_2038 = 5, 7
SECONDS_2038 = (('2038-01-19T03:13:08+00:00', '2038-01-19T03:14:08+00:00', BEFORE_2038),
                ('2038-01-19T03:14:08+00:00', '2038-01-19T03:15:08+00:00', AFTER_2038 + 3))


def berlin(folder, build):
    return World(folder, build, '2027-03-27T12:00+01:00', {
        name: {'zone': 'Europe/Berlin', 'anchor': '2027-03-27', 'period': period}
        for name, period in (('days', 'P1D'), ('hours', 'PT1H'))})


def both_changes(world):
    for moments, closed in ((SPRING, '2027-03-30T00:30+02:00'), (AUTUMN, '2027-11-02T00:30+01:00')):
        before = instant('1970-01-01T00:00+00:00')
        for when, count in moments:
            near = (instant(when) - before).total_seconds() < LIVE_S
            world.wait_for(when) if near else world.go_to(when)
            world.meter(count, 'days', 'hours')
            world.drained(world.device)
            before = instant(when)
        world.go_to(closed)


def billed(contract, shown, others):
    def case(world):
        world.billed_as(contract, shown + others)
        metered = sum(quantity for _, _, quantity in shown)
        return metered, world.flagged_nothing(), '%d: %s' % (metered, ', '.join(map(in_words, shown)))
    return case


def in_words(period):
    begin, end = instant(period[0]), instant(period[1])
    hours = (end - begin).total_seconds() / 3600
    if hours <= 1:
        return '%s to %s: %d' % (begin.strftime('%H:%M%z'), end.strftime('%H:%M%z'), period[2])
    return '%s (%d h): %d' % (begin.strftime('%d %b'), hours, period[2])


def end_of_32_bits(folder, build):
    return World(folder, build, '2038-01-19T03:12:00+00:00', {
        'seconds': {'zone': 'UTC', 'anchor': '2038-01-19T03:13:08Z', 'period': 'PT1M'}})


def across_2038(world):
    world.go_to('2038-01-19T03:13:56+00:00')
    world.meter(BEFORE_2038, 'seconds')
    world.drained(world.device)
    world.wait_for('2038-01-19T03:14:08+00:00')
    world.meter(AFTER_2038, 'seconds')
    world.drained(world.device)
    for stop, start in ((lambda: world.stop_agent(world.device), lambda: world.run_agent(world.device)),
                        (world.stop_collector, lambda: world.stack.start('collector'))):
        stop()
        start()
    world.meter(3, 'seconds')
    world.drained(world.device)
    world.go_to('2038-01-19T03:15:20+00:00')


def proven_2038(world):
    for row in world.billed_as('seconds', SECONDS_2038):
        world.stack.call('prove_invoice', row['id'])
    metered = BEFORE_2038 + AFTER_2038 + 3
    return metered, world.flagged_nothing(), '%d: %s, proven' % (
        metered, ', '.join('from %s: %d' % (begin[11:19], count) for begin, _, count in SECONDS_2038))


DEVICE = {'quota': '64MiB', 'readings_max': 100, 'age_max': '1s'}
# folder, its plant, devices, preparations, cases
SCENES = (
    ('berlin', berlin, {'device': DEVICE}, (both_changes,), (
        ('summer time begins in Berlin, billed by day', billed('days', SPRING_DAYS, AUTUMN_DAYS)),
        ('summer time begins in Berlin, billed by hour', billed('hours', SPRING_HOURS, AUTUMN_HOURS)),
        ('summer time ends in Berlin, billed by day', billed('days', AUTUMN_DAYS, SPRING_DAYS)),
        ('summer time ends in Berlin, billed by hour', billed('hours', AUTUMN_HOURS, SPRING_HOURS)),
    )),
    ('2038', end_of_32_bits, {'device': DEVICE}, (across_2038,), (
        ('19 January 2038, across 03:14:07 UTC', proven_2038),
    )),
)
