"""Which annotated poses nobody can have taken: mostly labelling errors.

The rarest "pose" of a real data set is a joint clicked on the wrong person. Joints are held
together by limbs, so two joints cannot be further apart than the limbs on the way between them are
long, however rare the pose. Perspective only ever shortens a distance.
"""

import numpy as np
from scipy.sparse.csgraph import shortest_path

from pg2aug.poses.scale import Array, Mask, limb_lengths
from pg2aug.poses.skeleton import Skeleton

_STRETCH = 1.5
_SLACK = 1.0
_CHUNK = 1024


def plausible_poses(keypoints: Array, visible: Mask, scales: Array, skeleton: Skeleton) -> Mask:
    """Tell poses from labelling errors.

    A pose is implausible if it has no size, or if two labelled joints are further apart than 1.5
    times the way between them along the limbs plus one body unit (the longest typical limb). The
    length of a limb is its upper quartile over all poses, so that up to a quarter may be wrong.
    The pairs include joints whose neighbours are unlabelled; joints with no way between them, or
    only along limbs that are never labelled, are not judged.

    Args:
        keypoints: ``(N, K, 2)``; labelled coordinates are finite.
        visible: ``(N, K)`` bool.
        scales: ``(N,)`` pixels per body unit, see :func:`pg2aug.poses.scale.body_scales`.
        skeleton: Of K joints.

    Returns:
        ``(N,)`` bool.
    """
    sized = np.isfinite(scales) & (scales > 0)
    units = np.where(sized, scales, np.nan)[:, None]
    reach = joint_reach(limb_lengths(keypoints, visible, skeleton.limbs) / units, skeleton)
    first, second = np.nonzero(np.triu(np.isfinite(reach), 1))
    pairs = tuple(zip(first.tolist(), second.tolist(), strict=True))
    plausible = sized.copy()
    for start in range(0, len(keypoints) if pairs else 0, _CHUNK):
        part = slice(start, start + _CHUNK)
        distances = limb_lengths(keypoints[part], visible[part], pairs) / units[part]
        # A comparison with NaN, an unlabelled joint, is False: what is missing cannot be wrong.
        plausible[part] &= ~(distances > reach[first, second]).any(axis=1)
    return plausible


def joint_reach(lengths: Array, skeleton: Skeleton) -> Array:
    """Largest believable distance between every two joints.

    Args:
        lengths: ``(N, M)`` limb lengths in body units, NaN where unlabelled.
        skeleton: With M limbs.

    Returns:
        ``(K, K)`` float64 in body units; infinite where no measured limbs connect the joints.
    """
    edges = np.full((skeleton.num_keypoints, skeleton.num_keypoints), np.inf)
    for index, (start, end) in enumerate(skeleton.limbs):
        if np.isfinite(lengths[:, index]).any():
            # A graph takes an edge of length 0 for none.
            length = max(float(np.nanquantile(lengths[:, index], 0.75)), 1e-6)
            edges[start, end] = edges[end, start] = length
    way: Array = shortest_path(edges, directed=False)
    return _STRETCH * way + _SLACK
