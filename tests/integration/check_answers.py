#!/usr/bin/python3
"""Checks the sample application's log: every event answered once, in one stream, with the seqs 1 to N without a hole."""
import argparse
import json
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--log', required=True)
    parser.add_argument('--events', type=int, required=True)
    options = parser.parse_args()
    streams, seqs, ids = set(), [], []
    with open(options.log, encoding='utf-8') as lines:
        for text in lines:
            line = json.loads(text)
            ids += [event[0] for event in line['events']]
            streams.add(line['answer']['stream'])
            for first, last in line['answer']['seqs']:
                seqs += range(first, last + 1)
    problems = []
    if len(streams) != 1:
        problems.append('%d streams' % len(streams))
    if len(set(ids)) != options.events or len(ids) != options.events:
        problems.append('%d different ids in %d answers' % (len(set(ids)), len(ids)))
    if sorted(seqs) != list(range(1, options.events + 1)):
        problems.append('seqs are not 1 to %d: %d of them, %d different, from %d to %d' % (
            options.events, len(seqs), len(set(seqs)), min(seqs), max(seqs)))
    if problems:
        sys.exit('check_answers.py: ' + '; '.join(problems))
    print('%d events answered, one stream, seqs 1 to %d without a hole or a double' % (len(ids), len(seqs)))


if __name__ == '__main__':
    main()
