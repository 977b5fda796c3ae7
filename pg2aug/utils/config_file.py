"""Config files that a user named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config


def read_config(path: str | Path, what: str) -> Config:
    """Read a config of MMEngine, which is a program and is run: of a user's choice alone.

    Args:
        path: The file.
        what: Names it in errors, such as 'the config of the test (CONFIG)'.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, with what is wrong in it or in one of its bases.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{what} {str(path)!r} does not exist: correct its path')
    try:
        return Config.fromfile(path)
    except (Exception, SystemExit) as error:  # a config is code, which can raise anything
        raise ValueError(
            f'{what} {str(path)!r} cannot be read: {type(error).__name__}: {error}'
        ) from error


@contextmanager
def naming_config(path: str | Path) -> Iterator[None]:
    """Name a config in what goes wrong with what it describes, and make that a ValueError.

    A config names classes, and their arguments, of which anything can be wrong. OSError,
    ImportError and what says that the memory does not suffice stay what they are.

    Args:
        path: The config.

    Raises:
        ValueError: For anything else.
    """
    try:
        yield
    except (OSError, ImportError, MemoryError):
        raise
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f'{path}: {error}') from error
    except RuntimeError as error:
        if 'memory' in str(error):
            raise
        raise _as_value_error(path, error) from error
    except Exception as error:
        raise _as_value_error(path, error) from error


def _as_value_error(path: str | Path, error: Exception) -> ValueError:
    return ValueError(
        f'{path}: {type(error).__name__}: {error}; PYTHONDEVMODE=1 before the command shows where'
    )
