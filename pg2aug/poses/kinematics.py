"""Poses as bones: a direction and a length for every joint, seen from the joints it hangs on.

The torso's joints hang on their centre, every other joint on its neighbours one step nearer to the
torso, on the middle of them if there are several, so that nothing prefers a side. What hangs on an
unlabelled joint hangs on whatever that joint hangs on.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import shortest_path

from pg2aug.poses.scale import Array, Mask
from pg2aug.poses.skeleton import Skeleton


def joint_depths(skeleton: Skeleton) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """How far each joint is from the torso along the limbs, and what it hangs on.

    Without a torso, the joint that is nearest to all others, and its mirror, take its place.

    Returns:
        Depths ``(K,)``, 0 for the root's joints and for joints that no limb connects to it; and
        ``(K, K)`` bool, True at ``[k, p]`` where joint k hangs on joint p.
    """
    count = skeleton.num_keypoints
    edges = np.zeros((count, count), bool)
    for start, end in (*skeleton.limbs, *skeleton.attachments):
        edges[start, end] = edges[end, start] = True
    steps = shortest_path(edges.astype(float), directed=False, unweighted=True)
    steps = np.where(np.isfinite(steps), steps, count)
    centre = int(np.argmin(steps.sum(axis=1)))
    root = list(skeleton.torso) or [centre, skeleton.flip_indices[centre]]
    depths = steps[root].min(axis=0).astype(np.int64)
    depths[depths == count] = 0
    return depths, edges & (depths[:, None] == depths[None] + 1)


def to_bones(
    keypoints: Array, visible: Mask, skeleton: Skeleton
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Angle and length of the bone that ends at each joint.

    Args:
        keypoints: ``(N, K, 2)``, any unit.
        visible: ``(N, K)`` bool.
        skeleton: Of K joints.

    Returns:
        Angles ``(N, K)`` in radians, from x towards y; lengths ``(N, K)``; 0 where unlabelled.
    """
    depths, hangs_on = joint_depths(skeleton)
    root = _labelled_mean(keypoints, visible, (depths == 0)[None])
    # Without any labelled joint of the root, the middle of the pose stands for it.
    whole = _labelled_mean(keypoints, visible, np.ones_like(depths, bool)[None])
    anchors = np.where((visible & (depths == 0)).any(axis=1)[:, None, None], root, whole)
    anchors = np.repeat(anchors, len(depths), axis=1)
    for joint, parents in _outward(depths, hangs_on):
        anchors[:, joint] = _anchor(keypoints, visible, anchors, parents)
    offsets = np.where(visible[..., None], keypoints - anchors, 0.0)
    return np.arctan2(offsets[..., 1], offsets[..., 0]), np.hypot(offsets[..., 0], offsets[..., 1])


def from_bones(
    angles: Array, lengths: Array, visible: Mask, skeleton: Skeleton
) -> npt.NDArray[np.float64]:
    """Put bones together: the inverse of :func:`to_bones` up to a translation.

    Returns:
        ``(N, K, 2)``, the root at 0; 0 where unlabelled.
    """
    depths, hangs_on = joint_depths(skeleton)
    offsets = lengths[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    keypoints = np.where(visible[..., None], offsets, 0.0)
    anchors = np.zeros_like(keypoints)
    for joint, parents in _outward(depths, hangs_on):
        anchors[:, joint] = _anchor(keypoints, visible, anchors, parents)
        keypoints[:, joint] += np.where(visible[:, joint, None], anchors[:, joint], 0.0)
    return keypoints


def interpolate_poses(
    first: Array, second: Array, visible: Mask, share: Array, skeleton: Skeleton
) -> npt.NDArray[np.float64]:
    """Poses between two, bone by bone: angles the shorter way round, lengths evenly.

    Interpolating coordinates would shrink every limb that turns.

    Args:
        first: ``(N, K, 2)`` in a common unit of body size.
        second: ``(N, K, 2)``.
        visible: ``(N, K)`` bool, joints labelled in both.
        share: ``(N,)`` in [0, 1]; 0 is the first pose.
        skeleton: Of K joints.

    Returns:
        ``(N, K, 2)``, the root at 0; 0 where unlabelled.
    """
    angles, lengths = to_bones(first, visible, skeleton)
    other_angles, other_lengths = to_bones(second, visible, skeleton)
    turn = np.remainder(other_angles - angles + np.pi, 2 * np.pi) - np.pi
    at = share[:, None]
    return from_bones(
        angles + at * turn, lengths + at * (other_lengths - lengths), visible, skeleton
    )


def turn_joints(
    keypoints: Array, visible: Mask, turns: Array, skeleton: Skeleton
) -> npt.NDArray[np.float64]:
    """Turn bones about the joint they hang on, with all that hangs on them; lengths stay.

    Args:
        keypoints: ``(N, K, 2)``, any unit.
        visible: ``(N, K)`` bool.
        turns: ``(N, K)`` radians for the bone that ends at each joint, from x towards y.
        skeleton: Of K joints.

    Returns:
        ``(N, K, 2)``, the root at 0; 0 where unlabelled.
    """
    depths, hangs_on = joint_depths(skeleton)
    total = np.array(turns, dtype=np.float64)
    for joint, parents in _outward(depths, hangs_on):
        total[:, joint] += total[:, parents].mean(axis=1)
    angles, lengths = to_bones(keypoints, visible, skeleton)
    return from_bones(angles + total, lengths, visible, skeleton)


def _outward(
    depths: npt.NDArray[np.int64], hangs_on: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    for joint in np.argsort(depths, kind='stable'):
        parents = np.nonzero(hangs_on[joint])[0]
        if len(parents):
            yield int(joint), parents


def _anchor(
    keypoints: Array, visible: Mask, anchors: Array, parents: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """What a joint hangs on: its labelled parents' middle, or what the parents hang on: (N, 2)."""
    labelled = visible[:, parents, None]
    points = np.where(labelled, keypoints[:, parents], 0.0)
    mean = points.sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)
    fallback: npt.NDArray[np.float64] = anchors[:, parents].mean(axis=1)
    return np.where(labelled.any(axis=1), mean, fallback)


def _labelled_mean(keypoints: Array, visible: Mask, joints: Mask) -> npt.NDArray[np.float64]:
    chosen = (visible & joints)[..., None]
    total: npt.NDArray[np.float64] = np.where(chosen, keypoints, 0.0).sum(axis=1, keepdims=True)
    return total / np.maximum(chosen.sum(axis=1, keepdims=True), 1)
