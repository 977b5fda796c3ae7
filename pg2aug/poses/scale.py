"""Body size from limb lengths, independent of which joints are labelled."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Flags = npt.NDArray[np.uint8]

LIMB_RADIUS = 0.135
"""Radius of a limb over the length of a long limb: the paper's 4 pixels at its image height."""


def limb_lengths(keypoints: Array, visible: Mask, limbs: tuple[tuple[int, int], ...]) -> Array:
    """Length of every limb, NaN where one of its ends is unlabelled.

    Args:
        keypoints: ``(N, K, 2)``, pixels of any frame.
        visible: ``(N, K)`` bool.
        limbs: M pairs of joint indices.

    Returns:
        ``(N, M)`` float64, in the unit of ``keypoints``.
    """
    start, end = np.array(limbs).T
    lengths = np.full((len(keypoints), len(limbs)), np.nan)
    pose, limb = np.nonzero(visible[:, start] & visible[:, end])
    difference = keypoints[pose, start[limb]] - keypoints[pose, end[limb]]
    lengths[pose, limb] = np.hypot(difference[:, 0], difference[:, 1])
    return lengths


def weighted_median(values: Array, weights: Array) -> Array:
    """Lower weighted median along the last axis.

    Args:
        values: ``(..., M)``; entries that are not finite are left out.
        weights: ``(..., M)`` or ``(M,)``; entries that are not positive are left out.

    Returns:
        ``(...)`` float64; NaN where nothing is left.
    """
    weights = np.broadcast_to(weights, values.shape)
    usable = np.isfinite(values) & (weights > 0)
    values = np.where(usable, values, np.inf)
    order = np.argsort(values, axis=-1)
    summed = np.cumsum(np.take_along_axis(np.where(usable, weights, 0.0), order, -1), axis=-1)
    middle = np.argmax(summed >= summed[..., -1:] / 2, axis=-1)[..., None]
    medians = np.take_along_axis(values, np.take_along_axis(order, middle, -1), -1)[..., 0]
    return np.where(usable.any(axis=-1), medians, np.nan)


def typical_limb_lengths(lengths: Array, rounds: int = 10) -> Array:
    """Length of each limb relative to the others, as it mostly looks in a set of poses.

    A rank-one fit of ``lengths`` by alternating medians, so that poses of any size, with any joints
    missing, some of them foreshortened or wrong, count alike.

    Args:
        lengths: ``(N, M)`` from :func:`limb_lengths`.
        rounds: Alternations.

    Returns:
        ``(M,)`` float64; the longest is 1; 0 for a limb that is never labelled or has no length.
    """
    typical = np.isfinite(lengths).any(axis=0).astype(np.float64)
    for _ in range(rounds if typical.any() else 0):
        scales = body_scales(lengths, typical)
        ratios = lengths / np.where(scales > 0, scales, np.nan)[:, None]
        labelled = np.isfinite(ratios).any(axis=0)
        typical = np.zeros(lengths.shape[1])
        typical[labelled] = np.nanmedian(ratios[:, labelled], axis=0)
        if not typical.any():
            break
        typical /= typical.max()
    return typical


def body_scales(lengths: Array, typical: Array) -> Array:
    """Size of each pose: the median of its limb lengths relative to the typical ones.

    Limbs count by their typical length, so that the many short links of a face do not decide, and
    a half body gets the scale that the whole body would have had.

    Args:
        lengths: ``(N, M)`` from :func:`limb_lengths`.
        typical: ``(M,)`` from :func:`typical_limb_lengths`.

    Returns:
        ``(N,)`` float64, pixels per unit of ``typical``; NaN without any labelled limb.
    """
    return weighted_median(lengths / np.where(typical > 0, typical, np.nan), typical)


def normalize_poses(keypoints: Array, visible: Mask, scales: Array) -> Array:
    """Express poses in units of their body size, around the mean of their labelled joints.

    Args:
        keypoints: ``(N, K, 2)``.
        visible: ``(N, K)`` bool.
        scales: ``(N,)``, positive.

    Returns:
        ``(N, K, 2)`` float64, 0 at unlabelled joints.
    """
    labelled = visible[..., None]
    poses = np.where(labelled, keypoints, 0.0)
    count = np.maximum(labelled.sum(axis=1, keepdims=True), 1)
    centred = poses - poses.sum(axis=1, keepdims=True) / count
    return np.where(labelled, centred / scales[:, None, None], 0.0)


def person_limb_radius(
    keypoints: npt.NDArray[Any], visible: npt.NDArray[Any], limbs: tuple[tuple[int, int], ...]
) -> float:
    """Radius of a person's limbs, from the third longest of them.

    Torso, thighs and shins are about equally long, and one of them may be mis-annotated.

    Args:
        keypoints: ``(K, 2)``, pixels of any frame.
        visible: ``(K,)``, greater than 0 where labelled.
        limbs: Pairs of joint indices.

    Returns:
        Radius in the unit of ``keypoints``; 0 without any labelled limb.
    """
    lengths = limb_lengths(np.asarray(keypoints)[None], np.asarray(visible)[None] > 0, limbs)[0]
    lengths = np.sort(lengths[np.isfinite(lengths)])
    return LIMB_RADIUS * float(lengths[-min(3, len(lengths))]) if len(lengths) else 0.0
