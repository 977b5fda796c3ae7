"""Which annotated poses nobody can have taken: mostly labelling errors.

The rarest "pose" of a real data set is a joint clicked on the wrong person. Joints are held
together by limbs, so two joints cannot be further apart than the limbs on the way between them are
long, however rare the pose. Perspective only ever shortens a distance. Far too far is implausible;
a limb that is somewhat too long makes a pose doubtful.
"""

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import shortest_path

from pg2aug.poses.chunks import for_chunks
from pg2aug.poses.scale import Array, Mask, limb_lengths
from pg2aug.poses.skeleton import Skeleton

_STRETCH = 1.5
_SLACK = 1.0
_CHUNK = 1024
_LIMB_SLACK = 0.1
_LONG, _TOO_LONG = 1.5, 2.0
_LONG_ON_ONE_SIDE, _TOO_LONG_ON_ONE_SIDE = 1.25, 1.5
_ONE_SIDED = 2.0


def plausible_poses(keypoints: Array, visible: Mask, scales: Array, skeleton: Skeleton) -> Mask:
    """Tell poses from labelling errors, by :func:`within_reach` of joints measured on them.

    Args:
        keypoints: ``(N, K, 2)``; labelled coordinates are finite.
        visible: ``(N, K)`` bool.
        scales: ``(N,)`` pixels per body unit, see :func:`pg2aug.poses.scale.body_scales`.
        skeleton: Of K joints.

    Returns:
        ``(N,)`` bool.
    """
    units = np.where(np.isfinite(scales) & (scales > 0), scales, np.nan)[:, None]
    lengths = limb_lengths(keypoints, visible, skeleton.limbs) / units
    reach = joint_reach(usual_lengths(lengths), skeleton)
    plausible = np.empty(len(keypoints), bool)

    def judge(chunk: slice) -> None:
        plausible[chunk] = within_reach(keypoints[chunk], visible[chunk], scales[chunk], reach)

    for_chunks(judge, len(keypoints), _CHUNK)
    return plausible


def within_reach(keypoints: Array, visible: Mask, scales: Array, reach: Array) -> Mask:
    """Whether a pose has a size, and every two of its joints are as close as limbs hold them.

    The pairs include joints beside unlabelled ones; joints with no way between them, or
    only along limbs that are never labelled, are not judged.

    Args:
        keypoints: ``(N, K, 2)``; labelled coordinates are finite.
        visible: ``(N, K)`` bool.
        scales: ``(N,)`` pixels per body unit.
        reach: ``(K, K)`` in body units, see :func:`joint_reach`.

    Returns:
        ``(N,)`` bool.
    """
    sized = np.isfinite(scales) & (scales > 0)
    first, second = np.nonzero(np.triu(np.isfinite(reach), 1))
    units = np.where(sized, scales, 1.0)[:, None, None]
    poses = np.where(visible[..., None], keypoints, 0.0) / units
    across, down = poses[..., 0], poses[..., 1]
    squares = np.square(across[:, first] - across[:, second])
    squares += np.square(down[:, first] - down[:, second])
    too_far = squares > np.square(reach[first, second])
    too_far &= visible[:, first] & visible[:, second]
    return sized & ~too_far.any(axis=1)


def joint_reach(usual: Array, skeleton: Skeleton) -> Array:
    """Largest believable distance between every two joints.

    1.5 times the way between them along the limbs, each of its usual length, plus one body unit
    (the longest typical limb), for a foreshortened body is taken for smaller than it is.

    Args:
        usual: ``(M,)`` in body units, see :func:`usual_lengths`.
        skeleton: With M limbs.

    Returns:
        ``(K, K)`` float64 in body units; infinite where no measured limbs connect the joints.
    """
    edges = np.full((skeleton.num_keypoints, skeleton.num_keypoints), np.inf)
    for (start, end), length in zip(skeleton.limbs, usual, strict=True):
        if np.isfinite(length):
            # A graph takes an edge of length 0 for none.
            edges[start, end] = edges[end, start] = max(float(length), 1e-6)
    way: Array = shortest_path(edges, directed=False)
    return _STRETCH * way + _SLACK


def limb_trust(lengths: Array, usual: Array, skeleton: Skeleton) -> Array:
    """How far each pose is to be trusted, from the lengths of its limbs.

    Perspective shortens limbs but never lengthens them; a limb that is too long has a wrong end.
    After 0.1 body units of tolerance, which the short links of a face need, trust falls from 1 at
    1.5 times the usual length to 0 at twice that; from 1.25 to 1.5 times where the limb is at least
    twice as long as the same one on the other side, for a body misjudged in size has both too long.
    The worst limb decides. Unlabelled limbs are not judged.

    Args:
        lengths: ``(N, M)`` limb lengths in body units, NaN where unlabelled.
        usual: ``(M,)`` usual lengths, see :func:`usual_lengths`; NaN or 0 if never measured.
        skeleton: With M limbs.

    Returns:
        ``(N,)`` float64 in [0, 1].
    """
    relative = (lengths - _LIMB_SLACK) / np.where(usual > 0, usual, np.nan)
    twin = mirrored_limbs(skeleton.limbs, skeleton)
    one_sided = lengths >= _ONE_SIDED * lengths[:, twin]
    one_sided[:, twin == np.arange(len(twin))] = False
    begin = np.where(one_sided, _LONG_ON_ONE_SIDE, _LONG)
    end = np.where(one_sided, _TOO_LONG_ON_ONE_SIDE, _TOO_LONG)
    trust = np.clip((end - relative) / (end - begin), 0, 1)
    return np.where(np.isnan(trust), 1, trust).min(axis=1)


def usual_lengths(lengths: Array) -> Array:
    """Upper quartile of the length of every limb, so that up to a quarter may be wrong.

    Args:
        lengths: ``(N, M)`` in body units, NaN where unlabelled.

    Returns:
        ``(M,)`` float64, NaN for a limb that is never labelled.
    """
    usual = np.full(lengths.shape[1], np.nan)
    known = np.isfinite(lengths).any(axis=0)
    usual[known] = np.nanquantile(lengths[:, known], 0.75, axis=0)
    return usual


def mirrored_limbs(limbs: tuple[tuple[int, int], ...], skeleton: Skeleton) -> npt.NDArray[np.int64]:
    """For each of M limbs the index (M,) of its mirrored limb, its own where there is none."""
    flip, places = skeleton.flip_indices, {frozenset(limb): i for i, limb in enumerate(limbs)}
    mirrored = [places.get(frozenset((flip[a], flip[b])), i) for i, (a, b) in enumerate(limbs)]
    return np.array(mirrored, np.int64)
