"""Folders that a command writes: whole or not there, and never anybody else's."""

import errno
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pg2aug.utils.files import load_json, replacing

MARKER = '.pg2aug.json'
"""What tells a folder as ours: who made it, by which command, and what is ours in it."""

_MADE_BY = 'pg2aug'
_HIDDEN = re.compile(r'\.(.+)\.(?:new|old|lock|\d+\.pg2aug)')
_UNLOCKABLE = errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK


@contextmanager
def writing_folder(
    out: str | Path, command: str, *, overwrite: bool | None = None, in_place: Collection[str] = ()
) -> Iterator[Path]:
    """A folder to write into, which takes the place of another once it is whole.

    It lies beside ``out`` as ``.NAME.new``. What it replaces goes to ``.NAME.old`` and is removed
    last. What killed processes have begun is taken back first.

    Args:
        out: Where it is in the end.
        command: Who writes it. Of a folder that is there, only one of the same command is replaced.
        overwrite: Whether one is replaced at all; None for a command that never does.
        in_place: Names of files and folders in ``out``. If there are any, ``out`` itself is written
            to, where paths in it must be right from the start; the old one is ``.NAME.old``
            meanwhile, and stays there until a later run succeeds.

    Raises:
        BlockingIOError: If another process writes it.
        FileExistsError: If it holds what this command did not make, or may not be replaced.
        OSError: If it cannot be written; what was there stays.
        ValueError: If it cannot be renamed, where it is.
    """
    check_folder(out, command, overwrite)
    place = Path(out).resolve()
    new, old = new_folder(out), old_folder(out)
    place.parent.mkdir(parents=True, exist_ok=True)
    with hold(_beside(place, 'lock'), out):
        _clear(place, new, old, command)
        check_folder(out, command, overwrite)
        if in_place:
            _move_away(place, old, command)
            _mark(place, command, sorted(in_place))
            yield Path(out)
            _mark(place, command, _files(place), finished=True)
        else:
            try:
                _mark(new, command, ['.'])
                yield new
                _mark(new, command, _files(new), finished=True)
                _move_away(place, old, command)
                _rename(new, place)
            finally:
                if not place.exists() and _is_finished(old, command):
                    os.rename(old, place)
                _remove(new, command)
        _remove(old, command)


def check_folder(out: str | Path, command: str, overwrite: bool | None = None) -> None:
    """Refuse a folder that a command may not make or replace, before minutes of work.

    Raises:
        FileExistsError: If it is a file, or holds anything that the command did not make, or may
            not be replaced.
        ValueError: If it cannot be renamed, where it is.
    """
    out, place = Path(out), Path(out).resolve()
    if out.exists() and not out.is_dir():
        raise FileExistsError(f'{out} is a file: name a folder')
    for path in (new_folder(out), old_folder(out)):
        if path.exists() and not _is_ours(path, command):
            raise FileExistsError(f'{path} is in the way: name another folder, or move it')
    if not place.is_dir():
        return
    if place.is_mount() or Path.cwd().is_relative_to(place):
        raise ValueError(
            f'{out} is written as a whole, which the current folder, those above it and a mounted '
            f'one cannot be: name a folder in it, such as {out / command}'
        )
    foreign = _foreign(place, command)
    if foreign is not None:
        raise FileExistsError(
            f'{out} is not empty and holds something else than results of {command} ({foreign}): '
            'name a new or an empty folder'
        )
    if _is_finished(place, command) and not overwrite:
        remedy = 'name another folder' if overwrite is None else 'pass --overwrite to replace them'
        raise FileExistsError(f'{out} already holds results of {command}: {remedy}')


def remove_unfinished(out: str | Path, command: str) -> None:
    """Remove what a killed process has left of a folder; nobody may be writing it."""
    place = Path(out).resolve()
    _clear(place, new_folder(out), old_folder(out), command)
    _beside(place, 'lock').unlink(missing_ok=True)


def new_folder(out: str | Path) -> Path:
    """Where a folder is until it is whole."""
    return _beside(Path(out).resolve(), 'new')


@contextmanager
def hold(lock_file: Path, folder: str | Path, wait: bool = False) -> Iterator[None]:
    """Hold a lock, which the system gives back when the process ends, however.

    Args:
        lock_file: It is there as long as the lock is held.
        folder: What it keeps others from.
        wait: Whether to wait for whoever holds it.

    Raises:
        BlockingIOError: If a process holds it.
    """
    lock = FileLock(lock_file, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(
            errno.EWOULDBLOCK, f'another run writes to {folder}: wait for it, or end it'
        ) from error
    except (OSError, NotImplementedError) as error:
        # A file system without locks: nothing can be told, and nobody is kept out.
        if getattr(error, 'errno', errno.ENOSYS) not in _UNLOCKABLE:
            raise
    try:
        yield
    finally:
        # Before the lock is given back, or another could hold a file that is gone. Windows removes
        # no file that is open: there it stays, and stops nobody.
        with suppress(PermissionError):
            lock_file.unlink(missing_ok=True)
        lock.release()


def old_folder(out: str | Path) -> Path:
    """Where the folder is that another one takes the place of."""
    return _beside(Path(out).resolve(), 'old')


def _beside(place: Path, what: str) -> Path:
    return place.with_name(f'.{place.name}.{what}')


def _clear(place: Path, new: Path, old: Path, command: str) -> None:
    """Take back what a killed process has begun, and remove what it has left."""
    if not place.exists() and _is_finished(old, command):
        os.rename(old, place)
    if _is_finished(place, command):
        _remove(old, command)
    _remove(new, command)


def _move_away(place: Path, old: Path, command: str) -> None:
    """Make room for a new folder: a whole one is kept, one that is not is removed."""
    if _is_finished(place, command):
        os.rename(place, old)
    elif place.exists() and any(place.iterdir()):
        _remove(place, command)


def _rename(new: Path, place: Path) -> None:
    """Rename a folder, onto an empty one if there is one."""
    if os.name == 'nt' and place.exists():
        place.rmdir()
    os.replace(new, place)


def _remove(folder: Path, command: str) -> None:
    """Remove a folder of ours: the mark last, so that what is left of it is still told."""
    if not folder.exists():
        return
    if not _is_ours(folder, command):
        raise FileExistsError(f'{folder} is in the way: name another folder, or move it')
    if _is_finished(folder, command):
        _mark(folder, command, ['.'])  # what is half removed is never taken for a whole one
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARKER:
            path.unlink()
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()


def _mark(folder: Path, command: str, ours: list[str], finished: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    content = {'made_by': _MADE_BY, 'command': command, 'finished': finished, 'ours': ours}
    with replacing(folder / MARKER) as file:
        file.write(json.dumps(content).encode())


def _read_mark(folder: Path, command: str) -> dict[str, Any] | None:
    try:
        content = load_json(folder / MARKER)
    except (OSError, ValueError):
        return None
    known = isinstance(content, dict) and content.get('made_by') == _MADE_BY
    return content if known and content.get('command') == command else None


def _is_ours(folder: Path, command: str) -> bool:
    """Whether a folder is marked as a command's; one in which only the mark was begun is."""
    if _read_mark(folder, command) is not None:
        return True
    return folder.is_dir() and all(path.name.startswith(f'.{MARKER}') for path in folder.iterdir())


def _is_finished(folder: Path, command: str) -> bool:
    content = _read_mark(folder, command)
    return content is not None and content.get('finished') is True


def _foreign(folder: Path, command: str) -> str | None:
    """Something in a folder that a command has not put there, by its path in it."""
    mark = _read_mark(folder, command) or {}
    ours = {MARKER, *mark.get('ours', ())}
    for name in _files(folder):
        above = {name, *map(str, Path(name).parents)}
        # What a killed step has left of something that is ours.
        hidden = None if mark.get('finished') else _HIDDEN.fullmatch(Path(name).parts[0])
        if not above & ours and (hidden is None or hidden[1] not in ours):
            return name
    return None


def _files(folder: Path) -> list[str]:
    """What is in a folder, but for folders and the mark: by its path in it."""
    paths = (path for path in folder.rglob('*') if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in paths)
    return sorted(name for name in names if name != MARKER)
