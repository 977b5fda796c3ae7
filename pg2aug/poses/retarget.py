"""Limb proportions of one person given to another's pose.

The pose carries directions and foreshortening, the person carries lengths. A single view bounds a
length only from below, so a limb that looks short is taken for foreshortened, one that looks long
for long, and every change stays within 0.8 and 1.25.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components, shortest_path

from pg2aug.poses.plausibility import mirrored_limbs
from pg2aug.poses.scale import body_scales, limb_lengths, typical_limb_lengths
from pg2aug.poses.skeleton import Skeleton

MIN_RATIO, MAX_RATIO = 0.8, 1.25
"""Bounds on a limb's length in one person over its length in another of the same size."""

# Below the first, relative to typical, a limb is taken for foreshortened; above the second, not.
_FORESHORTENED, _SEEN = 0.75, 0.95
_FULL_LENGTH = 0.8
_SAMPLE = 5000

Floats = npt.NDArray[np.float64]


@lru_cache(maxsize=16)
def segments(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Limbs that have a proportion: all off the head and off the torso's own outline."""
    torso, head = set(skeleton.torso), set(skeleton.head)
    return tuple(limb for limb in skeleton.limbs if not set(limb) <= torso and not set(limb) & head)


def segment_lengths(
    keypoints: npt.NDArray[Any], visible: npt.NDArray[Any], skeleton: Skeleton
) -> Floats:
    """Length of every segment; left and right, being alike, both get the longer one's.

    Args:
        keypoints: ``(N, K, 2)``, pixels of any frame.
        visible: ``(N, K)``, greater than 0 where labelled.
        skeleton: Of K joints.

    Returns:
        ``(N, S)`` float64, NaN where not labelled: first :func:`segments`, then (where the skeleton
        has a torso) width of the shoulders, width of the hips, and length of the spine between.
    """
    labelled, limbs = np.asarray(visible) > 0, segments(skeleton)
    points = np.asarray(keypoints, np.float64)
    lengths = np.zeros((len(points), 0))
    if limbs:
        lengths = limb_lengths(points, labelled, limbs)
        lengths = np.fmax(lengths, lengths[:, mirrored_limbs(limbs, skeleton)])
    if not skeleton.torso:
        return lengths
    corners = points[:, list(skeleton.torso)]
    left_shoulder, right_shoulder, right_hip, left_hip = corners.transpose(1, 0, 2)
    spine = (left_shoulder + right_shoulder - left_hip - right_hip) / 2
    ends = np.stack([left_shoulder - right_shoulder, left_hip - right_hip, spine], axis=1)
    whole = labelled[:, list(skeleton.torso)].all(axis=1)
    trunk = np.where(whole[:, None], np.linalg.norm(ends, axis=2), np.nan)
    return np.concatenate([lengths, trunk], axis=1)


def typical_proportions(
    keypoints: npt.NDArray[Any], visible: npt.NDArray[Any], skeleton: Skeleton, seed: int = 0
) -> Floats:
    """How long the segments of a body mostly are, relative to each other, from 2-D poses.

    Of a segment's lengths relative to the body, the 0.8 quantile: most views shorten it.

    Args:
        keypoints: ``(N, K, 2)``, of any sizes; at most 5,000 of them, drawn at random, are used.
        visible: ``(N, K)``, greater than 0 where labelled.
        skeleton: Of K joints.
        seed: Of the draw.

    Returns:
        ``(S,)`` float64 in the order of :func:`segment_lengths`; 0 for what is never labelled.
    """
    chosen = np.random.default_rng(seed).permutation(len(keypoints))[:_SAMPLE]
    lengths = segment_lengths(keypoints[chosen], visible[chosen], skeleton)
    scales = body_scales(lengths, typical_limb_lengths(lengths))
    relative = lengths / np.where(scales > 0, scales, np.nan)[:, None]
    known = np.isfinite(relative).any(axis=0)
    typical = np.zeros(lengths.shape[1])
    typical[known] = np.nanquantile(relative[:, known], _FULL_LENGTH, axis=0)
    return typical


def estimate_body(lengths: Floats, typical: Floats) -> tuple[Floats, Floats]:
    """Size of bodies and the proportions of their segments.

    Args:
        lengths: ``(N, S)`` from :func:`segment_lengths`.
        typical: ``(S,)`` from :func:`typical_proportions`.

    Returns:
        Pixels per unit of ``typical`` ``(N,)``, NaN where nothing is labelled; and lengths relative
        to typical ``(N, S)`` in [0.8, 1.25], 1 where unknown. A segment of less than 0.75 of its
        typical length is taken for a typical one, foreshortened; from 0.95 on it is believed.
    """
    scales = body_scales(lengths, typical)
    unit = np.where(scales > 0, scales, np.nan)[:, None] * np.where(typical > 0, typical, np.nan)
    observed = np.nan_to_num(lengths / unit, nan=1.0)
    belief = np.clip((observed - _FORESHORTENED) / (_SEEN - _FORESHORTENED), 0, 1)
    return scales, 1 + belief * (np.clip(observed, MIN_RATIO, MAX_RATIO) - 1)


def stretch_limbs(
    keypoints: npt.NDArray[Any], visible: npt.NDArray[Any], ratios: Floats, skeleton: Skeleton
) -> Floats:
    """Make the segments of a pose longer or shorter; each keeps its direction.

    The centre of the torso stays. Shoulders, hips and spine are set about it, and every other limb
    hangs from what is nearer to the torso; where it hangs from several joints, by their mean. The
    head moves with the shoulders as one piece. Parts without a way to the torso start from the
    middle of their limbs.

    Args:
        keypoints: ``(K, 2)``.
        visible: ``(K,)``, greater than 0 where labelled.
        ratios: ``(S,)``, factor on each segment, in the order of :func:`segment_lengths`.
        skeleton: Of K joints.

    Returns:
        ``(K, 2)`` float64, 0 where unlabelled.
    """
    known = np.asarray(visible) > 0
    torso, limbs = list(skeleton.torso), segments(skeleton)
    root = [joint for joint in torso if known[joint]] or np.flatnonzero(known)
    centre = np.asarray(keypoints, np.float64)[root].mean(axis=0)
    before = np.where(known[:, None], np.asarray(keypoints, np.float64) - centre, 0.0)
    after = before.copy()
    if torso and known[torso].all():
        after[torso] = _stretch_torso(before[torso], *ratios[len(limbs) :].tolist())
    # As numbers of Python, x + iy: they are few, and arrays of two take ten times as long.
    old, new = ((a[:, 0] + 1j * a[:, 1]).tolist() for a in (before, after))
    factors = {frozenset(limb): ratio for limb, ratio in zip(limbs, ratios.tolist(), strict=False)}
    for joint, parents in _hanging(skeleton):
        if not known[joint]:
            # An unlabelled joint stands where the joint stands that it hangs from.
            old[joint], new[joint] = (sum(a[p] for p in parents) / len(parents) for a in (old, new))
            continue
        places = [
            new[parent] + factors.get(frozenset((joint, parent)), 1.0) * (old[joint] - old[parent])
            for parent in parents
        ]
        new[joint] = sum(places) / len(places)
    moved = np.array(new)
    moved = np.stack([moved.real, moved.imag], axis=1)
    stretched: Floats = np.where(known[:, None], moved + centre, 0.0)
    return stretched


def _stretch_torso(corners: Floats, shoulders: float, hips: float, spine: float) -> Floats:
    top, bottom = corners[:2].mean(axis=0), corners[2:].mean(axis=0)
    middle = (top + bottom) / 2
    return np.concatenate(
        [
            middle + spine * (top - middle) + shoulders * (corners[:2] - top),
            middle + spine * (bottom - middle) + hips * (corners[2:] - bottom),
        ]
    )


@lru_cache(maxsize=16)
def _hanging(skeleton: Skeleton) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Joints off the roots, nearest to a root first, each with the joints that it hangs from."""
    head, torso = set(skeleton.head), skeleton.torso
    count = skeleton.num_keypoints
    linked = np.zeros((count, count), bool)
    for a, b in (*skeleton.limbs, *skeleton.attachments):
        # Ears are linked to shoulders, but a head is no wider on wide shoulders.
        if not torso or not {a, b} & head:
            linked[a, b] = linked[b, a] = True
    for joint in head if torso else ():
        linked[joint, list(torso[:2])] = linked[list(torso[:2]), joint] = True
    ways = shortest_path(linked.astype(float), directed=False, unweighted=True)
    _, parts = connected_components(linked, directed=False)
    roots = [root for part in np.unique(parts) for root in _roots(parts == part, ways, torso)]
    depth = ways[:, roots].min(axis=1)
    order = np.argsort(depth, kind='stable')
    return tuple(
        (int(j), tuple(np.flatnonzero(linked[j] & (depth == depth[j] - 1)).tolist()))
        for j in order
        if depth[j] > 0
    )


def _roots(part: npt.NDArray[np.bool_], ways: Floats, torso: tuple[int, ...]) -> list[int]:
    """The torso's joints in a part of the skeleton, or else those in the middle of the part."""
    own = [joint for joint in torso if part[joint]]
    members = np.flatnonzero(part)
    furthest = ways[np.ix_(members, members)].max(axis=1)
    middle: list[int] = members[furthest == furthest.min()].tolist()
    return own or middle
