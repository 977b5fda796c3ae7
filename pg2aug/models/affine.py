"""Batched affines of images and points: pure functions on any device.

Coordinates are multiplied one by one: products of matrices are rounded to 10 bits where TF32 is
allowed, and to 8 under autocast, which moves a joint at pixel 2,000 by pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pg2aug.models.tensor_cache import cached_tensor


def pixel_grid(shape: tuple[int, int], device: torch.device, top: int = 0) -> tuple[Tensor, Tensor]:
    """Column coordinates (1, width) and row coordinates (height, 1) of pixels, float32.

    Args:
        shape: (height, width).
        device: Where to make them.
        top: Row coordinate of the first row.
    """
    ys = torch.arange(top, top + shape[0], device=device, dtype=torch.float32)[:, None]
    xs = torch.arange(shape[1], device=device, dtype=torch.float32)[None, :]
    return xs, ys


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
    limit = cached_tensor([images.shape[-1] - 1, images.shape[-2] - 1], source)
    grid = (source / limit * 2 - 1).reshape(len(images), *shape, 2)
    return F.grid_sample(images.float(), grid, mode='bilinear', align_corners=True)


def transform_points(points: Tensor, matrices: Tensor) -> Tensor:
    """Apply (N, 2, 3) affines to (N or 1, P, 2) points: (N, P, 2)."""
    return _turn(points, matrices) + matrices[:, None, :, 2]


def invert_affine(matrices: Tensor) -> Tensor:
    """Inverse of (N, 2, 3) affines, in closed form: no solver, so no synchronisation."""
    a, b, c, d = (matrices[:, i, j] for i in (0, 1) for j in (0, 1))
    det = a * d - b * c
    linear = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2) / det[:, None, None]
    shift = -_turn(matrices[:, None, :, 2], linear).transpose(1, 2)
    return torch.cat([linear, shift], dim=2)


def compose_affines(outer: Tensor, inner: Tensor) -> Tensor:
    """The (N, 2, 3) affines that apply ``inner`` first and ``outer`` second."""
    turned = _turn(inner.transpose(1, 2), outer).transpose(1, 2)
    return torch.cat([turned[:, :, :2], turned[:, :, 2:] + outer[:, :, 2:]], dim=2)


def _turn(points: Tensor, matrices: Tensor) -> Tensor:
    """Apply the linear part of (N, 2, 2 or more) matrices to (N or 1, P, 2) points: (N, P, 2)."""
    return points[..., :1] * matrices[:, None, :, 0] + points[..., 1:] * matrices[:, None, :, 1]


def affine_scale(matrices: Tensor) -> Tensor:
    """By how much (N, 2, 3) affines enlarge lengths, on average over directions: (N,)."""
    linear = matrices[:, :, :2]
    det = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    return det.abs().sqrt()
