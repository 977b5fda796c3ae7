"""How far a pose is from other poses when joints are missing.

Two poses are compared over the joints that both have, each in units of its own body size and
shifted onto the other, so that no root joint is needed. What the other pose lacks costs as much as
that joint differs between two random poses; what the pose itself lacks costs nothing. A half body
is therefore compared as a half body, and is no rarer than the half it shows; and a full pose does
not look common just because some crop shares its arms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pg2aug.poses.alignment import mirror_poses
from pg2aug.poses.chunks import for_chunks
from pg2aug.poses.scale import Array, Mask

REFERENCE_SIZE = 1000
_MIN_COMMON = 3
_CHUNK = 128
COST_SAMPLE = 256
"""Poses that :func:`missing_joint_cost` is mostly given: all pairs of them are formed."""


@dataclass(frozen=True)
class ReferenceSet:
    """B poses in the form in which distances to them are matrix products.

    Coordinates and masks are 0 at unlabelled joints, so that sums over the joints that two poses
    have in common are products. All arrays are float32.
    """

    mask: Array
    squares: Array
    moments: tuple[Array, Array]
    cost: Array

    @classmethod
    def prepare(cls, poses: Array, visible: Mask, missing_cost: Array) -> 'ReferenceSet':
        """Take poses ``(B, K, 2)``, visible ``(B, K)`` and missing_cost ``(K,)``."""
        b = visible.astype(np.float32)
        u, v = (np.ascontiguousarray(poses[..., axis], np.float32) for axis in (0, 1))
        one = np.ones((len(b), 1), np.float32)
        parts = ([b], [b, u * u + v * v, u, v, one], [b, u], [b, v])
        mask, squares, *moments = (np.ascontiguousarray(np.hstack(part).T) for part in parts)
        return cls(mask, squares, (moments[0], moments[1]), missing_cost.astype(np.float32))

    def squared_distances(self, poses: Array, visible: Mask) -> Array:
        """Sums of squares, ``(A, B)``, of :func:`pose_distances`; infinite likewise.

        Where poses coincide, rounding may leave a little less than 0.
        """
        a = visible.astype(np.float32)
        x, y = (np.ascontiguousarray(poses[..., axis], np.float32) for axis in (0, 1))
        cost = a * self.cost
        # Charging all joints first, the common ones get back what they were charged.
        charged = cost.sum(axis=1, keepdims=True)
        summed = np.hstack([x * x + y * y - cost, a, -2 * x, -2 * y, charged]) @ self.squares
        common = a @ self.mask
        comparable = None if common.min() >= _MIN_COMMON else common >= _MIN_COMMON
        np.reciprocal(np.maximum(common, 1, out=common), out=common)
        shift_x = np.hstack([x, -a]) @ self.moments[0]
        shift_y = np.hstack([y, -a]) @ self.moments[1]
        shift_x *= shift_x
        shift_y *= shift_y
        shift_x += shift_y
        shift_x *= common
        summed -= shift_x
        if comparable is not None:
            summed[~comparable] = np.inf
        return summed


def reference_sets(
    poses: Array, visible: Mask, missing_cost: Array, flip_indices: Sequence[int] | None
) -> tuple[ReferenceSet, ...]:
    """Prepare poses ``(B, K, 2)``, and their mirrors where ``flip_indices`` are given."""
    own = ReferenceSet.prepare(poses, visible, missing_cost)
    if flip_indices is None:
        return (own,)
    mirrored = mirror_poses(poses, visible, flip_indices)
    return own, ReferenceSet.prepare(*mirrored, missing_cost)


def least_squares(references: Sequence[ReferenceSet], poses: Array, visible: Mask) -> Array:
    """Squared distances ``(A, B)`` to every pose or to its mirror, whichever is nearer."""
    least = references[0].squared_distances(poses, visible)
    for mirrored in references[1:]:
        np.minimum(least, mirrored.squared_distances(poses, visible), out=least)
    return least


def pose_distances(
    poses: Array, visible: Mask, others: Array, others_visible: Mask, missing_cost: Array
) -> Array:
    """Root mean square joint distance from every pose to every other.

    Args:
        poses: ``(A, K, 2)`` in body units, 0 at unlabelled joints.
        visible: ``(A, K)`` bool.
        others: ``(B, K, 2)``, likewise.
        others_visible: ``(B, K)`` bool.
        missing_cost: ``(K,)`` squared distance charged for a joint that only the first pose has.

    Returns:
        ``(A, B)`` float32 in body units; infinite where fewer than 3 joints are common.
    """
    reference = ReferenceSet.prepare(others, others_visible, missing_cost)
    squares = np.maximum(reference.squared_distances(poses, visible), 0)
    return np.sqrt(squares / _joint_counts(visible)[:, None])


def missing_joint_cost(poses: Array, visible: Mask) -> Array:
    """Median squared distance of each joint between pairs of poses, over their common joints.

    Args:
        poses: ``(N, K, 2)`` in body units, 0 at unlabelled joints; all pairs are formed.
        visible: ``(N, K)`` bool.

    Returns:
        ``(K,)`` float64; a joint that no pair has gets the median of the others.
    """
    common = (visible[:, None] & visible[None])[..., None]
    difference = np.where(common, poses[:, None] - poses[None], 0.0)
    shift = difference.sum(axis=2, keepdims=True) / np.maximum(common.sum(2, keepdims=True), 1)
    usable = common[..., 0] & (common.sum(axis=2) >= _MIN_COMMON)
    usable[np.arange(len(poses)), np.arange(len(poses))] = False
    squares = ((difference - shift) ** 2).sum(axis=-1)
    costs = [np.median(squares[..., k][usable[..., k]]) for k in np.nonzero(usable.any((0, 1)))[0]]
    filled = np.full(visible.shape[1], np.median(costs) if costs else 0.0)
    filled[usable.any((0, 1))] = costs
    return filled


def knn_rarity(
    poses: Array,
    visible: Mask,
    *,
    reference: tuple[Array, Mask] | None = None,
    flip_indices: Sequence[int] | None = None,
    neighbours: int | None = None,
    reference_size: int = REFERENCE_SIZE,
    seed: int = 0,
) -> Array:
    """Distance of each pose to its k-th nearest pose in a random reference set.

    The cost is linear in N. k is a share of the reference set by default: a family of poses is rare
    if it has fewer than that share, however alike its members are.

    Args:
        poses: ``(N, K, 2)`` in body units, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.
        reference: Poses and mask of another data set, which the reference set is drawn from. If
            None it is drawn from ``poses``, and no pose is compared with itself.
        flip_indices: If given, poses are compared with the mirrors of others too and the smaller
            distance counts, so that a pose is as rare as its mirror.
        neighbours: k; a twentieth of the reference set if None.
        reference_size: Poses to compare with, at most.
        seed: Of the choice of the reference set.

    Returns:
        ``(N,)`` float64 in body units; the median where a pose has fewer than k comparable poses,
        for what cannot be compared is not known to be rare; 1 if that holds for all.
    """
    source, source_visible = (poses, visible) if reference is None else reference
    chosen = np.sort(np.random.default_rng(seed).permutation(len(source))[:reference_size])
    k = min(neighbours or max(1, round(len(chosen) / 20)), len(chosen) - (reference is None))
    if k < 1:
        return np.ones(len(poses))
    others, others_visible = source[chosen], source_visible[chosen]
    sample = slice(None, None, max(1, len(chosen) // COST_SAMPLE))
    cost = missing_joint_cost(others[sample], others_visible[sample])
    prepared = reference_sets(others, others_visible, cost, flip_indices)
    nearest = np.empty(len(poses))

    def measure(chunk: slice) -> None:
        squares = least_squares(prepared, poses[chunk], visible[chunk])
        if reference is None:
            inside = np.nonzero((chosen >= chunk.start) & (chosen < chunk.stop))[0]
            squares[chosen[inside] - chunk.start, inside] = np.inf
        squares.partition(k - 1, axis=1)
        nearest[chunk] = squares[:, k - 1]

    for_chunks(measure, len(poses), _CHUNK)
    rarity = np.sqrt(np.maximum(nearest, 0) / _joint_counts(visible))
    known = np.isfinite(rarity)
    return np.where(known, rarity, np.median(rarity[known]) if known.any() else 1.0)


def _joint_counts(visible: Mask) -> Array:
    return np.maximum(visible.sum(axis=1), 1).astype(np.float32)
