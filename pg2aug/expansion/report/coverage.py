"""How much of pose space a data set covers, before and after its expansion."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pg2aug.augment.statistics import NUM_DECILES, rarity_deciles
from pg2aug.poses import PoseBank
from pg2aug.poses.bank.coverage import ALIKE, PosesAndMask
from pg2aug.poses.bank.rarity import reference_sets
from pg2aug.poses.scale import body_scales, limb_lengths, normalize_poses, typical_limb_lengths

JUDGED = 1000
POSES = 20_000
"""At most this many poses of a data set are compared with: a random choice."""
SHARED = 0.7
"""Least share of a pose's joints that a label must have to be compared with it."""

_CHUNK = 256


class PoseCoverage(NamedTuple):
    """Shares of a bank's poses that a data set shows, or shows one much like.

    Attributes:
        radius: Root mean square distance of the joints that both have, in body units, up to which
            poses are alike.
        shared: Least share of a pose's joints that a label must have to be compared with it.
        judged: How many poses of the bank were looked for.
        before: How many labelled poses of the data set they were compared with.
        made: How many labels of new persons they were compared with.
        overall: Share found in the data set before, and after.
        by_rarity: The same for each tenth of the bank, the commonest first; None where none of a
            tenth was looked for.
    """

    radius: float
    shared: float
    judged: int
    before: int
    made: int
    overall: tuple[float, float]
    by_rarity: list[tuple[float, float] | None]


def pose_coverage(
    bank: PoseBank,
    before: tuple[NDArray[Any], NDArray[Any]],
    made: tuple[NDArray[Any], NDArray[Any]],
    seed: int = 0,
) -> PoseCoverage:
    """Measure which poses of a bank a data set shows before and after its expansion.

    What counts is what is labelled, whoever shows it: a pose that was taken from the data set is
    covered before, and one that a person was put into is covered after if the joints that passed
    the label check are enough, and much like it. Unlike in the measure of rarity, joints that a
    label lacks cost nothing.

    Args:
        bank: Of N poses; those that are never drawn are not looked for.
        before: Keypoints (M, K, 2) in pixels and visibility (M, K) of the persons in the data set.
        made: The same of the persons that the expansion added.
        seed: Of the poses that are looked for and compared with, where there are very many.
    """
    rng = np.random.default_rng(seed)
    drawable = np.flatnonzero(bank.weights > 0)
    lengths = limb_lengths(bank.keypoints[drawable], bank.visible[drawable], bank.skeleton.limbs)
    typical = typical_limb_lengths(lengths)
    chosen = np.sort(rng.permutation(len(drawable))[:JUDGED])
    judged = drawable[chosen]
    visible = bank.visible[judged]
    scales = body_scales(lengths[chosen], typical)
    poses = normalize_poses(bank.keypoints[judged], visible, scales), visible
    own = _in_body_units(bank, *before, typical, rng)
    new = _in_body_units(bank, *made, typical, rng)
    flip = bank.skeleton.flip_indices if bank.options.get('mirror_invariant', True) else None
    nearest = np.column_stack([_nearest(poses, others, flip) for others in (own, new)])
    covered = np.minimum.accumulate(nearest, axis=1) <= ALIKE
    deciles = rarity_deciles(bank)[judged]
    tenths = [covered[deciles == tenth] for tenth in range(NUM_DECILES)]
    shares = [_shares(tenth) if len(tenth) else None for tenth in tenths]
    numbers = len(judged), len(own[0]), len(new[0])
    return PoseCoverage(ALIKE, SHARED, *numbers, _shares(covered), shares)


def _nearest(
    poses: PosesAndMask, others: PosesAndMask, flip: tuple[int, ...] | None
) -> NDArray[np.float64]:
    """Distance of each of A poses to the nearest of B others or its mirror: (A,), inf if none."""
    nearest = np.full(len(poses[0]), np.inf)
    if not len(others[0]):
        return nearest
    for reference in reference_sets(*others, np.zeros(poses[1].shape[1]), flip):
        for start in range(0, len(nearest), _CHUNK):
            rows = slice(start, start + _CHUNK)
            part, visible = poses[0][rows], poses[1][rows]
            common = visible.astype(np.float32) @ reference.mask
            squares = reference.squared_distances(part, visible) / np.maximum(common, 1)
            squares[common < SHARED * visible.sum(axis=1, keepdims=True)] = np.inf
            found = np.sqrt(np.maximum(squares.min(axis=1), 0))
            nearest[rows] = np.minimum(nearest[rows], found)
    return nearest


def _shares(covered: NDArray[np.bool_]) -> tuple[float, float]:
    before, after = covered.mean(axis=0).tolist()
    return before, after


def _in_body_units(
    bank: PoseBank,
    keypoints: NDArray[np.floating[Any]],
    visible: NDArray[Any],
    typical: NDArray[np.floating[Any]],
    rng: np.random.Generator,
) -> PosesAndMask:
    """Poses whose size is known, no more than ``POSES``."""
    visible = np.asarray(visible) > 0
    scales = body_scales(limb_lengths(keypoints, visible, bank.skeleton.limbs), typical)
    usable = np.flatnonzero(np.isfinite(scales) & (scales > 0))
    kept = np.sort(rng.permutation(usable)[:POSES])
    poses = normalize_poses(keypoints[kept], visible[kept], scales[kept])
    return poses, visible[kept]
