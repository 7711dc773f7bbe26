"""Clocks that are wrong. Each case has a device of its own."""
import time

from desk import LINK, Unexpected
from gateways import DAY_MS, Gateways

DEVICE = {'quota': '64MiB', 'readings_max': 100, 'age_max': '1s'}
FOLLOWS = '''
[[input.file]]
path = "app.log"
format = "json"

[[input.file.reading]]
meter = "requests"
value = { field = "value" }
subject = "followed"
'''
HOST = '''
[input.host]
proc = "@STATE@/agents/counters/proc"
interval = "1s"
'''
HOW = {'followed': Gateways.append, 'counters': Gateways.receive}
IN_1970 = ('nineteen70', 'restarted', 'rebooted', 'followed', 'counters')
JUMPING = ('ahead', 'behind', 'vouched')


def metered(plant, name):
    return sum(plant.recorded[name].values())


def meter(plant, name, count):
    HOW.get(name, Gateways.meter)(plant, name, count)


def all_billed(name):
    def case(plant):
        billed = plant.billed_as_recorded(name)
        return metered(plant, name), plant.flagged_nothing(name), billed
    return case


def waits(plant, name, count):
    clock = plant.believes(name, False)
    # The machine's counters are readings whether they moved or not.
    enough = clock['waiting'] > count if name == 'counters' else clock['waiting'] == count
    if not enough or plant.stack.agent_status(name)['head_batch'] != 0:
        raise Unexpected('%s does not wait for the time with %d readings: %s' % (name, count, clock))


def start_in_1970(plant):
    plant.write_proc('counters', received=1000)
    for name in IN_1970:
        plant.in_1970(name)
        plant.run_agent(name)
        meter(plant, name, 10)
    plant.between_periods()
    for name in IN_1970:
        meter(plant, name, 5)
        waits(plant, name, 15)


def then_the_time(plant):
    for name in ('restarted', 'rebooted'):
        plant.kill_agent(name)
    for name in IN_1970:
        plant.set_clock(name, reboot=name == 'rebooted')
    for name in ('restarted', 'rebooted'):
        plant.run_agent(name)
    for name in IN_1970:
        plant.believes(name, True)
        meter(plant, name, 2)


def rebooted(plant):
    flagged = plant.flagged('rebooted', 'unplaced_time', 15)
    return metered(plant, 'rebooted'), flagged, plant.billed_as_recorded('rebooted', missing=15)


def jumps(plant):
    """The three devices side by side, so that they share the waiting."""
    for name in JUMPING:
        plant.set_clock(name, synchronised=name == 'vouched')
        plant.run_agent(name)
        plant.meter(name, 5)
        plant.drained(name)
    plant.set_clock('ahead', 40 * DAY_MS)
    plant.set_clock('behind', -40 * DAY_MS)
    plant.set_clock('vouched', 40 * DAY_MS)
    plant.believes('behind', False)
    plant.believes('vouched', False)
    time.sleep(3)  # a step that is believed leaves no trace in the status; each second the clock is looked at
    for name in JUMPING:
        plant.meter(name, 7)
        plant.drained(name)
    for name in JUMPING:
        plant.set_clock(name)
        plant.believes(name, True)
    time.sleep(3)
    for name in JUMPING:
        plant.meter(name, 3)
        plant.drained(name)


def ahead(plant):
    flagged = plant.flagged('ahead', 'implausible_time', 7)
    return metered(plant, 'ahead'), flagged, plant.billed_as_recorded('ahead', missing=7)


# folder, its plant, devices, preparations, cases
SCENES = (
    ('1970', Gateways, {
        'nineteen70': DEVICE, 'restarted': DEVICE, 'rebooted': DEVICE, 'followed': dict(DEVICE, inputs=FOLLOWS),
        'counters': dict(DEVICE, inputs=HOST, contract={'more': LINK % ('counters', '*', 'counters')})},
        (start_in_1970, then_the_time), (
            ('1970, then the time', all_billed('nineteen70')),
            ('1970, lines of a followed file, then the time', all_billed('followed')),
            ('1970, the machine\'s counters, then the time', all_billed('counters')),
            ('1970, the process killed, then the time', all_billed('restarted')),
            ('1970, the machine rebooted, then the time', rebooted))),
    ('jumps', Gateways, {'ahead': DEVICE, 'behind': DEVICE, 'vouched': DEVICE}, (jumps,), (
        ('40 days ahead and back, never synchronised', ahead),
        ('40 days back and again, never synchronised', all_billed('behind')),
        ('40 days ahead by hand, synchronised before', all_billed('vouched')))),
)
