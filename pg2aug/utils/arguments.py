"""Checks of arguments that come from config files, where any value may stand."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real


@contextmanager
def in_errors(context: str) -> Iterator[None]:
    """Let the texts of what is raised for wrong arguments begin with what they are about."""
    try:
        yield
    except (ValueError, TypeError, FileNotFoundError) as error:
        kinds = FileNotFoundError, TypeError, ValueError
        kind = next(kind for kind in kinds if isinstance(error, kind))
        raise kind(f'{context}: {error}') from error


def check_megabytes(name: str, value: object, remedy: str) -> None:
    """Raise ValueError unless an argument is a finite number from 0 on.

    Args:
        name: The argument, as errors call it.
        value: What was given.
        remedy: What to give instead.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type,operator]
        raise ValueError(
            f'{name} must be a finite number of MB, at least 0, got {value!r}: {remedy}'
        )


def check_switch(name: str, value: object) -> None:
    """Raise ValueError unless an argument is True or False; 'False' in quotes would be true."""
    if not isinstance(value, bool):
        raise ValueError(f'{name} must be True or False, got {value!r}: write it without quotes')
