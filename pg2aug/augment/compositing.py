"""Putting a synthesised person into an image: pure, batched functions on any device."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.affine import invert_affine, transform_points
from pg2aug.models.rasterize import pixel_grid


def fill_holes(images: Tensor, known: Tensor) -> Tensor:
    """Fill unknown pixels from their surroundings with a push-pull pyramid.

    Known pixels are averaged into ever coarser levels; unknown ones take the value of the finest
    level at which anything near them is known (Gortler et al., The Lumigraph, 1996).

    Args:
        images: (N, C, H, W); values of unknown pixels are not read.
        known: (N, 1, H, W) in [0, 1], how much of each pixel is known.

    Returns:
        (N, C, H, W) float32, equal to ``images`` where ``known`` is 1.
    """
    images = torch.where(known > 0, images.float(), 0.0)
    if min(images.shape[-2:]) <= 1:
        total = known.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        mean = (images * known).sum(dim=(2, 3), keepdim=True) / total
        return torch.lerp(mean.expand_as(images), images, known)
    size = (images.shape[-2] + 1) // 2, (images.shape[-1] + 1) // 2
    weight = F.adaptive_avg_pool2d(known, size)
    coarse = F.adaptive_avg_pool2d(images * known, size) / weight.clamp_min(1e-6)
    coarse = fill_holes(coarse, (4 * weight).clamp_max(1))
    smooth = F.interpolate(coarse, images.shape[-2:], mode='bilinear', align_corners=False)
    return torch.lerp(smooth, images, known)


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
