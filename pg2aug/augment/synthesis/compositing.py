"""Putting a synthesised person into an image: pure, batched functions on any device."""

import torch
from torch import Tensor

from pg2aug.augment.people_in_front import in_front_alpha
from pg2aug.augment.synthesis.batches import Scenes
from pg2aug.models.affine import (
    affine_scale,
    compose_affines,
    invert_affine,
    pixel_grid,
    transform_points,
    warp,
)
from pg2aug.models.holes.filling import fill_holes
from pg2aug.models.rasterize import body_alpha
from pg2aug.poses.skeleton import Skeleton

HOLE_RADIUS = 2.4
"""Radius of what is removed of the source person, over that of its limbs: clothes and hair too."""

PERSON_RADIUS = 1.3
"""Radius of what is pasted of a person without a matte of its own, over that of its limbs."""


def inside_mask(shape: tuple[int, int], matrices: Tensor, image_sizes: Tensor) -> Tensor:
    """Which pixels of a frame show the image, rather than what a warp put beyond its border.

    Args:
        shape: (height, width) of the frame.
        matrices: (N, 2, 3), image pixels to pixels of the frame.
        image_sizes: (N, 2) width and height of the images.

    Returns:
        (N, 1, height, width) float32, 1 inside and 0 outside.
    """
    xs, ys = pixel_grid(shape, matrices.device)
    points = torch.stack([xs.expand(shape), ys.expand(shape)], dim=-1).reshape(1, -1, 2)
    source = transform_points(points, invert_affine(matrices))
    inside = ((source >= 0) & (source <= image_sizes[:, None] - 1)).all(dim=-1)
    return inside.reshape(-1, 1, *shape).float()


def composite_persons(scenes: Scenes, skeleton: Skeleton, remove_source: bool = True) -> Tensor:
    """Remove the source persons and paste the synthesised ones, all in the final frame.

    Args:
        scenes: Images, and the persons that are put into them.
        skeleton: Of the poses.
        remove_source: Whether the original person is removed from the background first.

    Returns:
        (N, 3, H, W) float32 BGR in [0, 255].
    """
    images, made, matrices = scenes.images, scenes.made, scenes.matrices
    shape = (images.shape[-2], images.shape[-1])
    inside = inside_mask(shape, matrices, scenes.image_size)
    free = inside * (1 - _in_front(scenes, shape, skeleton))
    if remove_source:
        hole = _source_body(scenes, shape, skeleton)
        # Nothing of a soft edge is known: it is blended once, here.
        known = ((hole <= 0) & (free >= 1)).float()
        images = torch.lerp(images, fill_holes(images, known), hole * free)
    matte = made[:, 3:] if made.shape[1] == 4 else torch.ones_like(made[:, :1])
    placement = compose_affines(matrices, invert_affine(scenes.target_matrix))
    # Colours times matte: beyond the person they mean nothing and must not bleed in.
    pasted = warp(torch.cat([made[:, :3] * matte, matte], dim=1), placement, shape)
    if made.shape[1] == 3:
        pasted = pasted * _target_body(scenes, shape, skeleton)
    pasted = pasted * free
    return images * (1 - pasted[:, 3:]) + pasted[:, :3]


def _source_body(scenes: Scenes, shape: tuple[int, int], skeleton: Skeleton) -> Tensor:
    """What is removed of the source person: (N, 1, H, W) in [0, 1]."""
    return body_alpha(
        transform_points(scenes.source_keypoints, scenes.matrices),
        scenes.source_visible,
        shape,
        skeleton,
        HOLE_RADIUS * scenes.source_radius[:, 0] * affine_scale(scenes.matrices),
    )


def _target_body(scenes: Scenes, shape: tuple[int, int], skeleton: Skeleton) -> Tensor:
    """What is pasted of a person without a matte: (N, 1, H, W) in [0, 1]."""
    return body_alpha(
        transform_points(scenes.target_keypoints, scenes.matrices),
        scenes.target_drawn,
        shape,
        skeleton,
        PERSON_RADIUS * scenes.target_radius[:, 0] * affine_scale(scenes.matrices),
        hands_and_feet=False,
    )


def _in_front(scenes: Scenes, shape: tuple[int, int], skeleton: Skeleton) -> Tensor:
    """Where other people stay in front: (N, 1, H, W) in [0, 1]."""
    keypoints = scenes.front_keypoints
    return in_front_alpha(
        transform_points(keypoints.flatten(1, 2), scenes.matrices).reshape(keypoints.shape),
        scenes.front_visible,
        scenes.front_radius * affine_scale(scenes.matrices)[:, None],
        shape,
        skeleton,
    )
