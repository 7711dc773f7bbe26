"""(name, function giving metered, flagged, billed). Each has a device of its own."""
import time

from desk import Unexpected
from gateways import DAY_MS

DEVICE = {'quota': '64MiB', 'readings_max': 100, 'age_max': '1s'}
DEVICES = {name: DEVICE for name in ('nineteen70', 'restarted', 'rebooted', 'ahead', 'behind', 'vouched')}


def metered(plant, name):
    return sum(plant.recorded[name].values())


def waits(plant, name, count):
    clock = plant.believes(name, False)
    if clock['waiting'] != count or plant.stack.agent_status(name)['head_batch'] != 0:
        raise Unexpected('%s does not wait for the time with %d readings: %s' % (name, count, clock))


def start_in_1970(plant):
    for name in ('nineteen70', 'restarted', 'rebooted'):
        plant.in_1970(name)
        plant.run_agent(name)
        plant.meter(name, 10)
    plant.between_periods()
    for name in ('nineteen70', 'restarted', 'rebooted'):
        plant.meter(name, 5)
        waits(plant, name, 15)


def nineteen70(plant):
    plant.set_clock('nineteen70')
    plant.believes('nineteen70', True)
    plant.meter('nineteen70', 2)
    plant.drained('nineteen70')
    return metered(plant, 'nineteen70'), 'nothing', plant.billed_as_recorded('nineteen70')


def restarted(plant):
    plant.kill_agent('restarted')
    plant.set_clock('restarted')
    plant.run_agent('restarted')
    plant.meter('restarted', 2)
    plant.drained('restarted')
    return metered(plant, 'restarted'), 'nothing', plant.billed_as_recorded('restarted')


def rebooted(plant):
    plant.kill_agent('rebooted')
    plant.set_clock('rebooted', reboot=True)
    plant.run_agent('rebooted')
    plant.meter('rebooted', 2)
    plant.drained('rebooted')
    flagged = plant.flagged('rebooted', 'unplaced_time', 15)
    return metered(plant, 'rebooted'), flagged, plant.billed_as_recorded('rebooted', missing=15)


def jumps(plant):
    """The three devices side by side, so that they share the waiting."""
    for name in ('ahead', 'behind', 'vouched'):
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
    for name in ('ahead', 'behind', 'vouched'):
        plant.meter(name, 7)
        plant.drained(name)
    for name in ('ahead', 'behind', 'vouched'):
        plant.set_clock(name)
        plant.believes(name, True)
    time.sleep(3)
    for name in ('ahead', 'behind', 'vouched'):
        plant.meter(name, 3)
        plant.drained(name)


def ahead(plant):
    flagged = plant.flagged('ahead', 'implausible_time', 7)
    return metered(plant, 'ahead'), flagged, plant.billed_as_recorded('ahead', missing=7)


def behind(plant):
    return metered(plant, 'behind'), 'nothing', plant.billed_as_recorded('behind')


def vouched(plant):
    return metered(plant, 'vouched'), 'nothing', plant.billed_as_recorded('vouched')


PREPARATIONS = (start_in_1970, jumps)
CASES = (
    ('1970, then the time', nineteen70),
    ('1970, the process killed, then the time', restarted),
    ('1970, the machine rebooted, then the time', rebooted),
    ('40 days ahead and back, never synchronised', ahead),
    ('40 days back and again, never synchronised', behind),
    ('40 days ahead by hand, synchronised before', vouched),
)
