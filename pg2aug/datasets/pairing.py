"""All ordered pairs within groups, by arithmetic: no list of pairs is ever made."""

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class OrderedPairs(Sequence[tuple[int, int]]):
    """Ordered pairs of different members of the same group.

    Members are numbered through: group g holds the numbers from ``sum(group_sizes[:g])`` on. Pairs
    are in the order of ``itertools.permutations``, group after group. Memory grows with the number
    of groups; a look-up is a binary search.

    Args:
        group_sizes: Number of members of each group; a group of one has no pair.
    """

    def __init__(self, group_sizes: Sequence[int]) -> None:
        sizes = np.asarray(group_sizes, dtype=np.int64)
        self._sizes = sizes
        self._starts = np.cumsum(sizes) - sizes
        self._ends = np.cumsum(sizes * (sizes - 1))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> tuple[int, int]:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(f'pair {index} of {len(self)}')
        group = int(np.searchsorted(self._ends, index, side='right'))
        size, start = int(self._sizes[group]), int(self._starts[group])
        rank = index - int(self._ends[group]) + size * (size - 1)
        first, second = divmod(rank, size - 1)
        return start + first, start + second + (second >= first)


class RepeatedInstances(Sequence[tuple[int, int]]):
    """Every member with itself, ``repeats`` times over.

    Args:
        num_members: Number of members.
        repeats: How often each of them comes.
    """

    def __init__(self, num_members: int, repeats: int) -> None:
        self._num_members, self._repeats = num_members, repeats

    def __len__(self) -> int:
        return self._num_members * self._repeats

    def __getitem__(self, index: int) -> tuple[int, int]:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(f'pair {index} of {len(self)}')
        return index % self._num_members, index % self._num_members


def sample_pair_indices(total: int, num_pairs: int, seed: int) -> NDArray[np.int64]:
    """Draw ``num_pairs`` different indices below ``total``, in random order.

    Time and memory grow with ``num_pairs`` only.

    Raises:
        ValueError: If ``num_pairs`` is not between 1 and ``total``.
    """
    if not 1 <= num_pairs <= total:
        raise ValueError(
            f'num_pairs={num_pairs} but the dataset has {total} pairs: '
            'ask for 1 to that many, or leave it out to use all'
        )
    return np.array(random.Random(seed).sample(range(total), num_pairs), dtype=np.int64)
