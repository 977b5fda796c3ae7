"""Files: json that is read, and what is written whole or not at all, whatever is interrupted."""

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO

from mmengine import fileio

try:
    import fcntl
except ImportError:  # Windows, which removes no file that is open: no lock is needed
    fcntl = None  # type: ignore[assignment]

_PARTIAL = '.pg2aug'
_NO_SPACE = errno.ENOSPC, errno.EDQUOT, errno.EFBIG
_BLOCK_BYTES = 2**20


def is_local(path: str | Path) -> bool:
    """Whether a path is one of this machine, and not of another file backend of MMEngine."""
    return isinstance(fileio.get_file_backend(path), fileio.LocalBackend)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's contents, in hexadecimal; on any file backend of MMEngine."""
    if not is_local(path):
        return hashlib.sha256(fileio.get(path)).hexdigest()
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def naming(*paths: str | Path | None) -> Iterator[None]:
    """Name files in what goes wrong with what is in them, and make that a ValueError.

    For what others wrote, of which anything can be wrong: a config names classes and their
    arguments, an annotation file is read by MMPose. An error that names one of the files stays as
    it is, and so does one of the operating system, or that the memory does not suffice.

    Args:
        paths: The files; None is no file.

    Raises:
        ValueError: For anything else.
    """
    names = [str(path) for path in paths if path is not None]
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        text, own = str(error), isinstance(error, ValueError | OSError | ImportError)
        if own and (any(name in text for name in names) or not names):
            raise
        if isinstance(error, OSError | ImportError) and text not in map(str, error.args):
            raise  # it names a file of its own
        if isinstance(error, RuntimeError) and 'memory' in text:
            raise
        whole = text if own else f'{type(error).__name__}: {text}'
        hint = '' if own else '; PYTHONDEVMODE=1 before the command shows where'
        raise ValueError(f'{", ".join(names)}: {whole}{hint}') from error


def load_json(path: str | Path, name: str | None = None) -> Any:
    """Read a json file as MMEngine and MMPose do: text in UTF-8, without a byte order mark.

    Args:
        path: On any file backend of MMEngine.
        name: Of the file in messages; the path if None.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no json file; the message begins with the name.
    """
    name = str(path) if name is None else name
    try:
        return json.loads(fileio.get_text(path))
    except ValueError as error:
        raise ValueError(f'{name} is no json file: {error}') from error
    except RecursionError as error:
        raise ValueError(f'{name} is nested too deeply') from error


@contextmanager
def replacing(path: Path, partial: Path | None = None, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of another once it is whole.

    Args:
        path: Where it is in the end.
        partial: Where it is until then, on the same disk; if None a hidden file beside it, and what
            killed processes have left of those is removed.
        sync: Whether it is as safe from a power cut as the disk makes it, which takes the disk's
            time: not for thousands of files that are easily made again.

    Raises:
        OSError: If it cannot be written; what was there stays.
    """
    hidden = partial or _partial(path)
    try:
        with open(hidden, 'wb') as file:
            _lock(file)
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            if fcntl is not None:
                os.replace(hidden, path)  # before its lock is given back
        if fcntl is None:
            os.replace(hidden, path)
    except OSError as error:
        if error.filename not in (None, str(hidden)):
            raise  # another file, written or read meanwhile
        raise write_error(error, path) from error
    finally:
        hidden.unlink(missing_ok=True)
    if partial is None:
        _remove_leftovers([path])


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together, and replace those of the same names.

    None is replaced if one cannot be written. A process that is killed while it renames leaves some
    of them new and others old, which :func:`were_interrupted` tells; the next call mends it.

    Raises:
        OSError: If one cannot be written.
    """
    for path in contents:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, 'a folder is there', str(path))
    partials = {path: _partial(path) for path in contents}
    renamed = False
    with ExitStack() as stack:
        try:
            # Each is on the disk before the first takes its place.
            for path, data in contents.items():
                with _naming(path):
                    file = open(partials[path], 'wb')  # noqa: SIM115 (renamed while it is open)
                    stack.callback(_close, file)
                    _lock(file)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            if fcntl is None:
                stack.close()  # before it is renamed, which Windows wants
            for path, partial in partials.items():
                with _naming(path):
                    os.replace(partial, path)
                renamed = True
        finally:
            # The last one first; were_interrupted goes by the order.
            for partial in () if renamed else reversed(partials.values()):
                partial.unlink(missing_ok=True)
    _remove_leftovers(list(contents))


def were_interrupted(paths: Sequence[Path]) -> bool:
    """Whether a process was killed while :func:`write_files` put these files in their places.

    Hidden files are written and renamed in the order of ``paths``: where the last one of a process
    is there and the first is not, all were written, and some have been renamed.
    """
    first, last = (_leftovers(path) for path in (paths[0], paths[-1]))
    owners = {partial.name.removeprefix(f'.{paths[0].name}') for partial in first}
    return any(partial.name.removeprefix(f'.{paths[-1].name}') not in owners for partial in last)


def check_not_read(written: Iterable[Path], read: Iterable[str | Path]) -> None:
    """Raise ValueError if a file that a command would write is one that it reads."""
    inputs = [path for path in read if is_local(path) and Path(path).exists()]
    for path in written:
        for other in inputs:
            if path.exists() and path.samefile(other):
                raise ValueError(f'{path} is read and would be overwritten: name another file')


def _partial(path: Path) -> Path:
    """Where a file is until it is whole."""
    return path.with_name(f'.{path.name}.{os.getpid()}{_PARTIAL}')


def _leftovers(path: Path) -> list[Path]:
    """The hidden files of a file that no process is writing."""
    found = path.parent.glob(f'.{escape(path.name)}.*{_PARTIAL}')
    middles = {p: p.name[len(path.name) + 2 : -len(_PARTIAL)] for p in found}
    return [p for p, middle in middles.items() if middle.isdecimal() and _is_abandoned(p)]


def _remove_leftovers(paths: Sequence[Path]) -> None:
    for path in reversed(paths):
        for partial in _leftovers(path):
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _close(file: BinaryIO) -> None:
    with suppress(OSError):  # of what was told when it was written
        file.close()


def _lock(file: BinaryIO) -> None:
    """Show that a process writes a file, until it closes it."""
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks: there nothing is taken for left
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_abandoned(path: Path) -> bool:
    if fcntl is None:
        return True
    try:
        with open(path, 'rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(error, path) from error


def write_error(error: OSError, path: Path) -> OSError:
    """An error of writing that names the file and says what to do."""
    if error.errno is None:
        return error
    remedy = 'free space' if error.errno in _NO_SPACE else 'mend that'
    text = f'{os.strerror(error.errno)} ({remedy}, then give the same command again)'
    return OSError(error.errno, text, str(path))
