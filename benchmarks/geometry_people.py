"""For ``pose_geometry.py``: errors on procedural people, whose poses and views are known."""

from dataclasses import replace
from typing import Any

import numpy as np

from pg2aug.figures.body import joint_positions, pose_bones
from pg2aug.figures.identity import Identity, sample_identity
from pg2aug.figures.poses import COMMON_FAMILIES, RARE_FAMILIES, Pose, sample_pose
from pg2aug.poses import Skeleton, fit_pose, typical_proportions, view_angles

FAMILIES = COMMON_FAMILIES + RARE_FAMILIES
_PEOPLE, _VARIED = 50, ('leg_scale', 'arm_scale', 'shoulder', 'hip')


def joints(identity: Identity, pose: Pose) -> np.ndarray:
    """Where the joints of a procedural person fall, ``(17, 2)`` in body heights, y down."""
    return joint_positions(identity, pose_bones(identity, pose))[0][:, :2] * [1.0, -1.0]


def _person(number: int, spread: float) -> Identity:
    identity, rng = sample_identity(number), np.random.default_rng((2, number))
    factors = np.exp(rng.normal(0, spread, len(_VARIED))).tolist()
    lengths = {n: getattr(identity, n) * f for n, f in zip(_VARIED, factors, strict=True)}
    return replace(identity, **lengths)


def fitting(skeleton: Skeleton, pairs: int, spread: float, noise: float) -> dict[str, Any]:
    """Error of a pose fitted to another person, against that person truly in that pose.

    The true pose stands where the person's torso truly is.

    Args:
        skeleton: COCO's.
        pairs: Of people; the person in a common pose, the target in one of any family.
        spread: Standard deviation of the log of what limbs, shoulders and hips are multiplied by.
        noise: Of the annotation of both, a coordinate's standard deviation in body heights.

    Returns:
        ``size`` and ``proportions``: mean joint error in body heights; ``gain``: mean of the
        difference of a pair, and ``gain_ci95``, half its 95% interval.
    """
    rng, jitter, known = np.random.default_rng(0), np.random.default_rng(1), np.ones(17, bool)

    def annotate(keypoints: np.ndarray) -> np.ndarray:
        return 100 * (keypoints + jitter.normal(0, noise, keypoints.shape))

    crowd = [
        annotate(joints(_person(i % _PEOPLE, spread), sample_pose(FAMILIES[i % 11], rng)))
        for i in range(10 * _PEOPLE)
    ]
    typical = typical_proportions(np.stack(crowd), np.ones((len(crowd), 17)), skeleton)
    torso, errors = list(skeleton.torso), []
    for number in range(pairs):
        person, other = rng.choice(_PEOPLE, 2, replace=False).tolist()
        seen = joints(_person(person, spread), sample_pose(COMMON_FAMILIES[number % 5], rng))
        wanted = sample_pose(FAMILIES[number % 11], rng)
        true = joints(_person(person, spread), wanted)
        true = true - true[torso].mean(axis=0) + seen[torso].mean(axis=0)
        target, source = annotate(joints(_person(other, spread), wanted)), annotate(seen)
        fits = [fit_pose(target, known, source, known, skeleton, row) for row in (None, typical)]
        errors.append([np.linalg.norm(fit / 100 - true, axis=1).mean() for fit in fits])
    size, own = np.transpose(errors)
    return {
        'spread': spread,
        'noise': noise,
        'size': float(size.mean()),
        'proportions': float(own.mean()),
        'gain': float((size - own).mean()),
        'gain_ci95': float(1.96 * (size - own).std(ddof=1) / np.sqrt(pairs)),
    }


def true_view(identity: Identity, pose: Pose) -> float:
    """Angle in degrees about the spine between the chest's direction and the camera."""
    torso = pose_bones(identity, pose)['torso'].rotation
    camera = np.array([0, 0, 1]) - torso[2, 1] * torso[:, 1]
    cosine = torso[:, 2] @ camera / np.linalg.norm(camera)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def views(skeleton: Skeleton, count: int) -> dict[str, Any]:
    """Error of :func:`pg2aug.poses.view_angles`, and what caps on the change of view let pass.

    All pairs of ``count`` people, the families equally frequent, are judged by each cap.
    """
    rng, shown, true = np.random.default_rng(0), [], []
    for number in range(count):
        identity, pose = sample_identity(number % 100), sample_pose(FAMILIES[number % 11], rng)
        shown.append(joints(identity, pose))
        true.append(true_view(identity, pose))
    actual = np.array(true)
    found = view_angles(np.stack(shown), np.ones((count, 17)), skeleton)
    error = np.abs(found - actual)
    bending = np.array([FAMILIES[number % 11] == 'bending' for number in range(count)])
    swapped = (np.abs(actual - 90) > 30) & ((found < 90) != (actual < 90))
    pairs = np.triu_indices(count, 1)
    apart, judged = (np.abs(v[pairs[0]] - v[pairs[1]]) for v in (actual, found))
    caps = {
        str(cap): {
            'kept': float((judged <= cap).mean()),
            'kept_of_those_over_150': float((judged <= cap)[apart > 150].mean()),
            'refused_of_those_within': float((judged > cap)[apart <= cap].mean()),
        }
        for cap in (120, 90)
    }
    return {
        'people': count,
        'mean_error': float(error.mean()),
        'median_error': float(np.median(error)),
        'error_of_nine_in_ten': float(np.quantile(error, 0.9)),
        'mean_error_bending': float(error[bending].mean()),
        'front_and_back_confused': int(swapped.sum()),
        'caps': caps,
    }
