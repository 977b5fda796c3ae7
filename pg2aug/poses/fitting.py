"""Giving a person another person's pose."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pg2aug.poses.retarget import (
    MAX_RATIO,
    MIN_RATIO,
    estimate_body,
    segment_lengths,
    stretch_limbs,
)
from pg2aug.poses.scale import weighted_median
from pg2aug.poses.skeleton import Skeleton

_Array = npt.NDArray[Any]
_Pose = npt.NDArray[np.float32]
_MIN_LIMBS = 3
_MIN_JOINTS = 3


def fit_pose(
    target: _Array,
    target_visible: _Array,
    source: _Array,
    source_visible: _Array,
    skeleton: Skeleton,
    typical: npt.NDArray[np.float64] | None = None,
) -> _Pose:
    """Give a person another's pose: size, place and, if asked for, limb proportions are their own.

    Proportions: each limb keeps its direction and its foreshortening, and becomes as much longer or
    shorter as the source's limb is than the target's, both relative to their bodies, within 0.8 and
    1.25; left and right alike (:mod:`pg2aug.poses.retarget`).

    Size: that of the source's body by that of the target's, each measured against ``typical``.
    Without it, or with fewer than 3 measured parts in either, the weighted median over the limbs
    labelled in both poses of source length by target length, weighted by the geometric mean of the
    two, so that limbs which point at either camera count little. With fewer than 3 such limbs, the
    same over all pairs of joints labelled in both.

    Place: the mean of the torso joints labelled in both poses falls on that of the source. Without
    any, the mean of all joints labelled in both does.

    Left and right stay as in the target, and nothing is rotated. A person's own pose stays theirs.

    Args:
        target: ``(K, 2)``, pixels of any frame.
        target_visible: ``(K,)``, greater than 0 where labelled.
        source: ``(K, 2)``, pixels of the source person's image.
        source_visible: ``(K,)``.
        skeleton: Of K joints.
        typical: ``(S,)`` from :func:`pg2aug.poses.retarget.typical_proportions`; None keeps the
            target's proportions.

    Returns:
        ``(K, 2)`` float32 in the source person's image, 0 where the target is unlabelled.

    Raises:
        ValueError: If fewer than 3 joints are labelled in both poses, or they coincide.
    """
    known = np.asarray(target_visible) > 0
    common = known & (np.asarray(source_visible) > 0)
    if common.sum() < _MIN_JOINTS:
        raise ValueError(
            f'target and source pose share {int(common.sum())} labelled joints, a fit needs '
            f'{_MIN_JOINTS}: draw another target, or skip this person'
        )
    poses = (target, target_visible), (source, source_visible)
    body = None if typical is None else _relative_body(*poses, skeleton, typical)
    if body is None:
        scale = _relative_scale(target, source, common, skeleton)
    else:
        scale, ratios = body
        target = stretch_limbs(target, known, ratios, skeleton)
    torso = [joint for joint in skeleton.torso if common[joint]]
    root = torso if torso else np.nonzero(common)[0]
    target_root = np.asarray(target, np.float64)[root].mean(axis=0)
    source_root = np.asarray(source, np.float64)[root].mean(axis=0)
    fitted = np.zeros((skeleton.num_keypoints, 2), np.float32)
    fitted[known] = (np.asarray(target, np.float64)[known] - target_root) * scale + source_root
    return fitted


def _relative_body(
    target: tuple[_Array, _Array],
    source: tuple[_Array, _Array],
    skeleton: Skeleton,
    typical: npt.NDArray[np.float64],
) -> tuple[float, npt.NDArray[np.float64]] | None:
    """Size and proportions of the source by those of the target; None where too little is known."""
    keypoints, visible = (np.stack(arrays) for arrays in zip(target, source, strict=True))
    lengths = segment_lengths(keypoints, visible, skeleton)
    measured = (np.where(typical > 0, lengths, 0) > 0).sum(axis=1)
    scales, proportions = estimate_body(lengths, typical)
    if measured.min() < _MIN_LIMBS or not (scales > 0).all():
        return None
    ratios = np.clip(proportions[1] / proportions[0], MIN_RATIO, MAX_RATIO)
    return float(scales[1] / scales[0]), ratios


def _relative_scale(
    target: _Array, source: _Array, common: npt.NDArray[np.bool_], skeleton: Skeleton
) -> float:
    limbs = np.array(skeleton.limbs)
    limbs = limbs[common[limbs].all(axis=1)]
    pairs = np.argwhere(np.triu(np.outer(common, common), 1))
    for candidates, least in ((limbs, _MIN_LIMBS), (pairs, 1)):
        source_px = _lengths(source, candidates)
        target_px = _lengths(target, candidates)
        usable = (source_px > 0) & (target_px > 0)
        if usable.sum() >= least:
            source_px, target_px = source_px[usable], target_px[usable]
            return float(weighted_median(source_px / target_px, np.sqrt(source_px * target_px)))
    raise ValueError(
        f'the {int(common.sum())} labelled joints that target and source share coincide in one of '
        'the poses, which leaves no length to scale by: draw another target'
    )


def _lengths(keypoints: _Array, pairs: _Array) -> npt.NDArray[np.float64]:
    points = np.asarray(keypoints, np.float64)
    lengths: npt.NDArray[np.float64] = np.linalg.norm(
        points[pairs[:, 0]] - points[pairs[:, 1]], axis=-1
    )
    return lengths
