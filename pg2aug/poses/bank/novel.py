"""Poses that nobody has annotated, between and around annotated ones."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pg2aug.poses.bank.pose_bank import PoseBank
from pg2aug.poses.bank.rarity import COST_SAMPLE, missing_joint_cost, pose_distances
from pg2aug.poses.kinematics import interpolate_poses, joint_depths, turn_joints
from pg2aug.poses.plausibility import plausible_poses
from pg2aug.poses.read.coco import least_visible
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
    sample = slice(None, None, max(1, len(indices) // COST_SAMPLE))
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


_ROUNDS = 20


class NovelPoses(NamedTuple):
    """New poses and what they are made from.

    Attributes:
        keypoints: ``(M, K, 2)`` float32, in pixels of the first parent's image, the root at 0; 0
            where unlabelled.
        visible: ``(M, K)`` bool, labelled in both parents.
        parents: ``(M, 2)`` indices of the given poses, equal where no other was near.
        refused: How many more were made and thrown away, as implausible or with too few joints.
    """

    keypoints: npt.NDArray[np.float32]
    visible: Mask
    parents: npt.NDArray[np.int64]
    refused: int


def add_novel_poses(bank: PoseBank, num: int, **options: Any) -> tuple[PoseBank, NovelPoses]:
    """Put new poses behind those of a bank, which keeps its balance of rare and common ones.

    New poses are drawn as often each as an average pose; their parents were drawn by weight, so
    that together they are balanced as the bank is. Rarity is the mean of the parents', for a
    distance to the nearest observed pose would say how new a pose is, not how rare. Hidden is what
    is so in both parents.

    Args:
        bank: Any bank.
        num: New poses.
        options: See :func:`novel_poses`.

    Returns:
        The larger bank, and the new poses with their parents' indices.

    Raises:
        ValueError: See :func:`novel_poses`.
    """
    new = novel_poses(bank.keypoints, bank.visible, bank.weights, bank.skeleton, num, **options)
    total = len(bank) + num
    weights = np.concatenate([bank.weights * (len(bank) / total), np.full(num, 1 / total)])
    rarity = np.concatenate([bank.rarity, bank.rarity[new.parents].mean(axis=1)])
    larger = replace(
        bank,
        keypoints=np.concatenate([bank.keypoints, new.keypoints]),
        visible=np.concatenate([bank.visible, new.visible]),
        hidden=np.concatenate([bank.hidden, new.visible & bank.hidden[new.parents].all(axis=1)]),
        weights=weights,
        rarity=rarity.astype(np.float32),
        counts={**bank.counts, 'novel': num, 'novel, refused': new.refused},
    )
    return larger, new


def novel_poses(
    keypoints: Array,
    visible: Mask,
    weights: Array,
    skeleton: Skeleton,
    num: int,
    *,
    neighbours: int = 5,
    max_distance: float = 0.4,
    max_turn: float = 12.0,
    min_visible: int | None = None,
    seed: int = 0,
) -> NovelPoses:
    """Make new poses: between a pose and one near to it, every joint then turned a little.

    The first parent is drawn by weight, so that rare families are filled; the second is one of its
    nearest poses. They are mixed bone by bone (:func:`interpolate_poses`) at a random share.
    Then every bone off the head is turned by a random angle with all that hangs on it, and the body
    as a whole is too. What is out of reach (:func:`pg2aug.poses.plausibility.plausible_poses`) is
    thrown away.

    Args:
        keypoints: ``(N, K, 2)`` pixels.
        visible: ``(N, K)`` bool.
        weights: ``(N,)``, those of a pose bank; poses of weight 0 are no parents.
        skeleton: Of K joints.
        num: New poses M.
        neighbours: How many of the nearest poses the second parent is drawn from.
        max_distance: Body units, root mean square over the joints; a pose without another
            that near is its own second parent, for in between would lie another kind of pose.
        max_turn: Largest angle in degrees.
        min_visible: Fewest labelled joints; half of K, rounded up, if None.
        seed: Of all that is random.

    Raises:
        ValueError: If an argument is out of its range, or too few new poses are plausible.
    """
    _check(num, neighbours, max_distance, max_turn)
    rng = np.random.default_rng(seed)
    pool = parent_pool(keypoints, visible, weights, skeleton, rng)
    least = least_visible(skeleton.num_keypoints, min_visible)
    found: list[NovelPoses] = []
    made = kept = 0
    while kept < num:
        if made >= _ROUNDS * max(num, 100):
            raise ValueError(
                f'only {kept} of {made} new poses are plausible and have {least} labelled joints: '
                'ask for fewer, or lower max_turn, max_distance or min_visible'
            )
        first = np.sort(rng.choice(len(pool.indices), num - kept, p=pool.weights))
        second = near_parents(pool, first, neighbours, max_distance, rng)
        part = _mix(pool, first, second, skeleton, np.radians(max_turn), rng)
        good = _plausible(pool, part, skeleton) & (part.visible.sum(axis=1) >= least)
        pixels = part.keypoints * pool.scales[first][:, None, None]
        found.append(NovelPoses(pixels[good], part.visible[good], part.parents[good], 0))
        made, kept = made + len(good), kept + int(good.sum())
    arrays = [np.concatenate(parts) for parts in list(zip(*found, strict=True))[:3]]
    return NovelPoses(arrays[0].astype(np.float32), arrays[1], arrays[2], made - kept)


def _mix(
    pool: ParentPool,
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    skeleton: Skeleton,
    max_turn: float,
    rng: np.random.Generator,
) -> NovelPoses:
    visible = pool.visible[first] & pool.visible[second]
    share = rng.uniform(0, 1, len(first))
    mixed = interpolate_poses(pool.poses[first], pool.poses[second], visible, share, skeleton)
    turns = random_turns(visible, max_turn, skeleton, rng)
    parents = np.stack([pool.indices[first], pool.indices[second]], axis=1)
    turned = turn_joints(mixed, visible, turns, skeleton)
    return NovelPoses(turned.astype(np.float32), visible, parents, 0)


def random_turns(
    visible: Mask, max_turn: float, skeleton: Skeleton, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Angles for :func:`pg2aug.poses.kinematics.turn_joints`, uniform in ``[-max_turn, max_turn]``.

    The torso turns as one. What hangs on several joints (a neck on two shoulders) follows them, and
    the head has no turn of its own: a face would be distorted.

    Returns:
        ``(N, K)`` in the unit of ``max_turn``; 0 for joints that are unlabelled.
    """
    turns = rng.uniform(-max_turn, max_turn, visible.shape)
    depths, hangs_on = joint_depths(skeleton)
    turns[:, list(skeleton.head)] = 0
    turns[:, hangs_on.sum(axis=1) > 1] = 0
    turns = np.where(visible, turns, 0.0)
    turns[:, depths == 0] = rng.uniform(-max_turn, max_turn, (len(visible), 1))
    return turns


def _plausible(pool: ParentPool, new: NovelPoses, skeleton: Skeleton) -> Mask:
    # Judged among the observed poses: what a limb's usual length is must not come from new ones.
    scales = body_scales(limb_lengths(new.keypoints, new.visible, skeleton.limbs), pool.typical)
    judged = plausible_poses(
        np.concatenate([pool.poses, new.keypoints]),
        np.concatenate([pool.visible, new.visible]),
        np.concatenate([np.ones(len(pool.poses)), scales]),
        skeleton,
    )
    return judged[len(pool.poses) :]


def _check(num: int, neighbours: int, max_distance: float, max_turn: float) -> None:
    if num < 1:
        raise ValueError(f'num must be at least 1, got {num}')
    if neighbours < 1:
        raise ValueError(f'neighbours must be at least 1, got {neighbours}')
    if not max_distance >= 0:
        raise ValueError(f'max_distance must be 0 or more, got {max_distance}')
    if not 0 <= max_turn < 90:
        raise ValueError(f'max_turn must be in [0, 90) degrees, got {max_turn}')
