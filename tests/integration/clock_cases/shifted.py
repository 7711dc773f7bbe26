"""Programs with a wall clock that the test decides: tests/support/clock/shifted_clock.c before each of them."""
import os
import struct
import subprocess

from stack import ROOT, StackError

OF_ITS_DEVICE = '''#!/bin/bash
# The program of the same name with the clock of the device whose configuration is named.
clock=/nonexistent previous=
for word in "$@"; do
    if [ "$previous" = --config ]; then clock=$(dirname "$word")/clock; fi
    previous=$word
done
LD_PRELOAD="%s" SHIFTED_CLOCK=$clock exec "%s" "$@"
'''
OF_ALL = '''#!/bin/bash
LD_PRELOAD="%%s" SHIFTED_CLOCK="%s" exec "%%s" "$@"
'''


def write_clock(path, shift_ms, synchronised, boot=1):
    with open(path, 'r+b' if os.path.exists(path) else 'wb') as file:
        file.write(struct.pack('<qqq', shift_ms, synchronised, boot))


def each_with_its_clock(folder, build):
    """A folder of programs like `build`, where each agent has a clock of its own."""
    made = _with_library(folder)
    _wrap(made, OF_ITS_DEVICE, os.path.join(build, 'ledgerline-agent'))
    for name in _programs(build):
        if name != 'ledgerline-agent':
            os.symlink(os.path.join(build, name), os.path.join(made, name))
    return made


def all_with_one_clock(folder, build, clock):
    """The same, where all programs have the clock in that file; and the environment in which Debian's programs have it too."""
    made = _with_library(folder)
    for name in _programs(build):
        _wrap(made, OF_ALL % clock, os.path.join(build, name))
    return made, {'LD_PRELOAD': _library(made), 'SHIFTED_CLOCK': clock}


def _programs(build):
    return [name for name in os.listdir(build) if name in ('ledgerline-agent', 'ledgerline-collector', 'ledgerline-verify')]


def _with_library(folder):
    made = os.path.join(folder, 'programs')
    os.makedirs(made)
    source = os.path.join(ROOT, 'tests', 'support', 'clock', 'shifted_clock.c')
    done = subprocess.run(['cc', '-O1', '-Wall', '-shared', '-fPIC', '-o', _library(made), source, '-ldl'],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError('cc: ' + done.stderr)
    return made


def _library(made):
    return os.path.join(made, 'shifted_clock.so')


def _wrap(made, wrapper, program):
    needs = subprocess.run(['ldd', program], capture_output=True, text=True, check=True).stdout.split()
    before = [word for word in needs if word.startswith('/') and 'libasan' in word]  # it wants to be the first one
    with open(os.path.join(made, os.path.basename(program)), 'w', encoding='utf-8') as file:
        file.write(wrapper % (' '.join(before + [_library(made)]), program))
    os.chmod(file.name, 0o755)
