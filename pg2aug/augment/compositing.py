"""Putting a synthesised person into an image: pure, batched functions on any device."""

import torch
from torch import Tensor

from pg2aug.models.affine import invert_affine, transform_points
from pg2aug.models.pixels import pixel_grid


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
