"""The poses that new ones are made from, and their neighbours."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pg2aug.poses.bank.rarity import missing_joint_cost, pose_distances
from pg2aug.poses.scale import (
    Array,
    Mask,
    body_scales,
    limb_lengths,
    normalize_poses,
    typical_limb_lengths,
)
from pg2aug.poses.skeleton import Skeleton

# The cost of new poses is their number times that of the pool.
_POOL_SIZE = 10_000
_COST_SAMPLE = 256
_CHUNK = 256


class ParentPool(NamedTuple):
    """P poses to draw parents from, in body units.

    Attributes:
        indices: ``(P,)`` of the poses in the bank.
        weights: ``(P,)`` to draw with, sum 1.
        poses: ``(P, K, 2)`` in body units, 0 where unlabelled.
        visible: ``(P, K)`` bool.
        scales: ``(P,)`` pixels per body unit.
        typical: Typical lengths of the limbs, the unit's measure.
        missing_cost: ``(K,)``, see :func:`pg2aug.poses.bank.rarity.pose_distances`.
    """

    indices: npt.NDArray[np.int64]
    weights: Array
    poses: Array
    visible: Mask
    scales: Array
    typical: Array
    missing_cost: Array


def parent_pool(
    keypoints: Array, visible: Mask, weights: Array, skeleton: Skeleton, rng: np.random.Generator
) -> ParentPool:
    """Take the poses of positive weight; of more than 10,000, those of 10,000 draws by weight."""
    indices = np.nonzero(weights > 0)[0]
    share = weights[indices] / weights[indices].sum()
    if len(indices) > _POOL_SIZE:
        # A pose drawn twice counts twice, so that on average the shares are the weights.
        drawn = rng.choice(indices, _POOL_SIZE, p=share)
        indices, times = np.unique(drawn, return_counts=True)
        share = times / _POOL_SIZE
    lengths = limb_lengths(keypoints[indices], visible[indices], skeleton.limbs)
    typical = typical_limb_lengths(lengths)
    scales = body_scales(lengths, typical)
    poses = normalize_poses(keypoints[indices], visible[indices], scales)
    sample = slice(None, None, max(1, len(indices) // _COST_SAMPLE))
    cost = missing_joint_cost(poses[sample], visible[indices][sample])
    return ParentPool(indices, share, poses, visible[indices], scales, typical, cost)


def near_parents(
    pool: ParentPool,
    first: npt.NDArray[np.int64],
    neighbours: int,
    max_distance: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """One of the nearest poses of the pool for each of ``first``, itself if none is near."""
    count = min(neighbours, len(pool.indices) - 1)
    if count < 1:
        return first
    second = first.copy()
    for start in range(0, len(first), _CHUNK):
        own = first[start : start + _CHUNK]
        distances = pose_distances(
            pool.poses[own], pool.visible[own], pool.poses, pool.visible, pool.missing_cost
        )
        distances[np.arange(len(own)), own] = np.inf
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        chosen = nearest[np.arange(len(own)), rng.integers(count, size=len(own))]
        near = distances[np.arange(len(own)), chosen] <= max_distance
        second[start : start + _CHUNK] = np.where(near, chosen, own)
    return second
