"""How much of pose space a data set covers, before and after its expansion."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pg2aug.augment.acceptance import NUM_DECILES, rarity_deciles
from pg2aug.poses import PoseBank
from pg2aug.poses.coverage import ALIKE, PosesAndMask, nearer_distances
from pg2aug.poses.rarity import missing_joint_cost
from pg2aug.poses.scale import body_scales, limb_lengths, normalize_poses, typical_limb_lengths

JUDGED = 1000
POSES = 20_000
"""At most this many poses of a data set are compared with: a random choice."""
_COST_SAMPLE = 256


class MadePoses(NamedTuple):
    """Poses of synthesised persons.

    Attributes:
        keypoints: (N, K, 2), pixels.
        visible: (N, K), greater than 0 where labelled.
        targets: (N,) index in the bank of the pose that each was put into.
    """

    keypoints: NDArray[np.floating[Any]]
    visible: NDArray[Any]
    targets: NDArray[np.integer[Any]]


class PoseCoverage(NamedTuple):
    """Shares of a bank's poses that a data set has, or has one much like.

    Attributes:
        radius: Root mean square joint distance, in body units, up to which poses are alike.
        judged: How many poses of the bank were looked for.
        overall: Share found in the data set before, and after.
        by_rarity: The same for each tenth of the bank, the commonest first; None where none of a
            tenth was looked for.
    """

    radius: float
    judged: int
    overall: tuple[float, float]
    by_rarity: list[tuple[float, float] | None]


def pose_coverage(
    bank: PoseBank, before: tuple[NDArray[Any], NDArray[Any]], made: MadePoses, seed: int = 0
) -> PoseCoverage:
    """Measure which poses of a bank a data set has before and after its expansion.

    A person that was put into the very pose that is looked for does not count: it would show no
    more than that the pose was drawn.

    Args:
        bank: Of N poses; those that are never drawn are not looked for.
        before: Keypoints (M, K, 2) in pixels and visibility (M, K) of the persons in the data set.
        made: The persons that the expansion added.
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
    own, _ = _in_body_units(bank, *before, typical, rng)
    new, kept = _in_body_units(bank, made.keypoints, made.visible, typical, rng)
    cost = missing_joint_cost(poses[0][:_COST_SAMPLE], visible[:_COST_SAMPLE])
    flip = bank.skeleton.flip_indices if bank.options.get('mirror_invariant', True) else None
    nearest_own = nearer_distances(poses, own, cost, flip).min(axis=1, initial=np.inf)
    distances = nearer_distances(poses, new, cost, flip)
    distances[judged[:, None] == made.targets[kept][None]] = np.inf
    nearest = np.minimum(nearest_own, distances.min(axis=1, initial=np.inf))
    covered = np.column_stack([nearest_own, nearest]) <= ALIKE
    deciles = rarity_deciles(bank)[judged]
    tenths = [covered[deciles == tenth] for tenth in range(NUM_DECILES)]
    shares = [_shares(tenth) if len(tenth) else None for tenth in tenths]
    return PoseCoverage(ALIKE, len(judged), _shares(covered), shares)


def _shares(covered: NDArray[np.bool_]) -> tuple[float, float]:
    before, after = covered.mean(axis=0).tolist()
    return before, after


def _in_body_units(
    bank: PoseBank,
    keypoints: NDArray[np.floating[Any]],
    visible: NDArray[Any],
    typical: NDArray[np.floating[Any]],
    rng: np.random.Generator,
) -> tuple[PosesAndMask, NDArray[np.int64]]:
    """Poses whose size is known, no more than ``POSES``, and which of all they are."""
    visible = np.asarray(visible) > 0
    scales = body_scales(limb_lengths(keypoints, visible, bank.skeleton.limbs), typical)
    usable = np.flatnonzero(np.isfinite(scales) & (scales > 0))
    kept = np.sort(rng.permutation(usable)[:POSES])
    poses = normalize_poses(keypoints[kept], visible[kept], scales[kept])
    return (poses, visible[kept]), kept
