"""Poses drawn for persons: by weight, each at most once for a person, and by number.

Nothing is drawn in sequence. The k-th pose of a person is a function of the seed, the person and k,
so that no draw depends on what came of another, or on who makes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_CELLS = 1 << 20
_DRAWS = 4096
"""Draws by weight; what a person has not been given by then follows in random order."""


@dataclass(frozen=True)
class PoseRegions:
    """The drawable poses of a bank, by the region of pose space that they belong to.

    Attributes:
        poses: (S,) indices into the bank, sorted by region.
        starts: (R + 1,) where each region begins among them, and S.
        cumulative: (S + 1,) weights of the poses before each.
    """

    poses: Ints
    starts: Ints
    cumulative: NDArray[np.float64]

    @classmethod
    def group(cls, weights: NDArray[np.float64], labels: Ints | None = None) -> 'PoseRegions':
        """Group poses.

        Args:
            weights: (N,) of the bank; poses of weight 0 are left out.
            labels: (N,) region of each pose, from 0; None for a single region.
        """
        drawable = np.flatnonzero(weights > 0)
        found = np.zeros(len(drawable), np.int64) if labels is None else labels[drawable]
        order = np.argsort(found, kind='stable')
        poses = drawable[order]
        starts = np.searchsorted(found[order], np.arange(found.max() + 2))
        return cls(poses, starts, np.concatenate([[0.0], np.cumsum(weights[poses])]))

    @property
    def sizes(self) -> Ints:
        """(R,) number of poses in each region."""
        return np.diff(self.starts)


def draw_poses(regions: PoseRegions, seed: int, persons: Ints, region: Ints, turns: Ints) -> Ints:
    """Draw poses from regions; all arrays are (M,).

    The poses that a person gets from a region in turns 0, 1, 2, ... all differ.

    Args:
        regions: What to draw from.
        seed: Of all draws.
        persons: Numbers of the persons, 0 or more.
        region: Region for each.
        turns: Which of the person's poses from that region, from 0 to less than its size.

    Returns:
        Indices into the bank.
    """
    found = np.empty(len(persons), np.int64)
    for batch in _batches(persons, region, turns, len(regions.sizes)):
        table = _distinct(_draws(regions, seed, batch.persons, batch.regions, batch.draws))
        turn = turns[batch.requests]
        poses = table[batch.rows, np.minimum(turn, batch.draws - 1)]
        found[batch.requests] = poses
        for late in batch.requests[(turn >= batch.draws) | (poses < 0)].tolist():
            arguments = int(persons[late]), int(region[late]), int(turns[late])
            found[late] = _late_draw(regions, seed, *arguments)
    return found


class _Batch(NamedTuple):
    """People who are drawn for together, and what is asked of them.

    Attributes:
        persons: (G,) numbers of the persons; one is there once for each region asked for.
        regions: (G,) region of each.
        draws: How many draws each gets: more than are needed, for some are repeats.
        requests: (R,) places of the requests among all.
        rows: (R,) which of the persons each request is of.
    """

    persons: Ints
    regions: Ints
    draws: int
    requests: Ints
    rows: Ints


def _batches(persons: Ints, region: Ints, turns: Ints, num_regions: int) -> Iterator[_Batch]:
    """Requests (M,) in batches of people who need about as many draws, in bounded memory."""
    keys, key_of = np.unique(persons * num_regions + region, return_inverse=True)
    needed = np.zeros(len(keys), np.int64)
    np.maximum.at(needed, key_of, turns)
    by_need = np.argsort(needed, kind='stable')
    keys, needed = keys[by_need], needed[by_need]
    key_of = np.argsort(by_need)[key_of]
    requests = np.argsort(key_of, kind='stable')
    rows = key_of[requests]
    start = 0
    while start < len(keys):
        count = min(2 * int(needed[start]) + 16, _DRAWS)
        fitting = np.searchsorted(needed[start:], count // 2, side='right')
        stop = start + int(np.clip(fitting, 1, max(_CELLS // count, 1)))
        part = slice(*np.searchsorted(rows, [start, stop]))
        person, area = np.divmod(keys[start:stop], num_regions)
        yield _Batch(person, area, count, requests[part], rows[part] - start)
        start = stop


def _distinct(drawn: Ints) -> Ints:
    """The numbers in each row (M, count) in the order in which they are first met, then -1."""
    order = np.argsort(drawn, axis=1, kind='stable')
    ordered = np.take_along_axis(drawn, order, axis=1)
    first = np.ones(drawn.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    new = np.empty_like(first)
    np.put_along_axis(new, order, first, axis=1)
    rows, columns = np.nonzero(new)
    table = np.full_like(drawn, -1)
    table[rows, np.cumsum(new, axis=1)[rows, columns] - 1] = drawn[rows, columns]
    return table


def _late_draw(regions: PoseRegions, seed: int, person: int, region: int, turn: int) -> int:
    drawn = _draws(regions, seed, np.array([person]), np.array([region]), _DRAWS)[0]
    _, where = np.unique(drawn, return_index=True)
    drawn = drawn[np.sort(where)]
    if turn < len(drawn):
        return int(drawn[turn])
    members = regions.poses[regions.starts[region] : regions.starts[region + 1]]
    rest = np.setdiff1d(members, drawn)
    ranks = random_numbers(seed, np.array([person]), np.array([-1 - region]), rest)
    return int(rest[np.argsort(ranks, kind='stable')][turn - len(drawn)])


def _draws(regions: PoseRegions, seed: int, persons: Ints, region: Ints, count: int) -> Ints:
    """First draws by weight for persons (M,) from regions (M,), repeats and all: (M, count)."""
    uniform = random_numbers(seed, persons[:, None], region[:, None], np.arange(count)[None])
    low, high = regions.starts[region][:, None], regions.starts[region + 1][:, None]
    bounds = regions.cumulative[low], regions.cumulative[high]
    targets = bounds[0] + uniform * (bounds[1] - bounds[0])
    places = np.searchsorted(regions.cumulative, targets, side='right') - 1
    return regions.poses[np.clip(places, low, high - 1)]


def random_numbers(seed: int, *keys: Ints) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) for keys that broadcast: the same for the same keys, anywhere.

    A chain of SplitMix64's mixing function (Steele, Lea & Flood, Fast Splittable Pseudorandom
    Number Generators, OOPSLA 2014).
    """
    state = _mix(np.array([seed], np.int64).astype(np.uint64))
    for key in keys:
        state = _mix(state ^ np.asarray(key, np.int64).astype(np.uint64))
    return np.asarray((state >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
