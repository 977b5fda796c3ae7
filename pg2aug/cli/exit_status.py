"""What all commands do with errors: one line on stderr, and an exit status."""

import sys
from collections.abc import Callable, Sequence
from functools import wraps

FAILED = 2
"""Nothing could be done, or not all of it; argparse's status for a wrong command line, too."""
INTERRUPTED = 130
"""As a shell says it of a process that Ctrl-C ended."""

Main = Callable[[Sequence[str] | None], int]


def exit_status(main: Main) -> Main:
    """Let a command end with a line on stderr and a status where it raises what users can cause.

    OSError, ValueError, ImportError (something is not installed), MemoryError and Ctrl-C are such;
    anything else is a defect, and keeps its traceback. Python's development mode
    (``PYTHONDEVMODE=1``) keeps every traceback.

    Args:
        main: Takes the arguments, those of the process if None, and returns the exit status.
    """

    @wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        try:
            return main(argv)
        except (OSError, ValueError, ImportError, MemoryError, KeyboardInterrupt) as error:
            if sys.flags.dev_mode:
                raise
            print(_line(error), file=sys.stderr)
            return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED

    return run


def _line(error: BaseException) -> str:
    text = ' '.join(line.strip() for line in str(error).splitlines() if line.strip())
    if isinstance(error, KeyboardInterrupt):
        return f'interrupted{f": {text}" if text else ""}'
    if isinstance(error, MemoryError):
        return f'error: the memory does not suffice ({text}): ask for less'
    return f'error: {text or type(error).__name__}'
