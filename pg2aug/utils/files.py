"""Files: json that is read, and what is written whole or not at all, whatever is interrupted."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mmengine import fileio

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
        partial: Where it is until then, on the same disk; a hidden file beside it if None.
        sync: Whether it is as safe from a power cut as the disk makes it, which takes the disk's
            time: not for thousands of files that are easily made again.

    Raises:
        OSError: If it cannot be written; what was there stays.
    """
    partial = partial or path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        with open(partial, 'wb') as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.filename not in (None, str(partial)):
            raise  # another file, written or read meanwhile
        raise write_error(error, path) from error
    finally:
        partial.unlink(missing_ok=True)


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files, and replace those of the same names: none of them, if one cannot be written.

    Raises:
        OSError: If one cannot be written.
    """
    for path in contents:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, 'a folder is there', str(path))
    with ExitStack() as stack:
        # Each is on the disk before the first takes its place.
        for path, data in contents.items():
            file = stack.enter_context(replacing(path, sync=False))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def write_error(error: OSError, path: Path) -> OSError:
    """An error of writing that names the file and says what to do."""
    if error.errno is None:
        return error
    remedy = 'free space' if error.errno in _NO_SPACE else 'mend that'
    text = f'{os.strerror(error.errno)} ({remedy}, then give the same command again)'
    return OSError(error.errno, text, str(path))
