"""Config files that a user named."""

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
