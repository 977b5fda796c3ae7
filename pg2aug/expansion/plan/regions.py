"""Regions of pose space, and how many new images each needs until all are covered alike."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pg2aug.poses import PoseBank
from pg2aug.poses.bank.coverage import (
    PosesAndMask,
    in_body_units,
    nearer_distances,
    swapped_by_mirror,
)
from pg2aug.poses.bank.rarity import COST_SAMPLE, missing_joint_cost

_SAMPLE = 5000


class Regions(NamedTuple):
    """R regions of pose space.

    Attributes:
        labels: (N,) region of each pose of the bank, from 0; -1 for those that are never drawn.
        counts: (R,) how many of the data set's plausible poses are in each; those that show too
            little to be compared are in none.
        centres: (R,) pose of the bank in the middle of each.
    """

    labels: NDArray[np.int64]
    counts: NDArray[np.int64]
    centres: NDArray[np.int64]


def pose_regions(bank: PoseBank, data: PosesAndMask, count: int, seed: int = 0) -> Regions:
    """Divide pose space among some poses of a bank: every pose belongs to the one most like it.

    They are chosen far from each other, by the seeding of k-means++ (Arthur & Vassilvitskii, 2007)
    on the bank's weights, so that regions are about equally large, however common their poses are,
    and mistaken poses are trusted as little as by the bank. Likeness is that of rarity: joints
    in body units, of a pose or its mirror, wherever it stands.

    Args:
        bank: N poses.
        data: Keypoints (M, K, 2) and visibility (M, K) of the data set's persons.
        count: Regions, at most: there are no more than poses.
        seed: Of the choice.

    Raises:
        ValueError: If ``count`` is less than 2.
    """
    if count < 2:
        raise ValueError(f'pose space is divided into at least 2 regions, got {count}')
    (poses, visible), (others, others_visible) = in_body_units(bank, data)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(poses))[:_SAMPLE])
    sample = poses[chosen], visible[chosen]
    cost = missing_joint_cost(sample[0][:COST_SAMPLE], sample[1][:COST_SAMPLE])
    flip = swapped_by_mirror(bank)
    weights = bank.weights[bank.weights > 0][chosen]
    centres = _spread(sample, weights, count, cost, flip, rng)

    def nearest(which: PosesAndMask) -> NDArray[np.int64]:
        """The centre most like each pose; -1 where a pose can be compared with none."""
        if not len(which[0]):
            return np.zeros(0, np.int64)
        reference = sample[0][centres], sample[1][centres]
        distances = nearer_distances(which, reference, cost, flip)
        comparable = np.isfinite(distances).any(axis=1)
        return np.where(comparable, distances.argmin(axis=1), -1)

    labels = np.full(len(bank), -1, np.int64)
    # A pose that can be drawn belongs somewhere.
    labels[bank.weights > 0] = np.maximum(nearest((poses, visible)), 0)
    # A region may lose all of its poses, to one that coincides with it.
    used = np.unique(labels[labels >= 0])
    renumbered = np.full(len(centres), -1, np.int64)
    renumbered[used] = np.arange(len(used))
    labels[labels >= 0] = renumbered[labels[labels >= 0]]
    found = nearest((others, others_visible))
    found = renumbered[found[found >= 0]]
    counts = np.bincount(found[found >= 0], minlength=len(used))
    return Regions(labels, counts, np.flatnonzero(bank.weights > 0)[chosen[centres[used]]])


def _spread(
    sample: PosesAndMask,
    weights: NDArray[np.float64],
    count: int,
    cost: NDArray[Any],
    flip: tuple[int, ...] | None,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Indices of poses of a sample, each drawn by weight and squared distance from the others."""
    centres = [int(rng.choice(len(weights), p=weights / weights.sum()))]
    nearest = np.full(len(weights), np.inf)
    while len(centres) < min(count, len(weights)):
        last = sample[0][centres[-1:]], sample[1][centres[-1:]]
        distances = nearer_distances(sample, last, cost, flip)[:, 0]
        # What cannot be compared is not known to be far.
        nearest = np.minimum(nearest, np.where(np.isfinite(distances), distances, 0.0))
        nearest[centres] = 0
        share = weights * np.square(nearest)
        if not share.sum() > 0:
            break
        centres.append(int(rng.choice(len(weights), p=share / share.sum())))
    return np.array(centres)


def level(counts: NDArray[np.int64], total: int | None = None) -> NDArray[np.int64]:
    """How much to add to each count so that they are as level as possible.

    Args:
        counts: (R,) what is there.
        total: To be added; as much as makes all equal to the largest if None.

    Returns:
        (R,) whole numbers, their sum ``total``. The least are raised first, all to the same level.
    """
    if total is None:
        return np.asarray(counts.max() - counts)
    ordered = np.sort(counts)
    # Raising the n least to the next one takes n times the step.
    needed = np.concatenate([[0], np.cumsum(np.diff(ordered) * np.arange(1, len(counts)))])
    lowest = int(np.searchsorted(needed, total, side='right'))
    rest = total - int(needed[lowest - 1])
    height = int(ordered[lowest - 1]) + rest // lowest
    added = np.maximum(height - counts, 0)
    spare = total - int(added.sum())
    added[np.flatnonzero(counts <= height)[:spare]] += 1
    return added
