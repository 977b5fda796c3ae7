"""The other people of an image: who overlaps what a plan changes, and so has to stay in front."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pg2aug.augment.people import People
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses import Skeleton, person_limb_radius

MAX_NEIGHBOURS = 4
"""Neighbours that a plan has room for; those that overlap most are taken."""

NEIGHBOUR_RADIUS = 1.4
"""Radius of what stays of a neighbour in front, over that of their limbs."""

REACH = 5.0
"""Radius about a person's limbs in which anything may change, over that of the limbs."""

_POINTS_PER_LIMB = 6
_HIDDEN = 1


def people_in_front(
    people: People,
    bodies: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    radius: float,
    skeleton: Skeleton,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The people who overlap what changes, those that overlap most first, padded with zeros.

    A joint that is flagged as hidden and lies on the person who is removed is hidden by them: it is
    left out, for its pixels are that person's.

    Args:
        people: Other people of the image; NaN joints count as unlabelled.
        bodies: Keypoints (K, 2) and visibility (K,) of the person as annotated, then in the new
            pose.
        radius: Radius of that person's limbs in pixels.
        skeleton: Skeleton of K joints.

    Returns:
        Keypoints (MAX_NEIGHBOURS, K, 2), 0 where unlabelled; visibility (MAX_NEIGHBOURS, K), 0 or
        1; and limb radius in pixels (MAX_NEIGHBOURS,), 0 where there is nobody. All float32.
    """
    joints = skeleton.num_keypoints
    keypoints = np.zeros((MAX_NEIGHBOURS, joints, 2), np.float32)
    visible = np.zeros((MAX_NEIGHBOURS, joints), np.float32)
    radii = np.zeros(MAX_NEIGHBOURS, np.float32)
    found = []
    ours = np.concatenate([np.asarray(body[0])[np.asarray(body[1]) > 0] for body in bodies])
    for person in people:
        labelled = (person[:, 2] > 0) & np.isfinite(person).all(axis=1)
        own = person_limb_radius(person[:, :2], labelled, skeleton.limbs)
        if own == 0 or _gap(person[labelled, :2], ours) > REACH * (radius + own):
            continue
        on_source = limb_distances(person[:, :2], *bodies[0], skeleton.limbs) < 2 * radius
        shown = labelled & ~((person[:, 2] == _HIDDEN) & on_source)
        points = _limb_points(person[:, :2], shown, skeleton.limbs)
        near = [limb_distances(points, *body, skeleton.limbs) for body in bodies]
        overlap = int((np.min(near, axis=0) < REACH * (radius + own)).sum()) if len(points) else 0
        if overlap:
            found.append((overlap, own, shown, person[:, :2]))
    found.sort(key=lambda item: -item[0])
    for row, (_, own, shown, place) in enumerate(found[:MAX_NEIGHBOURS]):
        keypoints[row, shown], visible[row, shown], radii[row] = place[shown], 1, own
    return keypoints, visible, radii


def limb_distances(
    points: NDArray[Any],
    keypoints: NDArray[Any],
    visible: NDArray[Any],
    limbs: Sequence[tuple[int, int]],
) -> NDArray[np.float64]:
    """Distance of each point to the nearest labelled limb of a body.

    Args:
        points: (P, 2) pixels.
        keypoints: (K, 2) pixels.
        visible: (K,), greater than 0 where labelled.
        limbs: Pairs of joint indices.

    Returns:
        (P,) float64 in pixels; infinite without any labelled limb, NaN for points that are NaN.
    """
    ends = np.array(limbs)
    ends = ends[(np.asarray(visible) > 0)[ends].all(axis=1)]
    if not len(ends):
        return np.full(len(points), np.inf)
    start, stop = np.asarray(keypoints, np.float64)[ends].transpose(1, 0, 2)
    along = stop - start
    offset = np.asarray(points, np.float64)[:, None] - start
    squared = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip((offset * along).sum(axis=2) / squared, 0, 1)
    distances: NDArray[np.float64] = np.linalg.norm(offset - share[..., None] * along, axis=2)
    return distances.min(axis=1)


def in_front_alpha(
    keypoints: Tensor, visible: Tensor, radius: Tensor, shape: tuple[int, int], skeleton: Skeleton
) -> Tensor:
    """Soft mask of the people who stay in front.

    Args:
        keypoints: (N, M, K, 2) pixels of the frame wanted.
        visible: (N, M, K), greater than 0 where labelled and in front.
        radius: (N, M) radius of their limbs in pixels of the frame; M may be 0.
        shape: (height, width) of the frame.
        skeleton: Skeleton of K joints.

    Returns:
        (N, 1, height, width) float32 in [0, 1], on the device of ``keypoints``.
    """
    if radius.shape[1] == 0:
        return keypoints.new_zeros((len(radius), 1, *shape))
    # Rows without anybody come out as 0: picking the others would wait for the device.
    alpha = body_alpha(
        keypoints.flatten(0, 1),
        visible.flatten(0, 1),
        shape,
        skeleton,
        radius.flatten() * NEIGHBOUR_RADIUS,
    )
    return alpha.reshape(*radius.shape, 1, *shape).amax(dim=1)


def _gap(points: NDArray[Any], others: NDArray[Any]) -> float:
    """Largest distance along an axis between the boxes around points (P, 2) and (Q, 2)."""
    apart = np.maximum(
        points.min(axis=0) - others.max(axis=0), others.min(axis=0) - points.max(axis=0)
    )
    return float(apart.max())


def _limb_points(
    keypoints: NDArray[Any], visible: NDArray[np.bool_], limbs: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Points (P, 2) along the labelled limbs."""
    ends = np.array(limbs)
    ends = ends[visible[ends].all(axis=1)]
    start, stop = np.asarray(keypoints, np.float64)[ends].transpose(1, 0, 2)
    share = np.linspace(0, 1, _POINTS_PER_LIMB)[:, None, None]
    return ((1 - share) * start + share * stop).reshape(-1, 2)
