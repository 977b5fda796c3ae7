"""What has been made of a plan so far: one file for each group of items, line by line."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pg2aug.expansion.work.attempts import UNUSABLE_IMAGE
from pg2aug.expansion.write.output_folder import OutputFolder
from pg2aug.utils.files import write_error

GROUP_BATCHES = 8
"""Batches in a group: as many items are tried again together, so that their batches are full."""

Record = dict[str, Any]
"""What came of an item in one round of attempts.

``item`` is its number, ``next`` that of the next attempt at it, ``refused`` the attempts of which
nothing came, and ``made`` what came of the last one, or None.
"""

_CHECKSUM_DIGITS = 16


class Part:
    """The lines of a group of items, in the order in which they were made.

    Lines are only ever added; a last one that was torn, where a process was killed in the middle of
    it, is cut off. A finished part ends with ``.jsonl``, one that is not with ``.open``. The last
    member of a line is a checksum of all before it.

    Args:
        folder: The output.
        group: Number of the group.
        items: The numbers of its items.
        max_attempts: At each item.
    """

    def __init__(self, folder: OutputFolder, group: int, items: range, max_attempts: int) -> None:
        self.folder = folder
        self.items = items
        self.max_attempts = max_attempts
        self.path = folder.parts / f'{group:08d}.jsonl'
        self.open_path = self.path.with_suffix('.open')

    @property
    def is_finished(self) -> bool:
        """Whether nothing is missing."""
        return self.path.exists()

    def read(self) -> dict[int, list[Record]]:
        """Lines of each item, the first round first; of a finished part, all there are.

        Raises:
            ValueError: If the file is damaged, but for a torn end of one that is not finished: of
                each item every attempt must be there once, and nothing of items of other parts.
        """
        finished = self.is_finished
        path = self.path if finished else self.open_path
        lines: dict[int, list[Record]] = {item: [] for item in self.items}
        for number, line in _read_lines(path, cut=not finished):
            try:
                wrong = self._what_is_wrong(lines, line)
            except (KeyError, TypeError):
                wrong = 'no line of a part'
            if wrong:
                raise _damaged(path, f' at line {number} ({wrong})')
            lines[line['item']].append(line)
        missing = [item for item, found in lines.items() if not self.is_done(found)]
        if finished and missing:
            raise _damaged(path, f' (items missing: {len(missing)}, such as {missing[0]})')
        return lines

    def _what_is_wrong(self, lines: Mapping[int, Sequence[Record]], line: Record) -> str:
        """Why a line cannot follow those before it; nothing if it goes on from them."""
        item, made, refused = line['item'], line['made'], line['refused']
        if item not in lines:
            return f'item {item} is not of this part'
        before = lines[item]
        if self.is_done(before):
            return f'item {item} is there twice'
        first = before[-1]['next'] if before else 0
        attempts = [entry['attempt'] for entry in [*refused, *([] if made is None else [made])]]
        following = line['next']
        if made is None and following == self.max_attempts:
            # Given up early, with the only image that it could have been of.
            unusable = refused and refused[-1].get('reason') == UNUSABLE_IMAGE
            following = first + len(attempts) if unusable else following
        if not attempts or attempts != list(range(first, following)):
            return f'attempts at item {item} are missing or there twice'
        return ''

    def append(self, lines: Iterable[Record]) -> None:
        """Add lines, and wait until they are on the disk."""
        try:
            with open(self.open_path, 'ab') as file:
                file.write(_encode(lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise write_error(error, self.open_path) from error

    def finish(self) -> None:
        """Declare that every item is done: the lines are put in the order of the items."""
        lines = [line for found in self.read().values() for line in found]
        self.folder.write(self.path, _encode(lines))
        # A process that merges may have removed it already.
        self.open_path.unlink(missing_ok=True)

    def reopen(self, lines: Iterable[Record]) -> None:
        """Take back all but some lines, so that the others are made anew."""
        self.folder.write(self.open_path, _encode(lines))
        self.path.unlink()

    def remove_rest(self) -> None:
        """Remove what is left of a finished part whose process was killed while finishing it."""
        if self.is_finished:
            self.open_path.unlink(missing_ok=True)

    def is_done(self, lines: Sequence[Record]) -> bool:
        """Whether an item needs no further round, from its lines."""
        return bool(lines) and (
            lines[-1]['made'] is not None or lines[-1]['next'] >= self.max_attempts
        )


def _encode(lines: Iterable[Record]) -> bytes:
    members = (json.dumps(line)[:-1] for line in lines)
    return ''.join(f'{text}{_checksum(text.encode())}' for text in members).encode()


def _checksum(members: bytes) -> str:
    """The end of a line."""
    digits = hashlib.sha256(members).hexdigest()[:_CHECKSUM_DIGITS]
    return f', "checksum": "{digits}"}}\n'


def _damaged(path: Path, how: str) -> ValueError:
    return ValueError(f'{path} is damaged{how}: delete it, and its items are made anew')


def _read_lines(path: Path, cut: bool) -> Iterator[tuple[int, Record]]:
    """Lines and their numbers, from 1."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b'\n') + 1
    if cut and whole < len(data):
        os.truncate(path, whole)
    for number, text in enumerate(data[:whole].splitlines(), 1):
        members = text[: -len(_checksum(b'')) + 1]
        if text + b'\n' != members + _checksum(members).encode():
            raise _damaged(path, f' at line {number} (it was changed)')
        try:
            yield number, json.loads(members + b'}')
        except (ValueError, RecursionError) as error:
            raise _damaged(path, f' at line {number} ({error})') from error


def group_items(num_items: int, size: int) -> list[range]:
    """Numbers of the items of each group of ``size``, the last of which may be smaller."""
    return [range(start, min(start + size, num_items)) for start in range(0, num_items, size)]
