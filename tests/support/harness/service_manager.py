#!/usr/bin/python3
"""Plays systemd for one unit, in a root folder: for machines where systemd is not PID 1.

  service_manager.py --root DIR --unit FILE --say FILE [--watchdog SECONDS]

Reads what the unit says and does it by the kernel's own means: user, folders of state and runtime, read-only file system with their
exceptions, private /tmp, /dev and users, hidden processes, no capabilities, no new privileges, memory that is never both
writable and executable, address families, system calls. Listens on NOTIFY_SOCKET; each message goes to --say as "SECONDS TEXT".
SIGTERM ends the service as systemd would; the exit code is the service's. 100: a condition of the unit does not hold.
A setting that is neither done nor named below as left out is an error, so that no line of a unit is believed untested.
"""
import argparse
import collections
import ctypes
import os
import pwd
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_PDEATHSIG = 38, 22, 24, 1
SYS_PIVOT_ROOT, MNT_DETACH = 155, 2
FAMILIES = {'AF_UNIX': 1, 'AF_INET': 2, 'AF_INET6': 10}
DONE = {
    'Description', 'Documentation', 'After', 'WantedBy', 'ConditionPathExists', 'StartLimitIntervalSec', 'ExecStart', 'User', 'Group',
    'StateDirectory', 'StateDirectoryMode', 'RuntimeDirectory', 'RuntimeDirectoryMode', 'ReadWritePaths', 'UMask', 'LimitCORE',
    'CapabilityBoundingSet', 'NoNewPrivileges', 'PrivateUsers', 'PrivateDevices', 'PrivateTmp', 'ProtectProc', 'ProcSubset',
    'RestrictAddressFamilies', 'RestrictNamespaces', 'MemoryDenyWriteExecute', 'SystemCallFilter', 'SystemCallErrorNumber', 'ProtectSystem'}
LEFT_OUT = {
    # Told to systemd alone: when to start, what to do after the end.
    'Type', 'NotifyAccess', 'TimeoutStartSec', 'TimeoutStopSec', 'Restart', 'RestartSec', 'RestartPreventExitStatus', 'WatchdogSec',
    'AmbientCapabilities',
    # What the lack of capabilities and the read-only file system do already, or has to be believed.
    'ProtectHostname', 'ProtectControlGroups', 'ProtectKernelLogs', 'ProtectKernelModules', 'ProtectKernelTunables', 'ProtectClock',
    'ProtectHome', 'RestrictRealtime', 'RestrictSUIDSGID', 'LockPersonality', 'KeyringMode', 'RemoveIPC', 'DevicePolicy',
    'SystemCallArchitectures', 'PrivateMounts'}

libc = ctypes.CDLL(None, use_errno=True)


def kernel(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), '%s: %s' % (what, os.strerror(ctypes.get_errno())))


def mount(source, target, kind=None, flags=0, data=None):
    encoded = [None if text is None else text.encode() for text in (source, target, kind)]
    kernel(libc.mount(encoded[0], encoded[1], encoded[2], flags, data.encode() if data else None), 'mount ' + target)


def read_unit(path):
    settings = collections.defaultdict(list)
    with open(path) as file:
        for line in file:
            if '=' in line and not line.startswith(('#', ';', '[')):
                key, _, value = line.strip().partition('=')
                settings[key].append(value)
    if unknown := set(settings) - DONE - LEFT_OUT:
        sys.exit('service_manager: %s: what is to be done about %s?' % (path, ', '.join(sorted(unknown))))
    return settings


# ---- The filter of system calls (classic BPF, amd64)

def call_numbers():
    numbers = {}
    with open('/usr/include/x86_64-linux-gnu/asm/unistd_64.h') as file:
        for line in file:
            if found := re.match(r'#define __NR_(\w+) (\d+)', line):
                numbers[found[1]] = int(found[2])
    return numbers


def members(name):
    if not name.startswith('@'):
        return {name}
    text = subprocess.run(['systemd-analyze', 'syscall-filter', name], check=True, capture_output=True, text=True).stdout
    names = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith('#')]
    return set().union(*(members(each) for each in names))


def allowed_calls(rows):
    allowed = set()
    for row in rows:
        names = set().union(*(members(name) for name in row.lstrip('~').split()))
        allowed = allowed - names if row.startswith('~') else allowed | names
    # What systemd adds to every list of what is allowed: without it nothing could be executed.
    return allowed | members('@default') | {'execve', 'exit', 'exit_group', 'rt_sigreturn'}


def seccomp_program(unit):
    numbers = call_numbers()
    ld, jeq, jset, ret = 0x20, 0x15, 0x45, 0x06
    allow, errno_of = 0x7fff0000, lambda number: 0x00050000 | number
    out = [(ld, 0, 0, 4), (jeq, 1, 0, 0xc000003e), (ret, 0, 0, errno_of(1)), (ld, 0, 0, 0)]

    def when(call, *lines):  # the lines end with a return, or go on behind themselves with the number loaded again
        lines = list(lines) + [(ld, 0, 0, 0)]
        out.append((jeq, 0, len(lines), numbers[call]))
        out.extend(lines)

    if unit['MemoryDenyWriteExecute'] == ['yes']:
        when('mmap', (ld, 0, 0, 32), (0x54, 0, 0, 6), (jeq, 0, 1, 6), (ret, 0, 0, errno_of(1)))
        when('mprotect', (ld, 0, 0, 32), (jset, 0, 1, 4), (ret, 0, 0, errno_of(1)))
    if unit['RestrictAddressFamilies']:
        names = unit['RestrictAddressFamilies'][0].split()
        lines = [(ld, 0, 0, 16)]
        for index, name in enumerate(names):
            lines.append((jeq, len(names) - index, 0, FAMILIES[name]))
        when('socket', *lines, (ret, 0, 0, errno_of(97)))
    if unit['RestrictNamespaces'] == ['yes']:
        when('clone', (ld, 0, 0, 16), (jset, 0, 1, 0x7e020000), (ret, 0, 0, errno_of(1)))
        when('clone3', (ret, 0, 0, errno_of(38)))
    for name in sorted(allowed_calls(unit['SystemCallFilter'])):
        if name in numbers:
            out += [(jeq, 0, 1, numbers[name]), (ret, 0, 0, allow)]
    out.append((ret, 0, 0, errno_of(1)))
    return b''.join(struct.pack('HBBI', *line) for line in out), len(out)


# ---- The service's process

def make_folders(root, unit, user):
    """Returns those that the service may write to, as it sees them."""
    out = []
    for key, below in (('StateDirectory', '/var/lib/'), ('RuntimeDirectory', '/run/')):
        for name in ' '.join(unit[key]).split():
            path = root + below + name
            os.makedirs(path, exist_ok=True)
            os.chown(path, user.pw_uid, user.pw_gid)
            os.chmod(path, int(unit[key + 'Mode'][0], 8))
            out.append(below + name)
    for path in ' '.join(unit['ReadWritePaths']).split():
        if os.path.isdir(root + path.lstrip('-')):
            out.append(path.lstrip('-'))
    return out


def private_root(root, unit, writable):
    mount(None, '/', None, MS_REC | MS_PRIVATE)
    mount(root, root, None, MS_BIND | MS_REC)
    mount(None, root, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID)
    for path in writable:
        mount(root + path, root + path, None, MS_BIND)
        mount(None, root + path, None, MS_BIND | MS_REMOUNT | MS_NOSUID)
    mount('tmpfs', root + '/tmp', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')
    mount('tmpfs', root + '/dev', 'tmpfs', MS_NOSUID | MS_NOEXEC, 'mode=755')
    for name, minor in (('null', 3), ('zero', 5), ('random', 8), ('urandom', 9)):
        os.mknod(root + '/dev/' + name, 0o020666, os.makedev(1, minor))
        os.chmod(root + '/dev/' + name, 0o666)
    options = 'hidepid=' + {'invisible': 'invisible'}[unit['ProtectProc'][0]] + ',subset=pid' * (unit['ProcSubset'] == ['pid'])
    mount('proc', root + '/proc', 'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, options)


def enter(root):
    """Not chroot: whoever is in one may not have users of their own."""
    os.chdir(root)
    kernel(libc.syscall(SYS_PIVOT_ROOT, b'.', b'.'), 'pivot_root')
    kernel(libc.umount2(b'.', MNT_DETACH), 'umount the old root')
    os.chdir('/')


def confine(unit, user, filtered, ready, mapped):
    """From here on nothing is left but what the unit allows."""
    if unit['PrivateUsers'] == ['yes']:
        kernel(libc.unshare(CLONE_NEWUSER), 'unshare users')
        os.write(ready, b'.')
        os.read(mapped, 1)
    for capability in range(41):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.umask(int(unit['UMask'][0], 8))
    kernel(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'no new privileges')
    program, length = filtered
    buffer = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack('HxxxxxxP', length, ctypes.addressof(buffer)))
    kernel(libc.prctl(PR_SET_SECCOMP, 2, header, 0, 0), 'seccomp')


def start(options, unit, user, environment):
    ready_read, ready = os.pipe()
    mapped, mapped_write = os.pipe()
    writable = make_folders(options.root, unit, user)
    filtered = seccomp_program(unit)
    child = os.fork()
    if child == 0:
        try:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            kernel(libc.unshare(CLONE_NEWNS), 'unshare mounts')
            private_root(options.root, unit, writable + [os.path.dirname(environment['NOTIFY_SOCKET'])])
            arguments = unit['ExecStart'][0].split()
            enter(options.root)
            os.setgroups([])
            confine(unit, user, filtered, ready, mapped)
            environment['WATCHDOG_PID'] = str(os.getpid())
            os.execve(arguments[0], arguments, environment)
        except BaseException as error:  # pylint: disable=broad-except
            os.write(2, ('service_manager: %s\n' % error).encode())
            os._exit(203)
    os.close(ready)
    if unit['PrivateUsers'] == ['yes'] and os.read(ready_read, 1):
        for kind, number in (('uid', user.pw_uid), ('gid', user.pw_gid)):
            with open('/proc/%d/%s_map' % (child, kind), 'w') as file:
                file.write('0 0 1\n%d %d 1\n' % (number, number))
        os.write(mapped_write, b'.')
    return child


def user_in(root, name):
    with open(root + '/etc/passwd') as file:
        for line in file:
            fields = line.strip().split(':')
            if fields[0] == name:
                return pwd.struct_passwd((fields[0], fields[1], int(fields[2]), int(fields[3]), *fields[4:7]))
    sys.exit('there is no user %s in %s' % (name, root))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', required=True)
    parser.add_argument('--unit', required=True)
    parser.add_argument('--say', required=True)
    parser.add_argument('--watchdog', type=float, default=4)
    options = parser.parse_args()
    unit = read_unit(options.unit)
    for path in unit['ConditionPathExists']:
        if not os.path.exists(options.root + path):
            print('condition not met: %s does not exist' % path)
            sys.exit(100)
    user = user_in(options.root, unit['User'][0])
    folder = options.root + '/run/manager'
    os.makedirs(folder, exist_ok=True)
    name = folder + '/' + user.pw_name
    if os.path.exists(name):
        os.unlink(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(name)
    os.chmod(name, 0o666)
    environment = {'PATH': '/usr/bin:/bin', 'NOTIFY_SOCKET': name.removeprefix(options.root),
                   'WATCHDOG_USEC': str(int(options.watchdog * 1e6)), 'LANG': 'C.UTF-8'}
    child = start(options, unit, user, environment)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    began = time.monotonic()
    with open(options.say, 'a', buffering=1) as say:
        while True:
            readable, _, _ = select.select([listener], [], [], 0.1)
            if readable:
                text = listener.recv(4096).decode(errors='replace').strip().replace('\n', ' ')
                say.write('%7.2f %s\n' % (time.monotonic() - began, text))
            elif (ended := os.waitpid(child, os.WNOHANG))[0]:
                code = os.waitstatus_to_exitcode(ended[1])
                say.write('%7.2f ended with %d\n' % (time.monotonic() - began, code))
                sys.exit(code if code >= 0 else 128 - code)


if __name__ == '__main__':
    main()
