"""How much of a pose bank a data set covers, before and after poses of the bank are added to it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pg2aug.poses.bank.pose_bank import PoseBank
from pg2aug.poses.bank.rarity import (
    COST_SAMPLE,
    least_squares,
    missing_joint_cost,
    reference_sets,
)
from pg2aug.poses.plausibility import plausible_poses
from pg2aug.poses.scale import (
    Array,
    Mask,
    body_scales,
    limb_lengths,
    normalize_poses,
    typical_limb_lengths,
)

ALIKE = 0.15
"""Root mean square joint distance, in body units, at which poses look much the same."""

_DATA_SIZE = 4000
_HELD_OUT = 1000
_LEAST = 10
_CHUNK = 256

PosesAndMask = tuple[Array, Mask]


class Coverage(NamedTuple):
    """Shares of held-out bank poses that a data set covers as poses are added to it.

    Attributes:
        by_rarity: ``(draws + 1, 2)`` with draws by the bank's weights: of all held-out poses, and
            of the rarest tenth of them; row n is after n draws.
        uniform: ``(draws + 1, 2)`` with uniform draws.
    """

    by_rarity: npt.NDArray[np.float64]
    uniform: npt.NDArray[np.float64]


def in_body_units(
    bank: PoseBank, reference: PosesAndMask, judge: bool = True
) -> tuple[PosesAndMask, PosesAndMask]:
    """Bank and data set in the bank's body units, without their implausible poses.

    Args:
        bank: The bank.
        reference: Keypoints ``(M, K, 2)`` and visibility ``(M, K)`` of the data set.
        judge: Leave out implausible poses of the data set; False where all have been judged.

    Returns:
        Poses ``(U, K, 2)`` and mask ``(U, K)`` of the bank's drawable poses, and of the data set's
        plausible ones.
    """
    limbs = bank.skeleton.limbs
    drawable = bank.weights > 0
    lengths = limb_lengths(bank.keypoints[drawable], bank.visible[drawable], limbs)
    typical = typical_limb_lengths(lengths)
    keypoints, visible = reference[0], np.asarray(reference[1]) > 0
    scales = body_scales(limb_lengths(keypoints, visible, limbs), typical)
    usable = np.isfinite(scales) & (scales > 0)
    if judge:
        usable = plausible_poses(keypoints, visible, scales, bank.skeleton)
    poses = normalize_poses(
        bank.keypoints[drawable], bank.visible[drawable], body_scales(lengths, typical)
    )
    others = normalize_poses(keypoints[usable], visible[usable], scales[usable])
    return (poses, bank.visible[drawable]), (others, visible[usable])


def coverage(
    bank: PoseBank,
    reference: PosesAndMask,
    *,
    parents: npt.NDArray[np.int64] | None = None,
    radius: float = ALIKE,
    draws: int = 2000,
    seed: int = 0,
) -> Coverage:
    """Measure how fast draws from a bank fill what a data set lacks.

    The observed poses are halved at random: draws are from one half, and from the made-up poses
    whose parents are in it; coverage is measured on the other, or every drawn pose would cover
    itself.

    Args:
        bank: The bank.
        reference: Keypoints ``(M, K, 2)`` and visibility ``(M, K)`` of the data set; a random 4,000
            of them are used.
        parents: ``(num, 2)`` indices of the parents of the bank's last ``num`` poses, which are
            made up; None if all were observed.
        radius: In body units; a pose is covered if the data set has one as near or nearer.
        draws: How many poses are added.
        seed: Of all that is random.

    Raises:
        ValueError: If the bank or the data set is too small to be measured.
    """
    rng = np.random.default_rng(seed)
    (poses, visible), data = in_body_units(bank, reference)
    data = _sample(data, rng)
    weights, rarity = bank.weights[bank.weights > 0], bank.rarity[bank.weights > 0]
    judged, stock = _halves(bank, parents, rng)
    if len(judged) < _LEAST or len(data[0]) < 2:
        raise ValueError(
            f'coverage is measured on half of the drawable poses, at least {_LEAST}, and 2 of the '
            f'data set, got {len(judged)} and {len(data[0])}'
        )
    flip = swapped_by_mirror(bank)
    cost = missing_joint_cost(data[0][:COST_SAMPLE], data[1][:COST_SAMPLE])
    before = nearer_distances((poses[judged], visible[judged]), data, cost, flip).min(axis=1)
    rarest = rarity[judged] >= np.quantile(rarity[judged], 0.9)
    curves = []
    for share in (weights[stock] / weights[stock].sum(), None):
        drawn = rng.choice(stock, draws, p=share)
        added = (poses[drawn], visible[drawn])
        distances = nearer_distances((poses[judged], visible[judged]), added, cost, flip)
        nearest = np.minimum.accumulate(np.column_stack([before, distances]), axis=1)
        covered = nearest <= radius
        curves.append(np.column_stack([covered.mean(axis=0), covered[rarest].mean(axis=0)]))
    return Coverage(curves[0], curves[1])


def _sample(data: PosesAndMask, rng: np.random.Generator) -> PosesAndMask:
    chosen = rng.permutation(len(data[0]))[:_DATA_SIZE]
    return data[0][chosen], data[1][chosen]


def _halves(
    bank: PoseBank, parents: npt.NDArray[np.int64] | None, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices, among the drawable poses, of those to judge and of those to draw."""
    parents = np.empty((0, 2), np.int64) if parents is None else parents
    observed = len(bank) - len(parents)
    drawable = np.nonzero(bank.weights > 0)[0]
    shuffled = rng.permutation(int((drawable < observed).sum()))
    judged, stock = np.array_split(shuffled, 2)
    in_stock = np.zeros(len(bank), bool)
    in_stock[drawable[stock]] = True
    in_stock[observed:] = in_stock[parents].all(axis=1)
    return judged[:_HELD_OUT], np.nonzero(in_stock[drawable])[0]


def swapped_by_mirror(bank: PoseBank) -> tuple[int, ...] | None:
    """Indices that swap the joints of a mirrored pose; None where a mirror is another pose."""
    return bank.skeleton.flip_indices if bank.options.get('mirror_invariant', True) else None


def nearer_distances(
    poses: PosesAndMask, others: PosesAndMask, cost: Array, flip: tuple[int, ...] | None
) -> Array:
    """Distances (A, B), to the nearer of each pose and its mirror if ``flip`` is given.

    They are those of :func:`pg2aug.poses.bank.rarity.pose_distances`.
    """
    references = reference_sets(*others, cost, flip)
    rows = []
    for part, visible in _chunks(poses):
        counts = np.maximum(visible.sum(axis=1, keepdims=True), 1).astype(np.float32)
        squares = np.maximum(least_squares(references, part, visible), 0)
        rows.append(np.sqrt(squares / counts))
    return np.concatenate(rows)


def nearest_distances(
    poses: PosesAndMask, others: PosesAndMask, shared: float, flip: tuple[int, ...] | None
) -> npt.NDArray[np.float64]:
    """Distance of each of A poses to the nearest of others, or its mirror if ``flip`` is given.

    It is over the joints that both have, and joints that another lacks cost nothing. But only those
    others count that have the share ``shared`` of a pose's joints.

    Returns:
        (A,) in body units, infinite where none counts.
    """
    nearest = np.full(len(poses[0]), np.inf)
    if not len(others[0]):
        return nearest
    for reference in reference_sets(*others, np.zeros(poses[1].shape[1]), flip):
        found = []
        for part, visible in _chunks(poses):
            common = visible.astype(np.float32) @ reference.mask
            squares = reference.squared_distances(part, visible) / np.maximum(common, 1)
            squares[common < shared * visible.sum(axis=1, keepdims=True)] = np.inf
            found.append(np.sqrt(np.maximum(squares.min(axis=1), 0)))
        nearest = np.minimum(nearest, np.concatenate(found))
    return nearest


def _chunks(poses: PosesAndMask) -> Iterator[PosesAndMask]:
    for start in range(0, len(poses[0]), _CHUNK):
        yield poses[0][start : start + _CHUNK], poses[1][start : start + _CHUNK]
