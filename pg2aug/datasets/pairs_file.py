"""Pairs that a file lists: a CSV of image names with the header ``from,to``."""

import csv
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pg2aug.datasets.instances import Instances

HEADER = ['from', 'to']
_EXAMPLES = 3

_MALFORMED = "not two names: write 'FROM,TO'"
_SEVERAL_PEOPLE = 'an image of several people: who is meant is not told, remove the line'
_SEVERAL_FILES = 'the end of several file names: write it in full'
_SAME = "an image paired with itself: remove the line, or use pairing='self' without a file"
_UNKNOWN = (
    'no image with an annotated person: remove the line, or take the annotations and the pairs of '
    'one conversion (MMPose leaves out annotations without any labelled joint)'
)
_OTHER_PERSON = 'two different people: remove the line, or correct identity_key'


class ListedPairs(Sequence[tuple[int, int]]):
    """Pairs as they are listed.

    Args:
        members: ``(P, 2)`` int32, numbers of condition and target.
    """

    def __init__(self, members: NDArray[np.int32]) -> None:
        self._members = members

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, index: int) -> tuple[int, int]:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(f'pair {index} of {len(self)}')
        first, second = self._members[index].tolist()
        return first, second


@dataclass
class _BadLines:
    """Bad lines by what is wrong with them: how many, and the first of them."""

    path: str
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, line: int, what: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(f'line {line}: {what}')

    def raise_any(self) -> None:
        if not self.counts:
            return
        kinds = [
            f'{count} x {kind} ({"; ".join(self.examples[kind])}{"; ..." * (count > _EXAMPLES)})'
            for kind, count in self.counts.items()
        ]
        raise ValueError(f'pairs file {self.path!r}: ' + '. '.join(kinds))


@dataclass(frozen=True)
class PairsFile:
    """A pairs file that was read.

    Attributes:
        path: Its path.
        pairs: ``(P, 2)`` int32, numbers of the images in the list of names it was read with.
        lines: ``(P,)`` int32, the line of each pair, from 1.
        names: That list.
    """

    path: str
    pairs: NDArray[np.int32]
    lines: NDArray[np.int32]
    names: Sequence[str]

    def select(self, instances: Instances, check_identity: bool) -> ListedPairs:
        """The pairs of usable instances, in the file's order.

        Args:
            instances: Usable ones of those that the names belong to.
            check_identity: Whether both of a pair must be the same person.

        Raises:
            ValueError: If a pair shows different people, or none is usable.
        """
        member_of = np.full(len(self.names), -1, dtype=np.int32)
        member_of[instances.indices] = np.arange(len(instances.indices))
        members = member_of[self.pairs]
        usable = (members >= 0).all(axis=1)
        if check_identity:
            identity = instances.identity_of[members]
            self._refuse_strangers(usable & (identity[:, 0] != identity[:, 1]))
        if not usable.any():
            raise ValueError(
                f'every pair of {self.path!r} has an unusable instance (dropped: '
                f'{instances.dropped}): set min_visible lower, or correct the annotations'
            )
        return ListedPairs(members[usable])

    def _refuse_strangers(self, strangers: NDArray[np.bool_]) -> None:
        bad_lines = _BadLines(self.path)
        for row in np.flatnonzero(strangers).tolist():
            first, second = self.pairs[row]
            what = f'{self.names[first]!r}, {self.names[second]!r}'
            bad_lines.add(_OTHER_PERSON, int(self.lines[row]), what)
        bad_lines.raise_any()


def read_pairs(path: str, names: Sequence[str]) -> PairsFile:
    """Read a pairs file; a quarter of a million pairs take some megabytes.

    Args:
        path: CSV with the header ``from,to``: names of condition and target image.
        names: File name of each annotated person's image, as the annotations have it. In the file,
            the last component of a name is enough where no other image has the same.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: With lines, names and remedy, if the header is another one, a line is malformed,
            or a name is unknown or not that of one person.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"pairs file {path!r} does not exist: correct pairs='...', of which a relative path is "
            "below the dataset's data_root"
        )
    numbers = number_names(names)
    bad_lines = _BadLines(path)
    pairs, lines = array('i'), array('i')
    for line, row in read_rows(path):
        if len(row) != 2:
            bad_lines.add(_MALFORMED, line, repr(','.join(row)))
            continue
        first, second = numbers.get(row[0], _UNKNOWN), numbers.get(row[1], _UNKNOWN)
        if isinstance(first, int) and isinstance(second, int) and first != second:
            pairs.append(first)
            pairs.append(second)
            lines.append(line)
            continue
        kinds: dict[str, list[str]] = {}
        for name, found in zip(row, (first, second), strict=True):
            if isinstance(found, str):
                kinds.setdefault(found, []).append(repr(name))
        for kind, bad in kinds.items():
            bad_lines.add(kind, line, ', '.join(bad))
        if first == second and isinstance(first, int):
            bad_lines.add(_SAME, line, repr(row[0]))
    bad_lines.raise_any()
    if not lines:
        raise ValueError(f'pairs file {path!r} has no pairs after its header')
    columns = np.frombuffer(pairs, dtype=np.int32).reshape(-1, 2)
    return PairsFile(path, columns, np.frombuffer(lines, dtype=np.int32), names)


def number_names(names: Sequence[str]) -> Mapping[str, int | str]:
    """Number of each file name and of each last component of one; or why it has none."""
    whole: dict[str, int | str] = {}
    for number, name in enumerate(names):
        whole[name] = _SEVERAL_PEOPLE if name in whole else number
    ends: dict[str, int | str] = {}
    for name, found in whole.items():
        end = name.rpartition('/')[2]
        ends[end] = _SEVERAL_FILES if end in ends else found
    return ends | whole


def read_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line of a pairs file that is not blank, after the header.

    Raises:
        ValueError: If the header is another one, or the file is no CSV in UTF-8.
    """
    with open(path, newline='', encoding='utf-8-sig') as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            if header != HEADER:
                raise ValueError(
                    f'pairs file {path!r}, line 1: expected the header {",".join(HEADER)!r}, '
                    f'got {",".join(header)[:80]!r}'
                )
            yield from ((reader.line_num, row) for row in reader if row)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(
                f'pairs file {path!r}, line {reader.line_num + 1}: this is no CSV in UTF-8: {error}'
            ) from error
