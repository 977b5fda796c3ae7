"""What all commands do with errors: one line on stderr, and an exit status."""

import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps

from pg2aug.cli.printing import print

FAILED = 2
"""Nothing could be done, or not all of it; argparse's status for a wrong command line, too."""
INTERRUPTED = 130
"""As a shell says it of a process that Ctrl-C ended."""

_OF_USERS = (
    *(OSError, ValueError, ImportError, MemoryError, RecursionError),
    KeyboardInterrupt,
)
_NO_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)
_IN_WORKER = 'Original Traceback (most recent call last):'

Main = Callable[[Sequence[str] | None], int]


def exit_status(main: Main) -> Main:
    """Let a command end with a line on stderr and a status where it raises what users can cause.

    OSError, ValueError, ImportError (something is not installed), RecursionError (a file is nested
    too deeply), Ctrl-C and too little memory, of the machine or of its GPU, are such; anything else
    is a defect, and keeps its traceback. Python's development mode (``PYTHONDEVMODE=1``) keeps all
    tracebacks.

    Args:
        main: Takes the arguments, those of the process if None, and returns the exit status.
    """

    @wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        try:
            return main(argv)
        except (*_OF_USERS, RuntimeError) as error:
            if sys.flags.dev_mode or not (isinstance(error, _OF_USERS) or out_of_memory(error)):
                raise
            print(_line(error), file=sys.stderr)
            return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED

    return run


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory does not suffice, that of a GPU or of the machine."""
    # PyTorch raises a RuntimeError, of a class of its own for GPUs alone.
    return isinstance(error, MemoryError) or bool(
        isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))
    )


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if _IN_WORKER in lines:
        # A worker of a data loader hands on its traceback, whose last line is the error.
        lines = [lines[-1].partition(': ')[2] or lines[-1]]
    text = ' '.join(lines)
    if isinstance(error, KeyboardInterrupt):
        return f'interrupted{f": {text}" if text else ""}'
    if isinstance(error, RecursionError):
        return f'error: a file is nested too deeply ({text})'
    if out_of_memory(error):
        reason = f' ({text})' if text else ''
        return f'error: the memory does not suffice{reason}: ask for less'
    return f'error: {text or type(error).__name__}'
