"""Which annotated poses a person cannot have taken: mostly labelling errors.

The rarest "pose" of a real data set is a joint clicked on the wrong person. Two kinds of lengths
give it away, both in units of the body's own size (:func:`pg2aug.poses.scale.body_scales`): that of
a limb, and the distance of a joint from the middle of its pose, which also catches a joint whose
neighbours are unlabelled. Perspective only ever shortens a limb, so only the upper tail is judged.
"""

import numpy as np

from pg2aug.poses.scale import Array, Mask, limb_lengths
from pg2aug.poses.skeleton import Skeleton

_TAIL = 6.0
_LEAST_SPREAD = 0.2


def plausible_poses(
    keypoints: Array, visible: Mask, scales: Array, skeleton: Skeleton, tail: float = _TAIL
) -> Mask:
    """Tell poses from labelling errors.

    A length is an outlier above ``q50 + tail * max(q75 - q50, 0.2)`` of that length over all poses
    (quartiles, so that up to a quarter of the poses may be wrong; 0.2 of the longest typical limb).
    A pose with an outlier, or without a size, is implausible.

    Args:
        keypoints: ``(N, K, 2)``; labelled coordinates are finite.
        visible: ``(N, K)`` bool.
        scales: ``(N,)`` body sizes in the unit of ``keypoints``.
        skeleton: Of K joints.
        tail: Larger accepts more.

    Returns:
        ``(N,)`` bool.
    """
    sized = np.isfinite(scales) & (scales > 0)
    divisor = np.where(sized, scales, np.nan)[:, None]
    limbs = limb_lengths(keypoints, visible, skeleton.limbs) / divisor
    radii = distances_from_middle(keypoints, visible) / divisor
    return sized & ~_has_outlier(limbs, tail) & ~_has_outlier(radii, tail)


def distances_from_middle(keypoints: Array, visible: Mask) -> Array:
    """Distance of each joint from the median of the labelled joints of its pose.

    Returns:
        ``(N, K)`` float64 in the unit of ``keypoints``, NaN for unlabelled joints.
    """
    labelled = np.where(visible[..., None], keypoints.astype(np.float64), np.nan)
    radii = np.full(visible.shape, np.nan)
    known = visible.any(axis=1)
    offsets = labelled[known] - np.nanmedian(labelled[known], axis=1, keepdims=True)
    radii[known] = np.linalg.norm(offsets, axis=-1)
    return radii


def _has_outlier(lengths: Array, tail: float) -> Mask:
    measured = np.isfinite(lengths).any(axis=0)
    lengths = lengths[:, measured]
    middle, upper = np.nanquantile(lengths, [0.5, 0.75], axis=0)
    limits = middle + tail * np.maximum(upper - middle, _LEAST_SPREAD)
    # A comparison with NaN, an unlabelled joint, is False: what is not labelled cannot be wrong.
    return (lengths > limits).any(axis=1)
