"""Files of image pairs, ``from,to``: which pairs there are, and which of them to take."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

COLUMNS = ('from', 'to')
Pair = tuple[str, str]


class PairRow(NamedTuple):
    """A row of a pairs file: its line, from 1, the condition's image and the target's."""

    line: int
    source: str
    target: str


def read_pairs_csv(path: str | Path) -> list[PairRow]:
    """Read a pairs file; further columns are not looked at.

    Names are as they stand there; one that is missing is empty.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its header does not name the columns ``from`` and ``to``, or it is no text.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no pairs file {str(path)!r}')
    with path.open(newline='', encoding='utf-8-sig') as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        try:
            header = [name.strip() for name in reader.fieldnames or ()]
            if not set(COLUMNS) <= set(header):
                raise ValueError(f'it begins with {",".join(header)[:80]!r}, not with from,to')
            reader.fieldnames = header
            return [
                PairRow(reader.line_num, *((row[column] or '').strip() for column in COLUMNS))
                for row in reader
            ]
        except (csv.Error, ValueError) as error:
            raise ValueError(f'{path} is no pairs file: {error}') from error


def ordered_pairs(groups: Iterable[Sequence[str]]) -> list[Pair]:
    """All ordered pairs of different images of a group, group after group."""
    return [pair for group in groups for pair in permutations(group, 2)]


def sample_pairs(pairs: Sequence[Pair], num_pairs: int, seed: int) -> list[Pair]:
    """Draw different pairs, in random order.

    It is the draw of ``pandas.DataFrame.sample(num_pairs, random_state=seed)``, by which the
    published pairs files of DeepFashion and Market-1501 were made with seed 0.

    Raises:
        ValueError: If ``num_pairs`` is not between 1 and the number of pairs, or the seed is
            negative.
    """
    if not 1 <= num_pairs <= len(pairs):
        raise ValueError(
            f'{num_pairs} pairs were asked for, and there are {len(pairs)}: '
            'ask for 1 to that many, or for all'
        )
    chosen = np.random.RandomState(seed).choice(len(pairs), num_pairs, replace=False)
    return [pairs[index] for index in chosen]


def format_pairs_csv(pairs: Iterable[Pair]) -> str:
    """The text of a pairs file."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows((COLUMNS, *pairs))
    return text.getvalue()
