"""Poses in the image from 3-D keypoints, seen by sampled pinhole cameras.

The cameras look at the middle of the person, upright. Only directions and relative distances
matter: a pose bank knows no image size.
"""

import numpy as np
import numpy.typing as npt

from pg2aug.poses.scale import Array, Mask

_PERSON_PX = 200.0
# Joints closer to the camera's plane than this share of the distance are behind it, or nearly so.
_NEAR = 0.1

# Rotations of right-handed worlds into one whose z points up.
_TO_Z_UP = {
    'z-up': [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    'y-up': [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    'y-down': [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
}
WORLDS = tuple(_TO_Z_UP)


def camera_rotations(azimuth: Array, elevation: Array) -> npt.NDArray[np.float64]:
    """Rotations from a world with z up to cameras that look at its origin, upright.

    Args:
        azimuth: ``(N,)`` degrees about the vertical; at 0 the camera stands on the x axis.
        elevation: ``(N,)`` degrees in [-90, 90]; 90 looks down from the zenith.

    Returns:
        ``(N, 3, 3)``; the camera's x points right, y down, z away from the camera.
    """
    a, e = np.radians(azimuth), np.radians(elevation)
    forward = -np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1)
    right = np.stack([-np.sin(a), np.cos(a), np.zeros_like(a)], axis=-1)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def project_poses(
    keypoints_3d: Array, visible: Mask, rotations: Array, distances: Array, focal: Array | float
) -> tuple[npt.NDArray[np.float32], Mask]:
    """See each person through a pinhole camera that looks at the mean of its labelled joints.

    Args:
        keypoints_3d: ``(N, K, 3)`` in a world with z up, any unit.
        visible: ``(N, K)`` bool.
        rotations: ``(N, 3, 3)`` from :func:`camera_rotations`.
        distances: ``(N,)`` from the camera to the mean joint, in the unit of the world.
        focal: ``(N,)`` or a number, in pixels.

    Returns:
        Keypoints ``(N, K, 2)`` in pixels from the principal point, x right and y down, 0 where
        unlabelled; and visible ``(N, K)``: joints beside or behind the camera are unlabelled.
    """
    known = visible[..., None]
    points = np.where(known, keypoints_3d, 0.0).astype(np.float64)
    points -= points.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    seen = points @ rotations.transpose(0, 2, 1)
    depth = seen[..., 2] + distances[:, None]
    labelled = visible & (depth > _NEAR * distances[:, None])
    scale = np.broadcast_to(focal, len(seen))[:, None] / np.where(labelled, depth, 1.0)
    flat = np.where(labelled[..., None], seen[..., :2] * scale[..., None], 0.0)
    return flat.astype(np.float32), labelled


def view_poses(
    keypoints_3d: Array,
    visible: Mask,
    *,
    world: str = 'z-up',
    cameras: int = 4,
    elevation: tuple[float, float] = (-10.0, 45.0),
    distance: tuple[float, float] = (2.5, 8.0),
    seed: int = 0,
) -> tuple[npt.NDArray[np.float32], Mask]:
    """See every pose from several random cameras.

    Azimuth is uniform over the circle, elevation and distance over their ranges.

    Args:
        keypoints_3d: ``(N, K, 3)``, any unit.
        visible: ``(N, K)`` bool; coordinates elsewhere are not read.
        world: 'z-up', 'y-up', or 'y-down' for coordinates of a camera.
        cameras: Views of each pose.
        elevation: Degrees above the horizon, within [-90, 90].
        distance: In body sizes, the median extent of the given poses; more than 1. Close cameras
            see strong perspective.
        seed: Of the cameras.

    Returns:
        Keypoints ``(N * cameras, K, 2)`` and visible ``(N * cameras, K)``, the views of a pose one
        after another; at the median distance a body size is 200 pixels, as :func:`project_poses`.

    Raises:
        ValueError: If a parameter is out of its range.
    """
    _check_views(world, cameras, elevation, distance)
    rotated = np.where(visible[..., None], keypoints_3d, 0.0) @ np.transpose(_TO_Z_UP[world])
    rng = np.random.default_rng(seed)
    count = len(rotated) * cameras
    rotations = camera_rotations(rng.uniform(0, 360, count), rng.uniform(*elevation, count))
    distances = rng.uniform(*distance, count) * _body_size(rotated, visible)
    return project_poses(
        np.repeat(rotated, cameras, axis=0),
        np.repeat(visible, cameras, axis=0),
        rotations,
        distances,
        _PERSON_PX * float(np.mean(distance)),
    )


def _body_size(points: Array, visible: Mask) -> float:
    """Median over the poses of twice the largest distance of a joint from their mean."""
    known = visible[..., None]
    centre = points.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    radii = np.where(visible, np.linalg.norm(points - centre, axis=-1), 0.0).max(axis=1)
    return float(2 * np.median(radii)) if len(radii) else 1.0


def _check_views(
    world: str, cameras: int, elevation: tuple[float, float], distance: tuple[float, float]
) -> None:
    if world not in _TO_Z_UP:
        raise ValueError(f'world must be one of {WORLDS}, got {world!r}')
    if cameras < 1:
        raise ValueError(f'cameras must be at least 1, got {cameras}')
    if not -90 <= elevation[0] <= elevation[1] <= 90:
        raise ValueError(f'elevation must be a range within [-90, 90] degrees, got {elevation}')
    if not 1 < distance[0] <= distance[1]:
        raise ValueError(f'distance must be a range of more than 1 body size, got {distance}')
