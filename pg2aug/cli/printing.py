"""What commands print: names and ids of other people's files in it are text, and nothing else."""

import builtins
import re
import sys
from typing import TextIO

# Control characters but for tab and new line, separators and directions that turn text around, and
# the halves of characters that stand for bytes of file names.
_UNPRINTABLE = re.compile('[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')


def printable(text: str) -> str:
    r"""A text with control characters escaped, such as ``\x1b``, with which terminals are steered.

    Tabs and new lines stay.
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def print(*values: object, file: TextIO | None = None, flush: bool = False) -> None:
    """Print values as :func:`print` does, made :func:`printable`.

    What the stream's encoding lacks is escaped, too.

    Args:
        values: With a space between them.
        file: Where to; standard output if None.
        flush: Whether to write it out at once.
    """
    file = sys.stdout if file is None else file
    text = printable(' '.join(map(str, values)))
    encoding = getattr(file, 'encoding', None) or 'utf-8'
    text = text.encode(encoding, 'backslashreplace').decode(encoding)
    builtins.print(text, file=file, flush=flush)
