import errno
import os
import signal
import threading

import pytest
from filelock import FileLock

from pg2aug.expansion.write.output_folder import OutputFolder


@pytest.fixture
def folder(tmp_path):
    folder = OutputFolder(tmp_path)
    folder.make()
    return folder


def in_another_process(function):
    """Call a function in a process of its own, which waits to be killed: its number."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        with function():
            os.write(there, b'!')
            signal.pause()
    assert os.read(here, 1) == b'!'
    os.close(here), os.close(there)
    return child


def kill(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_second_run_is_refused_until_the_first_dies(folder):
    other = in_another_process(folder.locked)
    try:
        for attempt in (folder.check_alone, folder.locked().__enter__):
            with pytest.raises(BlockingIOError, match=f'another run writes to {folder.root}'):
                attempt()
        with OutputFolder(folder.root, rank=1).locked():
            pass
    finally:
        kill(other)
    folder.check_alone()
    with folder.locked(), pytest.raises(BlockingIOError, match='wait for it, or end it'):
        folder.check_alone()
    assert not folder.partial.exists()


def test_who_merges_waits_for_the_other(folder):
    other = in_another_process(folder.merging)
    killed = threading.Event()

    def end_the_other():
        killed.set()
        kill(other)

    timer = threading.Timer(0.2, end_the_other)
    timer.start()
    with folder.merging():
        assert (folder.partial / 'merge.lock').exists()
        assert killed.is_set(), 'the other still holds the lock'
    timer.join()
    assert not (folder.partial / 'merge.lock').exists()


@pytest.mark.parametrize('number', [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, None])
def test_a_file_system_without_locks_keeps_nobody_out(folder, monkeypatch, number):
    def acquire(lock):
        raise OSError(number, 'no locks') if number else NotImplementedError('no locks')

    monkeypatch.setattr(FileLock, 'acquire', acquire)
    with folder.locked():
        folder.check_alone()


def test_another_error_of_the_file_system_is_told(folder, monkeypatch):
    def acquire(lock):
        raise PermissionError(errno.EACCES, 'denied')

    monkeypatch.setattr(FileLock, 'acquire', acquire)
    with pytest.raises(PermissionError, match='denied'), folder.locked():
        pass
