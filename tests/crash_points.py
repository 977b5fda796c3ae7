"""What a command leaves on the disk wherever it is killed: one run, and a copy before each step.

A step is whatever changes the disk below a folder: opening to write, syncing, renaming, removing,
making folders. After an opening that truncates there is one more point, with an empty file.
"""

import errno
import os
import shutil
import sys
from contextlib import contextmanager

_CHANGES = {'os.rename', 'os.remove', 'os.rmdir', 'os.mkdir', 'os.truncate', 'os.link'}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_observers = []


def _audit(event, arguments):
    if _observers and (event in _CHANGES or event == 'open'):
        _observers[-1](event, arguments)


sys.addaudithook(_audit)


def tree(root):
    """Contents of files by name, None for folders."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob('*'))
    }


def restore(root, state):
    """Make a folder what it was."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for name, data in state.items():
        if data is None:
            (root / name).mkdir(parents=True, exist_ok=True)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)


@contextmanager
def _observed(root, at_step):
    """Call a function before each step below a folder, with the file that the step empties."""
    busy = False

    def call(emptied=None):
        nonlocal busy
        if not busy:
            busy = True
            try:
                at_step(emptied)
            finally:
                busy = False

    def observe(event, arguments):
        path = arguments[0]
        if event == 'open':
            if isinstance(path, int) or not arguments[2] & _WRITES:
                return
            path = os.path.abspath(os.fsdecode(path))
            if path.startswith(f'{root}{os.sep}'):
                call(path if arguments[2] & os.O_TRUNC else None)
        else:
            # A folder that is removed is walked through by its descriptors.
            below = arguments[-1] not in (-1, None) and not os.path.isabs(path)
            if below or os.path.abspath(os.fsdecode(path)).startswith(f'{root}{os.sep}'):
                call()

    sync = os.fsync

    def fsync(number):
        call()
        sync(number)

    _observers.append(observe)
    os.fsync = fsync
    try:
        yield
    finally:
        os.fsync = sync
        _observers.pop()


def crash_points(root, command):
    """Run a command: its status, and each different state that a kill could leave of a folder."""
    states = []

    def keep(emptied):
        found = [tree(root)]
        if emptied is not None:
            found.append({**found[0], os.path.relpath(emptied, root): b''})
        states.extend(state for state in found if state not in states)

    with _observed(root, keep):
        status = command()
    return status, states


def failing_runs(root, command, before):
    """Run a command from a state again and again, each time with an error at the next step.

    Yields its status each time, and ends with the first run that has no such step.
    """
    number, failed = 0, True
    while failed:
        restore(root, before)
        steps, failed = 0, False

        def fail(emptied, number=number):
            nonlocal steps, failed
            steps += 1
            if steps == number + 1:
                failed = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with _observed(root, fail):
            status = command()
        if failed:
            yield status
        number += 1
