"""How far a pose is from other poses when joints are missing.

Two poses are compared over the joints that both have, each in units of its own body size and
shifted onto the other, so that no root joint is needed. What the other pose lacks costs as much as
that joint differs between two random poses; what the pose itself lacks costs nothing. A half body
is therefore compared as a half body, and is no rarer than the half it shows; and a full pose does
not look common just because some crop shares its arms.
"""

from collections.abc import Sequence

import numpy as np

from pg2aug.poses.alignment import mirror_poses
from pg2aug.poses.scale import Array, Mask

REFERENCE_SIZE = 2000
_MIN_COMMON = 3
_CHUNK = 256
_COST_SAMPLE = 256


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
    a, b = visible.astype(np.float32), others_visible.astype(np.float32)
    x, y = poses[..., 0].astype(np.float32), poses[..., 1].astype(np.float32)
    u, v = others[..., 0].astype(np.float32), others[..., 1].astype(np.float32)
    cost = a * missing_cost.astype(np.float32)
    # Sums over the common joints are matrix products, for coordinates and masks are 0 elsewhere.
    common = a @ b.T
    left = np.hstack([x * x + y * y - cost, a, -2 * x, -2 * y])
    summed = left @ np.hstack([b, u * u + v * v, u, v]).T
    summed += cost.sum(axis=1, keepdims=True)
    comparable = common >= _MIN_COMMON
    np.maximum(common, 1, out=common)
    for mine, theirs in ((x, u), (y, v)):
        shift = np.hstack([mine, -a]) @ np.hstack([b, theirs]).T
        shift *= shift
        shift /= common
        summed -= shift
    np.maximum(summed, 0, out=summed)
    summed /= np.maximum(a.sum(axis=1, keepdims=True), 1)
    np.sqrt(summed, out=summed)
    summed[~comparable] = np.inf
    return summed


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
    """Distance of each pose to its k-th nearest neighbour in a random reference set.

    The cost is linear in N. k is a share of the reference set by default: a family of poses is rare
    if it has fewer than that share, however alike its members are.

    Args:
        poses: ``(N, K, 2)`` in body units, 0 at unlabelled joints.
        visible: ``(N, K)`` bool.
        reference: Poses and mask of another data set, which the reference set is drawn from. If
            None it is drawn from ``poses``, and no pose is its own neighbour.
        flip_indices: If given, half of the reference set is the mirror of the other half, so that
            a pose is as rare as its mirror.
        neighbours: k; a twentieth of the reference set if None.
        reference_size: Poses to compare with, at most, mirrored ones included.
        seed: Of the choice of the reference set.

    Returns:
        ``(N,)`` float64 in body units; the median where a pose has fewer than k comparable poses,
        for what cannot be compared is not known to be rare; 1 if that holds for all.
    """
    source, source_visible = (poses, visible) if reference is None else reference
    copies = 1 if flip_indices is None else 2
    size = max(1, reference_size // copies)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(source))[:size])
    others, others_visible = source[chosen], source_visible[chosen]
    if flip_indices is not None:
        mirrored, mirrored_visible = mirror_poses(others, others_visible, flip_indices)
        others = np.concatenate([others, mirrored])
        others_visible = np.concatenate([others_visible, mirrored_visible])
    own = copies if reference is None else 0
    k = min(neighbours or max(1, round(len(others) / 20)), len(others) - own)
    if k < 1:
        return np.ones(len(poses))
    sample = chosen[:: max(1, len(chosen) // _COST_SAMPLE)]
    cost = missing_joint_cost(source[sample], source_visible[sample])
    rarity = np.empty(len(poses))
    for start in range(0, len(poses), _CHUNK):
        part = slice(start, start + _CHUNK)
        distances = pose_distances(poses[part], visible[part], others, others_visible, cost)
        if reference is None:
            inside = np.nonzero((chosen >= start) & (chosen < start + _CHUNK))[0]
            for copy in range(copies):
                distances[chosen[inside] - start, inside + copy * len(chosen)] = np.inf
        rarity[part] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    known = np.isfinite(rarity)
    return np.where(known, rarity, np.median(rarity[known]) if known.any() else 1.0)
