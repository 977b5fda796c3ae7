"""One procedural person as an image, with its true keypoints and mask."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pg2aug.figures.background import cast_shadow, paint_background
from pg2aug.figures.body import Bone, Floats, joint_positions, pose_bones
from pg2aug.figures.identity import Identity, sample_identity
from pg2aug.figures.poses import Pose, sample_pose
from pg2aug.figures.raycast import Surface, build_scene, cast, solid_bounds
from pg2aug.figures.shading import shade
from pg2aug.figures.solids import person_solids

_SUPERSAMPLE = 2
# In body heights: somebody curled up is not blown up to fill the image.
_MIN_EXTENT = 0.72


@dataclass(frozen=True)
class Figure:
    """A rendered person.

    Attributes:
        image: BGR (H, W, 3) uint8.
        mask: the person's matte, (H, W) uint8, 255 where a pixel is all person.
        keypoints: COCO-17 joints (17, 2) float32, (x, y) in pixels of the image; outside it where
            ``visible`` is 0.
        visible: COCO flags (17,) int64: 2 seen, 1 hidden behind the person's own body, 0 outside.
        bbox: x, y, width, height (4,) float32 of the mask in pixels.
        person_id: the identity.
        pose_family: the pose's family.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    visible: NDArray[np.int64]
    bbox: NDArray[np.float32]
    person_id: int
    pose_family: str


def render_figure(
    person_id: int,
    pose_family: str,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    background: NDArray[np.uint8] | None = None,
    pose: Pose | None = None,
    identity_seed: int = 0,
) -> Figure:
    """Render a person.

    Args:
        person_id: with ``identity_seed``, who it is; nothing else decides how the person looks.
        pose_family: one of ``COMMON_FAMILIES`` and ``RARE_FAMILIES``.
        size: (width, height) in pixels.
        rng: draws the pose unless ``pose`` is given, then the light, then the background unless
            ``background`` is given. Two generators in the same state give the same light.
        background: BGR (height, width, 3) uint8, used as it is and left unchanged.
        pose: a pose from :func:`sample_pose`, of ``pose_family``.
        identity_seed: the seed of the world of identities.

    Raises:
        ValueError: for an unknown family, a pose of another family, a size below 16 pixels, a
            background of another size or type, or a negative ``person_id``.
    """
    _check_request(pose_family, size, background, pose)
    if pose is None:
        pose = sample_pose(pose_family, rng)
    identity = sample_identity(person_id, identity_seed)
    light, strength = _sample_light(rng)
    bones = pose_bones(identity, pose)
    solids = person_solids(identity, bones)
    scale, offset = _frame(solid_bounds(solids), pose, size)
    scene = build_scene(solids, scale, offset)
    columns, rows = _pixel_grid(size)
    surface = cast(scene, columns, rows)
    person = shade(identity, solids, scene, surface, columns, rows, light) * strength
    alpha = _shrink((surface.part >= 0).astype(np.float32), size)
    if background is None:
        background = paint_background(size, _palette(identity), rng)
        background = cast_shadow(background, alpha, rng)
    # Rays that miss are black, so the shrunk person is already weighted by its matte.
    image = _shrink(person, size) + (1 - alpha[..., None]) * background
    mask = np.round(255 * alpha).astype(np.uint8)
    keypoints, visible = _keypoints(identity, bones, surface, scale, offset)
    return Figure(
        image=np.clip(np.round(image), 0, 255).astype(np.uint8),
        mask=mask,
        keypoints=keypoints,
        visible=visible,
        bbox=np.array(cv2.boundingRect((mask > 127).astype(np.uint8)), np.float32),
        person_id=person_id,
        pose_family=pose_family,
    )


def _check_request(
    pose_family: str,
    size: tuple[int, int],
    background: NDArray[np.uint8] | None,
    pose: Pose | None,
) -> None:
    if min(size) < 16:
        raise ValueError(f'size must be (width, height) of at least 16 pixels each, got {size}')
    if pose is not None and pose.family != pose_family:
        raise ValueError(
            f'pose is of family {pose.family!r} but pose_family is {pose_family!r}; pass '
            'pose_family=pose.family'
        )
    if background is not None:
        shape = (size[1], size[0], 3)
        if background.shape != shape or background.dtype != np.uint8:
            raise ValueError(
                f'background must be uint8 of shape {shape} for size {size}, got '
                f'{background.dtype} of shape {background.shape}'
            )


def _sample_light(rng: np.random.Generator) -> tuple[Floats, float]:
    """Direction (3,) to the light in the camera frame (y down), and its strength."""
    direction = np.array((rng.uniform(-0.8, 0.8), -rng.uniform(0.25, 0.8), 0.7))
    return direction / np.linalg.norm(direction), float(rng.uniform(0.88, 1.1))


def _frame(boxes: Floats, pose: Pose, size: tuple[int, int]) -> tuple[float, tuple[float, float]]:
    """Scale and offset from the view frame to pixels that put the person in the image."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    extent, middle = high - low, (low + high) / 2
    pixels = np.array(size, np.float64)
    scale = pose.zoom * float(min(pixels / np.maximum(extent, (0.1, _MIN_EXTENT))))
    moved = (pixels - 1) / 2 + np.array(pose.shift) * np.abs(pixels - scale * extent) / 2
    return scale, (float(moved[0] - scale * middle[0]), float(moved[1] + scale * middle[1]))


def _pixel_grid(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Columns' x and rows' y of the supersampled rays, in pixels of the image."""
    first = (1 / _SUPERSAMPLE - 1) / 2
    columns, rows = (first + np.arange(_SUPERSAMPLE * side) / _SUPERSAMPLE for side in size)
    return columns, rows


def _shrink(fine: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _palette(identity: Identity) -> Floats:
    return np.array(
        (
            identity.skin,
            identity.top.first,
            identity.top.second,
            identity.bottom.first,
            identity.hair,
        )
    )


def _keypoints(
    identity: Identity,
    bones: dict[str, Bone],
    surface: Surface,
    scale: float,
    offset: tuple[float, float],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    positions, tolerances = joint_positions(identity, bones)
    keypoints = positions[:, :2] * (scale, -scale) + offset
    height, width = (side // _SUPERSAMPLE for side in surface.depth.shape)
    inside = ((keypoints > -0.5) & (keypoints < (width - 0.5, height - 0.5))).all(axis=1)
    columns, rows = np.floor((keypoints + 0.5) * _SUPERSAMPLE).astype(np.int64).T
    columns = np.clip(columns, 0, _SUPERSAMPLE * width - 1)
    rows = np.clip(rows, 0, _SUPERSAMPLE * height - 1)
    covering = surface.depth[rows, columns] - scale * positions[:, 2]
    seen = covering <= scale * tolerances
    visible = np.where(inside, np.where(seen, 2, 1), 0)
    return keypoints.astype(np.float32), visible.astype(np.int64)
