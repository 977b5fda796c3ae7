"""Json files of any length, entry by entry."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

_CHUNK = 1 << 20
_SPACE = ' \t\r\n'


def iter_entries(path: str | Path) -> Iterator[tuple[str, Any]]:
    """Read the members of a json object, and its lists entry by entry, in flat memory.

    Args:
        path: A json file that holds an object, such as a COCO file.

    Yields:
        Key and value of each member; for a list, the key with each of its entries in turn.

    Raises:
        ValueError: If the file is no json object, or ends before it should.
        OSError: If it cannot be read.
    """
    with open(path, encoding='utf-8') as file:
        reader = _Reader(file)
        try:
            yield from reader.members()
        except ValueError as error:
            raise ValueError(f'{path} is no json object that can be read: {error}') from error
        except RecursionError as error:
            raise ValueError(f'{path} is nested too deeply') from error


class _Reader:
    """A file's text from the current place on, as much of it as is needed."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._decoder = json.JSONDecoder()
        self._text = ''
        self._place = 0

    def members(self) -> Iterator[tuple[str, Any]]:
        self._expect('{')
        while self._peek() != '}':
            key = self._value()
            self._expect(':')
            if self._peek() == '[':
                yield from ((str(key), entry) for entry in self._entries())
            else:
                yield str(key), self._value()
            self._separator('}')
        self._expect('}')

    def _entries(self) -> Iterator[Any]:
        self._expect('[')
        while self._peek() != ']':
            yield self._value()
            self._separator(']')
        self._expect(']')

    def _separator(self, closing: str) -> None:
        if self._peek() != closing:
            self._expect(',')

    def _peek(self) -> str:
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in _SPACE:
                    return self._text[self._place]
                self._place += 1
            if not self._more():
                raise ValueError('it ends too early')

    def _expect(self, character: str) -> None:
        found = self._peek()
        if found != character:
            raise ValueError(f'{character!r} was expected, not {found!r}')
        self._place += 1

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except ValueError:
                if not self._more():
                    raise
                continue
            # A number at the end of what was read may go on after it.
            if end < len(self._text) or not self._more():
                self._place = end
                return value

    def _more(self) -> bool:
        """Read on, twice as much as is kept, so that a long entry takes few attempts."""
        self._text = self._text[self._place :]
        self._place = 0
        read = self._file.read(max(_CHUNK, 2 * len(self._text)))
        self._text += read
        return bool(read)
