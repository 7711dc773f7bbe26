#!/usr/bin/python3
"""The table that the demonstration's pump controller writes: a row per pump and quarter hour.

  plant.py --table pumps.csv

Writes ten days up to now, or what is missing until now in a table of an earlier run. pump-1's bearing wears: its vibration
rises from the sixth day on. Values are whole hundredths, worked out without floats. Python's standard library only.
"""
import argparse
import datetime
import os

HEADER = 'time,pump,vibration_mm_s,running_h'
STEP = datetime.timedelta(minutes=15)
HISTORY = datetime.timedelta(days=10)
PUMPS = ('pump-1', 'pump-2')
HEALTHY, RIPPLE, WEAR_PER_ROW, WORN = 210, 23, 1, 740


def text(moment):
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')


def vibration(pump, row):
    """In hundredths of a mm/s, in the row-th quarter hour of the table."""
    wear = max(row - 5 * 96, 0) * WEAR_PER_ROW if pump == 'pump-1' else 0
    return min(HEALTHY + wear, WORN) + row * 37 % RIPPLE


def last_row(path):
    """(time of the first row, time of the newest row) of the table; None where it has none yet."""
    if not os.path.exists(path):
        return None
    with open(path, encoding='utf-8') as table:
        times = [line.split(',')[0] for line in table][1:]
    return [datetime.datetime.fromisoformat(t.replace('Z', '+00:00')) for t in (times[0], times[-1])] if times else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--table', required=True)
    options = parser.parse_args()
    now = datetime.datetime.now(datetime.timezone.utc)
    until = now - datetime.timedelta(minutes=now.minute % 15, seconds=now.second, microseconds=now.microsecond)
    known = last_row(options.table)
    first, moment = (known[0], known[1] + STEP) if known else (until - HISTORY, until - HISTORY)
    rows = [] if known else [HEADER]
    while moment < until:
        row = (moment - first) // STEP
        for pump in PUMPS:
            value = vibration(pump, row)
            rows.append('%s,%s,%d.%02d,0.25' % (text(moment), pump, value // 100, value % 100))
        moment += STEP
    os.makedirs(os.path.dirname(os.path.abspath(options.table)), exist_ok=True)
    with open(options.table, 'a', encoding='utf-8') as table:
        table.writelines(row + '\n' for row in rows)
    print('%d rows more, until %s, in %s' % (len(rows) - (not known), text(until), options.table))


if __name__ == '__main__':
    main()
