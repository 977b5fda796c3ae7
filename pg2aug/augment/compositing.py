"""Putting a synthesised person into an image: pure, batched functions on any device."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.rasterize import pixel_grid


def warp(images: Tensor, matrices: Tensor, shape: tuple[int, int]) -> Tensor:
    """Warp a batch bilinearly, zero outside, like ``cv2.warpAffine``.

    Args:
        images: (N, C, H, W).
        matrices: (N, 2, 3), source pixels to destination pixels.
        shape: (height, width) of the destination.

    Returns:
        (N, C, height, width) float32.
    """
    inverse = invert_affine(matrices)
    xs, ys = pixel_grid(shape, images.device)
    points = torch.stack([xs.expand(shape), ys.expand(shape)], dim=-1)
    source = transform_points(points.reshape(1, -1, 2), inverse)
    limit = source.new_tensor([images.shape[-1] - 1, images.shape[-2] - 1])
    grid = (source / limit * 2 - 1).reshape(len(images), *shape, 2)
    return F.grid_sample(images.float(), grid, mode='bilinear', align_corners=True)


def transform_points(points: Tensor, matrices: Tensor) -> Tensor:
    """Apply (N, 2, 3) affines to (N or 1, P, 2) points: (N, P, 2)."""
    return points @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]


def invert_affine(matrices: Tensor) -> Tensor:
    """Inverse of (N, 2, 3) affines, in closed form: no solver, so no synchronisation."""
    a, b, c, d = (matrices[:, i, j] for i in (0, 1) for j in (0, 1))
    det = a * d - b * c
    linear = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2) / det[:, None, None]
    return torch.cat([linear, -linear @ matrices[:, :, 2:]], dim=2)


def compose_affines(outer: Tensor, inner: Tensor) -> Tensor:
    """The (N, 2, 3) affines that apply ``inner`` first and ``outer`` second."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    return torch.cat([linear, outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]], dim=2)


def affine_scale(matrices: Tensor) -> Tensor:
    """By how much (N, 2, 3) affines enlarge lengths, on average over directions: (N,)."""
    linear = matrices[:, :, :2]
    det = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    return det.abs().sqrt()


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
