"""Which rare poses have nobody like them: mis-annotations more often than not.

A rare pose of people comes as a family: others did something alike. A wrong joint does not: the
pose without it may be common, but with it, everybody is far away.
"""

from collections.abc import Sequence

import numpy as np

from pg2aug.poses.bank.rarity import COST_SAMPLE, least_squares, missing_joint_cost, reference_sets
from pg2aug.poses.chunks import for_chunks
from pg2aug.poses.scale import Array, Mask

_LEAST = 500
_RAREST = 0.1
_COMMON, _RARE = 500, 1000
_RANK = 0.05
_BEGIN = 0.9
_CHUNK = 64


def isolation_trust(
    poses: Array, visible: Mask, rarity: Array, flip_indices: Sequence[int], *, seed: int = 0
) -> Array:
    """How far each rare pose is to be trusted, from how much closer than others its like is.

    Only the rarest tenth is judged, for only what is rare would be drawn often. Each is compared
    with 500 random poses and 1000 random ones of the rarest tenth, and their mirrors: its distance
    to the nearest, over that to the nearest 5% of them. The ratio is small in a family, however
    far that is from the rest, and nears 1 for a pose off all others. Trust falls from 1, where
    nine in ten random poses of the bank have a smaller ratio, to 0, as far beyond as it is from
    there to the median.

    Args:
        poses: ``(N, K, 2)`` in body units, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.
        rarity: ``(N,)``, larger is rarer.
        flip_indices: K indices.
        seed: Of the random choices.

    Returns:
        ``(N,)`` float64 in [0, 1]; 1 everywhere for fewer than 500 poses, among which families
        cannot be told.
    """
    trust = np.ones(len(poses))
    if len(poses) < _LEAST:
        return trust
    judged = np.sort(np.argsort(-rarity, kind='stable')[: round(_RAREST * len(poses))])
    rng = np.random.default_rng(seed)
    common = np.sort(rng.permutation(len(poses))[:_COMMON])
    chosen = np.union1d(common, rng.permutation(judged)[:_RARE])
    everyday = _distance_ratios(poses, visible, common, chosen, flip_indices)
    if np.isnan(everyday).all():
        return trust
    median, begin = np.nanquantile(everyday, [0.5, _BEGIN])
    ratio = _distance_ratios(poses, visible, judged, chosen, flip_indices)
    beyond = (ratio - begin) / max(begin - median, 1e-6)
    trust[judged] = np.where(np.isnan(ratio), 1, np.clip(1 - beyond, 0, 1))
    return trust


def _distance_ratios(
    poses: Array,
    visible: Mask,
    judged: np.ndarray[tuple[int], np.dtype[np.int64]],
    chosen: np.ndarray[tuple[int], np.dtype[np.int64]],
    flip_indices: Sequence[int],
) -> Array:
    """Nearest distance over the distance at the rank of 5%; NaN where there is no such one."""
    others, others_visible = poses[chosen], visible[chosen]
    sample = slice(None, None, max(1, len(chosen) // COST_SAMPLE))
    cost = missing_joint_cost(others[sample], others_visible[sample])
    references = reference_sets(others, others_visible, cost, flip_indices)
    rank = max(1, round(_RANK * len(chosen)))
    ratio = np.full(len(judged), np.nan)

    def measure(chunk: slice) -> None:
        index = judged[chunk]
        squares = least_squares(references, poses[index], visible[index])
        place = np.minimum(np.searchsorted(chosen, index), len(chosen) - 1)
        own = np.nonzero(chosen[place] == index)[0]
        squares[own, place[own]] = np.inf
        squares.partition(rank, axis=1)
        far = squares[:, rank]
        usable = np.isfinite(far) & (far > 0)
        nearest = np.maximum(squares[usable, :rank].min(axis=1), 0)
        ratio[np.arange(chunk.start, chunk.stop)[usable]] = np.sqrt(nearest / far[usable])

    for_chunks(measure, len(judged), _CHUNK)
    return ratio
